// The client's own checks of answers against the schemas of the documents: on good documents, and on
// documents in which one part is missing or of another type, both say the same.

import test from 'brittle'
import type { TSchema } from '@sinclair/typebox'
import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { Shape } from '../../lib/client/shapes.ts'
import { shapes } from '../../lib/client/shapes.ts'
import * as clusterDocuments from '../../lib/service/cluster-documents.ts'
import * as documents from '../../lib/service/documents.ts'
import * as kvDocuments from '../../lib/service/kv-documents.ts'

const date = '2026-01-02T03:04:05.000Z'
const key = 'ab'.repeat(32)
const ticket = {
  id: '0123abcd',
  role: 'voter',
  state: 'open',
  uses: 16,
  uses_left: 15,
  created_by: 1,
  created_at: date,
  expires_at: date
}
const item = { key: 'k', value: 'v', revision: 3, create_revision: 2, version: 1 }
const { revision, changes } = kvDocuments.WriteAnswer.properties

const clusterNode = { id: 1, key, addresses: ['127.0.0.1:4000'] }
const clusterState = { nodes: [clusterNode], members: [1], learners: [clusterNode] }

const CASES: ReadonlyArray<readonly [Shape<unknown>, TSchema, object]> = [
  [
    shapes.survey,
    documents.Survey,
    {
      cluster: { id: 'cd'.repeat(16) },
      has_quorum: false,
      members: [
        {
          id: 1,
          key,
          name: 'alder',
          role: 'voter',
          is_self: true,
          log: { last_term: 2, last_index: 9, commit_index: 8, applied_index: 8 }
        },
        { id: 2, key, name: 'birch', role: 'voter', is_self: false, log: null }
      ]
    }
  ],
  [
    shapes.status,
    documents.Status,
    {
      node: { id: 1, key, name: 'alder' },
      cluster: { id: 'cd'.repeat(16) },
      role: 'voter',
      data_dir: '/data',
      pid: 7,
      api: { socket: '/data/aspen.sock', http: 'http://127.0.0.1:7070' },
      leader: 1,
      term: 2,
      commit_index: 3,
      applied_index: 3,
      state_hash: 'ef'.repeat(32),
      voters: [1, 2],
      learners: [3],
      state: 'healthy',
      failure_tolerance: 0,
      version: '0.1.0',
      uptime_ms: 5,
      discovery: { online: true, announced: false, gossip: true },
      addresses: ['127.0.0.1:4000'],
      storage: {
        backend: 'sqlite',
        keys: 2,
        bytes: 20,
        compacted_revision: 0,
        log_base: 1,
        log_last: 3,
        snapshot: { index: 2, bytes: 900 },
        fetching: { index: 9, bytes: 1_200, percent: 12.5 }
      },
      disk: { used_bytes: 3, total_bytes: 9, percent: 33.3, is_full: false }
    }
  ],
  [
    shapes.members,
    documents.Members,
    {
      members: [
        {
          id: 1,
          key,
          name: 'alder',
          role: 'learner',
          is_leader: false,
          is_self: true,
          linked: true,
          path: 'direct',
          rtt_ms: 1.5,
          lag: 4,
          version: '0.1.0',
          addresses: ['127.0.0.1:4000']
        }
      ]
    }
  ],
  [
    shapes.health,
    documents.Health,
    {
      status: 'degraded',
      state: 'Leader',
      current_leader: 1,
      term: 2,
      node_id: 1,
      raft_node_id: 1,
      uptime_seconds: 1.5,
      failure_tolerance: 0,
      alarms: [],
      supervision: {
        status: 'healthy',
        consecutive_failures: 0,
        circuit_state: 'Closed',
        enabled: false
      },
      checks: { storage: { status: 'ok', message: 'fine' } }
    }
  ],
  [shapes.nodeInfo, documents.NodeInfo, { id: null, key, addresses: ['127.0.0.1:4000'] }],
  [
    shapes.probe,
    documents.Probe,
    { ok: false, checks: { loop: false }, reasons: { loop: 'late' } }
  ],
  [shapes.newTicket, documents.NewTicket, { ticket: 'aspen1q', ...ticket }],
  [shapes.tickets, documents.Tickets, { tickets: [ticket] }],
  [shapes.revoked, Type.Object({ revoked: Type.Literal(true) }), { revoked: true }],
  [shapes.clusterState, documents.ClusterState, clusterState],
  [
    shapes.raftMetrics,
    documents.RaftMetrics,
    {
      node_id: 1,
      state: 'Leader',
      current_leader: 1,
      current_term: 2,
      last_log_index: 9,
      last_applied: { term: 2, index: 9 },
      snapshot: null,
      replication: { 2: { term: 2, index: 8 }, 3: null },
      millis_since_quorum_ack: 12
    }
  ],
  [
    shapes.leader,
    clusterDocuments.LeaderAnswer,
    { leader: 1, key, name: 'alder', addresses: ['127.0.0.1:4000'] }
  ],
  [shapes.snapshot, clusterDocuments.SnapshotAnswer, { snapshot: { term: 2, index: 9 } }],
  [
    shapes.promotion,
    clusterDocuments.PromotionAnswer,
    {
      success: true,
      learner_id: 4,
      previous_voters: [1, 2, 3],
      new_voters: [1, 2, 4],
      timestamp: date,
      message: 'done'
    }
  ],
  [
    shapes.removal,
    clusterDocuments.RemovalAnswer,
    { ...clusterState, revoked_tickets: ['0123abcd'] }
  ],
  [shapes.transfer, clusterDocuments.TransferAnswer, { leader: 2 }],
  [
    shapes.read,
    kvDocuments.ReadAnswer,
    { ...item, consistency: 'stale', applied_index: 9, leader_contact_ms: 12 }
  ],
  [
    shapes.written,
    Type.Object({ revision, changes }),
    { revision: 3, changes: [{ previous_revision: 0 }] }
  ],
  [
    shapes.scan,
    kvDocuments.ScanAnswer,
    {
      items: [item],
      has_more: false,
      revision: 3,
      consistency: 'linearizable',
      leader_contact_ms: null
    }
  ],
  [
    shapes.error,
    documents.ErrorBody,
    {
      error: {
        code: 'TIMEOUT',
        message: 'm',
        hint: 'h',
        retryable: false,
        applied: false,
        leader: 1,
        revision: 2,
        fields: { key: 'a', size: 1, is_last: true, after: null }
      }
    }
  ]
]

const STRANGERS = [null, 7, 1.5, 'stranger', true, {}, []]

test('every shape takes its document, also with more fields than it knows', (t) => {
  t.is(CASES.length, Object.keys(shapes).length, 'all of them')
  for (const [shape, schema, document] of CASES) {
    t.ok(TypeCompiler.Compile(schema).Check(document), 'the sample is good')
    t.ok(shape.check(document))
    t.ok(shape.check({ ...document, later: 1 }))
  }
})

test('a part that is missing or of another type is seen as the schema sees it', (t) => {
  let refused = 0
  for (const [shape, schema, document] of CASES) {
    const checker = TypeCompiler.Compile(schema)
    for (const [path, variant] of variantsOf(document)) {
      const isGood = checker.Check(variant)
      if (!isGood) refused++
      if (shape.check(variant) !== isGood) t.fail(`${path} of ${JSON.stringify(variant)}`)
    }
  }
  t.ok(refused > 300, `${refused} refusals`)
})

test('what is no object at all is refused', (t) => {
  for (const [shape] of CASES) {
    for (const value of [undefined, null, 7, 'text', true, []]) t.absent(shape.check(value))
  }
})

/** The document with one part, at any depth, left out or replaced by something of another type. */
function* variantsOf(value: unknown): Generator<readonly [path: string, variant: unknown]> {
  if (typeof value !== 'object' || value === null) return
  for (const [name, part] of Object.entries(value)) {
    const replaced = (by: unknown) => withPart(value, name, by)
    if (!Array.isArray(value)) yield [`without ${name}`, replaced(undefined)]
    for (const stranger of STRANGERS) {
      if (typeOf(stranger) !== typeOf(part)) yield [name, replaced(stranger)]
    }
    for (const [path, variant] of variantsOf(part)) yield [`${name}.${path}`, replaced(variant)]
  }
}

/** A copy with the part replaced, or taken out when there is no replacement. */
function withPart(value: object, name: string, by: unknown): unknown {
  const entries = Object.entries(value).flatMap(([field, part]) => {
    if (field !== name) return [[field, part] as const]
    return by === undefined ? [] : [[field, by] as const]
  })
  return Array.isArray(value) ? entries.map(([, part]) => part) : Object.fromEntries(entries)
}

/** JSON's types, with whole numbers apart. */
function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}
