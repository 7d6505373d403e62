// The few encodings that every format shares, on compact-encoding: bounded buffers, safe integers,
// total decoding. Each folder with a wire or disk form draws its layout in its own encoding.ts.
//
// Decoders of outside bytes never throw anything but ProtocolError: an error of another class in a
// message handler would end the process.

import c from 'compact-encoding'
import type { Encoder, State } from 'compact-encoding'
import { assert } from './assert.ts'
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
  const bound = `exactly ${size} bytes`
  return {
    preencode(state, value) {
      assert(value.byteLength === size, bound)
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
  const bound = `at most ${max} items`
  return {
    preencode(state, items) {
      assert(items.length <= max, bound)
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
