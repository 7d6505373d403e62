// What a file that lmdb cannot be trusted with still holds (lmdb-check.ts). Its trees are not followed: every
// page is looked at, and each record in it is believed for its own sake, by its hash. So a damaged page costs
// the records that lie in it and nothing else.
//
// Pages of old transactions lie in the file too, with records that were whole once. An entry is the right one
// by the hash that the one above it, or the state, demands. The state has nothing above it, and an old one
// would be a vote forgotten: it counts only in a page of the newest transaction, which every transaction writes.
// Which that is the metas say; where one of them is damaged too, no page may be of a later one.

import { equalSecret } from '../crypto.ts'
import { MAX_ENTRY_BYTES } from '../limits.ts'
import type { IndexedConfiguration } from '../raft/configurations.ts'
import type { Index } from '../raft/entry.ts'
import {
  decodeBaseConfiguration,
  decodeEntry,
  decodeState,
  ENTRY_HEADER_BYTES,
  INDEX_KEY_BYTES,
  indexOfRecord
} from './encoding.ts'
import type { LogState } from './encoding.ts'
import { newestMeta } from './lmdb-check.ts'
import { BASE_CONFIGURATION_KEY, STATE_KEY } from './lmdb-environment.ts'
import type { LmdbFile, Node, Page } from './lmdb-file.ts'
import {
  bytesIn,
  longValueAt,
  META_COUNT,
  NODE_FLAG,
  nodeCountOf,
  nodeOf,
  PAGE_FLAG,
  PAGE_HEADER_BYTES
} from './lmdb-file.ts'

/** Where a record lies in the file. */
export interface Place {
  readonly position: number
  readonly byteCount: number
}

/** What is whole of a log. */
export interface Salvaged {
  readonly state: LogState
  /** in force at the base; undefined when it is not there */
  readonly configuration: IndexedConfiguration | null | undefined
  /** records of entries above the base; those that are missing are not among them */
  readonly entries: ReadonlyMap<Index, Place>
  /** ascending */
  readonly missing: readonly Index[]
}

interface FoundEntry {
  readonly hash: Uint8Array
  readonly previousHash: Uint8Array
  readonly transaction: number
  readonly place: Place
}

interface StateOfPage {
  readonly state: LogState
  readonly transaction: number
}

/** Null when the newest state is not among what is left. Throws what the file system throws. */
export function salvage(file: LmdbFile): Salvaged | null {
  const found = new Scan(file)
  const state = found.newestState()
  if (state === null) return null
  const { base } = state
  const configuration = base.id.index === 0 ? null : found.configurations.get(base.id.index)
  return {
    state: { ...state, base: { ...base, configuration: configuration ?? null } },
    configuration,
    ...chainOf(found.entries, state)
  }
}

/** From the last entry down, each by the hash that it must have. */
function chainOf(
  found: ReadonlyMap<Index, readonly FoundEntry[]>,
  { base, last }: LogState
): Pick<Salvaged, 'entries' | 'missing'> {
  const entries = new Map<Index, Place>()
  const missing: Index[] = []
  let expected: Uint8Array | null = last.hash
  for (let { index } = last; index > base.id.index; index--) {
    const entry = wanted(found.get(index) ?? [], expected)
    if (entry === null) missing.push(index)
    else entries.set(index, entry.place)
    expected = entry?.previousHash ?? null
  }
  return { entries, missing: missing.toReversed() }
}

/** The one with `hash`; where that is not known, the newest: what follows a gap is verified when that is filled. */
function wanted(found: readonly FoundEntry[], hash: Uint8Array | null): FoundEntry | null {
  if (hash !== null) return found.find((entry) => equalSecret(entry.hash, hash)) ?? null
  return found.toSorted((a, b) => b.transaction - a.transaction)[0] ?? null
}

/** Everything in a file that is whole in itself. */
class Scan {
  readonly #file: LmdbFile
  readonly entries = new Map<Index, FoundEntry[]>()
  /** by the index of the base that they belong to */
  readonly configurations = new Map<Index, IndexedConfiguration | null>()
  readonly #states: StateOfPage[] = []
  /** that any page is of */
  #lastTransaction = 0

  constructor(file: LmdbFile) {
    this.#file = file
    for (let number = META_COUNT; number < file.pageCount; number++) {
      const page = file.page(number)
      if (page === null) return
      const isOwn = page.ownNumber === number
      if (isOwn) this.#lastTransaction = Math.max(this.#lastTransaction, page.transaction)
      // nothing in a value is taken for a page
      if (isOwn && page.flags === PAGE_FLAG.long && page.longPages > 0) number += page.longPages - 1
      else if (page.flags !== PAGE_FLAG.branch) this.#page(page)
    }
  }

  /** Null when it is not known to be the newest. */
  newestState(): LogState | null {
    const meta = newestMeta(this.#file)
    const isKnown = typeof meta !== 'string'
    const possible = isKnown
      ? [meta.transaction]
      : this.#file.metas.flatMap((one) =>
          one === null ? [] : [one.transaction, one.transaction + 1]
        )
    const states = this.#states.filter(({ transaction }) => possible.includes(transaction))
    const newest = states.toSorted(
      (a, b) => b.transaction - a.transaction || b.state.sequence - a.state.sequence
    )[0]
    if (newest === undefined || (!isKnown && newest.transaction < this.#lastTransaction))
      return null
    return this.#states.every(({ state }) => isSameLog(state, newest.state)) ? newest.state : null
  }

  #page(page: Page): void {
    const nodeCount = Math.min(nodeCountOf(page), page.body.byteLength / 2)
    for (let at = 0; at < nodeCount; at++) {
      const node = nodeOf(page, at)
      if (node !== null) this.#node(page, node)
    }
  }

  #node(page: Page, node: Node): void {
    if (node.key.byteLength === INDEX_KEY_BYTES) this.#entry(page, node)
    else if (isKey(node.key, STATE_KEY)) this.#state(page, node)
    else if (isKey(node.key, BASE_CONFIGURATION_KEY)) this.#configuration(page, node)
  }

  #entry({ number, transaction }: Page, node: Node): void {
    const place = this.#placeOf(number, node)
    const record = place && this.#file.bytesAt(place.position, place.byteCount)
    // the key has no hash, the record has one, and says its index
    const index = record && indexOfRecord(record)
    const verified = record && index !== null ? decodeEntry(record, index) : null
    if (place === null || index === null || verified === null) return
    const { entry, previousHash } = verified
    const others = this.entries.get(index) ?? []
    // pages are copied when they are written: most entries lie in many
    if (others.some(({ hash }) => equalSecret(hash, entry.hash))) return
    const [hash, before] = [Uint8Array.from(entry.hash), Uint8Array.from(previousHash)]
    this.entries.set(index, [...others, { hash, previousHash: before, transaction, place }])
  }

  #state({ transaction }: Page, { value }: Node): void {
    const found = decodeState(bytesIn(value, 0, value.byteLength))
    if (found.kind === 'good') this.#states.push({ state: found.state, transaction })
  }

  #configuration({ number }: Page, node: Node): void {
    const place = this.#placeOf(number, node)
    const found = decodeBaseConfiguration(
      (place && this.#file.bytesAt(place.position, place.byteCount)) ?? undefined
    )
    if (found.kind === 'good') this.configurations.set(found.baseIndex, found.configuration)
  }

  /** Null where it makes no sense. */
  #placeOf(number: number, { flags, value, valueBytes }: Node): Place | null {
    const { pageBytes, byteCount } = this.#file
    const isLong = flags === NODE_FLAG.long
    const at = isLong ? PAGE_HEADER_BYTES : value.byteOffset
    const position = (isLong ? longValueAt(value).page : number) * pageBytes + at
    const isSound =
      valueBytes <= MAX_ENTRY_BYTES + ENTRY_HEADER_BYTES &&
      position > 0 &&
      position + valueBytes <= byteCount
    return isSound ? { position, byteCount: valueBytes } : null
  }
}

function isKey(key: Uint8Array, other: Uint8Array): boolean {
  return key.byteLength === other.byteLength && key.every((byte, at) => byte === other[at])
}

function isSameLog(a: LogState, b: LogState): boolean {
  return equalSecret(a.genesisHash, b.genesisHash) && equalSecret(a.storageEpoch, b.storageEpoch)
}
