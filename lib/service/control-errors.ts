// How an operation on the cluster can fail on its way, in words.

import type { ErrorDetail } from '../errors.ts'
import { ControlPlaneError } from '../errors.ts'

const LOOK = "'aspen members' shows who belongs to the cluster, who votes and who leads"

/** It may have happened, or may yet. */
export function operationTimeout(timeoutMs: number, state: string): ControlPlaneError {
  return new ControlPlaneError({
    code: 'TIMEOUT',
    message: `not finished within ${timeText(timeoutMs)}: ${state}`,
    hint: LOOK,
    fields: { timeout_ms: timeoutMs }
  })
}

/** The leader, or the link to it, was lost while it was at it. */
export function operationUnknown(): ErrorDetail {
  return {
    code: 'OUTCOME_UNKNOWN',
    message: 'the leader was lost while it carried this out; it may or may not have happened',
    hint: LOOK
  }
}

/** Nothing happened. */
export function noLeaderError(timeoutMs: number, cause: string): ControlPlaneError {
  return new ControlPlaneError({
    code: 'UNAVAILABLE',
    message: `not carried out within ${timeText(timeoutMs)}: ${cause}`,
    hint: "a majority of the voters must be running and reach each other; 'aspen status' shows more"
  })
}

export function changeInProgress(): ErrorDetail {
  return {
    code: 'CHANGE_IN_PROGRESS',
    message: 'another change of the members is in progress; nothing happened',
    hint: 'try again when it is done'
  }
}

export function transferRefused(message: string): ErrorDetail {
  return { code: 'TRANSFER_REFUSED', message, hint: LOOK }
}

export function changeFailed(reason: string): ErrorDetail {
  return {
    code: 'MEMBERSHIP_CHANGE_FAILED',
    message: `Failed to change membership: ${reason}`,
    hint: LOOK
  }
}

/** For people: `5 s`, `1.5 s`, `1 ms`. */
function timeText(timeoutMs: number): string {
  return timeoutMs < 1_000 ? `${timeoutMs} ms` : `${Math.round(timeoutMs / 100) / 10} s`
}
