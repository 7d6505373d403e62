// What a leader knows of one follower, and how it sends to it.
//
//   probe      the place where the logs agree is being looked for: one append at a time
//   replicate  it is known: appends follow each other without waiting, within a window
//   snapshot   what the follower needs next is compacted away; only heartbeats and empty probes
//
// A session begins with the leadership and with each new link. Answers of an earlier session say
// nothing of the present one and are dropped (B32).

import { assert } from '../assert.ts'
import type { FollowerStatus } from './effects.ts'
import type { Index } from './entry.ts'
import type { SendLimits } from './send-limits.ts'

export type ProgressState =
  | {
      readonly kind: 'probe'
      /** when the append that is on the way left, null for none: one at a time (B39) */
      sentMs: number | null
      /** whether the next append carries entries: not while looking for the place */
      readonly isEmpty: boolean
    }
  | {
      readonly kind: 'replicate'
      readonly window: Window
      /** of the last advance */ sinceMs: number
    }
  | { readonly kind: 'snapshot' }

export class Progress {
  /** the highest index that the follower has acknowledged as durable in this term; never falls */
  matchIndex: Index = 0
  /** the next entry to send; above matchIndex */
  nextIndex: Index
  /** named by appends and their answers; never used twice in a boot */
  session: number
  /** monotonic ms of the last answer, null before the first */
  heardMs: number | null = null
  /** the highest commit index that was sent to it in this session; what was lost is told by the next heartbeat */
  toldCommitIndex: Index = 0
  /** the highest heartbeat round that it has answered */
  answeredRound = 0
  state: ProgressState = { kind: 'probe', sentMs: null, isEmpty: false }

  readonly #limits: SendLimits

  constructor(nextIndex: Index, session: number, limits: SendLimits) {
    assert(nextIndex > 0, 'index 0 is never sent')
    this.#limits = limits
    this.nextIndex = nextIndex
    this.session = session
  }

  /** A new link: whatever was on the way is lost. */
  restart(session: number): void {
    assert(session > this.session, 'sessions ascend')
    this.session = session
    this.toldCommitIndex = 0
    if (this.matchIndex > 0) this.nextIndex = this.matchIndex + 1
    this.state = { kind: 'probe', sentMs: null, isEmpty: false }
  }

  /** The follower holds everything up to `index`. Returns whether that is news. */
  matched(index: Index, nowMs: number): boolean {
    const isNews = index > this.matchIndex
    this.matchIndex = Math.max(this.matchIndex, index)
    this.nextIndex = Math.max(this.nextIndex, this.matchIndex + 1)
    if (this.state.kind === 'replicate') {
      this.state.window.freeTo(this.matchIndex)
      if (isNews) this.state.sinceMs = nowMs
    } else {
      this.nextIndex = Math.max(this.matchIndex, index) + 1
      this.state = { kind: 'replicate', window: new Window(this.#limits), sinceMs: nowMs }
    }
    assert(this.nextIndex > this.matchIndex, 'the next entry is beyond the matched ones')
    return isNews
  }

  /** Whether a rejection of `previousIndex` says something new. */
  isRejectionNews(previousIndex: Index): boolean {
    if (previousIndex <= this.matchIndex) return false
    // beyond nextIndex nothing was sent that could be refused
    if (this.state.kind === 'replicate') return previousIndex < this.nextIndex
    return previousIndex === this.nextIndex - 1
  }

  /** The follower does not hold what precedes nextIndex: look for the place from `nextIndex` down. */
  rejected(nextIndex: Index): void {
    assert(nextIndex > 0 && nextIndex <= this.nextIndex, 'looking goes downwards')
    this.nextIndex = Math.max(nextIndex, this.matchIndex + 1)
    this.state = { kind: 'probe', sentMs: null, isEmpty: true }
  }

  needSnapshot(): void {
    this.state = { kind: 'snapshot' }
  }

  status(): FollowerStatus {
    const { matchIndex, heardMs, state } = this
    const window = state.kind === 'replicate' ? state.window : null
    return {
      matchIndex,
      state: state.kind,
      heardMs,
      inflightCount: window?.count ?? 0,
      inflightBytes: window?.bytes ?? 0
    }
  }
}

/** Appends on the way to one follower, oldest first: a ring that never grows. */
export class Window {
  readonly #limits: SendLimits
  readonly #lastIndexes: Float64Array
  readonly #sizes: Float64Array
  #start = 0
  #count = 0
  #bytes = 0

  constructor(limits: SendLimits) {
    this.#limits = limits
    this.#lastIndexes = new Float64Array(limits.inflightAppends)
    this.#sizes = new Float64Array(limits.inflightAppends)
  }

  get count(): number {
    return this.#count
  }

  /** the sum of the sizes of all appends on the way */
  get bytes(): number {
    return this.#bytes
  }

  /** Bytes that may still go; 0 when the window is full. */
  get roomBytes(): number {
    if (this.#count === this.#limits.inflightAppends) return 0
    return Math.max(0, this.#limits.inflightBytes - this.#bytes)
  }

  add(lastIndex: Index, bytes: number): void {
    assert(this.#count < this.#limits.inflightAppends, 'the window has room')
    const place = (this.#start + this.#count) % this.#limits.inflightAppends
    this.#lastIndexes[place] = lastIndex
    this.#sizes[place] = bytes
    this.#count++
    this.#bytes += bytes
  }

  /** Everything up to `index` has arrived. */
  freeTo(index: Index): void {
    while (this.#count > 0 && (this.#lastIndexes[this.#start] ?? 0) <= index) {
      this.#bytes -= this.#sizes[this.#start] ?? 0
      this.#start = (this.#start + 1) % this.#limits.inflightAppends
      this.#count--
    }
    assert(this.#count > 0 || this.#bytes === 0, 'an empty window holds no bytes')
  }
}
