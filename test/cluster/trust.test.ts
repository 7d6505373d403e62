// What a key may do here, and what this node says of itself.

import test from 'brittle'
import { ClusterTrust } from '../../lib/cluster/trust.ts'
import { hexOf } from '../../lib/encoding.ts'
import type { TrustParts } from '../../lib/cluster/trust.ts'
import { keyPairFromSeed } from '../../lib/crypto.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import { EMPTY_CONFIGURATION } from '../../lib/raft/configuration.ts'
import type { TrustState } from '../../lib/state-machine/state-machine.ts'
import type { Welcome } from '../../lib/transport/transport.ts'
import { CLUSTER_ID, configurationOf, inviteOf, keyOf, keyPairOf } from './fixtures.ts'
import { nodeOf, SECRET, statusOf, trustOf } from './fixtures.ts'

interface World {
  configuration: Configuration
  trustState: TrustState
  isInTouch: boolean
}

const CONFIGURATION = configurationOf({ 1: 'voter', 2: 'learner' })
const TRUST = trustOf(
  [nodeOf(1), nodeOf(2), nodeOf(5)],
  [
    inviteOf(20),
    inviteOf(30, { reason: 'usedUp', atMs: 1 }),
    inviteOf(40, { reason: 'revoked', atMs: 1 }),
    inviteOf(50, { reason: 'expired', atMs: 1 })
  ]
)
const WELCOME: Welcome = {
  id: 2,
  epoch: 1,
  sealedSecret: nodeOf(2).sealedSecret,
  configuration: CONFIGURATION
}

function trustWith(
  overrides: Partial<World> = {},
  parts: Partial<TrustParts> = {}
): { trust: ClusterTrust; world: World } {
  const world: World = {
    configuration: CONFIGURATION,
    trustState: TRUST,
    isInTouch: true,
    ...overrides
  }
  const trust = new ClusterTrust({
    clusterId: CLUSTER_ID,
    keyPair: keyPairOf(2),
    id: 2,
    boot: 3,
    instance: new Uint8Array(16).fill(1),
    storageEpoch: new Uint8Array(16).fill(2),
    guard: { refusalOf: () => null, onVerified: () => {} },
    version: '1.2.3',
    welcome: null,
    trustState: () => world.trustState,
    status: () => statusOf(world.configuration),
    isInTouch: () => world.isInTouch,
    ...parts
  })
  return { trust, world }
}

const byteKey = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)

function briefOf(trust: ClusterTrust, key: Uint8Array): string {
  const standing = trust.standing(key)
  if (standing.kind === 'member') return `member ${standing.id}`
  if (standing.kind === 'refused') return `refused ${standing.error.code}`
  return standing.kind
}

test('the table of standings', (t) => {
  const { trust, world } = trustWith()
  const table = (unknown: string) =>
    [
      [keyOf(1), 'member 1'],
      [keyOf(2), 'member 2'],
      [keyOf(5), 'member 5'],
      [byteKey(20), 'invite'],
      // used up it may be shown again by the key that used it last
      [byteKey(30), 'invite'],
      [byteKey(40), 'refused TICKET_REVOKED'],
      [byteKey(50), 'refused TICKET_EXPIRED'],
      [keyOf(9), unknown]
    ] as const
  for (const [key, expected] of table('stranger')) t.is(briefOf(trust, key), expected)
  world.isInTouch = false
  for (const [key, expected] of table('unproven')) t.is(briefOf(trust, key), expected, 'alone')
})

test('an invite is answered with its proof key, and is open until the cluster has closed it', (t) => {
  const { trust } = trustWith()
  t.alike(trust.standing(byteKey(20)), { kind: 'invite', proofKey: byteKey(21) })
})

test('a used-up ticket is refused to everybody but those that it let in', (t) => {
  const { trust } = trustWith()
  t.is(trust.whyUsedUp(byteKey(30), keyOf(9))?.code, 'TICKET_USED_UP')
  t.is(trust.whyUsedUp(byteKey(30), keyOf(5)), null)
  t.is(trust.whyUsedUp(byteKey(20), keyOf(9)), null, 'an open one')
  t.is(trust.whyUsedUp(byteKey(99), keyOf(9)), null, 'one that is not known here')
})

test('a node that hears a leader, but not yet its first entry, takes nobody for a stranger', (t) => {
  const status = statusOf(CONFIGURATION, { term: 5, lastTerm: 4 })
  const { trust } = trustWith({}, { status: () => status })
  t.is(briefOf(trust, keyOf(9)), 'unproven')
})

test('a member of the configuration alone, or of the trust state alone, is a member', (t) => {
  const { trust, world } = trustWith({ trustState: trustOf([]) })
  t.is(briefOf(trust, keyOf(1)), 'member 1')
  t.is(briefOf(trust, keyOf(5)), 'stranger')
  world.trustState = TRUST
  t.is(briefOf(trust, keyOf(5)), 'member 5', 'seen at once when the state is replaced')
  world.configuration = configurationOf({ 1: 'voter', 2: 'learner', 9: 'learner' })
  t.is(briefOf(trust, keyOf(9)), 'member 9')
})

test('a removed key is refused with the reason, whoever else names it', (t) => {
  const removed = [{ id: 5, publicKey: keyOf(5), atMs: 9 }]
  const { trust, world } = trustWith({
    configuration: configurationOf({ 1: 'voter', 2: 'voter', 5: 'learner' })
  })
  t.is(briefOf(trust, keyOf(5)), 'member 5')
  t.ok(trust.welcomeFor(keyOf(5)) !== null)
  world.trustState = { ...trustOf([nodeOf(1), nodeOf(2)]), removed }
  t.is(briefOf(trust, keyOf(5)), 'refused MEMBER_REMOVED')
  const standing = trust.standing(keyOf(5))
  const fields = standing.kind === 'refused' ? standing.error.fields : null
  t.alike(fields, { id: 5, cluster: hexOf(trust.clusterId) }, 'of which cluster, is said')
  t.is(trust.welcomeFor(keyOf(5)), null)
  world.isInTouch = false
  t.is(briefOf(trust, keyOf(5)), 'refused MEMBER_REMOVED', 'also while this node hears nobody')
  t.is(trust.ownRemoval(), null)
  world.trustState = { ...world.trustState, removed: [{ id: 2, publicKey: keyOf(2), atMs: 9 }] }
  t.is(trust.ownRemoval()?.id, 2)
})

test('a node that has just joined lives on its welcome until its log has come', (t) => {
  const { trust, world } = trustWith(
    { configuration: EMPTY_CONFIGURATION, trustState: trustOf([]), isInTouch: false },
    { welcome: WELCOME }
  )
  t.is(trust.configuration(), CONFIGURATION)
  t.is(briefOf(trust, keyOf(1)), 'member 1')
  t.is(trust.epoch(), 1)
  t.alike(trust.epochSecret(1), SECRET)
  t.is(trust.epochSecret(2), null)
  world.configuration = configurationOf({ 1: 'voter' })
  t.is(trust.configuration(), CONFIGURATION, 'its log has not come to the entry with itself')
  world.configuration = configurationOf({ 1: 'voter', 2: 'voter' })
  t.is(trust.configuration(), world.configuration)
})

test('the hello says what is durable, and the newest epoch that this node can open', (t) => {
  const { trust } = trustWith()
  t.alike(trust.hello(), {
    id: 2,
    boot: 3,
    instance: new Uint8Array(16).fill(1),
    storageEpoch: new Uint8Array(16).fill(2),
    version: '1.2.3',
    featureLevel: 1,
    epoch: 1,
    durableTerm: 3,
    lastIndex: 48
  })
  const founder = trustWith({ trustState: { ...trustOf([]), epoch: 0 } }).trust
  t.is(founder.epoch(), 0)
  t.is(founder.epochSecret(0), null)
})

test('a secret sealed to somebody else is none, one that was opened is kept', (t) => {
  const { trust } = trustWith({}, { keyPair: keyPairFromSeed(new Uint8Array(32).fill(99)) })
  t.is(trust.epochSecret(1), null)
  const { trust: own, world } = trustWith()
  t.alike(own.epochSecret(1), SECRET)
  world.trustState = trustOf([nodeOf(2, { epoch: 2 })])
  t.is(own.epoch(), 2)
  t.alike(own.epochSecret(1), SECRET, 'of an epoch before')
  t.alike(own.epochSecret(2), SECRET)
})

test('a welcome is for the admitted alone', (t) => {
  const { trust } = trustWith()
  const { id, epoch, sealedSecret } = TRUST.nodes[2] ?? nodeOf(5)
  t.alike(trust.welcomeFor(keyOf(5)), { id, epoch, sealedSecret, configuration: CONFIGURATION })
  t.is(trust.welcomeFor(keyOf(9)), null)
  t.is(trust.welcomeFor(byteKey(20)), null)
})
