// Puts a damaged log together again before its node takes part in anything: no vote and no
// acknowledgement is ever given by a log with a hole. Each damaged entry is known by the hash that it
// must have, and any member that holds that very entry can give it back.
//
// If nobody has it, it may never have been committed; then the leader can say so, and the log ends before
// it (log-verdict.ts says why that loses nothing). Else there is nothing to do but to ask again: some
// member that is away has it, or this cluster has lost what it acknowledged.
//
// One entry at a time, from the top down: what lies below a damaged entry is known by it.

import type { Timer, Timers } from '../clock.ts'
import { MAX_TERM_JUMP } from '../limits.ts'
import type { DamagedLog } from '../log-store/log-damage.ts'
import type { NodeId } from '../node-id.ts'
import type { Entry, Index, Term } from '../raft/entry.ts'
import type { LinkedEntry } from './encoding.ts'
import type { Ask, Heard } from './snapshot-ask.ts'

export interface LogRepairParts {
  readonly timers: Timers
  readonly ask: Ask
  /** members with a link */
  readonly members: () => readonly NodeId[]
  /** stays open until `onEnded` at least */
  readonly log: Pick<DamagedLog, 'damaged' | 'hardState' | 'repair' | 'cutFrom'>
  /** all members with a link were asked for the entry, and none has it; they are asked again */
  readonly onNobody: (index: Index) => void
  /** once, never synchronously */
  readonly onEnded: (end: RepairEnd) => void
}

export type RepairEnd =
  /** nothing in the log is damaged any more: it can be closed, and opened as any other */
  | { readonly kind: 'whole' }
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
  #round: Round | null = null
  /** until the next member, or the next round */
  #timer: Timer | null = null
  #isOver = false

  constructor(parts: LogRepairParts) {
    this.#parts = parts
  }

  /** What is being asked for, and of whom it was so far; null when nothing is. For people. */
  get question(): { readonly index: Index; readonly asked: readonly NodeId[] } | null {
    return this.#round && { index: this.#round.index, asked: [...this.#round.asked] }
  }

  /** Begins. Call once. */
  start(): void {
    this.#parts.timers.soon(() => this.#next())
  }

  /** May be called twice. */
  close(): void {
    this.#isOver = true
    this.#timer?.cancel()
  }

  /** The damaged entry that is the highest of those left. */
  #next(): void {
    if (this.#isOver) return
    const damaged = this.#parts.log.damaged.at(-1)
    if (damaged === undefined) {
      this.#end({ kind: 'whole' })
    } else if (damaged.hash === null) {
      // the entry above is not part of any log that counts, so it says nothing of this one
      this.#end({ kind: 'lost', index: damaged.index })
    } else {
      this.#round = { ...damaged, hash: damaged.hash, asked: new Set(), kind: 'entry' }
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
  #nextRound({ index, hash, kind, asked }: Round): void {
    const { log, timers, onNobody } = this.#parts
    // what is known to be committed has no verdict
    const mayBeCut = index > (log.hardState?.commitIndex ?? 0)
    const isVerdict = kind === 'entry' && mayBeCut
    this.#round = { index, hash, asked: new Set(), kind: isVerdict ? 'verdict' : 'entry' }
    if (isVerdict) {
      this.#askNext()
      return
    }
    this.#timer = timers.start(ROUND_PAUSE_MS, () => this.#askNext())
    if (asked.size > 0) onNobody(index)
  }

  #onHeard(round: Round, heard: Heard): void {
    const isResolved =
      (heard.kind === 'entry' && this.#isRepaired(round, heard.entry)) ||
      (heard.kind === 'neverCommitted' && this.#isCut(round, heard.term))
    if (isResolved) this.#round = null
    else this.#askNext()
  }

  /** Whether it is the entry, and is being put back. */
  #isRepaired({ index, hash }: Round, linked: LinkedEntry): boolean {
    const { previousHash, payload, ...rest } = linked
    const entry: Entry = { ...rest, index, hash, payload: payload.slice() }
    return this.#parts.log.repair(entry, previousHash, () => this.#next())
  }

  /** Whether the log is being cut before the entry, on the word of the leader of `term`. */
  #isCut({ index, kind }: Round, term: Term): boolean {
    const { log } = this.#parts
    if (kind !== 'verdict' || term > (log.hardState?.term ?? 0) + MAX_TERM_JUMP) return false
    const below = log.damaged.at(-2)
    if (below?.index === index - 1) {
      // nothing is known of that one, and a log has to end with an entry that is known
      this.#parts.timers.soon(() => this.#end({ kind: 'lost', index: below.index }))
    } else {
      log.cutFrom({ index, term }, () => this.#next())
    }
    return true
  }

  #end(end: RepairEnd): void {
    if (this.#isOver) return
    this.close()
    this.#round = null
    this.#parts.onEnded(end)
  }
}

/** How long an answer may take: the largest entry over a slow path. */
const ANSWER_MS = 60_000
/** Before everybody is asked again. */
const ROUND_PAUSE_MS = 1_000
