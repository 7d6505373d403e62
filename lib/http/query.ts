// What stands behind the `?` of a path: all of it is text, and nothing unknown is let pass.

import { Type } from '@sinclair/typebox'
import { DEFAULT_REQUEST_TIMEOUT_MS, MAX_REQUEST_TIMEOUT_MS } from '../limits.ts'
import { Consistency } from '../service/kv-documents.ts'
import { refusal } from './error-body.ts'

const strict = { additionalProperties: false } as const

export const NoQuery = Type.Object({}, strict)

const Whole = Type.String({ pattern: '^[0-9]{1,15}$', description: 'a whole number' })

export const TimeoutQuery = Type.Object({ timeout_ms: Type.Optional(Whole) }, strict)

export const ReadQuery = Type.Object(
  { consistency: Type.Optional(Consistency), timeout_ms: Type.Optional(Whole) },
  strict
)

/**
 * Refuses a query whose encoding says no text: its parser would take `%ff` for those three characters.
 * @throws AspenError INVALID_REQUEST
 */
export function checkQuery(url: string): void {
  const [, query = ''] = /\?([^#]*)/.exec(url) ?? []
  if (!query.includes('%')) return
  try {
    decodeURIComponent(query)
  } catch {
    const hint = 'bytes that are no text go into prefix_b64 and after_b64'
    throw refusal('INVALID_REQUEST', 'the query is not UTF-8, percent-encoded', hint)
  }
}

/** @throws AspenError INVALID_REQUEST */
export function timeoutFrom(text: string | undefined): number {
  return wholeFrom('timeout_ms', text, MAX_REQUEST_TIMEOUT_MS) ?? DEFAULT_REQUEST_TIMEOUT_MS
}

/** @throws AspenError INVALID_REQUEST */
export function readOptionsFrom(query: {
  readonly consistency?: 'linearizable' | 'stale'
  readonly timeout_ms?: string
}): { consistency: 'linearizable' | 'stale'; timeoutMs: number } {
  const { consistency = 'linearizable' } = query
  return { consistency, timeoutMs: timeoutFrom(query.timeout_ms) }
}

/**
 * A whole number from 1 to `max`; null where nothing is given.
 * @throws AspenError INVALID_REQUEST
 */
export function wholeFrom(name: string, text: string | undefined, max: number): number | null {
  if (text === undefined) return null
  const value = /^[1-9][0-9]{0,15}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= max) return value
  throw refusal('INVALID_REQUEST', `${name} is an integer from 1 to ${max}`)
}
