// Whether lmdb can be trusted with its file. lmdb has no checksums and believes its pages: a wrong page number
// or size in one of them is a crash, or the loss of what was written next. So all of its structure is walked
// before it is mapped: each page is in one tree once, or free once, or of the metas; nodes lie within their
// pages, keys in their order; the counts are right. What the records hold is not looked at here: they have
// hashes of their own.
//
// Two metas of transactions that follow each other are part of it: a meta that was damaged so that the older
// one seems to be the newest would be a log without its last transaction.

import {
  longValueAt,
  META_COUNT,
  NO_ROOT,
  NODE_FLAG,
  nodeCountOf,
  nodeOf,
  numberAt,
  PAGE_FLAG,
  PAGE_HEADER_BYTES,
  treeIn
} from './lmdb-file.ts'
import type { LmdbFile, Meta, Node, Page, Tree } from './lmdb-file.ts'

/** The newest of two metas that can both be believed; else what is wrong. */
export function newestMeta({ metas: [a, b] }: LmdbFile): Meta | string {
  if (a === null || b === null) return 'one of its first two pages cannot be read'
  const isPair = Math.abs(a.transaction - b.transaction) === 1
  const isNew = a.transaction === 0 && b.transaction === 0
  if (!isPair && !isNew) return 'its first two pages are not of transactions that follow each other'
  // as lmdb chooses. Two of transaction 0: the second may be what a first transaction that failed has left
  return a.transaction >= b.transaction ? a : b
}

/** What is wrong with the structure of a file; null: nothing. Throws what the file system throws. */
export function structureFault(file: LmdbFile): string | null {
  const meta = newestMeta(file)
  if (typeof meta === 'string') return meta
  try {
    new Walk(file, meta).run()
    return null
  } catch (error) {
    if (error instanceof Fault) return error.message
    throw error
  }
}

class Fault extends Error {
  override readonly name = 'Fault'
}

function demand(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Fault(what)
}

type Order = (a: Uint8Array, b: Uint8Array) => number

/** What a tree was found to have. */
interface Found {
  branchPages: number
  leafPages: number
  longPages: number
  recordCount: number
  /** the key before */
  lastKey: Uint8Array | null
}

/** A tree as it is walked. */
interface Visit {
  readonly order: Order
  readonly depth: number
  readonly found: Found
  readonly onNode: (node: Node) => void
}

/** Keys of a page are at least `from` and less than `to`. */
interface Bounds {
  readonly from: Uint8Array | null
  readonly to: Uint8Array | null
}

class Walk {
  readonly #file: LmdbFile
  readonly #meta: Meta
  /** by number: 1 when it has its place */
  readonly #placed: Uint8Array

  constructor(file: LmdbFile, meta: Meta) {
    this.#file = file
    this.#meta = meta
    const { lastPage } = meta
    demand(lastPage >= 1 && lastPage < MAX_PAGES, 'the number of its pages makes no sense')
    this.#placed = new Uint8Array(lastPage + 1).fill(1, 0, META_COUNT)
  }

  run(): void {
    const { main, free, pageBytes } = this.#meta
    demand(
      free.flags === INTEGER_KEYS && free.pad === pageBytes,
      'its settings are not those of a log'
    )
    demand(main.flags === 0 && main.pad === 0, 'its databases are not those of a log')
    this.#tree(main, byBytes, (node) => this.#database(node))
    this.#tree(free, byNumber, (node) => this.#freePages(node))
    const lost = this.#placed.indexOf(0)
    demand(lost === -1, `page ${lost} is neither used nor free`)
  }

  #database(node: Node): void {
    const tree = treeIn(node)
    demand(tree !== null && tree.flags === 0 && tree.pad === 0, 'a database is not one of a log')
    this.#tree(tree, byBytes, ({ flags }) => {
      demand(flags === 0 || flags === NODE_FLAG.long, 'a record is of a kind that a log has not')
    })
  }

  #tree(tree: Tree, order: Order, onNode: (node: Node) => void): void {
    const found = { branchPages: 0, leafPages: 0, longPages: 0, recordCount: 0, lastKey: null }
    if (tree.root !== NO_ROOT) {
      const visit = { order, depth: tree.depth, found, onNode }
      this.#page(tree.root, { ...visit, level: 1, bounds: { from: null, to: null } })
    }
    const isRight =
      tree.branchPages === found.branchPages &&
      tree.leafPages === found.leafPages &&
      tree.longPages === found.longPages &&
      tree.recordCount === found.recordCount &&
      (tree.depth === 0) === (tree.root === NO_ROOT)
    demand(isRight, 'a tree is not as large as it says')
  }

  #page(number: number, visit: Visit & { readonly level: number; readonly bounds: Bounds }): void {
    const { level, depth, found, bounds, order } = visit
    this.#place(number, 1)
    const page = this.#read(number)
    const isLeaf = level === depth
    demand(
      page.flags === (isLeaf ? PAGE_FLAG.leaf : PAGE_FLAG.branch),
      `page ${number} is of another kind`
    )
    if (isLeaf) found.leafPages++
    else found.branchPages++
    const nodes = nodesOf(page)
    demand(nodes.length >= (isLeaf ? 1 : 2), `page ${number} is empty`)
    if (isLeaf) {
      for (const node of nodes) this.#record(node, visit)
      return
    }
    for (const [at, { key, child }] of nodes.entries()) {
      const next = nodes[at + 1]?.key ?? null
      // the first key of a branch is not looked at by anybody
      const from = at === 0 ? bounds.from : key
      const to = next ?? bounds.to
      demand(from === null || to === null || order(from, to) < 0, `page ${number} is not in order`)
      this.#page(child, { ...visit, level: level + 1, bounds: { from, to } })
    }
  }

  #record(node: Node, { order, found, bounds, onNode }: Visit & { readonly bounds: Bounds }): void {
    const { key, flags, value, valueBytes } = node
    const { from, to } = bounds
    const isInOrder =
      (found.lastKey === null || order(found.lastKey, key) < 0) &&
      (from === null || order(from, key) <= 0) &&
      (to === null || order(key, to) < 0)
    demand(isInOrder, 'keys are not in order')
    found.lastKey = key
    found.recordCount++
    if (flags === NODE_FLAG.long) found.longPages += this.#longValue(value, valueBytes)
    onNode(node)
  }

  /** @returns how many pages it takes */
  #longValue(value: DataView, valueBytes: number): number {
    const { page: number, pages } = longValueAt(value)
    const { pageBytes } = this.#meta
    const needed = Math.ceil((PAGE_HEADER_BYTES + valueBytes) / pageBytes)
    demand(pages === needed, 'a long value is not as long as it says')
    this.#place(number, pages)
    const page = this.#read(number)
    demand(
      page.flags === PAGE_FLAG.long && page.longPages === pages,
      `page ${number} is of another kind`
    )
    demand(number + pages <= this.#file.pageCount, `page ${number + pages - 1} is not there`)
    return pages
  }

  /** A list: how many numbers follow; then each is a page, nothing (0), or, if negative, how many pages from the next one on. */
  #freePages({ key, flags, value, valueBytes }: Node): void {
    demand(key.byteLength === 8, 'a list of free pages has no transaction')
    const list = flags === NODE_FLAG.long ? this.#longBytes(value, valueBytes) : value
    demand(list.byteLength >= 8 && list.byteLength % 8 === 0, 'a list of free pages is cut')
    const count = numberAt(list, 0)
    demand(count >= 0 && (count + 1) * 8 <= list.byteLength, 'a list of free pages is too short')
    let pages = 1
    for (let at = 1; at <= count; at++) {
      const item = Number(list.getBigInt64(at * 8, true))
      if (item < 0) {
        demand(pages === 1 && at < count, 'a list of free pages makes no sense')
        pages = -item
      } else {
        demand(item > 0 || pages === 1, 'a list of free pages makes no sense')
        if (item > 0) this.#place(item, pages)
        pages = 1
      }
    }
  }

  #longBytes(value: DataView, valueBytes: number): DataView {
    const { pageBytes } = this.#meta
    const position = longValueAt(value).page * pageBytes + PAGE_HEADER_BYTES
    const bytes = this.#file.bytesAt(position, valueBytes)
    demand(bytes !== null, 'a list of free pages is not there')
    return new DataView(bytes.buffer)
  }

  #place(number: number, pages: number): void {
    const isWithin = number >= META_COUNT && number + pages <= this.#placed.length
    demand(isWithin, `page ${number} is beyond the last one`)
    for (let at = number; at < number + pages; at++) {
      demand(this.#placed[at] === 0, `page ${at} is in two places`)
      this.#placed[at] = 1
    }
  }

  #read(number: number): Page {
    const page = this.#file.page(number)
    demand(page !== null, `page ${number} is not there`)
    const isOwn = page.ownNumber === number && page.transaction <= this.#meta.transaction
    demand(isOwn, `page ${number} is another one`)
    return page
  }
}

/** All of a page's nodes; they fill it to its end. */
function nodesOf(page: Page): readonly Node[] {
  const { lower, upper, body, number } = page
  const isSound = lower % 2 === 0 && lower <= upper && upper <= body.byteLength
  demand(isSound, `page ${number} has no sense`)
  const nodes: Node[] = []
  const starts: { start: number; bytes: number }[] = []
  for (let at = 0; at < nodeCountOf(page); at++) {
    const node = nodeOf(page, at)
    demand(node !== null, `page ${number} has a record that does not lie in it`)
    nodes.push(node)
    starts.push({ start: body.getUint16(at * 2, true), bytes: node.bytes })
  }
  let end = upper
  for (const { start, bytes } of starts.toSorted((a, b) => a.start - b.start)) {
    demand(start === end, `page ${number} has records that overlap`)
    end += bytes
  }
  demand(end === body.byteLength, `page ${number} has a gap`)
  return nodes
}

function byBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b)
}

function byNumber(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a.toReversed(), b.toReversed())
}

/** MDB_INTEGERKEY */
const INTEGER_KEYS = 8
/** More than MAX_LOG_FILE_BYTES of the smallest pages. */
const MAX_PAGES = 2 ** 26
