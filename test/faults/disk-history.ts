// What may be on the disk after the power has gone, at any moment of a recorded history. A change that
// a later sync has covered is there. Any other may be there or not: bytes of files in any subset, and
// the last of them torn at a sector; names in the order in which they were changed, as a journal keeps
// them. Names are durable when their folder was synced, whatever happened to the file.

import { assert } from '../../lib/assert.ts'
import type { Random } from '../../lib/random.ts'
import { randomBelow } from '../../lib/random.ts'
import type { DiskCall } from './syscall-trace.ts'
import { folderOf } from './syscall-trace.ts'

/** path below the root → content; null for a folder */
export type DiskState = ReadonlyMap<string, Uint8Array | null>

/** Which of the changes that are not durable are there: by position among them. */
export type Choice = (position: number, count: number) => boolean

const SECTOR_BYTES = 512

interface Span {
  readonly begin: number
  readonly end: number
}

/** A file, whatever it is called. */
interface Inode {
  readonly isFolder: boolean
  readonly changes: DataChange[]
  readonly syncs: Span[]
  /** what the first `settledCount` changes amount to: they are durable */
  settled: Uint8Array
  settledCount: number
}

type DataCall = DiskCall & { readonly kind: 'write' | 'resize' }
interface DataChange {
  readonly call: DataCall
  readonly inode: Inode
}

type NameCall = DiskCall & { readonly kind: 'create' | 'rename' | 'remove' }
interface NameChange {
  readonly call: NameCall
  /** what a `create` made */
  readonly inode: Inode | null
}

/** To be asked about positions in ascending order. */
export class DiskHistory {
  /** positions at which the power may go: when something has begun or ended */
  readonly positions: readonly number[]
  readonly #names: NameChange[] = []
  readonly #inodes: Inode[] = []
  readonly #folders = new Map<string, Span[]>()
  readonly #calls: readonly DiskCall[]
  #settledTo = 0

  constructor(calls: readonly DiskCall[]) {
    this.#calls = calls
    this.positions = [...new Set(calls.flatMap(({ begin, end }) => [begin, end]))].toSorted(
      (a, b) => a - b
    )
    const live = new Map<string, Inode>()
    for (const call of calls) this.#take(call, live)
  }

  /** What had been noted before the position. */
  notesBefore(position: number): string[] {
    return this.#calls.flatMap((call) =>
      call.kind === 'note' && call.begin <= position ? call.text.trim().split('\n') : []
    )
  }

  /** The state in which `choice` finds the files whose path `isOpen` accepts; of others all changes are there. */
  stateAt(position: number, choice: Choice, isOpen: (path: string) => boolean): DiskState {
    const pending = this.#pendingAt(position, isOpen)
    const missing = new Set<NameChange | DataChange>()
    pending.forEach((change, at) => {
      if (!choice(at, pending.length)) missing.add(change)
    })
    return this.#build(position, missing, null)
  }

  /** All is there, but of the last write only some sectors. */
  tornAt(position: number, random: Random, isOpen: (path: string) => boolean): DiskState | null {
    const last = this.#pendingAt(position, isOpen).findLast(
      (change): change is DataChange => 'inode' in change && change.call.kind === 'write'
    )
    if (last === undefined) return null
    return this.#build(position, new Set(), { change: last, random })
  }

  pendingCountAt(position: number, isOpen: (path: string) => boolean): number {
    return this.#pendingAt(position, isOpen).length
  }

  #take(call: DiskCall, live: Map<string, Inode>): void {
    const inode = live.get(call.path)
    switch (call.kind) {
      case 'note':
        return
      case 'create': {
        const { isFolder } = call
        const settled = new Uint8Array(0)
        const made: Inode = { isFolder, changes: [], syncs: [], settled, settledCount: 0 }
        this.#inodes.push(made)
        live.set(call.path, made)
        this.#names.push({ call, inode: made })
        return
      }
      case 'rename':
        assert(inode !== undefined, `${call.path} is there`)
        live.delete(call.path)
        live.set(call.to, inode)
        this.#names.push({ call, inode: null })
        return
      case 'remove':
        live.delete(call.path)
        this.#names.push({ call, inode: null })
        return
      case 'sync':
        if (inode?.isFolder === false) inode.syncs.push(call)
        else this.#folders.set(call.path, [...(this.#folders.get(call.path) ?? []), call])
        return
      case 'write':
      case 'resize':
        assert(inode !== undefined, `${call.path} is there`)
        inode.changes.push({ call, inode })
    }
  }

  /** Changes that have begun and need not be on the disk, in order. */
  #pendingAt(position: number, isOpen: (path: string) => boolean): (NameChange | DataChange)[] {
    this.#settle(position)
    const unsettled = this.#inodes.flatMap((inode) => inode.changes.slice(inode.settledCount))
    return [...this.#names, ...unsettled]
      .filter(({ call }) => call.begin <= position && isOpen(call.path))
      .filter((change) => !this.#isDurable(change, position))
      .toSorted((a, b) => a.call.begin - b.call.begin)
  }

  /** Changes that are durable at the position, and all of the file before them, are so for good. */
  #settle(position: number): void {
    assert(position >= this.#settledTo, 'the history is walked forwards')
    this.#settledTo = position
    for (const inode of this.#inodes) {
      const content = new Content(inode.settled)
      for (const change of inode.changes.slice(inode.settledCount)) {
        if (!this.#isDurable(change, position)) break
        content.take(change.call, null)
        inode.settledCount++
      }
      inode.settled = content.bytes()
    }
  }

  #isDurable(change: NameChange | DataChange, position: number): boolean {
    const { call } = change
    if (call.kind === 'write' && call.isSynced) return call.end <= position
    const isName = call.kind === 'create' || call.kind === 'rename' || call.kind === 'remove'
    const syncs = isName ? this.#folders.get(folderOf(call.path)) : change.inode?.syncs
    return (syncs ?? []).some(({ begin, end }) => call.end < begin && end <= position)
  }

  #build(
    position: number,
    missing: ReadonlySet<NameChange | DataChange>,
    torn: { readonly change: DataChange; readonly random: Random } | null
  ): DiskState {
    const contents = new Map<Inode, Uint8Array>()
    for (const inode of this.#inodes) {
      const content = new Content(inode.settled)
      for (const change of inode.changes.slice(inode.settledCount)) {
        if (change.call.begin > position || missing.has(change)) continue
        content.take(change.call, torn?.change === change ? torn.random : null)
      }
      contents.set(inode, content.bytes())
    }
    const state = new Map<string, Uint8Array | null>()
    const inodes = new Map<string, Inode>()
    for (const change of this.#names) {
      // a journal of names is cut off, it has no gaps
      if (change.call.begin > position || missing.has(change)) break
      rename(inodes, change)
    }
    for (const [path, inode] of inodes) {
      state.set(path, inode.isFolder ? null : (contents.get(inode) ?? new Uint8Array(0)))
    }
    return state
  }
}

function rename(inodes: Map<string, Inode>, { call, inode }: NameChange): void {
  if (call.kind === 'create' && inode !== null) inodes.set(call.path, inode)
  if (call.kind === 'remove') inodes.delete(call.path)
  if (call.kind !== 'rename') return
  const moved = inodes.get(call.path)
  if (moved === undefined) return
  inodes.delete(call.path)
  inodes.set(call.to, moved)
}

/** The bytes of a file while changes are made to it; copies nothing before the first one. */
class Content {
  #bytes: Uint8Array
  #isOwn = false

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  bytes(): Uint8Array {
    return this.#bytes
  }

  /** Makes the change; with `sectors` only those parts of it that are drawn. */
  take(call: DataCall, sectors: Random | null): void {
    if (call.kind === 'resize') {
      this.#resize(call.size)
      return
    }
    const { offset, bytes } = call
    this.#resize(Math.max(this.#bytes.byteLength, offset + bytes.byteLength))
    for (let at = 0; at < bytes.byteLength;) {
      const sectorEnd = at + SECTOR_BYTES - ((offset + at) % SECTOR_BYTES)
      const end = sectors === null ? bytes.byteLength : Math.min(bytes.byteLength, sectorEnd)
      if (sectors === null || randomBelow(sectors, 2) === 0) {
        this.#bytes.set(bytes.subarray(at, end), offset + at)
      }
      at = end
    }
  }

  #resize(byteCount: number): void {
    if (this.#isOwn && byteCount === this.#bytes.byteLength) return
    const resized = new Uint8Array(byteCount)
    resized.set(this.#bytes.subarray(0, byteCount))
    this.#bytes = resized
    this.#isOwn = true
  }
}
