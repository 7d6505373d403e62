// The bytes of commands: golden, total, bounded.

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import test from 'brittle'
import type { Assert } from 'brittle'
import { decode, encode, hexOf } from '../../lib/encoding.ts'
import { ProtocolError } from '../../lib/errors.ts'
import {
  MAX_CHANGES_PER_ENTRY,
  MAX_KEY_SIZE,
  MAX_NAME_SIZE,
  MAX_VALUE_SIZE
} from '../../lib/limits.ts'
import type { ControlCommand, RequestId, ChangeSet } from '../../lib/state-machine/command.ts'
import {
  UnknownKindError,
  applyResultEncoding,
  decodeControl,
  decodeWrite,
  encodeControl,
  encodeWrite,
  inviteEncoding,
  nodeRecordEncoding,
  removedNodeEncoding,
  sessionEncoding
} from '../../lib/state-machine/encoding.ts'
import type { Session } from '../../lib/state-machine/sessions.ts'
import { rowHash } from '../../lib/state-machine/state-hash.ts'
import type { ApplyResult } from '../../lib/state-machine/state-machine.ts'
import { admit, admitKey, asBytes, createInvite, del, found, key32, put } from './samples.ts'

const GOLDEN = 'test/golden/state-machine-1.json'

const WRITES: Record<string, ChangeSet> = {
  put: { changes: [put('app/port', '8080')] },
  'put, empty value, absent': { changes: [put('a', '', { kind: 'absent' })] },
  'delete at a revision': { changes: [del('a', { kind: 'revision', revision: 70_000 })] },
  batch: { changes: [put(Uint8Array.of(0, 255), 'x'.repeat(300)), del('b')] }
}

const CONTROLS: Record<string, ControlCommand> = {
  found: found(),
  'createInvite, learner': createInvite(11, { uses: 1_000, ttlMs: 86_400_000 }),
  'createInvite, voter': createInvite(10),
  revokeInvite: { kind: 'revokeInvite', publicKey: key32(10) },
  admit: admit(10, 20, 3),
  'describe, no addresses': {
    kind: 'describe',
    id: 70_000,
    name: 'Zoë',
    version: '',
    addresses: []
  },
  compact: { kind: 'compact', revision: 70_000 },
  raiseFeatureLevel: { kind: 'raiseFeatureLevel', level: 1 },
  admitKey: admitKey(20, { expectedId: 70_000 }),
  'admitKey, learner, any id': admitKey(20, { role: 'learner', epoch: 3 })
}

const REQUESTS: Record<string, RequestId> = {
  first: { clientId: new Uint8Array(16).fill(5), since: 0, sequence: 1, answeredBelow: 1 },
  later: {
    clientId: new Uint8Array(16).fill(6),
    since: 70_000,
    sequence: 5_000_000_000,
    answeredBelow: 4_999_999_990
  }
}

const RESULTS: readonly ApplyResult[] = [
  { kind: 'none' },
  {
    kind: 'written',
    revision: 70_000,
    changes: [{ previousRevision: 0 }, { previousRevision: 9 }]
  },
  { kind: 'inviteCreated' },
  { kind: 'inviteRevoked' },
  { kind: 'admitted', id: 3, isNew: true },
  { kind: 'described' },
  {
    kind: 'refused',
    error: { code: 'CONDITION_FAILED', message: 'no', hint: 'read', fields: { revision: 4 } }
  },
  { kind: 'compacted', revision: 70_000 },
  { kind: 'levelRaised', level: 1 }
]

const SESSION: Session = {
  clientId: new Uint8Array(16).fill(5),
  bornIndex: 7,
  usedIndex: 70_000,
  usedMs: 1_700_000_000_000,
  lowWater: 300,
  results: new Map([
    [301, Uint8Array.of(0)],
    [300, Uint8Array.of(1, 8, 0)]
  ])
}

const ROW = {
  key: asBytes('a'),
  value: asBytes('one'),
  createRevision: 2,
  modRevision: 5_000_000_000,
  version: 3
}

test('format 1 is what the golden file says', (t) => {
  const golden: unknown = JSON.parse(readFileSync(GOLDEN, 'utf8'))
  t.alike(formatNow(), golden)
})

function formatNow(): unknown {
  const writes = Object.entries(WRITES).map(([name, command]) => [
    name,
    hexOf(encodeWrite(command))
  ])
  const controls = Object.entries(CONTROLS).map(([name, command]) => [
    name,
    hexOf(encodeControl(command))
  ])
  const node = {
    id: 2,
    publicKey: key32(20),
    name: 'alpha',
    version: '0.1.0',
    addresses: [{ host: '10.0.0.1', port: 4000 }],
    role: 'learner',
    epoch: 1,
    sealedSecret: new Uint8Array(80).fill(2),
    invitePublicKey: key32(11),
    admittedIndex: 9
  } as const
  const invite = {
    publicKey: key32(11),
    proofKey: key32(61),
    topic: key32(111),
    role: 'learner',
    createdBy: 1,
    createdIndex: 8,
    createdMs: 1_700_000_000_000,
    expiresMs: 1_700_000_060_000,
    uses: 2,
    usesLeft: 0,
    closed: { reason: 'usedUp', atMs: 1_700_000_000_500 }
  } as const
  const requests = Object.entries(REQUESTS).map(([name, request]) => [
    name,
    hexOf(encodeWrite({ changes: [put('a', 'b')] }, request))
  ])
  const results = RESULTS.map((result) => [result.kind, hexOf(encode(applyResultEncoding, result))])
  return {
    request: Object.fromEntries(requests),
    result: Object.fromEntries(results),
    session: hexOf(encode(sessionEncoding, SESSION)),
    write: Object.fromEntries(writes),
    control: Object.fromEntries(controls),
    node: hexOf(encode(nodeRecordEncoding, node)),
    founder: hexOf(encode(nodeRecordEncoding, { ...node, invitePublicKey: null })),
    removed: hexOf(
      encode(removedNodeEncoding, { id: 70_000, publicKey: key32(20), atMs: 1_700_000_000_500 })
    ),
    invite: hexOf(encode(inviteEncoding, invite)),
    openInvite: hexOf(encode(inviteEncoding, { ...invite, usesLeft: 1, closed: null })),
    rowHash: hexOf(rowHash(ROW))
  }
}

test('every command comes back from its bytes', (t) => {
  for (const request of [null, ...Object.values(REQUESTS)]) {
    for (const command of Object.values(WRITES))
      t.alike(decodeWrite(encodeWrite(command, request)), { ...command, request })
    for (const command of Object.values(CONTROLS))
      t.alike(decodeControl(encodeControl(command, request)), { ...command, request })
  }
})

test('a request that no client makes is refused', (t) => {
  const bytes = (sequence: number, answeredBelow: number): Uint8Array =>
    Uint8Array.of(1, 1, ...new Uint8Array(16), 5, sequence, answeredBelow, 0, 0)
  t.is(decodeWrite(bytes(2, 2)).request?.sequence, 2)
  malformed(t, () => decodeWrite(bytes(0, 0)), 'numbers begin at 1')
  malformed(t, () => decodeWrite(bytes(2, 3)), 'answered before it is made')
  malformed(t, () => decodeWrite(bytes(2, 2).subarray(0, 10)), 'half an id')
})

test('a decoded write is a view of its bytes, a decoded control command is not', (t) => {
  const payload = encodeWrite({ changes: [put('a', 'one')] })
  const [change] = decodeWrite(payload).changes
  t.is(change?.key.buffer, payload.buffer)
  const control = encodeControl({ kind: 'revokeInvite', publicKey: key32(1) })
  const command = decodeControl(control)
  t.not(command.kind === 'revokeInvite' && command.publicKey.buffer, control.buffer)
})

test('what only a newer version writes is told apart from what nobody writes', (t) => {
  unknown(t, () => decodeWrite(Uint8Array.of(2)), 'write format 2')
  unknown(t, () => decodeWrite(Uint8Array.of(1, 0, 4)), 'write kind 4')
  unknown(t, () => decodeWrite(Uint8Array.of(1, 0, 0, 1, 2)), 'change kind 2')
  unknown(t, () => decodeWrite(Uint8Array.of(1, 0, 0, 1, 0, 3)), 'condition kind 3')
  unknown(t, () => decodeControl(Uint8Array.of(0, 0)), 'control format 0')
  unknown(t, () => decodeControl(Uint8Array.of(1, 0, 8)), 'control kind 8')
  unknown(t, () => decodeControl(Uint8Array.of(1, 0, 6, 2)), 'feature level 2')
  const truncated = [[], [1], [1, 0], [1, 0, 0], [1, 0, 0, 1], [1, 0, 0, 1, 1, 0, 2, 97]]
  for (const bytes of [...truncated, [1, 2], [1, 0, 0, 0, 0]]) {
    malformed(t, () => decodeWrite(Uint8Array.from(bytes)), bytes.join(' '))
  }
})

test('decoding is bounded: changes, keys, values, texts', (t) => {
  const many = encodeWrite({
    changes: Array.from({ length: MAX_CHANGES_PER_ENTRY }, (_, at) => del(`k${at}`))
  })
  t.is(decodeWrite(many).changes.length, MAX_CHANGES_PER_ENTRY)
  const tooMany = many.slice()
  new DataView(tooMany.buffer).setUint16(4, MAX_CHANGES_PER_ENTRY + 1, true)
  malformed(t, () => decodeWrite(tooMany), 'one change too many')
  malformed(t, () => decodeWrite(keyOf(MAX_KEY_SIZE + 1)), 'a key too long')
  malformed(
    t,
    () => decodeWrite(Uint8Array.of(1, 0, 0, 1, 0, 0, 1, 97, 254, 1, 0, 16, 0)),
    'a value too long'
  )
  t.is(MAX_VALUE_SIZE, 0x10_0000)
  const describe = {
    kind: 'describe',
    id: 1,
    name: 'x'.repeat(MAX_NAME_SIZE),
    version: '',
    addresses: []
  } as const
  const bytes = encodeControl(describe)
  t.alike(decodeControl(bytes), { ...describe, request: null })
  bytes[4] = MAX_NAME_SIZE + 1
  malformed(t, () => decodeControl(bytes), 'a name too long')
  malformed(
    t,
    () => decodeControl(Uint8Array.of(1, 0, 4, 1, 1, 0xff, 0, 0)),
    'a name that is not UTF-8'
  )
})

test('any bytes decode or are refused, and nothing else happens', (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
  t.comment(`seed ${seed}`)
  const seeds = [
    ...Object.values(WRITES).map((command) => encodeWrite(command, REQUESTS['first'])),
    ...Object.values(CONTROLS).map((command) => encodeControl(command))
  ]
  const damaged = fc
    .tuple(fc.constantFrom(...seeds), fc.nat(), fc.nat(255), fc.nat())
    .map(([bytes, at, byte, end]) => {
      const copy = bytes.slice(0, bytes.length - (end % 3))
      copy[at % copy.length] = byte
      return copy
    })
  const property = fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), damaged), (bytes) => {
    for (const decoder of [decodeWrite, decodeControl]) {
      try {
        decoder(bytes)
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error
      }
    }
  })
  fc.assert(property, { seed, numRuns: 5_000 })
  t.pass()
})

test('results and sessions come back from their bytes', (t) => {
  for (const result of RESULTS)
    t.alike(decode(applyResultEncoding, encode(applyResultEncoding, result)), result)
  t.alike(decode(sessionEncoding, encode(sessionEncoding, SESSION)), SESSION)
})

test('records of nodes and invites are as long as they say', (t) => {
  malformed(t, () => decode(nodeRecordEncoding, new Uint8Array(10)), 'a node')
  malformed(t, () => decode(inviteEncoding, new Uint8Array(10)), 'an invite')
})

/** A put whose key claims `size` bytes. */
function keyOf(size: number): Uint8Array {
  return Uint8Array.of(1, 0, 0, 1, 0, 0, 253, size & 0xff, size >> 8, ...new Uint8Array(size), 0)
}

function unknown(t: Assert, fn: () => unknown, what: string): void {
  try {
    fn()
    t.fail(what)
  } catch (error) {
    t.is(error instanceof UnknownKindError && error.what, what)
  }
}

function malformed(t: Assert, fn: () => unknown, what: string): void {
  try {
    fn()
    t.fail(what)
  } catch (error) {
    t.ok(error instanceof ProtocolError && !(error instanceof UnknownKindError), what)
  }
}
