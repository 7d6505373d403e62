// A refusal as texts of bounded length, for its bytes on the wire and in the table of sessions. Pure.

import { assert } from '../assert.ts'
import { bytesOf, isRecord } from '../encoding.ts'
import type { ErrorDetail } from '../errors.ts'
import { isErrorCode, ProtocolError } from '../errors.ts'
import { MAX_RESULT_BYTES } from '../limits.ts'

/** Bytes of each text but the code. */
export const MAX_DETAIL_BYTES = 2_048
assert(4 * MAX_DETAIL_BYTES <= MAX_RESULT_BYTES, 'the texts of a refusal fit a result')

export interface RefusalTexts {
  readonly code: string
  readonly message: string
  /** empty for none */
  readonly hint: string
  /** the fields as JSON, empty for none */
  readonly json: string
}

/**
 * Texts that fit. A refusal names keys, and a key with its control characters escaped is long: then
 * the message is cut, and the longest fields are left out.
 */
export function textsOf({ code, message, hint = '', fields = {} }: ErrorDetail): RefusalTexts {
  const kept = Object.entries(fields)
  const isLong = byteLengthOf(kept) > MAX_DETAIL_BYTES
  if (isLong) kept.sort(([, a], [, b]) => JSON.stringify(a).length - JSON.stringify(b).length)
  while (byteLengthOf(kept) > MAX_DETAIL_BYTES) kept.pop()
  const json = kept.length === 0 ? '' : JSON.stringify(Object.fromEntries(kept))
  return { code, message: cut(message), hint: cut(hint), json }
}

/** @throws ProtocolError */
export function detailOf({ code, message, hint, json }: RefusalTexts): ErrorDetail {
  if (!isErrorCode(code)) throw new ProtocolError('an error of an unknown code')
  return {
    code,
    message,
    ...(hint === '' ? {} : { hint }),
    ...(json === '' ? {} : { fields: fieldsOf(json) })
  }
}

function byteLengthOf(fields: readonly (readonly [string, unknown])[]): number {
  return bytesOf(JSON.stringify(Object.fromEntries(fields))).byteLength
}

function cut(text: string): string {
  const isLong = bytesOf(text).byteLength > MAX_DETAIL_BYTES
  // a quarter: UTF-8 takes at most three bytes for one unit of a string
  return isLong ? `${text.slice(0, MAX_DETAIL_BYTES / 4)}…` : text
}

type Fields = NonNullable<ErrorDetail['fields']>

function fieldsOf(text: string): Fields {
  const value = parseJson(text)
  if (!isRecord(value)) throw new ProtocolError('error fields are an object')
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => {
      if (isPlain(field)) return [name, field]
      throw new ProtocolError('error fields are plain values')
    })
  )
}

function isPlain(value: unknown): value is Fields[string] {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ProtocolError('error fields are JSON', { cause: error })
  }
}
