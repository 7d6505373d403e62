// lmdb's file as lmdb-js 3.5 writes it (liblmdb/mdb.c), read without lmdb: page by page, and nothing is
// believed. lmdb itself believes all of it, and a wrong number in a page ends the process. All numbers are
// little-endian on every platform that lmdb-js is built for. Offsets within a page count from behind its
// header, of 24 bytes:
//
//     0        8                       16      18      20      22
//     | number | transaction that      | pad   | flags | lower | upper     (or the number of pages of a long
//     | u64    | wrote it u64          | u16   | u16   | u16   | u16        value, u32 at 20)
//
// Pages 0 and 1 are the metas, of which the one with the higher transaction counts:
//
//     magic u32 | version u32 | address 8 | map size u64 | free pages 48 | databases 48 | last page u64 | transaction u64
//
// A tree is 48 bytes: page size or pad u32, flags u16, depth u16, and u64: branch pages, leaf pages, pages of
// long values, records, root. A branch or leaf page begins with the offsets u16 of its nodes, `lower` / 2 of
// them; the nodes lie without gaps from `upper` to the end, each at an even place:
//
//     leaf    size of the value u32 | flags u16 | size of the key u16 | key | value, or where it is: page u64, transaction u64, pages u64
//     branch  page u48 | size of the key u16 | key

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

export const PAGE_FLAG = { branch: 1, leaf: 2, long: 4, meta: 8 } as const
export const NODE_FLAG = { long: 1, database: 2 } as const
export const PAGE_HEADER_BYTES = 24
/** A tree without pages. */
export const NO_ROOT = -1
/** Pages 0 and 1. */
export const META_COUNT = 2

/** What a meta page says of a tree. */
export interface Tree {
  readonly pad: number
  readonly flags: number
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly longPages: number
  readonly recordCount: number
  readonly root: number
}

export interface Meta {
  readonly pageBytes: number
  readonly free: Tree
  readonly main: Tree
  readonly lastPage: number
  readonly transaction: number
}

export interface Page {
  /** under which it was read */
  readonly number: number
  readonly ownNumber: number
  readonly transaction: number
  readonly flags: number
  readonly lower: number
  readonly upper: number
  /** if it is the first of a long value */
  readonly longPages: number
  /** what lies behind the header */
  readonly body: DataView
}

export interface Node {
  readonly key: Uint8Array
  readonly flags: number
  /** size of the value of a leaf's node */
  readonly valueBytes: number
  /** the value, or where the long one is; nothing in a branch */
  readonly value: DataView
  /** of a branch's node */
  readonly child: number
  /** that it takes of its page */
  readonly bytes: number
}

const META_BYTES = 144
const TREE_BYTES = 48
const NODE_HEADER_BYTES = 8
export const LONG_VALUE_BYTES = 24
const MAGIC = 0xbeef_c0de
const VERSIONS: ReadonlySet<number> = new Set([2, 999])
const PAGE_SIZES: ReadonlySet<number> = new Set([4_096, 8_192, 16_384, 32_768, 65_536])

export class LmdbFile {
  readonly #descriptor: number
  readonly byteCount: number
  /** null: not to be believed */
  readonly metas: readonly [Meta | null, Meta | null]
  /** 0 when no meta says it */
  readonly pageBytes: number

  /** Throws what the file system throws. */
  constructor(path: string) {
    this.#descriptor = openSync(path, 'r')
    this.byteCount = fstatSync(this.#descriptor).size
    const first = this.#metaAt(0, 0)
    const sizes = first === null ? PAGE_SIZES : [first.pageBytes]
    const found = [...sizes].map((bytes) => this.#metaAt(bytes, 1))
    const second = found.find((meta, at) => meta?.pageBytes === [...sizes][at]) ?? null
    this.metas = [first, second]
    this.pageBytes = (first ?? second)?.pageBytes ?? 0
  }

  /** Of whole pages. */
  get pageCount(): number {
    return this.pageBytes === 0 ? 0 : Math.floor(this.byteCount / this.pageBytes)
  }

  /** Null where the file has ended. */
  page(number: number): Page | null {
    const bytes = this.bytesAt(number * this.pageBytes, this.pageBytes)
    if (bytes === null) return null
    const header = viewOf(bytes)
    return {
      number,
      ownNumber: numberAt(header, 0),
      transaction: numberAt(header, 8),
      flags: header.getUint16(18, true),
      lower: header.getUint16(20, true),
      upper: header.getUint16(22, true),
      longPages: header.getUint32(20, true),
      body: viewOf(bytes.subarray(PAGE_HEADER_BYTES))
    }
  }

  /** Null where the file has ended. */
  bytesAt(position: number, count: number): Uint8Array | null {
    const bytes = new Uint8Array(count)
    let done = 0
    while (done < count) {
      const read = readSync(this.#descriptor, bytes, done, count - done, position + done)
      if (read === 0) return null
      done += read
    }
    return bytes
  }

  close(): void {
    closeSync(this.#descriptor)
  }

  #metaAt(position: number, slot: number): Meta | null {
    const bytes = this.bytesAt(position, PAGE_HEADER_BYTES + META_BYTES)
    if (bytes === null) return null
    const isMeta = viewOf(bytes).getUint16(18, true) === PAGE_FLAG.meta
    const view = viewOf(bytes.subarray(PAGE_HEADER_BYTES))
    if (!isMeta || view.getUint32(0, true) !== MAGIC || !VERSIONS.has(view.getUint32(4, true))) {
      return null
    }
    const free = treeAt(view, 24)
    const main = treeAt(view, 24 + TREE_BYTES)
    const transaction = numberAt(view, 128)
    // transaction n writes the meta n mod 2; a new file has two of transaction 0
    const isInPlace = transaction === 0 || transaction % META_COUNT === slot
    if (!PAGE_SIZES.has(free.pad) || !isInPlace) return null
    return { pageBytes: free.pad, free, main, lastPage: numberAt(view, 120), transaction }
  }
}

/** A tree in the value of a node; null when it is none. */
export function treeIn({ flags, valueBytes, value }: Node): Tree | null {
  return flags === NODE_FLAG.database && valueBytes === TREE_BYTES ? treeAt(value, 0) : null
}

/** Number of nodes that a page says it has. */
export function nodeCountOf({ lower }: Page): number {
  return Math.floor(lower / 2)
}

/** Node `at` of a page, or null when it does not lie within it. */
export function nodeOf({ body, flags }: Page, at: number): Node | null {
  if (at * 2 + 2 > body.byteLength) return null
  const start = body.getUint16(at * 2, true)
  if (start + NODE_HEADER_BYTES > body.byteLength) return null
  const isBranch = flags === PAGE_FLAG.branch
  const keyBytes = body.getUint16(start + 6, true)
  const nodeFlags = isBranch ? 0 : body.getUint16(start + 4, true)
  const valueBytes = isBranch ? 0 : body.getUint32(start, true)
  const storedBytes = nodeFlags === NODE_FLAG.long ? LONG_VALUE_BYTES : valueBytes
  const valueStart = start + NODE_HEADER_BYTES + keyBytes
  if (valueStart + storedBytes > body.byteLength) return null
  return {
    key: bytesIn(body, start + NODE_HEADER_BYTES, keyBytes),
    flags: nodeFlags,
    valueBytes,
    value: new DataView(body.buffer, body.byteOffset + valueStart, storedBytes),
    child: body.getUint32(start, true) + body.getUint16(start + 4, true) * 2 ** 32,
    bytes: evened(NODE_HEADER_BYTES + keyBytes + storedBytes)
  }
}

/** Where a long value is. */
export function longValueAt(value: DataView): { readonly page: number; readonly pages: number } {
  return { page: numberAt(value, 0), pages: numberAt(value, 16) }
}

/** A u64; beyond what is exact, some large number. Of 2^64 - 1, NO_ROOT. */
export function numberAt(view: DataView, at: number): number {
  const [low, high] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
  return low === 0xffff_ffff && high === 0xffff_ffff ? NO_ROOT : high * 2 ** 32 + low
}

export function bytesIn(view: DataView, at: number, count: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, count)
}

function treeAt(view: DataView, at: number): Tree {
  return {
    pad: view.getUint32(at, true),
    flags: view.getUint16(at + 4, true),
    depth: view.getUint16(at + 6, true),
    branchPages: numberAt(view, at + 8),
    leafPages: numberAt(view, at + 16),
    longPages: numberAt(view, at + 24),
    recordCount: numberAt(view, at + 32),
    root: numberAt(view, at + 40)
  }
}

function evened(count: number): number {
  return count + (count % 2)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
