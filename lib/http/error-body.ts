// What went wrong, as the one body that every refusal has (`ErrorBody`) and its status.

import type { ErrorCode } from '../errors.ts'
import { AspenError, CODES } from '../errors.ts'
import type { ErrorBody } from '../service/documents.ts'

/** Where the server tells what nobody else learns; pino's logger is one. */
export interface HttpLog {
  error(fields: object, message: string): void
}

export interface ErrorAnswer {
  readonly status: number
  readonly body: ErrorBody
}

/** An AspenError by the table of codes; anything else is a defect of ours: 500, and nothing of it. */
export function errorAnswer(error: unknown, knownLeader: number | null = null): ErrorAnswer {
  if (!(error instanceof AspenError)) return internal(knownLeader)
  const { code, message, hint, fields } = error.detail
  const row = CODES[code]
  const { leader = null, revision = null, ...rest } = fields ?? {}
  const body = {
    code,
    message,
    hint: hint ?? null,
    retryable: row.isRetryable,
    applied: row.outcome === 'refused' ? (false as const) : null,
    leader: integerOf(leader) ?? knownLeader,
    revision: integerOf(revision),
    fields: rest
  }
  return { status: row.httpStatus, body: { error: body } }
}

/** A refusal of the HTTP layer itself. */
export function refusal(code: ErrorCode, message: string, hint?: string): AspenError {
  return new AspenError(hint === undefined ? { code, message } : { code, message, hint })
}

function internal(leader: number | null): ErrorAnswer {
  const error = {
    code: 'FAILED',
    message: 'the node failed to answer; its log says why',
    hint: null,
    retryable: false,
    applied: null,
    leader,
    revision: null,
    fields: {}
  }
  return { status: 500, body: { error } }
}

function integerOf(value: string | number | boolean | null): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : null
}
