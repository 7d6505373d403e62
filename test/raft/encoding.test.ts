// Bytes: what was written once is read for ever, what is malformed is refused, nothing is too long.

import { readFileSync } from 'node:fs'
import test from 'brittle'
import fc from 'fast-check'
import { assert, present } from '../../lib/assert.ts'
import { bytesFromHex, hexOf } from '../../lib/encoding.ts'
import { ProtocolError } from '../../lib/errors.ts'
import { MAX_INDEX, MAX_TERM, MAX_TIME_MS } from '../../lib/limits.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import { EMPTY_CONFIGURATION } from '../../lib/raft/configuration.ts'
import {
  decodeConfiguration,
  decodeMessage,
  encodeConfiguration,
  encodeLarge,
  encodeMessage,
  MAX_SMALL_MESSAGE_BYTES
} from '../../lib/raft/encoding.ts'
import type { Append, Message } from '../../lib/raft/message.ts'
import { configurationOf, member } from './fixtures.ts'
import { CONFIGURATION, MATCHED, MESSAGES } from './samples.ts'

/** Tests run from the root of the repository. */
function golden(): ReadonlyMap<string, string> {
  const parsed: unknown = JSON.parse(readFileSync('test/golden/raft-1.json', 'utf8'))
  assert(typeof parsed === 'object' && parsed !== null, 'the file holds one object')
  return new Map(Object.entries(parsed).map(([name, hex]) => [name, String(hex)]))
}

function bytesOfHex(text: string | undefined): Uint8Array {
  return present(bytesFromHex(text ?? '', (text?.length ?? 0) / 2), 'hex')
}

function refuses(bytes: Uint8Array): boolean {
  try {
    decodeMessage(bytes)
    return false
  } catch (error) {
    return error instanceof ProtocolError
  }
}

test('the golden bytes of format 1 are written and read', (t) => {
  const known = golden()
  const samples: readonly [string, Message][] = [
    ...Object.entries(MESSAGES),
    ['appendAnswer matched', MATCHED]
  ]
  for (const [name, message] of samples) {
    t.is(hexOf(encodeMessage(message)), known.get(name), name)
    t.alike(decodeMessage(bytesOfHex(known.get(name))), message, name)
  }
  t.is(hexOf(encodeConfiguration(CONFIGURATION)), known.get('configuration'))
  t.alike(decodeConfiguration(encodeConfiguration(CONFIGURATION)), CONFIGURATION)
  t.is(known.size, samples.length + 1, 'nothing else is in the file')
})

test('an append of one entry in two parts has the same bytes, and its payload is not copied', (t) => {
  const [entry] = MESSAGES.append.entries
  const message = { ...MESSAGES.append, entries: entry === undefined ? [] : [entry] }
  const [head, payload] = encodeLarge(message)
  t.is(hexOf(head) + hexOf(payload), hexOf(encodeMessage(message)))
  t.is(payload, entry?.payload)
})

test('everything but appends fits a datagram, whatever its numbers', (t) => {
  const widest: readonly Message[] = [
    { ...MESSAGES.preVote, term: MAX_TERM, lastIndex: MAX_INDEX, lastTerm: MAX_TERM },
    { ...MESSAGES.vote, term: MAX_TERM, lastIndex: MAX_INDEX, lastTerm: MAX_TERM },
    { ...MESSAGES.preVoteAnswer, term: MAX_TERM, ownTerm: MAX_TERM },
    { ...MESSAGES.voteAnswer, term: MAX_TERM },
    {
      kind: 'appendAnswer',
      term: MAX_TERM,
      session: Number.MAX_SAFE_INTEGER,
      result: {
        kind: 'rejected',
        previousIndex: MAX_INDEX,
        hintIndex: MAX_INDEX,
        hintTerm: MAX_TERM
      }
    },
    {
      kind: 'heartbeat',
      term: MAX_TERM,
      boot: Number.MAX_SAFE_INTEGER,
      round: Number.MAX_SAFE_INTEGER,
      commitIndex: MAX_INDEX
    },
    {
      kind: 'heartbeatAnswer',
      term: MAX_TERM,
      boot: Number.MAX_SAFE_INTEGER,
      round: Number.MAX_SAFE_INTEGER,
      wallMs: MAX_TIME_MS
    },
    { kind: 'timeoutNow', term: MAX_TERM }
  ]
  for (const message of widest) {
    const bytes = encodeMessage(message)
    t.ok(bytes.byteLength <= MAX_SMALL_MESSAGE_BYTES, `${message.kind}: ${bytes.byteLength}`)
    t.alike(decodeMessage(bytes), message)
  }
})

test('a decoder of messages returns a message or throws ProtocolError, and nothing else', (t) => {
  const valid = [...Object.values(MESSAGES), MATCHED].map(encodeMessage)
  const damaged = fc
    .tuple(fc.constantFrom(...valid), fc.nat(), fc.nat(255), fc.boolean())
    .map(([bytes, at, value, isCut]) => {
      const copy = bytes.slice(0, isCut ? at % bytes.byteLength : bytes.byteLength)
      if (copy.byteLength > 0) copy[at % copy.byteLength] = value
      return copy
    })
  const seed = Date.now() % 1_000_000
  t.comment(`seed ${seed}`)
  const anything = fc.oneof(damaged, fc.uint8Array({ maxLength: 200 }))
  fc.assert(
    fc.property(anything, (bytes) => {
      try {
        const message = decodeMessage(bytes)
        // what is accepted can be said again
        return (
          hexOf(encodeMessage(decodeMessage(encodeMessage(message)))) ===
          hexOf(encodeMessage(message))
        )
      } catch (error) {
        return error instanceof ProtocolError
      }
    }),
    { seed, numRuns: 5_000 }
  )
  t.pass()
})

test('numbers beyond their limits and impossible logs are refused', (t) => {
  const { append } = MESSAGES
  const [first, second] = append.entries
  if (first === undefined || second === undefined) return t.fail('two entries')
  // the encoder asserts only single numbers, so relations can be written wrong
  const wrong: readonly [string, Append][] = [
    ['a falling term', { ...append, entries: [{ ...first, term: 3 }] }],
    ['an entry later than its leader', { ...append, term: 5, entries: [{ ...first, term: 6 }] }],
    ['a previous entry later than its leader', { ...append, term: 3, entries: [] }],
    ['a falling time', { ...append, entries: [second, { ...first, term: 70_000 }] }],
    ['a malformed configuration', { ...append, entries: [{ ...second, payload: first.payload }] }],
    ['an index beyond the limit', { ...append, previousIndex: MAX_INDEX - 1 }]
  ]
  for (const [what, message] of wrong) t.ok(refuses(encodeMessage(message)), what)
  const tooLate = encodeMessage({ kind: 'timeoutNow', term: MAX_TERM }).slice()
  tooLate[tooLate.length - 1] = 0xff
  t.ok(refuses(tooLate), 'a term beyond the limit')
  t.ok(refuses(new Uint8Array([0])), 'kind 0')
  t.ok(refuses(new Uint8Array([10, 1])), 'kind 10')
  t.ok(refuses(new Uint8Array([9, 1, 0])), 'a byte too many')
  t.ok(refuses(new Uint8Array(0)), 'nothing')
})

test('an impossible configuration is neither written nor read', async (t) => {
  const [a, b, c] = [member(1), member(2), member(3, 'learner')]
  const wrong: readonly [string, Configuration][] = [
    ['unsorted', { members: [b, a], outgoing: [] }],
    ['an id twice', { members: [a, { ...b, id: 1 }], outgoing: [] }],
    ['a key twice', { members: [a, { ...b, publicKey: a.publicKey }], outgoing: [] }],
    ['no voter', { members: [c], outgoing: [] }],
    ['an unknown outgoing voter', { members: [a], outgoing: [2] }],
    ['outgoing unsorted', { members: [a, b], outgoing: [2, 1] }],
    ['leaving what it was not in', { members: [a, { ...b, role: 'leaving' }], outgoing: [1] }]
  ]
  for (const [what, configuration] of wrong) {
    await t.exception(() => encodeConfiguration(configuration), /./, what)
  }
  t.alike(decodeConfiguration(encodeConfiguration(EMPTY_CONFIGURATION)), EMPTY_CONFIGURATION)
  const bytes = encodeConfiguration(configurationOf([1, 2]))
  const swapped = bytes.slice()
  const half = (bytes.byteLength - 3) / 2
  swapped.set(bytes.subarray(2 + half, 2 + 2 * half), 2)
  swapped.set(bytes.subarray(2, 2 + half), 2 + half)
  await t.exception(() => decodeConfiguration(swapped), /ids ascend/)
  await t.exception(() => decodeConfiguration(new Uint8Array([2, 0, 0])), /format 2 is unknown/)
})
