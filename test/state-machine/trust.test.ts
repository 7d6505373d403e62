// The reducer of the trust state: each operation with everything that it returns.

import test from 'brittle'
import {
  MAX_CLOSED_INVITES,
  MAX_CLOSED_INVITE_AGE_MS,
  MAX_MEMBERS,
  MAX_OPEN_INVITES
} from '../../lib/limits.ts'
import type {
  ApplyResult,
  Invite,
  NodeRecord,
  TrustState
} from '../../lib/state-machine/state-machine.ts'
import { EMPTY_TRUST, applyTrust, isOpen } from '../../lib/state-machine/trust.ts'
import type { TrustCommand } from '../../lib/state-machine/trust.ts'
import { admit, admitKey, createInvite, found, key32 } from './samples.ts'

const SELF = { name: 'alpha', version: '0.1.0', addresses: [{ host: '10.0.0.1', port: 4000 }] }

/** Applies commands one after the other, each at its own index; log time stands at 1,000 unless set. */
class Trust {
  state: TrustState = EMPTY_TRUST
  index = 0
  timeMs = 1_000

  apply(command: TrustCommand): ApplyResult {
    this.index++
    const step = applyTrust(this.state, command, { index: this.index, timeMs: this.timeMs })
    // what the reducer has handed out it must not change: frozen objects throw
    for (const part of [step.state, step.state.nodes, step.state.invites]) Object.freeze(part)
    for (const record of [...step.state.nodes, ...step.state.invites]) Object.freeze(record)
    this.state = step.state
    return step.result
  }

  /** What the command is refused with; null when it is not. */
  refusal(command: TrustCommand): string | null {
    const result = this.apply(command)
    return result.kind === 'refused' ? result.error.code : null
  }
}

function founded(): Trust {
  const trust = new Trust()
  trust.apply(found())
  return trust
}

test('founding makes node 1 and epoch 1, once', (t) => {
  const trust = new Trust()
  t.alike(trust.apply(found()), { kind: 'admitted', id: 1, isNew: true })
  const node: NodeRecord = {
    id: 1,
    publicKey: key32(200),
    ...SELF,
    role: 'voter',
    epoch: 1,
    sealedSecret: new Uint8Array(80).fill(1),
    invitePublicKey: null,
    admittedIndex: 1
  }
  t.alike(trust.state, { epoch: 1, nextNodeId: 2, nodes: [node], invites: [], removed: [] })
  const { state } = trust
  t.is(trust.refusal(found(7)), 'ALREADY_INITIALIZED')
  t.is(trust.state, state)
})

test('an invite is kept as it was made, and lives from the stamp of its entry on', (t) => {
  const trust = founded()
  t.alike(trust.apply(createInvite(10, { uses: 3, ttlMs: 500 })), { kind: 'inviteCreated' })
  const invite: Invite = {
    publicKey: key32(10),
    proofKey: key32(60),
    topic: key32(110),
    role: 'voter',
    createdBy: 1,
    createdIndex: 2,
    createdMs: 1_000,
    expiresMs: 1_500,
    uses: 3,
    usesLeft: 3,
    closed: null
  }
  t.alike(trust.state.invites, [invite])
  t.ok(isOpen(invite, 1_499))
  t.absent(isOpen(invite, 1_500))
  const { state } = trust
  t.alike(
    trust.apply(createInvite(10, { uses: 9 })),
    { kind: 'inviteCreated' },
    'the same key is the same invite'
  )
  t.is(trust.state, state)
})

test('an invite needs a founded cluster, a life and a use', (t) => {
  t.is(new Trust().refusal(createInvite(10)), 'NOT_INITIALIZED')
  t.is(founded().refusal(createInvite(10, { uses: 0 })), 'INVALID_REQUEST')
  t.is(founded().refusal(createInvite(10, { ttlMs: 0 })), 'INVALID_REQUEST')
})

test('open invites are bounded; expired, revoked and used-up ones do not count', (t) => {
  const trust = founded()
  for (let n = 0; n < MAX_OPEN_INVITES; n++) t.is(trust.refusal(inviteNumber(n, 1_000)), null)
  t.is(trust.refusal(inviteNumber(500, 1_000)), 'TOO_MANY_TICKETS')
  trust.apply({ kind: 'revokeInvite', publicKey: keyNumber(0) })
  t.is(trust.refusal(inviteNumber(501, 5_000)), null)
  t.is(trust.refusal(inviteNumber(502, 5_000)), 'TOO_MANY_TICKETS')
  trust.timeMs += 1_000
  t.is(trust.refusal(inviteNumber(503, 5_000)), null, 'all but one have expired')
  const expired = trust.state.invites.filter((invite) => invite.closed?.reason === 'expired')
  t.is(expired.length, MAX_OPEN_INVITES - 1)
  t.alike(expired[0]?.closed, { reason: 'expired', atMs: 2_000 })
})

test('an admission gives the next id and the role, takes a use, and closes with the last', (t) => {
  const trust = founded()
  trust.apply(createInvite(11, { uses: 2 }))
  t.alike(trust.apply(admit(11, 20)), { kind: 'admitted', id: 2, isNew: true })
  t.is(trust.state.invites[0]?.usesLeft, 1)
  t.is(trust.state.invites[0]?.closed, null)
  trust.timeMs = 1_007
  t.alike(trust.apply(admit(11, 21)), { kind: 'admitted', id: 3, isNew: true })
  t.alike(trust.state.invites[0]?.closed, { reason: 'usedUp', atMs: 1_007 })
  t.is(trust.state.nextNodeId, 4)
  t.alike(trust.state.nodes[2], {
    id: 3,
    publicKey: key32(21),
    ...SELF,
    role: 'learner',
    epoch: 1,
    sealedSecret: new Uint8Array(80).fill(2),
    invitePublicKey: key32(11),
    admittedIndex: 4
  })
  t.is(trust.refusal(admit(11, 22)), 'TICKET_USED_UP')
})

test('the same invite and key again is the same admission, whatever became of the invite', (t) => {
  const trust = founded()
  trust.apply(createInvite(10, { uses: 1 }))
  trust.apply(createInvite(12, { uses: 5 }))
  trust.apply(admit(10, 20))
  trust.apply(admit(12, 21))
  trust.apply({ kind: 'revokeInvite', publicKey: key32(12) })
  trust.timeMs += 1_000_000
  const { state } = trust
  t.alike(
    trust.apply(admit(10, 20, 9)),
    { kind: 'admitted', id: 2, isNew: false },
    'used up, another epoch'
  )
  t.alike(
    trust.apply(admit(12, 21)),
    { kind: 'admitted', id: 3, isNew: false },
    'revoked and expired'
  )
  t.is(trust.state, state)
})

test('a key that is a node through another invite keeps its id and takes no use', (t) => {
  const trust = founded()
  trust.apply(createInvite(10))
  trust.apply(createInvite(12))
  trust.apply(admit(10, 20))
  const { state } = trust
  t.alike(trust.apply(admit(12, 20)), { kind: 'admitted', id: 2, isNew: false })
  t.alike(trust.apply(admit(12, 200)), { kind: 'admitted', id: 1, isNew: false }, 'the founder')
  t.is(trust.state, state)
  t.is(trust.refusal(admit(12, 20, 2)), 'CHANGE_IN_PROGRESS', 'after the epoch')
  trust.apply({ kind: 'revokeInvite', publicKey: key32(12) })
  t.is(trust.refusal(admit(12, 20)), 'TICKET_REVOKED', 'after what the invite says')
})

test('the key of an invite is never the key of a node, nor the other way round', (t) => {
  const trust = founded()
  trust.apply(createInvite(10))
  trust.apply(createInvite(11))
  const before = trust.state
  t.is(trust.refusal(admit(10, 10)), 'INVALID_REQUEST', 'its own key')
  t.is(trust.refusal(admit(10, 11)), 'INVALID_REQUEST', 'the key of another ticket')
  t.is(trust.refusal(createInvite(200)), 'INVALID_REQUEST', 'the key of node 1')
  t.is(trust.state, before)
})

test('an admission is refused for the first reason that holds', (t) => {
  const trust = founded()
  t.is(trust.refusal(admit(10, 20, 9)), 'TICKET_UNKNOWN')
  trust.apply(createInvite(10, { ttlMs: 100 }))
  trust.apply(createInvite(12, { ttlMs: 100 }))
  t.is(trust.refusal(admit(12, 20, 2)), 'CHANGE_IN_PROGRESS')
  t.is(trust.state.invites[1]?.usesLeft, 2)
  trust.apply({ kind: 'revokeInvite', publicKey: key32(10) })
  trust.timeMs += 100
  t.is(trust.refusal(admit(10, 20, 2)), 'TICKET_REVOKED')
  t.is(trust.state.invites[1]?.closed, null)
  t.is(trust.refusal(admit(12, 20, 2)), 'TICKET_EXPIRED')
  t.alike(
    trust.state.invites[1]?.closed,
    { reason: 'expired', atMs: 1_100 },
    'the attempt closed it'
  )
  t.is(trust.refusal(admit(12, 20, 2)), 'TICKET_EXPIRED', 'and again')
  t.is(trust.state.nodes.length, 1)
})

test('nodes are bounded, and ids are never used twice', (t) => {
  const trust = founded()
  trust.apply(createInvite(10, { uses: 1_000 }))
  for (let n = 1; n < MAX_MEMBERS; n++) t.is(trust.refusal(admitNumber(10, n)), null)
  t.is(trust.refusal(admitNumber(10, 999)), 'TOO_MANY_MEMBERS')
  t.alike(
    trust.state.nodes.map((node) => node.id),
    Array.from({ length: MAX_MEMBERS }, (_, at) => at + 1)
  )
})

test('a node that an operator admits by its key gets the next id and the role that was said', (t) => {
  const trust = founded()
  t.alike(trust.apply(admitKey(20)), { kind: 'admitted', id: 2, isNew: true })
  t.alike(trust.apply(admitKey(21, { role: 'learner', expectedId: 3 })), {
    kind: 'admitted',
    id: 3,
    isNew: true
  })
  t.is(trust.state.nextNodeId, 4)
  t.alike(
    trust.state.nodes.map(({ id, role, version, invitePublicKey }) => [
      id,
      role,
      version,
      invitePublicKey
    ]),
    [
      [1, 'voter', '0.1.0', null],
      [2, 'voter', '', null],
      [3, 'learner', '', null]
    ]
  )
})

test('the same key again is the same node, whatever else is said of it, unless it is another id', (t) => {
  const trust = founded()
  trust.apply(createInvite(10))
  trust.apply(admit(10, 20))
  const { state } = trust
  for (const expectedId of [null, 2]) {
    t.alike(trust.apply(admitKey(20, { expectedId, epoch: 7, role: 'learner' })), {
      kind: 'admitted',
      id: 2,
      isNew: false
    })
  }
  t.alike(trust.apply(admitKey(20, { expectedId: 3 })), {
    kind: 'refused',
    error: { code: 'INVALID_REQUEST', message: 'the node with this key is 2', fields: { id: 2 } }
  })
  t.is(trust.state, state)
})

test('an admission by key is refused for the first reason that holds', (t) => {
  t.is(new Trust().refusal(admitKey(20)), 'NOT_INITIALIZED')
  const trust = founded()
  trust.apply(createInvite(10))
  const before = trust.state
  t.is(trust.refusal(admitKey(10, { epoch: 2 })), 'INVALID_REQUEST', 'the key of a ticket')
  t.is(trust.refusal(admitKey(20, { epoch: 2, expectedId: 9 })), 'CHANGE_IN_PROGRESS')
  t.alike(trust.apply(admitKey(20, { expectedId: 9 })), {
    kind: 'refused',
    error: {
      code: 'INVALID_REQUEST',
      message: 'the id of the next node is 2; the cluster gives ids in order',
      fields: { id: 2 }
    }
  })
  t.is(trust.refusal(admitKey(20, { expectedId: 1 })), 'INVALID_REQUEST', 'the id of another node')
  t.is(trust.state, before)
  for (let n = 1; n < MAX_MEMBERS; n++)
    t.is(trust.refusal(admitKey(0, { publicKey: keyNumber(n) })), null)
  t.is(trust.refusal(admitKey(0, { publicKey: keyNumber(999), expectedId: 9 })), 'TOO_MANY_MEMBERS')
})

test('revoking closes an open invite, leaves a closed one, and refuses an unknown one', (t) => {
  const trust = founded()
  trust.apply(createInvite(10, { uses: 1 }))
  trust.apply(createInvite(12))
  trust.apply(admit(10, 20))
  t.alike(trust.apply({ kind: 'revokeInvite', publicKey: key32(12) }), { kind: 'inviteRevoked' })
  t.alike(trust.state.invites[1]?.closed, { reason: 'revoked', atMs: 1_000 })
  const { state } = trust
  t.alike(trust.apply({ kind: 'revokeInvite', publicKey: key32(12) }), { kind: 'inviteRevoked' })
  t.alike(trust.apply({ kind: 'revokeInvite', publicKey: key32(10) }), { kind: 'inviteRevoked' })
  t.is(trust.refusal({ kind: 'revokeInvite', publicKey: key32(13) }), 'TICKET_NOT_FOUND')
  t.is(trust.state, state)
})

test('a description replaces what a node said before, and needs a node', (t) => {
  const trust = founded()
  const addresses = [{ host: '10.9.9.9', port: 1 }]
  const words = { name: 'beta', version: '0.2.0', addresses }
  t.alike(trust.apply({ kind: 'describe', id: 1, ...words }), { kind: 'described' })
  const { name, version, addresses: now, role } = trust.state.nodes[0] ?? {}
  t.alike({ name, version, addresses: now, role }, { ...words, role: 'voter' })
  t.is(trust.refusal({ kind: 'describe', id: 2, ...words }), 'MEMBER_NOT_FOUND')
})

test('closed invites are remembered for their time and up to their number', (t) => {
  const trust = founded()
  trust.apply(inviteNumber(0, 10 ** 9))
  trust.apply({ kind: 'revokeInvite', publicKey: keyNumber(0) })
  trust.timeMs += MAX_CLOSED_INVITE_AGE_MS
  trust.apply(inviteNumber(1, 10 ** 9))
  t.is(trust.state.invites.length, 2, 'to the millisecond')
  trust.timeMs += 1
  trust.apply({ kind: 'revokeInvite', publicKey: keyNumber(1) })
  t.alike(
    trust.state.invites.map((invite) => invite.publicKey),
    [keyNumber(1)]
  )
  for (let n = 2; n <= MAX_CLOSED_INVITES; n++) {
    trust.timeMs++
    trust.apply(inviteNumber(n, 10 ** 9))
    trust.apply({ kind: 'revokeInvite', publicKey: keyNumber(n) })
  }
  t.is(trust.state.invites.length, MAX_CLOSED_INVITES)
  trust.apply(inviteNumber(5_000, 10 ** 9))
  trust.apply({ kind: 'revokeInvite', publicKey: keyNumber(5_000) })
  t.is(trust.state.invites.length, MAX_CLOSED_INVITES)
  t.alike(trust.state.invites[0]?.publicKey, keyNumber(2), 'the one closed first is forgotten')
})

function keyNumber(n: number): Uint8Array {
  const key = key32(1)
  new DataView(key.buffer).setUint32(0, n)
  return key
}

function inviteNumber(n: number, ttlMs: number): TrustCommand {
  const keys = { publicKey: keyNumber(n), proofKey: key32(1), topic: key32(2) }
  return { kind: 'createInvite', ...keys, role: 'voter', ttlMs, uses: 2, createdBy: 1 }
}

function admitNumber(invite: number, n: number): TrustCommand {
  const sealedSecret = new Uint8Array(80)
  return {
    kind: 'admit',
    invitePublicKey: key32(invite),
    publicKey: keyNumber(n),
    ...SELF,
    epoch: 1,
    sealedSecret
  }
}
