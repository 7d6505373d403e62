// What a consensus core says of itself.

import test from 'brittle'
import type { NodeId } from '../../lib/node-id.ts'
import type { FollowerStatus, Status } from '../../lib/raft/effects.ts'
import { raftMetricsOf } from '../../lib/service/raft-metrics.ts'
import type { RaftMetricsParts } from '../../lib/service/raft-metrics.ts'
import { StillReplica } from './leader.ts'

const HASH = new Uint8Array(32)

function follower(matchIndex: number, heardMs: number | null): FollowerStatus {
  return { matchIndex, heardMs, state: 'replicate', inflightCount: 0, inflightBytes: 0 }
}

function configurationOf(voters: readonly NodeId[], learners: readonly NodeId[] = []) {
  const member = (role: 'voter' | 'learner') => (id: NodeId) => ({
    id,
    publicKey: new Uint8Array(32).fill(id),
    role,
    addresses: []
  })
  return {
    members: [...voters.map(member('voter')), ...learners.map(member('learner'))],
    outgoing: []
  }
}

/** At 1000 ms; the log begins after 5, its entries are of term 4. */
function metricsOf(status: Partial<Status>, overrides: Partial<RaftMetricsParts> = {}) {
  const replica = new StillReplica()
  replica.status = { ...replica.status, term: 4, leader: 1, lastIndex: 20, ...status }
  return raftMetricsOf({
    id: 1,
    clock: { nowMs: () => 1_000, wallMs: () => 0 },
    replica,
    stateMachine: { applied: () => ({ index: 18, term: 4 }), snapshots: { list: () => [] } },
    log: { idAt: (index) => (index <= 5 ? 'compacted' : { index, term: 4, hash: HASH }) },
    isInTouch: () => true,
    hasFailed: () => false,
    ...overrides
  })
}

test('a leader tells how far each other member is, and when a majority has answered', (t) => {
  const progress = new Map([
    [2, follower(20, 990)],
    [3, follower(0, null)],
    [4, follower(5, 400)]
  ])
  const configuration = configurationOf([1, 2, 3], [4])
  t.alike(metricsOf({ role: 'leader', progress, configuration }), {
    node_id: 1,
    state: 'Leader',
    current_leader: 1,
    current_term: 4,
    last_log_index: 20,
    last_applied: { term: 4, index: 18 },
    snapshot: null,
    replication: { 2: { term: 4, index: 20 }, 3: null, 4: null },
    millis_since_quorum_ack: 10
  })
})

test('no majority has answered yet: nobody says when', (t) => {
  const progress = new Map([
    [2, follower(0, null)],
    [3, follower(0, null)]
  ])
  const configuration = configurationOf([1, 2, 3])
  t.is(metricsOf({ role: 'leader', progress, configuration }).millis_since_quorum_ack, null)
  const alone = { role: 'leader', configuration: configurationOf([1]) } as const
  t.is(metricsOf(alone).millis_since_quorum_ack, 0, 'a sole voter is its majority')
})

test('every other role knows nothing of the members, and has its word', (t) => {
  const configuration = configurationOf([1, 2, 3])
  const asked = metricsOf({ role: 'follower', configuration, leader: 2 })
  t.is(asked.state, 'Follower')
  t.is(asked.current_leader, 2)
  t.is(asked.replication, null)
  t.is(asked.millis_since_quorum_ack, null)
  t.is(metricsOf({ configuration: configurationOf([2], [1]) }).state, 'Learner')
  for (const role of ['preCandidate', 'candidate'] as const) {
    t.is(metricsOf({ role, configuration }).state, 'Candidate')
  }
  t.is(metricsOf({ configuration }, { hasFailed: () => true }).state, 'Shutdown')
})

test('a new node has applied nothing, and hears nobody', (t) => {
  const stateMachine = {
    applied: () => ({ index: 0, term: 0 }),
    snapshots: {
      list: () => [
        { index: 12, term: 3, chainHash: HASH, contentHash: HASH, byteCount: 1, chunkCount: 1 }
      ]
    }
  }
  const metrics = metricsOf({}, { stateMachine, isInTouch: () => false })
  t.is(metrics.last_applied, null)
  t.is(metrics.current_leader, null)
  t.alike(metrics.snapshot, { term: 3, index: 12 })
})
