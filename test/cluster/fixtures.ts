// Configurations, nodes and invites for the tests of who belongs.

import { keyPairFromSeed, seal } from '../../lib/crypto.ts'
import type { KeyPair } from '../../lib/crypto.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Configuration, MemberRole } from '../../lib/raft/configuration.ts'
import type { Status } from '../../lib/raft/effects.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { Invite, NodeRecord, TrustState } from '../../lib/state-machine/state-machine.ts'

export const CLUSTER_ID = new Uint8Array(16).fill(7)
export const SECRET = new Uint8Array(32).fill(0x5e)

export function keyPairOf(id: NodeId): KeyPair {
  return keyPairFromSeed(new Uint8Array(32).fill(id))
}

export function keyOf(id: NodeId): Uint8Array {
  return keyPairOf(id).publicKey
}

export function configurationOf(roles: Readonly<Record<NodeId, MemberRole>>): Configuration {
  const members = Object.entries(roles).map(([id, role]) => ({
    id: Number(id),
    publicKey: keyOf(Number(id)),
    role,
    addresses: []
  }))
  return { members, outgoing: [] }
}

export function nodeOf(id: NodeId, more: Partial<NodeRecord> = {}): NodeRecord {
  return {
    id,
    publicKey: keyOf(id),
    name: `node${id}`,
    version: '1.0.0',
    addresses: [],
    role: 'voter',
    epoch: 1,
    sealedSecret: seal(SECRET, keyOf(id), new SeededRandom(id)),
    invitePublicKey: null,
    admittedIndex: id,
    ...more
  }
}

export function inviteOf(byte: number, closed: Invite['closed'] = null): Invite {
  return {
    publicKey: new Uint8Array(32).fill(byte),
    proofKey: new Uint8Array(32).fill(byte + 1),
    topic: new Uint8Array(32).fill(byte + 2),
    role: 'voter',
    createdBy: 1,
    createdIndex: byte,
    createdMs: 0,
    expiresMs: 1_000,
    uses: 2,
    usesLeft: 1,
    closed
  }
}

export function trustOf(nodes: readonly NodeRecord[], invites: readonly Invite[] = []): TrustState {
  return { epoch: 1, nextNodeId: 100, nodes, invites, removed: [] }
}

export function statusOf(configuration: Configuration, more: Partial<Status> = {}): Status {
  return {
    role: 'leader',
    term: 4,
    leader: 1,
    commitIndex: 50,
    lastIndex: 50,
    lastTerm: 4,
    durableIndex: 49,
    onDisk: { term: 3, lastIndex: 48 },
    configuration,
    configurationIndex: 1,
    transferTarget: null,
    logTimeMs: 0,
    leaderHeardMs: null,
    wrongClocks: [],
    progress: new Map(),
    ...more
  }
}
