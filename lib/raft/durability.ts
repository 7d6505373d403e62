// What of the node's state is durable. Writes are numbered by tokens, complete in token order and
// may overlap in time. Every promise (a vote, an acknowledgement, a term shown) waits for the write
// that it was made from (R6).
//
// An entry is durable when no outstanding write begins at or below it. Comparing (term, index) of a
// completed write with the log would not do: the same pair may have been overwritten and written
// again since (B43).
//
// Writes are atomic: a crash leaves what one of them left, the last completed one or a later one. Term and
// last index of that one write belong together, and are what a node says of its disk to others.

import { assert } from '../assert.ts'
import type { Index, Term } from './entry.ts'
import type { Token } from './effects.ts'

export interface PlannedWrite {
  /** the first index that the write changes, or null if it changes no entry */
  readonly firstIndex: Index | null
  /** the last index of the log after the write */
  readonly lastIndex: Index
  /** the term after the write */
  readonly term: Term
  readonly isTermNew: boolean
  readonly isVoteNew: boolean
  readonly nowMs: number
}

/** A write handed to the store and not answered yet. */
interface Outstanding {
  readonly token: Token
  readonly write: PlannedWrite
}

/** What is on disk. */
export interface OnDisk {
  readonly term: Term
  readonly lastIndex: Index
}

export class Durability {
  /** ascending by token */
  #outstanding: Outstanding[] = []
  #lastToken: Token = 0
  #durableToken: Token = 0
  /** the writes that hold the present term and the present vote */
  #termToken: Token = 0
  #voteToken: Token = 0
  #lastIndex: Index
  #durableIndex: Index
  /** what the last completed write left; changes only in complete */
  #onDisk: OnDisk

  /** `onDisk` is what the start found. */
  constructor(onDisk: OnDisk) {
    this.#lastIndex = onDisk.lastIndex
    this.#durableIndex = onDisk.lastIndex
    this.#onDisk = onDisk
  }

  /** The term, and with it the last index, that no crash can take back. */
  get onDisk(): OnDisk {
    return this.#onDisk
  }

  /** The last index up to which the present log is durable. */
  get durableIndex(): Index {
    return this.#durableIndex
  }

  get isTermDurable(): boolean {
    return this.#termToken <= this.#durableToken
  }

  /** Whether the present term and vote, and with them all that was written before, are durable. */
  get isVoteDurable(): boolean {
    return this.isTermDurable && this.#voteToken <= this.#durableToken
  }

  /** Numbers a write that goes to the store now. */
  start(write: PlannedWrite): Token {
    const token = ++this.#lastToken
    assert(write.term >= this.#onDisk.term, 'the durable term never falls')
    this.#outstanding.push({ token, write })
    if (write.isTermNew) this.#termToken = token
    if (write.isVoteNew) this.#voteToken = token
    this.#lastIndex = write.lastIndex
    this.#recompute()
    return token
  }

  /** All writes up to `token` are durable. Late and repeated completions change nothing. */
  complete(token: Token): void {
    assert(token <= this.#lastToken, 'only a token that was handed out completes')
    if (token <= this.#durableToken) return
    this.#durableToken = token
    const last = this.#outstanding.findLast((one) => one.token <= token)
    if (last !== undefined) {
      const { term, lastIndex } = last.write
      this.#onDisk = { term, lastIndex }
    }
    this.#outstanding = this.#outstanding.filter((one) => one.token > token)
    this.#recompute()
  }

  /** The token that a message showing the term waits for; null for none. */
  termGate(): Token | null {
    return this.#gate(this.#termToken)
  }

  /** The token that a vote, or a request for one, waits for; null for none. */
  voteGate(): Token | null {
    return this.#gate(Math.max(this.#termToken, this.#voteToken))
  }

  /** The token that an acknowledgement of everything up to `index` waits for; null for none. */
  logGate(index: Index): Token | null {
    assert(index <= this.#lastIndex, 'what is acknowledged is in the log')
    let token = this.#termToken
    for (const { token: ofWrite, write } of this.#outstanding) {
      if (write.firstIndex !== null && write.firstIndex <= index) token = Math.max(token, ofWrite)
    }
    return this.#gate(token)
  }

  /** Whether the oldest outstanding write has waited for `limitMs`. */
  isStalled(nowMs: number, limitMs: number): boolean {
    const oldest = this.#outstanding[0]
    return oldest !== undefined && nowMs - oldest.write.nowMs >= limitMs
  }

  #gate(token: Token): Token | null {
    return token <= this.#durableToken ? null : token
  }

  #recompute(): void {
    let durable = this.#lastIndex
    for (const { write } of this.#outstanding) {
      if (write.firstIndex !== null) durable = Math.min(durable, write.firstIndex - 1)
    }
    this.#durableIndex = durable
    assert(this.#durableIndex <= this.#lastIndex, 'nothing beyond the log is durable')
  }
}
