// Puts a damaged log together again before its node takes part in anything: no vote and no
// acknowledgement is ever given by a log with a hole. Each damaged entry is known by the hash that it
// must have, and any member that holds that very entry can give it back.
//
// If nobody has it, it may never have been committed; then the leader can say so, and the log ends before
// it (log-verdict.ts says why that loses nothing). Else there is nothing to do but to ask again: some
// member that is away has it, or this cluster has lost what it acknowledged.
//
// One entry at a time, from the top down: what lies below a damaged entry is known by it.

import { assert } from '../assert.ts'
import type { Timer, Timers } from '../clock.ts'
import { equalSecret } from '../crypto.ts'
import type { NodeId } from '../node-id.ts'
import type { Entry, Index } from '../raft/entry.ts'
import { chainHash } from '../raft/entry.ts'
import type { LinkedEntry } from './encoding.ts'
import type { Ask, Heard } from './snapshot-ask.ts'

/** An entry whose record does not verify. */
export interface DamagedEntry {
  readonly index: Index
  /** that it must have; null as long as the entry above it is damaged too */
  readonly hash: Uint8Array | null
}

export interface LogRepairParts {
  readonly timers: Timers
  readonly ask: Ask
  /** members with a link */
  readonly members: () => readonly NodeId[]
  /** ascending; at least one */
  readonly damaged: readonly DamagedEntry[]
  /** Puts the entry back in its place; `onDone` when it is durable, never synchronously. */
  readonly repair: (entry: Entry, previousHash: Uint8Array, onDone: () => void) => void
  /** once */
  readonly onEnded: (end: RepairEnd) => void
}

export type RepairEnd =
  /** Every damaged entry is back, but for those from `cutFrom` on: these never were committed, and have to go. */
  | { readonly kind: 'whole'; readonly cutFrom: Index | null }
  /** Nobody can know what was at `index`: the disk is to be treated as lost. */
  | { readonly kind: 'lost'; readonly index: Index }

/** What is asked about an entry: first everybody for it, then everybody for the leader's word. */
interface Round {
  readonly index: Index
  readonly hash: Uint8Array
  readonly asked: Set<NodeId>
  kind: 'entry' | 'verdict'
}

export class LogRepair {
  readonly #parts: LogRepairParts
  /** not repaired, ascending; the last one is worked at */
  readonly #damaged: DamagedEntry[]
  #cutFrom: Index | null = null
  #round: Round | null = null
  /** until the next member, or the next round */
  #timer: Timer | null = null
  #isOver = false

  constructor(parts: LogRepairParts) {
    assert(parts.damaged.length > 0, 'there is something to repair')
    this.#parts = parts
    this.#damaged = [...parts.damaged]
  }

  /** Begins. Call once. */
  start(): void {
    this.#next()
  }

  /** Entries that are not repaired yet, for people. */
  get leftCount(): number {
    return this.#damaged.length
  }

  /** May be called twice. */
  close(): void {
    this.#isOver = true
    this.#timer?.cancel()
  }

  /** The damaged entry that is the highest of those left. */
  #next(): void {
    const damaged = this.#damaged.at(-1)
    if (damaged === undefined) {
      this.#end({ kind: 'whole', cutFrom: this.#cutFrom })
    } else if (damaged.hash === null) {
      // the entry above is not part of any log that counts, so it says nothing of this one
      this.#end({ kind: 'lost', index: damaged.index })
    } else {
      const { index, hash } = damaged
      this.#round = { index, hash, asked: new Set(), kind: 'entry' }
      this.#askNext()
    }
  }

  #askNext(): void {
    const round = this.#round
    if (round === null || this.#isOver) return
    const { index, hash, asked, kind } = round
    const to = this.#parts.members().find((id) => !asked.has(id))
    if (to === undefined) {
      this.#nextRound(round)
      return
    }
    asked.add(to)
    let isAnswered = false
    const once = (heard: Heard): void => {
      if (isAnswered || this.#isOver || this.#round !== round) return
      isAnswered = true
      this.#timer?.cancel()
      this.#onHeard(round, heard)
    }
    this.#timer = this.#parts.timers.start(ANSWER_MS, () => once({ kind: 'lost' }))
    this.#parts.ask(to, { kind, index, hash }, once)
  }

  /** All were asked. */
  #nextRound({ index, hash, kind }: Round): void {
    const isFirst = kind === 'entry'
    this.#round = { index, hash, asked: new Set(), kind: isFirst ? 'verdict' : 'entry' }
    if (isFirst) this.#askNext()
    else this.#timer = this.#parts.timers.start(ROUND_PAUSE_MS, () => this.#askNext())
  }

  #onHeard(round: Round, heard: Heard): void {
    const { index, hash, kind } = round
    if (kind === 'verdict' && heard.kind === 'neverCommitted') {
      this.#cutFrom = index
      this.#onResolved(null)
      return
    }
    const entry =
      kind === 'entry' && heard.kind === 'entry' ? verified(heard.entry, { index, hash }) : null
    if (entry === null || heard.kind !== 'entry') {
      this.#askNext()
      return
    }
    this.#round = null
    const { previousHash } = heard.entry
    this.#parts.repair(entry, previousHash, () => {
      if (!this.#isOver) this.#onResolved(previousHash)
    })
  }

  /** `previousHash`: of the entry below, if the one above it says. */
  #onResolved(previousHash: Uint8Array | null): void {
    const resolved = this.#damaged.pop()
    assert(resolved !== undefined, 'what was repaired was damaged')
    const below = this.#damaged.at(-1)
    if (previousHash !== null && below?.index === resolved.index - 1 && below.hash === null) {
      this.#damaged.splice(-1, 1, { index: below.index, hash: previousHash })
    }
    this.#next()
  }

  #end(end: RepairEnd): void {
    this.close()
    this.#round = null
    this.#parts.onEnded(end)
  }
}

/** The entry at `index` if it has the hash; else null. The payload is a copy. */
function verified(
  { previousHash, term, kind, timeMs, payload }: LinkedEntry,
  { index, hash }: { readonly index: Index; readonly hash: Uint8Array }
): Entry | null {
  const unhashed = { index, term, kind, timeMs, payload: payload.slice() }
  return equalSecret(chainHash(previousHash, unhashed), hash) ? { ...unhashed, hash } : null
}

/** How long an answer may take: the largest entry over a slow path. */
const ANSWER_MS = 60_000
/** Before everybody is asked again. */
const ROUND_PAUSE_MS = 1_000
