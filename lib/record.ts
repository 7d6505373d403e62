// Encodings made of encodings: records, unions, choices, formats. An encoding.ts says with them what its
// bytes are, and writes out by hand only what they cannot say.

import c from 'compact-encoding'
import { assert, present } from './assert.ts'
import { strictBoolean } from './encoding.ts'
import type { Encoder } from './encoding.ts'
import { ProtocolError } from './errors.ts'

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
  const known = `${what} is one of ${names.join(', ')}`
  return {
    preencode(state) {
      state.end++
    },
    encode(state, name) {
      assert(names.includes(name), known)
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
