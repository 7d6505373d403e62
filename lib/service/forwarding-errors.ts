// How a command or a read on its way to the leader can fail, in words.

import { KeyValueStoreError } from '../errors.ts'
import { DISK_FREE_PERCENT, DISK_FULL_PERCENT } from '../limits.ts'

/** Nothing happened. `timeoutMs` is null when it did not take the whole time to know. */
export function unavailableError(timeoutMs: number | null, cause: string): KeyValueStoreError {
  const when =
    timeoutMs === null ? 'not carried out' : `not carried out within ${seconds(timeoutMs)}`
  return new KeyValueStoreError({
    code: 'UNAVAILABLE',
    message: `${when}: ${cause}`,
    hint: "a majority of the voters must be running and reach each other; 'aspen status' shows more"
  })
}

/** Nothing happened: the leader did not take the request, and would not take it a second time. */
export function rejectedError(): KeyValueStoreError {
  return new KeyValueStoreError({
    code: 'UNAVAILABLE',
    message: 'not carried out: the leader does not understand this request',
    hint: 'run one version of aspen on all members'
  })
}

/**
 * Nothing happened, and somebody has not answered within `timeoutMs`. Who had hardly any time is not to
 * blame: that the deadline passed is all that is known.
 */
export function unansweredError(timeoutMs: number, cause: string): KeyValueStoreError {
  if (timeoutMs >= ANSWER_EXPECTED_MS) return unavailableError(timeoutMs, cause)
  return new KeyValueStoreError({
    code: 'UNAVAILABLE',
    message: `not carried out: the deadline of ${seconds(timeoutMs)} passed first`,
    hint: 'allow more time; across the internet an answer may take most of a second'
  })
}

/** Within this, everybody who is there has answered, also over a slow link and after a short pause. */
const ANSWER_EXPECTED_MS = 1_000

export function timeoutError(timeoutMs: number): KeyValueStoreError {
  return new KeyValueStoreError({
    code: 'TIMEOUT',
    message: `no answer within ${seconds(timeoutMs)}; the write may or may not have happened`,
    hint: 'read the key before you write again',
    fields: { duration_ms: timeoutMs }
  })
}

/** For people: `5 s`, `1.5 s`, `1 ms`. */
function seconds(timeoutMs: number): string {
  return timeoutMs < 1_000 ? `${timeoutMs} ms` : `${Math.round(timeoutMs / 100) / 10} s`
}

export function unknownError(): KeyValueStoreError {
  return new KeyValueStoreError({
    code: 'OUTCOME_UNKNOWN',
    message: 'the node ended while the write was under way; it may or may not have happened',
    hint: 'read the key before you write again'
  })
}

/** Nothing happened: the leader does not write on a disk that is nearly full. */
export function diskFullError(): KeyValueStoreError {
  return new KeyValueStoreError({
    code: 'DISK_SPACE_INSUFFICIENT',
    message: `not carried out: more than ${DISK_FULL_PERCENT} % of the leader's disk, or of most voters' disks, is in use`,
    hint: `free space on the disks of the data directories; below ${DISK_FREE_PERCENT} % writes are taken again; reads and deletes go on`,
    fields: { percent: DISK_FULL_PERCENT }
  })
}

/** Nothing happened: the cluster holds as much as it is allowed to. */
export function storeFullError(): KeyValueStoreError {
  return new KeyValueStoreError({
    code: 'STORE_FULL',
    message: 'not carried out: the cluster holds as many keys, or as many bytes, as it may',
    hint: 'delete keys that are not needed; reads and deletes go on'
  })
}

/** Nothing happened; `who` has as many requests in progress as it takes. */
export function overloadedError(who: string): KeyValueStoreError {
  return new KeyValueStoreError({
    code: 'OVERLOADED',
    message: `${who} has as many requests in progress as it takes; nothing happened`,
    hint: 'try again, with fewer requests at a time'
  })
}
