// One command on its way to be applied once: which id it has, whether a copy of it may be under way
// somewhere, and what the end of an attempt means for it. Pure.

import type { ErrorDetail, KeyValueStoreError } from '../errors.ts'
import type { Index } from '../raft/entry.ts'
import type { Refusal } from '../replica/proposals.ts'
import type { RequestId } from '../state-machine/command.ts'
import type { ApplyResult } from '../state-machine/state-machine.ts'
import type { ProposedEntry } from './encoding.ts'
import {
  diskFullError,
  overloadedError,
  rejectedError,
  storeFullError,
  unknownError
} from './forwarding-errors.ts'
import type { Attempt } from './leader-lane.ts'
import type { IssuedRequest, RequestIds } from './request-ids.ts'

/** A proposal that was applied. */
export interface Submitted {
  readonly index: Index
  readonly result: ApplyResult
}

/** The entry of a command under the id that it is given. */
export type MakeEntry = (request: RequestId) => ProposedEntry

export class Submission {
  readonly #requestIds: RequestIds
  readonly #makeEntry: MakeEntry
  #request: IssuedRequest
  #entry: ProposedEntry
  /** a copy has left this node and how it ended is not known: it may be carried out at any time */
  #isInDoubt = false
  /** why it was refused last */
  #reason: Refusal | null = null

  constructor(requestIds: RequestIds, makeEntry: MakeEntry) {
    this.#requestIds = requestIds
    this.#makeEntry = makeEntry
    this.#request = requestIds.issue()
    this.#entry = makeEntry(this.#request.id)
  }

  get entry(): ProposedEntry {
    return this.#entry
  }

  get isInDoubt(): boolean {
    return this.#isInDoubt
  }

  get reason(): Refusal | null {
    return this.#reason
  }

  /** A copy is under way whose end nobody waits for any more. */
  doubt(): void {
    this.#isInDoubt = true
  }

  /**
   * The end of the command, or what comes next: `again`, another attempt when something about the leader
   * may be different; `renewed`, at once, under another id.
   * @throws KeyValueStoreError UNAVAILABLE, OVERLOADED, DISK_SPACE_INSUFFICIENT, STORE_FULL, OUTCOME_UNKNOWN
   */
  settle(attempt: Attempt): Submitted | 'again' | 'renewed' {
    if (attempt.kind === 'rejected') throw this.#isInDoubt ? unknownError() : rejectedError()
    if (attempt.kind === 'again') return 'again'
    const { outcome } = attempt
    if (outcome.kind === 'unknown') {
      this.#isInDoubt = true
      return 'again'
    }
    if (outcome.kind === 'refused') {
      const error = this.#isInDoubt ? null : finalError(outcome.reason)
      if (error !== null) throw error
      this.#reason = outcome.reason
      return 'again'
    }
    const { index, result } = outcome
    const isForgotten = result.kind === 'refused' && result.error.code === 'SESSION_EXPIRED'
    if (!isForgotten || this.#isInDoubt) return { index, result }
    this.#renew(sinceOf(result.error))
    return 'renewed'
  }

  /** Nobody waits for it any more. Call once. */
  end(): void {
    this.#request.end()
  }

  /** There was one copy of it, and that was not carried out. */
  #renew(since: Index): void {
    this.#request.onExpired(since)
    this.#request.end()
    this.#request = this.#requestIds.issue()
    this.#entry = this.#makeEntry(this.#request.id)
  }
}

/** What the leader has refused, so that another attempt would be refused again. */
function finalError(reason: Refusal): KeyValueStoreError | null {
  if (reason === 'overloaded') return overloadedError('the leader')
  if (reason === 'diskFull') return diskFullError()
  return reason === 'storeFull' ? storeFullError() : null
}

/** From where on another client is not taken for one that was forgotten. */
function sinceOf({ fields }: ErrorDetail): Index {
  const since = fields?.['since']
  return typeof since === 'number' ? since : 0
}
