// What a leader takes from another member, and what it never proposes for anybody.

import test from 'brittle'
import fc from 'fast-check'
import { bytesOf, decode, encode } from '../../lib/encoding.ts'
import { ProtocolError } from '../../lib/errors.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import type { ProposedEntry } from '../../lib/service/encoding.ts'
import { leaderAnswer, leaderRequest } from '../../lib/service/encoding.ts'
import { encodeControl, encodeWrite } from '../../lib/state-machine/encoding.ts'

const WRITE = encodeWrite({
  changes: [{ kind: 'put', key: bytesOf('a'), value: bytesOf('1'), condition: null }]
})
const CONTROL = encodeControl({ kind: 'revokeInvite', publicKey: new Uint8Array(32) })

function requestOf(...proposals: ProposedEntry[]): Uint8Array {
  return encode(leaderRequest, { kind: 'propose', timeoutMs: 1_000, proposals })
}

/** `bytes` with the byte at `at` set. */
function changed(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice()
  copy[at] = value
  return copy
}

test('writes and control commands are taken as they are', (t) => {
  const proposals = [
    { kind: ENTRY_KIND.write, payload: WRITE },
    { kind: ENTRY_KIND.control, payload: CONTROL }
  ]
  t.alike(decode(leaderRequest, requestOf(...proposals)), {
    kind: 'propose',
    timeoutMs: 1_000,
    proposals
  })
})

test('what would stop every member that applies it is never proposed for anybody', async (t) => {
  const bad: readonly (readonly [string, ProposedEntry])[] = [
    ['a write of a newer format', { kind: ENTRY_KIND.write, payload: changed(WRITE, 0, 2) }],
    ['a write of an unknown kind', { kind: ENTRY_KIND.write, payload: changed(WRITE, 1, 9) }],
    ['a change of an unknown kind', { kind: ENTRY_KIND.write, payload: changed(WRITE, 3, 9) }],
    ['a command of an unknown kind', { kind: ENTRY_KIND.control, payload: changed(CONTROL, 1, 9) }],
    ['a command of a newer format', { kind: ENTRY_KIND.control, payload: changed(CONTROL, 0, 2) }],
    ['nothing', { kind: ENTRY_KIND.control, payload: new Uint8Array(0) }],
    ['a configuration', { kind: ENTRY_KIND.configuration, payload: new Uint8Array(0) }],
    ['an unknown kind of entry', { kind: 77, payload: new Uint8Array(0) }]
  ]
  for (const [what, proposal] of bad) {
    const request = requestOf({ kind: ENTRY_KIND.write, payload: WRITE }, proposal)
    await t.exception(() => decode(leaderRequest, request), ProtocolError, what)
  }
})

test('requests and answers of random bytes are values or protocol errors', (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.comment(`seed ${seed}`)
  const valid = requestOf({ kind: ENTRY_KIND.write, payload: WRITE })
  const near = fc
    .array(fc.tuple(fc.nat(valid.byteLength - 1), fc.nat(255)), { maxLength: 4 })
    .map((changes) => changes.reduce((bytes, [at, value]) => changed(bytes, at, value), valid))
  const far = fc.uint8Array({ maxLength: 64 })
  fc.assert(
    fc.property(fc.oneof(near, far), (bytes) => {
      for (const encoding of [leaderRequest, leaderAnswer]) {
        try {
          decode<unknown>(encoding, bytes)
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error
        }
      }
    }),
    { seed, numRuns: 20_000 }
  )
  t.pass('none threw anything else')
})
