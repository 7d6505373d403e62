// What a node makes of a key: from the log it has, and from what it knows of what it may lack.

import test from 'brittle'
import { hash, keyPairFromSeed, seal } from '../../lib/crypto.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { ClusterTrust } from '../../lib/cluster/trust.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import type { Status } from '../../lib/raft/effects.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { ControlCommand } from '../../lib/state-machine/command.ts'
import type { TrustState } from '../../lib/state-machine/state-machine.ts'
import { applyControl, EMPTY_TRUST } from '../../lib/state-machine/trust.ts'

const keyPairOf = (name: string) => keyPairFromSeed(hash(bytesOf(name)))
const OWN = keyPairOf('own')
const OTHER = keyPairOf('other')
const LATE = keyPairOf('late')
const INVITE = keyPairOf('invite')
const SECRET = hash(bytesOf('secret'))

interface Scene {
  readonly trust: ClusterTrust
  status: Status
  state: TrustState
  isInTouch: boolean
  apply(command: ControlCommand): void
}

function sceneOf(secret = SECRET): Scene {
  let index = 0
  const configuration: Configuration = {
    members: [{ id: 1, publicKey: OWN.publicKey, role: 'voter', addresses: [] }],
    outgoing: []
  }
  const scene: Scene = {
    isInTouch: true,
    state: EMPTY_TRUST,
    status: {
      role: 'follower',
      term: 4,
      leader: 2,
      commitIndex: 9,
      lastIndex: 9,
      lastTerm: 4,
      durableIndex: 9,
      configuration,
      configurationIndex: 1,
      transferTarget: null,
      progress: new Map()
    },
    apply(command) {
      index++
      scene.state = applyControl(scene.state, command, { index, timeMs: 1_000 }).state
    },
    trust: new ClusterTrust({
      clusterId: new Uint8Array(16),
      keyPair: OWN,
      id: 1,
      boot: 1,
      instance: new Uint8Array(16),
      version: '0.1.0',
      welcome: null,
      trustState: () => scene.state,
      status: () => scene.status,
      isInTouch: () => scene.isInTouch
    })
  }
  const self = { name: 'n', version: '0.1.0', addresses: [] }
  const sealedSecret = seal(secret, OWN.publicKey, new SeededRandom(1))
  scene.apply({ kind: 'found', id: 1, publicKey: OWN.publicKey, ...self, sealedSecret })
  const keys = { publicKey: INVITE.publicKey, proofKey: hash(), topic: hash() }
  scene.apply({ kind: 'createInvite', ...keys, role: 'voter', ttlMs: 9_000, uses: 1, createdBy: 1 })
  return scene
}

function admission(publicKey: Uint8Array): ControlCommand {
  return {
    kind: 'admit',
    invitePublicKey: INVITE.publicKey,
    publicKey,
    name: 'o',
    version: '0.1.0',
    addresses: [],
    epoch: 1,
    sealedSecret: new Uint8Array(80)
  }
}

test('a key that is not known is a stranger only to a node that knows all members', (t) => {
  const scene = sceneOf()
  const kindOf = (): string => scene.trust.standing(LATE.publicKey).kind
  t.is(kindOf(), 'stranger')
  scene.isInTouch = false
  t.is(kindOf(), 'unproven')
  // a leader is heard again, perhaps this very key's: its log has not come yet
  scene.isInTouch = true
  scene.status = { ...scene.status, term: 6 }
  t.is(kindOf(), 'unproven')
  scene.status = { ...scene.status, lastTerm: 6 }
  t.is(kindOf(), 'stranger')
})

test('whoever was let in with the last use of a ticket may ask again, nobody else', (t) => {
  const scene = sceneOf()
  const { trust } = scene
  t.is(trust.standing(INVITE.publicKey).kind, 'invite')
  t.is(trust.whyUsedUp(INVITE.publicKey, OTHER.publicKey), null)
  scene.apply(admission(OTHER.publicKey))
  t.is(trust.standing(INVITE.publicKey).kind, 'invite', 'its answer may have been lost')
  t.is(trust.whyUsedUp(INVITE.publicKey, OTHER.publicKey), null)
  t.is(trust.whyUsedUp(INVITE.publicKey, LATE.publicKey)?.code, 'TICKET_USED_UP')
})

test('a revoked ticket is refused to everybody', (t) => {
  const scene = sceneOf()
  scene.apply({ kind: 'revokeInvite', publicKey: INVITE.publicKey })
  const standing = scene.trust.standing(INVITE.publicKey)
  t.is(standing.kind === 'refused' ? standing.error.code : null, 'TICKET_REVOKED')
})

test('a sealed secret of another size is none', (t) => {
  t.alike(sceneOf().trust.epochSecret(1), SECRET)
  t.is(sceneOf(new Uint8Array(8)).trust.epochSecret(1), null)
})
