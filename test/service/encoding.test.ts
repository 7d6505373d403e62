// Bytes on `aspen/rpc`: what was written once is read for ever, what is malformed is refused.

import { readFileSync } from 'node:fs'
import test from 'brittle'
import fc from 'fast-check'
import { present } from '../../lib/assert.ts'
import { bytesFromHex, decode, encode, hexOf, isRecord } from '../../lib/encoding.ts'
import { CODES, isErrorCode, ProtocolError } from '../../lib/errors.ts'
import { MAX_APPEND_ENTRIES, MAX_CHANGES_PER_ENTRY, MAX_INDEX } from '../../lib/limits.ts'
import { MAX_REQUEST_TIMEOUT_MS } from '../../lib/limits.ts'
import { MAX_NODE_ID } from '../../lib/node-id.ts'
import type { Outcome } from '../../lib/replica/proposals.ts'
import type { LeaderAnswer, LeaderRequest } from '../../lib/service/encoding.ts'
import { leaderAnswer, leaderRequest } from '../../lib/service/encoding.ts'
import { encodeControl } from '../../lib/state-machine/encoding.ts'
import type { ApplyResult } from '../../lib/state-machine/state-machine.ts'
import { ANSWERS, REQUESTS, writeOf } from './samples.ts'

/** Tests run from the root of the repository. */
function golden(): ReadonlyMap<string, string> {
  const parsed: unknown = JSON.parse(readFileSync('test/golden/service-1.json', 'utf8'))
  if (!isRecord(parsed)) throw new Error('the file holds one object')
  return new Map(Object.entries(parsed).map(([name, hex]) => [name, String(hex)]))
}

function bytesOfHex(hex: string): Uint8Array {
  return present(bytesFromHex(hex, hex.length / 2), 'hex')
}

const seed = Number(process.env['ASPEN_SEED'] ?? Date.now() % 1_000_000)

function property<T>(arbitrary: fc.Arbitrary<T>, holds: (value: T) => void): void {
  fc.assert(fc.property(arbitrary, holds), { seed, numRuns: 300 })
}

test('the golden bytes of format 1 are written and read', (t) => {
  const known = golden()
  for (const [name, request] of Object.entries(REQUESTS)) {
    t.is(hexOf(encode(leaderRequest, request)), known.get(name), name)
    t.alike(decode(leaderRequest, bytesOfHex(known.get(name) ?? '')), request, name)
  }
  for (const [name, answer] of Object.entries(ANSWERS)) {
    t.is(hexOf(encode(leaderAnswer, answer)), known.get(name), name)
    t.alike(decode(leaderAnswer, bytesOfHex(known.get(name) ?? '')), answer, name)
  }
  t.is(known.size, Object.keys(REQUESTS).length + Object.keys(ANSWERS).length, 'nothing else')
})

const index = fc.integer({ min: 0, max: MAX_INDEX })
const plain = fc.oneof(fc.string({ maxLength: 20 }), fc.integer(), fc.boolean(), fc.constant(null))
const code = fc.constantFrom(...Object.keys(CODES).filter(isErrorCode))
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 })
const detail = fc.record(
  {
    code,
    message: text,
    hint: text,
    fields: fc.dictionary(fc.string({ maxLength: 10 }), plain, {
      minKeys: 1,
      maxKeys: 4,
      noNullPrototype: true
    })
  },
  { requiredKeys: ['code', 'message'] }
)
const result: fc.Arbitrary<ApplyResult> = fc.oneof(
  fc.constantFrom<ApplyResult>(
    { kind: 'none' },
    { kind: 'inviteCreated' },
    { kind: 'inviteRevoked' },
    { kind: 'described' }
  ),
  fc.record({
    kind: fc.constant('written' as const),
    revision: index,
    changes: fc.array(fc.record({ previousRevision: index }), { maxLength: 20 })
  }),
  fc.record({
    kind: fc.constant('admitted' as const),
    id: fc.integer({ min: 1, max: MAX_NODE_ID }),
    isNew: fc.boolean()
  }),
  fc.record({ kind: fc.constant('refused' as const), error: detail })
)
const outcome: fc.Arbitrary<Outcome> = fc.oneof(
  fc.record({ kind: fc.constant('done' as const), index, result }),
  fc.record({
    kind: fc.constant('refused' as const),
    reason: fc.constantFrom('notLeader', 'overwritten', 'closing', 'clockOff')
  }),
  fc.constant({ kind: 'unknown' as const })
)
const answer: fc.Arbitrary<LeaderAnswer> = fc.record({
  kind: fc.constant('outcomes' as const),
  outcomes: fc.array(outcome, { maxLength: 10 })
})
const request: fc.Arbitrary<LeaderRequest> = fc.record({
  kind: fc.constant('propose' as const),
  timeoutMs: fc.integer({ min: 0, max: MAX_REQUEST_TIMEOUT_MS }),
  proposals: fc.array(
    fc.record({
      kind: fc.constant(2),
      payload: fc.string({ minLength: 1, maxLength: 20 }).map((key) => writeOf(key))
    }),
    { maxLength: 10 }
  )
})

test(`every request and answer is read as it was written (seed ${seed})`, (t) => {
  property(request, (value) => same(decode(leaderRequest, encode(leaderRequest, value)), value))
  property(answer, (value) => same(decode(leaderAnswer, encode(leaderAnswer, value)), value))
  t.pass()
})

function same(actual: unknown, expected: unknown): void {
  const [a, b] = [actual, expected].map((value) => JSON.stringify(value, sortedKeys))
  if (a !== b) throw new Error(`${a}\nis not\n${b}`)
}

function sortedKeys(_name: string, value: unknown): unknown {
  if (!isRecord(value) || value instanceof Uint8Array) return value
  const names = Object.keys(value).toSorted()
  return names.map((name) => [name, value[name]])
}

test(`hostile bytes throw nothing but ProtocolError (seed ${seed})`, (t) => {
  const samples = [
    ...Object.values(REQUESTS).map((value) => encode(leaderRequest, value)),
    ...Object.values(ANSWERS).map((value) => encode(leaderAnswer, value))
  ]
  const noise = fc.uint8Array({ maxLength: 200 })
  const framed = fc
    .tuple(fc.integer({ min: 0, max: 5 }), noise)
    .map(([kind, bytes]) => Uint8Array.from([1, kind, ...bytes]))
  const damaged = fc
    .tuple(fc.constantFrom(...samples), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat())
    .map(([bytes, at, flip, end]) => {
      const copy = bytes.slice(0, 1 + (end % bytes.length))
      const position = at % copy.length
      copy[position] = (copy[position] ?? 0) ^ flip
      return copy
    })
  property(fc.oneof(noise, framed, damaged), (bytes) => {
    for (const encoding of [leaderRequest, leaderAnswer]) {
      try {
        decode<unknown>(encoding, bytes)
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error
      }
    }
  })
  t.pass()
})

function refuses(bytes: Uint8Array): boolean {
  try {
    decode(leaderRequest, bytes)
    return false
  } catch (error) {
    return error instanceof ProtocolError
  }
}

test('a leader takes no entries that only it makes, that it does not know, or cannot read', (t) => {
  const bytes = encode(leaderRequest, { kind: 'propose', timeoutMs: 1, proposals: [] })
  const proposing = (kind: number, payload: Uint8Array): Uint8Array =>
    Uint8Array.from([...bytes.slice(0, 3), 1, kind, payload.byteLength, ...payload])
  const payload = writeOf('a')
  t.absent(refuses(proposing(2, payload)), 'a write')
  const control = encodeControl({ kind: 'revokeInvite', publicKey: new Uint8Array(32) })
  t.absent(refuses(proposing(3, control)), 'a control command')
  for (const kind of [0, 1, 4, 16, 255]) {
    t.ok(refuses(proposing(kind, payload)), `kind ${kind}`)
    t.ok(refuses(proposing(kind, control)), `kind ${kind}`)
  }
  t.ok(refuses(proposing(2, payload.slice(1))))
  t.ok(refuses(proposing(3, payload)))
})

test('another format is refused', (t) => {
  const bytes = encode(leaderRequest, { kind: 'readIndex', timeoutMs: 1 })
  bytes[0] = 2
  t.ok(refuses(bytes))
})

test('a refusal that is too long for the wire is cut, and still says what it is', (t) => {
  const key = '\u0001'.repeat(1_024)
  const error = {
    code: 'CONDITION_FAILED',
    message: `the key ${JSON.stringify(key)} is at revision 4`,
    hint: 'ü'.repeat(5_000),
    fields: { key, revision: 4, expected: 0 }
  } as const
  const value: LeaderAnswer = {
    kind: 'outcomes',
    outcomes: [{ kind: 'done', index: 1, result: { kind: 'refused', error } }]
  }
  const back = decode(leaderAnswer, encode(leaderAnswer, value))
  const first = back.kind === 'outcomes' ? back.outcomes[0] : undefined
  const got = first?.kind === 'done' && first.result.kind === 'refused' ? first.result.error : null
  t.is(got?.code, 'CONDITION_FAILED')
  t.ok(got?.message.startsWith('the key "'))
  t.alike(got?.fields, { revision: 4, expected: 0 }, 'the key does not fit')
})

test('the largest answer is within its bounds', (t) => {
  const changes = Array.from({ length: MAX_CHANGES_PER_ENTRY }, () => ({
    previousRevision: MAX_INDEX
  }))
  const one: Outcome = {
    kind: 'done',
    index: MAX_INDEX,
    result: { kind: 'written', revision: MAX_INDEX, changes }
  }
  const outcomes = Array.from({ length: MAX_APPEND_ENTRIES }, () => one)
  const bytes = encode(leaderAnswer, { kind: 'outcomes', outcomes })
  const back = decode(leaderAnswer, bytes)
  t.is(back.kind === 'outcomes' ? back.outcomes.length : 0, MAX_APPEND_ENTRIES)
  void t.exception.all(() =>
    encode(leaderAnswer, { kind: 'outcomes', outcomes: [...outcomes, one] })
  )
})
