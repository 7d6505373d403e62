// Reads a JSON body in slices. `JSON.parse` of a full batch holds the event loop for 50 ms when the
// text is not ASCII, and for several 100 ms when 12 MiB are made of tiny values; numbers in README.md.
//
// Only the structure is read here: each string, number and literal is handed to `JSON.parse` by
// itself, so escapes and numbers are exactly its own. Stricter than `JSON.parse` where it would
// silently alter what was sent: bytes that are not UTF-8, lone surrogates, a field given twice and
// `__proto__` are refused. Depth, number of values and length of a string are bounded.

import { isUtf8 } from 'node:buffer'
import { AspenError } from '../errors.ts'
import { MAX_JSON_DEPTH, MAX_JSON_VALUES, MAX_SETMULTI_KEYS, MAX_VALUE_SIZE } from '../limits.ts'
import type { Slice } from './slice.ts'

/** A body and where the fields of its outermost object stand in the bytes. */
export interface JsonDocument {
  readonly value: unknown
  readonly bytes: Buffer
  /** by field: [from, to) */
  readonly spans: ReadonlyMap<string, Span>
}

export interface Span {
  readonly from: number
  readonly to: number
}

/**
 * Reads all of `bytes`.
 * @throws AspenError INVALID_REQUEST, BATCH_TOO_LARGE (more than MAX_JSON_VALUES), VALUE_TOO_LARGE (a
 *   string that no value of MAX_VALUE_SIZE can have)
 */
export async function readJson(bytes: Buffer, slice: Slice): Promise<JsonDocument> {
  if (!isUtf8(bytes)) throw invalid('the body is not UTF-8')
  const reader = new JsonReader(bytes)
  while (!reader.step(slice)) await slice.next()
  return { value: reader.value, bytes, spans: reader.spans }
}

type Frame =
  | { readonly kind: 'array'; readonly items: unknown[] }
  | {
      readonly kind: 'object'
      readonly fields: Record<string, unknown>
      field: string
      from: number
    }

/** What may come next. */
type Expected = 'value' | 'itemOrEnd' | 'field' | 'fieldOrEnd' | 'colon' | 'commaOrEnd' | 'end'

class JsonReader {
  value: unknown = undefined
  readonly spans = new Map<string, Span>()
  readonly #bytes: Buffer
  readonly #stack: Frame[] = []
  #expected: Expected = 'value'
  #at = 0
  #valueCount = 0
  /** the string being read: its opening quote and how far it has been searched for the closing one */
  #string: { readonly from: number; at: number } | null = null

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Reads on until the end (true) or until the slice is spent (false). */
  step(slice: Slice): boolean {
    while (true) {
      if (this.#string === null) this.#skipSpace()
      if (this.#at === this.#bytes.length) break
      this.#readToken()
      if (slice.isSpent()) return false
    }
    if (this.#string !== null || this.#expected !== 'end') throw invalid('the JSON ends too early')
    return true
  }

  /** At most SCAN_BYTES, like everything else that a token does in one go. */
  #skipSpace(): void {
    const end = Math.min(this.#bytes.length, this.#at + SCAN_BYTES)
    while (this.#at < end && isSpace(this.#bytes[this.#at])) this.#at++
  }

  #readToken(): void {
    if (this.#string !== null) return this.#readString(this.#string)
    const byte = this.#bytes[this.#at] ?? 0
    if (isSpace(byte)) return
    switch (this.#expected) {
      case 'end':
        throw this.#unexpected()
      case 'colon':
        return this.#take(byte, COLON, 'value')
      case 'commaOrEnd':
        return this.#readCommaOrEnd(byte)
      case 'field':
      case 'fieldOrEnd':
        if (byte === CLOSE_OBJECT && this.#expected === 'fieldOrEnd') return this.#close('object')
        if (byte !== QUOTE) throw this.#unexpected()
        this.#string = { from: this.#at, at: this.#at + 1 }
        return
      case 'value':
      case 'itemOrEnd':
        if (byte === CLOSE_ARRAY && this.#expected === 'itemOrEnd') return this.#close('array')
        return this.#readValue(byte)
    }
  }

  #take(byte: number, wanted: number, next: Expected): void {
    if (byte !== wanted) throw this.#unexpected()
    this.#at++
    this.#expected = next
  }

  #readCommaOrEnd(byte: number): void {
    const kind = this.#stack.at(-1)?.kind
    if (byte === COMMA) {
      this.#at++
      this.#expected = kind === 'object' ? 'field' : 'value'
    } else if (byte === CLOSE_OBJECT && kind === 'object') {
      this.#close('object')
    } else if (byte === CLOSE_ARRAY && kind === 'array') {
      this.#close('array')
    } else {
      throw this.#unexpected()
    }
  }

  #readValue(byte: number): void {
    this.#countValue()
    const frame = this.#stack.at(-1)
    if (frame?.kind === 'object') frame.from = this.#at
    if (byte === QUOTE) {
      this.#string = { from: this.#at, at: this.#at + 1 }
    } else if (byte === OPEN_OBJECT) {
      this.#open({ kind: 'object', fields: {}, field: '', from: 0 }, 'fieldOrEnd')
    } else if (byte === OPEN_ARRAY) {
      this.#open({ kind: 'array', items: [] }, 'itemOrEnd')
    } else {
      this.#readScalar()
    }
  }

  #open(frame: Frame, next: Expected): void {
    if (this.#stack.length === MAX_JSON_DEPTH) {
      throw invalid(`the body is nested deeper than ${MAX_JSON_DEPTH}`)
    }
    this.#stack.push(frame)
    this.#at++
    this.#expected = next
  }

  #close(kind: 'array' | 'object'): void {
    const frame = this.#stack.pop()
    if (frame?.kind !== kind) throw this.#unexpected()
    this.#at++
    this.#finishValue(frame.kind === 'array' ? frame.items : frame.fields)
  }

  /** Searches SCAN_BYTES for the closing quote; when it is there, takes the string. */
  #readString(string: { readonly from: number; at: number }): void {
    const end = Math.min(this.#bytes.length, string.at + SCAN_BYTES)
    let at = string.at
    while (at < end && this.#bytes[at] !== QUOTE) at += this.#bytes[at] === BACKSLASH ? 2 : 1
    string.at = at
    if (at - string.from > MAX_STRING_BYTES) throw tooLong()
    if (at >= this.#bytes.length) throw invalid('the JSON ends within a string')
    if (this.#bytes[at] !== QUOTE || at >= end) return
    this.#string = null
    this.#at = at + 1
    const text = this.#parse(string.from)
    if (typeof text !== 'string') throw this.#unexpected()
    if (this.#expected === 'field' || this.#expected === 'fieldOrEnd') this.#beginField(text)
    else this.#finishValue(text)
  }

  #readScalar(): void {
    const from = this.#at
    const end = Math.min(this.#bytes.length, from + MAX_SCALAR_BYTES)
    while (this.#at < end && isScalar(this.#bytes[this.#at])) this.#at++
    if (this.#at === from) throw this.#unexpected()
    this.#finishValue(this.#parse(from))
  }

  /** The string, number or literal in [from, #at). */
  #parse(from: number): unknown {
    const text = this.#bytes.toString('utf8', from, this.#at)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      throw invalid(`the body is not JSON at byte ${from}`)
    }
    if (typeof value === 'string' && text.includes('\\') && LONE_SURROGATE.test(value)) {
      throw invalid(`the string at byte ${from} is not Unicode: half of a surrogate pair`)
    }
    return value
  }

  #beginField(field: string): void {
    const frame = this.#stack.at(-1)
    if (frame?.kind !== 'object') throw this.#unexpected()
    if (field === '__proto__') throw invalid('unknown field __proto__')
    if (Object.hasOwn(frame.fields, field)) {
      throw invalid(`a field is given twice at byte ${this.#at}`)
    }
    this.#countValue()
    frame.field = field
    this.#expected = 'colon'
  }

  #finishValue(value: unknown): void {
    const frame = this.#stack.at(-1)
    if (frame === undefined) {
      this.value = value
      this.#expected = 'end'
      return
    }
    this.#expected = 'commaOrEnd'
    if (frame.kind === 'array') {
      frame.items.push(value)
      return
    }
    frame.fields[frame.field] = value
    if (this.#stack.length === 1) this.spans.set(frame.field, { from: frame.from, to: this.#at })
  }

  #countValue(): void {
    if (++this.#valueCount <= MAX_JSON_VALUES) return
    throw new AspenError({
      code: 'BATCH_TOO_LARGE',
      message: `the body holds more than ${MAX_JSON_VALUES} fields and values; a batch takes ${MAX_SETMULTI_KEYS} keys`
    })
  }

  #unexpected(): AspenError {
    return invalid(`the body is not JSON at byte ${this.#at}`)
  }
}

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_ARRAY = 0x5b
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** Bytes that one step looks at. */
const SCAN_BYTES = 64 * 1024
/** Bytes of a string: a full value with each byte escaped. */
const MAX_STRING_BYTES = 6 * MAX_VALUE_SIZE + 2
/** Bytes of a number: more than any that is a safe integer. */
const MAX_SCALAR_BYTES = 64

const LONE_SURROGATE = /[\ud800-\udfff]/u

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function isScalar(byte: number | undefined): boolean {
  return byte !== COMMA && byte !== CLOSE_ARRAY && byte !== CLOSE_OBJECT && !isSpace(byte)
}

function invalid(message: string): AspenError {
  return new AspenError({ code: 'INVALID_REQUEST', message })
}

function tooLong(): AspenError {
  return new AspenError({
    code: 'VALUE_TOO_LARGE',
    message: `a string of the body is longer than any value of ${MAX_VALUE_SIZE} bytes can be`,
    fields: { max: MAX_VALUE_SIZE }
  })
}
