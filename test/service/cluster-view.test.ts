// What a node shows of itself and its cluster.

import test from 'brittle'
import type { FetchProgress } from '../../lib/replica/snapshot-transfer.ts'
import type { DiskState } from '../../lib/cluster/disk-watch.ts'
import { MAX_PROMOTION_LAG } from '../../lib/limits.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Configuration, MemberRole } from '../../lib/raft/configuration.ts'
import { EMPTY_CONFIGURATION } from '../../lib/raft/configuration.ts'
import type { FollowerStatus, Role, Status } from '../../lib/raft/effects.ts'
import { ClusterView } from '../../lib/service/cluster-view.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import type { SnapshotInfo } from '../../lib/state-machine/state-machine.ts'
import type { LinkStatus } from '../../lib/transport/transport.ts'

const REPLICATING: Omit<FollowerStatus, 'matchIndex'> = {
  state: 'replicate',
  heardMs: 0,
  inflightCount: 0,
  inflightBytes: 0
}

function keyOf(id: NodeId): Uint8Array {
  return new Uint8Array(32).fill(id)
}

function configurationOf(
  roles: readonly (readonly [NodeId, MemberRole])[],
  outgoing: readonly NodeId[] = []
): Configuration {
  const members = roles.map(([id, role]) => ({ id, publicKey: keyOf(id), role, addresses: [] }))
  return { members, outgoing }
}

function voters(count: number): Configuration {
  return configurationOf(Array.from({ length: count }, (_, at) => [at + 1, 'voter'] as const))
}

function linkTo(id: NodeId): LinkStatus {
  return {
    id,
    publicKey: keyOf(id),
    sinceMs: 0,
    rttMs: 3,
    path: 'direct',
    remoteAddress: null,
    boot: 1,
    featureLevel: 1,
    version: '1.0.1'
  }
}

interface World {
  id: NodeId
  /** what the log says */
  configuration: Configuration
  /** until it says something of this node */
  welcome: Configuration | null
  linked: readonly NodeId[]
  leader: NodeId | null
  role: Role
  appliedIndex: number
  disk: DiskState | null
  fetching: FetchProgress | null
  snapshots: readonly SnapshotInfo[]
  usesTopics: boolean
}

const HASH = new Uint8Array(32)

function idAt(index: number) {
  return { index, term: 4, hash: HASH }
}

const PROGRESS = new Map([
  [2, { ...REPLICATING, matchIndex: 490 }],
  [3, { ...REPLICATING, matchIndex: 500 }]
])

function statusOf({ role, leader, configuration }: World): Status {
  return {
    role,
    term: 4,
    leader,
    commitIndex: 500,
    lastIndex: 500,
    lastTerm: 4,
    durableIndex: 500,
    onDisk: { term: 4, lastIndex: 500 },
    configuration,
    configurationIndex: 1,
    transferTarget: null,
    logTimeMs: 0,
    leaderHeardMs: null,
    wrongClocks: [],
    progress: PROGRESS
  }
}

function viewOf(overrides: Partial<World> = {}): ClusterView {
  const world: World = {
    id: 1,
    configuration: voters(3),
    welcome: null,
    linked: [2, 3],
    leader: 1,
    role: 'leader',
    appliedIndex: 500,
    disk: null,
    snapshots: [],
    fetching: null,
    usesTopics: true,
    ...overrides
  }
  const { id, leader, appliedIndex } = world
  return new ClusterView({
    id,
    publicKey: keyOf(id),
    clusterId: new Uint8Array(16).fill(7),
    name: () => 'alder',
    version: '1.0.0',
    dataDir: '/data',
    pid: 42,
    storageBackend: 'sqlite',
    api: () => ({ socket: '/data/aspen.sock', http: 'http://127.0.0.1:7070' }),
    clock: new VirtualTime(),
    startedMs: 0,
    replica: { appliedIndex, status: statusOf(world) },
    stateMachine: {
      applied: () => ({
        stateHash: new Uint8Array(32).fill(9),
        liveCount: 3,
        liveBytes: 300,
        compactedRevision: 40
      }),
      snapshots: { list: () => world.snapshots },
      trust: () => ({ epoch: 1, nextNodeId: 9, nodes: [], invites: [], removed: [] })
    },
    log: { base: idAt(45), last: idAt(50) },
    transport: {
      links: () => world.linked.map(linkTo),
      addresses: () => [{ host: '10.0.0.1', port: 5 }],
      discovery: () => ({ isOnline: true, isAnnounced: true, usesTopics: world.usesTopics })
    },
    configuration: () => world.welcome ?? world.configuration,
    isInTouch: () => leader !== null,
    disk: () => world.disk,
    fetching: () => world.fetching
  })
}

test('the failure tolerance of 1 to 5 voters, with all and with fewer in sight', (t) => {
  const row = (count: number): readonly number[] =>
    Array.from({ length: count }, (_, missing) => {
      const linked = Array.from({ length: count - 1 - missing }, (_1, at) => at + 2)
      return viewOf({ configuration: voters(count), linked }).failureTolerance()
    })
  t.alike([1, 2, 3, 4, 5].map(row), [[0], [0, 0], [1, 0, 0], [1, 0, 0, 0], [2, 1, 0, 0, 0]])
})

test('without a leader no failure is tolerated, whoever still seems to be in sight', (t) => {
  t.is(viewOf().failureTolerance(), 1)
  t.is(viewOf({ leader: null, role: 'follower' }).failureTolerance(), 0)
})

test('while a change is in progress both sets of voters count', (t) => {
  const roles = [1, 2, 3].map((id) => [id, 'voter'] as const)
  t.is(viewOf({ configuration: configurationOf(roles, [1]) }).failureTolerance(), 0)
  t.is(viewOf({ configuration: configurationOf(roles, [1, 2, 4]) }).state(), 'degraded')
})

test('links of learners and strangers count for nothing', (t) => {
  const configuration = configurationOf([
    [1, 'voter'],
    [2, 'voter'],
    [3, 'voter'],
    [4, 'learner']
  ])
  t.is(viewOf({ configuration, linked: [2, 4, 9] }).failureTolerance(), 0)
})

test('the states', (t) => {
  t.is(viewOf().state(), 'healthy')
  t.is(viewOf({ configuration: voters(1), linked: [] }).state(), 'healthy', 'alone')
  t.is(viewOf({ linked: [2] }).state(), 'degraded')
  t.is(viewOf({ configuration: voters(2), linked: [] }).state(), 'degraded')
  t.is(viewOf({ leader: null, role: 'follower' }).state(), 'no_quorum')
  const behind = { leader: 2, role: 'follower', appliedIndex: 500 - MAX_PROMOTION_LAG } as const
  t.is(viewOf(behind).state(), 'healthy')
  t.is(viewOf({ ...behind, appliedIndex: behind.appliedIndex - 1 }).state(), 'joining')
})

test('a node is joining until its own log names it, with a leader or without', (t) => {
  const welcome = configurationOf([
    [1, 'voter'],
    [5, 'learner']
  ])
  for (const configuration of [EMPTY_CONFIGURATION, voters(1)]) {
    for (const leader of [null, 1]) {
      const view = viewOf({ id: 5, configuration, welcome, leader, role: 'follower' })
      t.is(view.state(), 'joining')
      t.is(view.role(), 'learner', 'which it has been told')
    }
  }
})

test('the status shows how full the disk is', (t) => {
  const view = viewOf({ disk: { usedBytes: 3, totalBytes: 9, percent: 79.96, isFull: false } })
  const shown = { used_bytes: 3, total_bytes: 9, percent: 80, is_full: false }
  t.alike(view.status().disk, shown)
  t.is(viewOf().status().disk, null)
})

test('members: who leads, who is linked, how far behind, this node by what it knows itself', (t) => {
  const { members } = viewOf({ linked: [2] }).members()
  t.alike(
    members.map((row) => [row.id, row.is_leader, row.is_self, row.linked, row.rtt_ms, row.lag]),
    [
      [1, true, true, true, null, 0],
      [2, false, false, true, 3, 10],
      [3, false, false, false, null, 0]
    ]
  )
  t.alike(members[0]?.addresses, ['10.0.0.1:5'])
  const seen = viewOf({ role: 'follower', leader: 2 }).members().members
  t.alike(
    seen.map((row) => row.lag),
    [null, null, null],
    'known on the leader only'
  )
})

test('the status holds what a program needs', (t) => {
  const status = viewOf({ leader: null, role: 'follower' }).status()
  t.is(status.leader, null)
  t.alike([status.voters, status.learners], [[1, 2, 3], []])
  t.alike(status.discovery, { online: true, announced: true, gossip: true })
  const { discovery } = viewOf({ usesTopics: false }).status()
  t.alike(discovery, { online: true, announced: false, gossip: false }, 'nothing is announced')
  t.is(status.pid, 42)
  t.is(status.node.name, 'alder')
  t.is(status.state_hash, '09'.repeat(32))
})

test('the status tells what is kept: keys, history, log, and the newest snapshot', (t) => {
  const none = viewOf().status().storage
  t.alike(none, {
    backend: 'sqlite',
    keys: 3,
    bytes: 300,
    compacted_revision: 40,
    log_base: 45,
    log_last: 50,
    snapshot: null,
    fetching: null
  })
  const more = { term: 4, chainHash: HASH, contentHash: HASH, chunkCount: 1 }
  const snapshots = [
    { ...more, index: 48, byteCount: 700 },
    { ...more, index: 20, byteCount: 600 }
  ]
  t.alike(viewOf({ snapshots }).status().storage, { ...none, snapshot: { index: 48, bytes: 700 } })
  const fetching = { index: 60, byteCount: 900, chunkCount: 1_000, missingCount: 667 }
  t.alike(viewOf({ fetching }).status().storage, {
    ...none,
    fetching: { index: 60, bytes: 900, percent: 33.3 }
  })
})
