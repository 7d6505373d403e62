// The transport's layouts: round trips, golden bytes, hostile bytes.

import test from 'brittle'
import fc from 'fast-check'
import { decode, encode, hexOf } from '../../lib/encoding.ts'
import type { Encoder } from '../../lib/encoding.ts'
import { CODES, ProtocolError } from '../../lib/errors.ts'
import type { ErrorDetail } from '../../lib/errors.ts'
import { MAX_HELLO_BYTES } from '../../lib/limits.ts'
import {
  decodeEnvelope,
  encodeEnvelope,
  errorEncoding,
  errorForWire,
  helloEncoding,
  joinReplyEncoding,
  joinRequestEncoding,
  MAX_PARTS_BYTES,
  Parts,
  partEncoding,
  partsOf,
  proofEncoding,
  welcomeEncoding
} from '../../lib/transport/encoding.ts'
import type { Hello, SignedJoinRequest } from '../../lib/transport/encoding.ts'
import { keyPairOf, welcomeOf } from './harness.ts'

const HELLO: Hello = {
  clusterId: new Uint8Array(16).fill(0xc1),
  id: 300,
  boot: 70_000,
  instance: new Uint8Array(16).fill(0x1a),
  storageEpoch: new Uint8Array(16).fill(4),
  versions: { from: 1, to: 1 },
  features: 0,
  featureLevel: 5,
  epoch: 1,
  durableTerm: 7,
  lastIndex: 2 ** 33,
  version: '0.1.0'
}

const REQUEST: SignedJoinRequest = {
  clusterId: new Uint8Array(16).fill(0xc1),
  publicKey: new Uint8Array(32).fill(0x9b),
  name: 'küche',
  version: '0.1.0',
  addresses: [{ host: '192.168.1.20', port: 49_737 }],
  signature: new Uint8Array(64).fill(0x51)
}

const ERROR: ErrorDetail = {
  code: 'TICKET_EXPIRED',
  message: 'this ticket expired an hour ago',
  hint: 'ask for a new one',
  fields: { at: 5, who: 'a', isOld: true, none: null }
}

void test('format 1, byte for byte', (t) => {
  t.is(
    hexOf(encode(helloEncoding, HELLO)),
    'c1'.repeat(16) +
      'fd2c01' +
      'fe70110100' +
      '1a'.repeat(16) +
      '04'.repeat(16) +
      '0101' +
      '00' +
      '05' +
      '01' +
      '07' +
      'ff0000000002000000' +
      '05302e312e30'
  )
  t.is(
    hexOf(encode(joinRequestEncoding, REQUEST)),
    'c1'.repeat(16) +
      '9b'.repeat(32) +
      '066bc3bc636865' +
      '05302e312e30' +
      '01' +
      'c0a80114' +
      '49c2' +
      '51'.repeat(64)
  )
  t.is(hexOf(encode(joinReplyEncoding, { kind: 'busy' })), '02')
  t.is(
    hexOf(encodeEnvelope({ kind: 'answer', id: 0x01020304, payload: new Uint8Array([9]) })),
    '010403020109'
  )
})

void test('what goes in comes out', (t) => {
  t.alike(decode(helloEncoding, encode(helloEncoding, HELLO)), HELLO)
  t.alike(decode(joinRequestEncoding, encode(joinRequestEncoding, REQUEST)), REQUEST)
  t.alike(decode(errorEncoding, encode(errorEncoding, ERROR)), ERROR)
  const bare = { code: 'BUSY', message: 'x' } as const
  t.alike(decode(errorEncoding, encode(errorEncoding, bare)), bare)
  const welcome = welcomeOf(4, keyPairOf('a').publicKey)
  for (const reply of [
    { kind: 'admitted', welcome } as const,
    { kind: 'refused', error: ERROR } as const,
    { kind: 'busy' } as const
  ]) {
    t.alike(decode(joinReplyEncoding, encode(joinReplyEncoding, reply)), reply)
  }
})

void test('what no node says is refused', (t) => {
  const refused = (bytes: Uint8Array, encoding: Encoder, what: string): void => {
    try {
      decode(encoding, bytes)
      t.fail(what)
    } catch (error) {
      t.ok(error instanceof ProtocolError, what)
    }
  }
  refused(encode(helloEncoding, { ...HELLO, id: 0 }), helloEncoding, 'node 0')
  const versions = { from: 2, to: 1 }
  refused(encode(helloEncoding, { ...HELLO, versions }), helloEncoding, 'an empty range')
  refused(new Uint8Array([...encode(helloEncoding, HELLO), 0]), helloEncoding, 'a byte too many')
  refused(encode(helloEncoding, HELLO).subarray(1), helloEncoding, 'a byte too few')
  refused(new Uint8Array([3]), joinReplyEncoding, 'an unknown answer')
  const code = encode(errorEncoding, { ...ERROR, code: 'BUSY' })
  code[1] = 0x61
  refused(code, errorEncoding, 'an unknown code')
})

void test('every decoder is total', (t) => {
  const encodings: Encoder[] = [
    helloEncoding,
    welcomeEncoding,
    joinRequestEncoding,
    joinReplyEncoding,
    errorEncoding,
    proofEncoding,
    partEncoding
  ]
  const valid = [
    encode(helloEncoding, HELLO),
    encode(joinRequestEncoding, REQUEST),
    encode(welcomeEncoding, welcomeOf(4, keyPairOf('a').publicKey)),
    encode(errorEncoding, ERROR)
  ]
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .tuple(fc.constantFrom(...valid), fc.nat(400), fc.nat(255))
      .map(([bytes, at, value]) => bytes.map((byte, index) => (index === at ? value : byte)))
  )
  const result = fc.check(
    fc.property(hostile, (bytes) => {
      const decoders = encodings.map((encoding) => (input: Uint8Array) => decode(encoding, input))
      return [...decoders, decodeEnvelope].every((each) => isTotal(() => each(bytes)))
    }),
    { numRuns: 5_000 }
  )
  t.absent(result.failed, `seed ${result.seed}`)
})

void test('parts are small, come together, and have a bound', (t) => {
  const whole = new Uint8Array(MAX_PARTS_BYTES).map((_, index) => index % 251)
  const parts = partsOf(whole)
  t.ok(parts.every((part) => part.byteLength < MAX_HELLO_BYTES - 32))
  const collected = new Parts()
  const results = parts.map((part) => collected.add(part))
  t.alike(results.at(-1), whole)
  t.ok(results.slice(0, -1).every((result) => result === null))
  t.alike(new Parts().add(partsOf(new Uint8Array(0))[0] ?? whole), new Uint8Array(0))
  const endless = new Parts()
  const part = encode(partEncoding, { isLast: false, bytes: new Uint8Array(3_000) })
  t.absent(isTotalWithoutError(() => Array.from({ length: 20 }, () => endless.add(part))))
  const empty = encode(partEncoding, { isLast: false, bytes: new Uint8Array(0) })
  t.absent(
    isTotalWithoutError(() => new Parts().add(empty)),
    'empty parts would have no bound'
  )
})

void test('any error fits the wire', (t) => {
  const text = fc.string({ maxLength: 2_000, unit: 'grapheme' })
  const result = fc.check(
    fc.property(text, text, fc.dictionary(text, text), (message, hint, fields) => {
      const error = errorForWire({ code: 'FAILED', message, hint, fields })
      const bytes = encode(errorEncoding, error)
      decode(errorEncoding, bytes)
      return bytes.byteLength < MAX_HELLO_BYTES
    }),
    { numRuns: 500 }
  )
  t.absent(result.failed, `seed ${result.seed}`)
  for (const code of Object.keys(CODES)) t.ok(code.length <= 64)
})

function isTotal(fn: () => unknown): boolean {
  try {
    fn()
    return true
  } catch (error) {
    return error instanceof ProtocolError
  }
}

function isTotalWithoutError(fn: () => unknown): boolean {
  try {
    fn()
    return true
  } catch (error) {
    if (error instanceof ProtocolError) return false
    throw error
  }
}
