// The few encodings that every format shares, on compact-encoding: bounded buffers, safe integers,
// total decoding. Each folder with a wire or disk form draws its layout in its own encoding.ts.
//
// Decoders of outside bytes never throw anything but ProtocolError: an error of another class in a
// message handler would end the process.

import c from 'compact-encoding'
import type { Encoder, State } from 'compact-encoding'
import { assert, present } from './assert.ts'
import { ProtocolError } from './errors.ts'
import type { Address } from './address.ts'
import { isIpv4, isPort } from './address.ts'

export type { Encoder, State }

/** Encodes `value`, which comes from inside and is therefore well-formed. */
export function encode<T>(
  encoding: Pick<Encoder<T>, 'preencode' | 'encode'>,
  value: T
): Uint8Array {
  const state: State = { start: 0, end: 0, buffer: EMPTY }
  encoding.preencode(state, value)
  state.buffer = new Uint8Array(state.end)
  encoding.encode(state, value)
  assert(state.start === state.end, 'an encoding wrote as many bytes as it announced')
  return state.buffer
}

/**
 * Decodes all of `bytes`. Buffers inside the result may alias `bytes`.
 * @throws ProtocolError when the bytes are malformed or any are left over
 */
export function decode<T>(encoding: Encoder<T>, bytes: Uint8Array): T {
  const state: State = { start: 0, end: bytes.byteLength, buffer: plain(bytes) }
  try {
    const value = encoding.decode(state)
    if (state.start === state.end) return value
  } catch (error) {
    if (error instanceof ProtocolError) throw error
    throw new ProtocolError('malformed bytes', { cause: error })
  }
  throw new ProtocolError(`${state.end - state.start} bytes are left over`)
}

/** A buffer of at most `max` bytes, length first. Decodes to a copy, so it may be kept. */
export function boundedBytes(max: number): Encoder<Uint8Array> {
  const view = boundedView(max)
  return { ...view, decode: (state) => view.decode(state).slice() }
}

/** As boundedBytes, but decodes to a view: 8 MiB are not copied once more. */
export function boundedView(max: number): Encoder<Uint8Array> {
  return {
    preencode(state, value) {
      assert(value.byteLength <= max, `at most ${max} bytes`)
      c.uint.preencode(state, value.byteLength)
      state.end += value.byteLength
    },
    encode(state, value) {
      c.uint.encode(state, value.byteLength)
      bufferOf(state).set(value, state.start)
      state.start += value.byteLength
    },
    decode(state) {
      const size = c.uint.decode(state)
      if (size > max) throw new ProtocolError(`${size} bytes where at most ${max} are allowed`)
      if (state.end - state.start < size) throw new ProtocolError('the bytes end too early')
      const view = bufferOf(state).subarray(state.start, state.start + size)
      state.start += size
      return view
    }
  }
}

/** Exactly `size` bytes, no length. Decodes to a copy. */
export function fixedBytes(size: number): Encoder<Uint8Array> {
  return {
    preencode(state, value) {
      assert(value.byteLength === size, `exactly ${size} bytes`)
      state.end += size
    },
    encode(state, value) {
      bufferOf(state).set(value, state.start)
      state.start += size
    },
    decode(state) {
      if (state.end - state.start < size) throw new ProtocolError('the bytes end too early')
      const copy = bufferOf(state).slice(state.start, state.start + size)
      state.start += size
      return copy
    }
  }
}

/** An unsigned integer in [0, max]. */
export function boundedUint(max: number): Encoder<number> {
  assert(Number.isSafeInteger(max), 'the bound is a safe integer')
  const bound = `an integer in [0, ${max}]`
  return {
    preencode(state, value) {
      assert(Number.isSafeInteger(value) && value >= 0 && value <= max, bound)
      c.uint.preencode(state, value)
    },
    encode(state, value) {
      c.uint.encode(state, value)
    },
    decode(state) {
      const value = c.uint.decode(state)
      if (value > max) throw new ProtocolError(`${value} where at most ${max} is allowed`)
      return value
    }
  }
}

/** At most `max` items, count first. */
export function boundedArray<T>(item: Encoder<T>, max: number): Encoder<readonly T[]> {
  return {
    preencode(state, items) {
      assert(items.length <= max, `at most ${max} items`)
      c.uint.preencode(state, items.length)
      for (const value of items) item.preencode(state, value)
    },
    encode(state, items) {
      c.uint.encode(state, items.length)
      for (const value of items) item.encode(state, value)
    },
    decode(state) {
      const count = c.uint.decode(state)
      if (count > max) throw new ProtocolError(`${count} items where at most ${max} are allowed`)
      const items: T[] = []
      for (let index = 0; index < count; index++) items.push(item.decode(state))
      return items
    }
  }
}

/** UTF-8 text of at most `max` bytes; malformed UTF-8 is refused. */
export function boundedText(max: number): Encoder<string> {
  const bytes = boundedBytes(max)
  return {
    preencode(state, value) {
      bytes.preencode(state, utf8.encode(value))
    },
    encode(state, value) {
      bytes.encode(state, utf8.encode(value))
    },
    decode(state) {
      try {
        return strictUtf8.decode(bytes.decode(state))
      } catch (error) {
        if (error instanceof ProtocolError) throw error
        throw new ProtocolError('the text is not UTF-8', { cause: error })
      }
    }
  }
}

/** The fields of an object, one after the other in the order given. */
export function record<T extends object>(fields: {
  readonly [Name in keyof T]: Encoder<T[Name]>
}): Encoder<T> {
  const list = Object.entries(fields) as [keyof T, Encoder<T[keyof T]>][]
  return {
    preencode(state, value) {
      for (const [name, field] of list) field.preencode(state, value[name])
    },
    encode(state, value) {
      for (const [name, field] of list) field.encode(state, value[name])
    },
    decode(state) {
      const value: Partial<T> = {}
      for (const [name, field] of list) value[name] = field.decode(state)
      return value as T
    }
  }
}

/** For each kind of a union its byte, never given away again, and the encoding of its other fields. */
type Bodies<T extends { kind: string }> = {
  readonly [K in T['kind']]: {
    readonly byte: number
    readonly body: Encoder<Omit<Extract<T, { kind: K }>, 'kind'>>
  }
}

/** Makes the error for a byte that stands for nothing here: `what` is e.g. `change kind 7`. */
type OnUnknown = (what: string) => ProtocolError

function isUnknown(what: string): ProtocolError {
  return new ProtocolError(`${what} is unknown`)
}

/** A union as the byte of its kind and that kind's fields. */
export function tagged<T extends { kind: string }>(
  what: string,
  bodies: Bodies<T>,
  onUnknown: OnUnknown = isUnknown
): Encoder<T> {
  type Body = { readonly kind: string; readonly byte: number; readonly body: Encoder<object> }
  const list = Object.entries(bodies).map(([kind, body]) => ({ kind, ...(body as object) }) as Body)
  const byKind = new Map(list.map((body) => [body.kind, body]))
  const byByte = new Map(list.map((body) => [body.byte, body]))
  assert(byByte.size === list.length, 'each kind has a byte of its own')
  return {
    preencode(state, value) {
      state.end++
      present(byKind.get(value.kind), 'a body').body.preencode(state, value)
    },
    encode(state, value) {
      const { byte, body } = present(byKind.get(value.kind), 'a body')
      c.uint8.encode(state, byte)
      body.encode(state, value)
    },
    decode(state) {
      const byte = c.uint8.decode(state)
      const found = byByte.get(byte)
      if (found === undefined) throw onUnknown(`${what} ${byte}`)
      return { kind: found.kind, ...found.body.decode(state) } as unknown as T
    }
  }
}

/** One of `names`, as one byte: its position among them. Names are only ever appended. */
export function choice<T extends string>(
  what: string,
  names: readonly T[],
  onUnknown: OnUnknown = isUnknown
): Encoder<T> {
  return {
    preencode(state) {
      state.end++
    },
    encode(state, name) {
      assert(names.includes(name), `${what} is one of ${names.join(', ')}`)
      c.uint8.encode(state, names.indexOf(name))
    },
    decode(state) {
      const byte = c.uint8.decode(state)
      const name = names[byte]
      if (name === undefined) throw onUnknown(`${what} ${byte}`)
      return name
    }
  }
}

/** `body` behind a byte that says in which format it is. */
export function versioned<T>(
  format: { readonly what: string; readonly byte: number; readonly onUnknown?: OnUnknown },
  body: Encoder<T>
): Encoder<T> {
  const { what, byte, onUnknown = isUnknown } = format
  return {
    preencode(state, value) {
      state.end++
      body.preencode(state, value)
    },
    encode(state, value) {
      c.uint8.encode(state, byte)
      body.encode(state, value)
    },
    decode(state) {
      const found = c.uint8.decode(state)
      if (found !== byte) throw onUnknown(`${what} ${found}`)
      return body.decode(state)
    }
  }
}

/** A value that goes over the wire as another one: `into` before, `from` after, which may refuse. */
export function mapped<T, Wire>(
  wire: Encoder<Wire>,
  { into, from }: { readonly into: (value: T) => Wire; readonly from: (wire: Wire) => T }
): Encoder<T> {
  return {
    preencode(state, value) {
      wire.preencode(state, into(value))
    },
    encode(state, value) {
      wire.encode(state, into(value))
    },
    decode: (state) => from(wire.decode(state))
  }
}

/** What `whyNot` gives a reason against is refused when decoded. */
export function checked<T>(item: Encoder<T>, whyNot: (value: T) => string | null): Encoder<T> {
  return {
    preencode: item.preencode,
    encode: item.encode,
    decode(state) {
      const value = item.decode(state)
      const reason = whyNot(value)
      if (reason !== null) throw new ProtocolError(reason)
      return value
    }
  }
}

/** 0, or 1 and the item. */
export function nullable<T>(item: Encoder<T>): Encoder<T | null> {
  return {
    preencode(state, value) {
      strictBoolean.preencode(state, value !== null)
      if (value !== null) item.preencode(state, value)
    },
    encode(state, value) {
      strictBoolean.encode(state, value !== null)
      if (value !== null) item.encode(state, value)
    },
    decode(state) {
      return strictBoolean.decode(state) ? item.decode(state) : null
    }
  }
}

/** 0 or 1, one byte. */
export const strictBoolean: Encoder<boolean> = {
  preencode(state) {
    state.end++
  },
  encode(state, value) {
    c.uint8.encode(state, value ? 1 : 0)
  },
  decode(state) {
    const byte = c.uint8.decode(state)
    if (byte > 1) throw new ProtocolError('a boolean is 0 or 1')
    return byte === 1
  }
}

/** IPv4 and port: four bytes and a little-endian uint16. Port 0 is refused. */
export const addressEncoding: Encoder<Address> = {
  preencode(state) {
    state.end += 6
  },
  encode(state, address) {
    assert(isIpv4(address.host) && isPort(address.port), 'an IPv4 address and a port')
    c.ipv4Address.encode(state, address)
  },
  decode(state) {
    const { host, port } = c.ipv4Address.decode(state)
    if (!isIpv4(host) || !isPort(port)) throw new ProtocolError('not an address')
    return { host, port }
  }
}

/** Bytes as UTF-8 text, or null when they are not UTF-8. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    return null
  }
}

export function bytesOf(text: string): Uint8Array {
  return utf8.encode(text)
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** Lower-case hex of exactly `size` bytes to bytes; null when it is not that. */
export function bytesFromHex(text: string, size: number): Uint8Array | null {
  if (text.length !== size * 2 || !/^[0-9a-f]*$/.test(text)) return null
  return new Uint8Array(Buffer.from(text, 'hex'))
}

/** Whether a parsed JSON value is an object (not null, not an array). */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The same bytes not as a Buffer, whose `slice` is no copy. */
function plain(bytes: Uint8Array): Uint8Array {
  if (!Buffer.isBuffer(bytes)) return bytes
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const EMPTY = new Uint8Array(0)
const utf8 = new TextEncoder()
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function bufferOf(state: State): Uint8Array {
  assert(state.buffer !== null, 'the state has a buffer')
  return state.buffer
}
