// The documents that Aspen shows to programs: bodies of the HTTP API and of `--json`, as schemas and
// as types in one place. snake_case; fields may be added, never changed in meaning.

import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'

export const Id = Type.Integer({ minimum: 1, description: 'node id in this cluster' })
export const Key = Type.String({
  pattern: '^[0-9a-f]{64}$',
  description: 'a public key: 64 hex digits, in small letters'
})
export const Instant = Type.String({
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$',
  description: 'RFC 3339, UTC'
})
export const Address = Type.String({ description: 'IPv4 address and UDP port, `host:port`' })

export const Role = Type.Union([
  Type.Literal('voter'),
  Type.Literal('learner'),
  Type.Literal('none', { description: 'not in the configuration that this node knows' })
])

export const Status = Type.Object({
  node: Type.Object({ id: Id, key: Key, name: Type.String() }),
  cluster: Type.Object({ id: Type.String({ pattern: '^[0-9a-f]{32}$' }) }),
  role: Role,
  data_dir: Type.String(),
  pid: Type.Integer(),
  api: Type.Object({ socket: Type.String(), http: Type.String() }),
  leader: Type.Union([Id, Type.Null()]),
  term: Type.Integer(),
  commit_index: Type.Integer(),
  applied_index: Type.Integer(),
  /** what the entries up to `applied_index` amount to; the same on all members */
  state_hash: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  voters: Type.Array(Id),
  learners: Type.Array(Id),
  /** what this node thinks of the cluster's ability to commit */
  state: Type.Union([
    Type.Literal('healthy'),
    Type.Literal('degraded', { description: 'commits, but a voter is out of sight' }),
    Type.Literal('no_quorum'),
    Type.Literal('joining', { description: 'not caught up yet' })
  ]),
  failure_tolerance: Type.Integer({ description: 'voters that may fail with writes going on' }),
  version: Type.String(),
  uptime_ms: Type.Integer(),
  discovery: Type.Object({
    online: Type.Boolean({ description: 'the DHT has answered' }),
    announced: Type.Boolean({ description: 'this node, under all topics of its cluster' }),
    gossip: Type.Boolean({ description: 'false: nothing is announced or looked up under topics' })
  }),
  addresses: Type.Array(Address),
  storage: Type.Object({
    backend: Type.Union([
      Type.Literal('sqlite', { description: 'on the disk: the log in lmdb, the state in SQLite' }),
      Type.Literal('inmemory', { description: 'gone when the process ends' })
    ]),
    /** live ones, and the bytes of them and their values; the same on all members */
    keys: Type.Integer(),
    bytes: Type.Integer(),
    /** history before this revision is gone; 0 for none */
    compacted_revision: Type.Integer(),
    /** the log of this node is (log_base, log_last]; a snapshot stands for the rest */
    log_base: Type.Integer(),
    log_last: Type.Integer(),
    /** newest snapshot of this node; null for none */
    snapshot: Type.Union([
      Type.Object({ index: Type.Integer(), bytes: Type.Integer() }),
      Type.Null()
    ]),
    /** a newer one that this node is getting from the others, since it was away for long; null: none */
    fetching: Type.Union([
      Type.Object({
        index: Type.Integer(),
        bytes: Type.Integer({ description: 'of the whole snapshot' }),
        percent: Type.Number({ description: 'of it that is here' })
      }),
      Type.Null()
    ])
  }),
  /** of the data directory; null where the system does not say */
  disk: Type.Union([
    Type.Object({
      used_bytes: Type.Integer(),
      total_bytes: Type.Integer(),
      /** used / (used + available), as `df` counts it */
      percent: Type.Number(),
      /** a leader with a full disk takes no writes but deletes */
      is_full: Type.Boolean()
    }),
    Type.Null()
  ])
})
export type Status = Static<typeof Status>

export const MemberRow = Type.Object({
  id: Id,
  key: Key,
  name: Type.String(),
  role: Role,
  is_leader: Type.Boolean(),
  is_self: Type.Boolean(),
  /** linked from this node (itself counts as linked) */
  linked: Type.Boolean(),
  path: Type.Union([Type.Literal('direct'), Type.Literal('relay'), Type.Null()]),
  rtt_ms: Type.Union([Type.Number(), Type.Null()]),
  /** entries behind the leader; known on the leader only */
  lag: Type.Union([Type.Integer(), Type.Null()]),
  version: Type.String(),
  addresses: Type.Array(Address)
})
export const Members = Type.Object({ members: Type.Array(MemberRow) })
export type MemberRow = Static<typeof MemberRow>
export type Members = Static<typeof Members>

export const ClusterNode = Type.Object({ id: Id, key: Key, addresses: Type.Array(Address) })
export type ClusterNode = Static<typeof ClusterNode>

/** Who belongs to the cluster, by its configuration. */
export const ClusterState = Type.Object({
  nodes: Type.Array(ClusterNode, { description: 'all members' }),
  members: Type.Array(Id, { description: 'the voters' }),
  learners: Type.Array(ClusterNode)
})
export type ClusterState = Static<typeof ClusterState>

export const LogId = Type.Object({ term: Type.Integer(), index: Type.Integer() })

/** What a node's consensus core says of itself, from memory. */
export const RaftMetrics = Type.Object({
  node_id: Id,
  state: Type.Union([
    Type.Literal('Leader'),
    Type.Literal('Follower'),
    Type.Literal('Learner'),
    Type.Literal('Candidate'),
    Type.Literal('Shutdown')
  ]),
  current_leader: Type.Union([Id, Type.Null()]),
  current_term: Type.Integer(),
  last_log_index: Type.Integer(),
  last_applied: Type.Union([LogId, Type.Null()]),
  /** newest snapshot of this node */
  snapshot: Type.Union([LogId, Type.Null()]),
  /** on the leader: up to where each other member's log is known to be its own, null for nothing; else null */
  replication: Type.Union([
    Type.Record(Type.String({ pattern: '^[1-9][0-9]*$' }), Type.Union([LogId, Type.Null()])),
    Type.Null()
  ]),
  /** on the leader: since a majority of the voters has answered; else null */
  millis_since_quorum_ack: Type.Union([Type.Number(), Type.Null()])
})
export type RaftMetrics = Static<typeof RaftMetrics>

const LogPosition = Type.Object({
  last_term: Type.Integer(),
  last_index: Type.Integer(),
  /** known to be committed; what lies above may be too */
  commit_index: Type.Integer(),
  applied_index: Type.Integer()
})

/** Who is in reach, and what they have: for somebody who looks for a way out of a lost quorum. */
export const Survey = Type.Object({
  cluster: Type.Object({ id: Type.String({ pattern: '^[0-9a-f]{32}$' }) }),
  /** whether a majority answers now */
  has_quorum: Type.Boolean(),
  members: Type.Array(
    Type.Object({
      id: Id,
      key: Key,
      name: Type.String(),
      role: Role,
      is_self: Type.Boolean(),
      /** null: it is not in reach */
      log: Type.Union([LogPosition, Type.Null()])
    })
  )
})
export type Survey = Static<typeof Survey>

export const TicketRole = Type.Union([Type.Literal('voter'), Type.Literal('learner')])

export const TicketRow = Type.Object({
  /** 8 hex digits; `aspen ticket show` prints the same */
  id: Type.String({ pattern: '^[0-9a-f]{8}$' }),
  role: TicketRole,
  state: Type.Union([
    Type.Literal('open'),
    Type.Literal('used_up'),
    Type.Literal('revoked'),
    Type.Literal('expired')
  ]),
  uses: Type.Integer(),
  uses_left: Type.Integer(),
  created_by: Id,
  created_at: Instant,
  expires_at: Instant
})
export const Tickets = Type.Object({ tickets: Type.Array(TicketRow) })
export type TicketRow = Static<typeof TicketRow>
export type Tickets = Static<typeof Tickets>

/** A ticket just made: the only time that its text is shown. */
export const NewTicket = Type.Object({ ticket: Type.String(), ...TicketRow.properties })
export type NewTicket = Static<typeof NewTicket>

const CheckResult = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('warning'), Type.Literal('error')]),
  message: Type.Optional(Type.String())
})

/**
 * `nospace`: this disk, or the store, takes nothing more. `corrupt`: damage was found that no other member can
 * repair. `clock_skew`: a majority says that the clock of a voter is wrong (known to the leader). `overloaded`:
 * requests were refused within the last seconds because too many were under way.
 */
export const ALARMS = ['nospace', 'corrupt', 'clock_skew', 'overloaded'] as const
export type Alarm = (typeof ALARMS)[number]
const Alarm = Type.Union(ALARMS.map((alarm) => Type.Literal(alarm)))

/** A supervisor starts a node again that fails; `enabled` says whether there is one. */
const Supervision = Type.Object({
  status: Type.Union([
    Type.Literal('healthy'),
    Type.Literal('degraded'),
    Type.Literal('unhealthy')
  ]),
  consecutive_failures: Type.Integer(),
  circuit_state: Type.Union([
    Type.Literal('Closed'),
    Type.Literal('Open'),
    Type.Literal('HalfOpen')
  ]),
  enabled: Type.Boolean()
})

export const Health = Type.Object({
  status: Type.Union([
    Type.Literal('healthy'),
    Type.Literal('degraded'),
    Type.Literal('unhealthy')
  ]),
  state: Type.String({ description: 'Leader, Follower, Candidate, Learner or Uninitialized' }),
  current_leader: Type.Union([Id, Type.Null()]),
  term: Type.Integer(),
  /** null where it belongs to no cluster */
  node_id: Type.Union([Id, Type.Null()]),
  raft_node_id: Type.Union([Id, Type.Null()]),
  uptime_seconds: Type.Number(),
  failure_tolerance: Type.Integer(),
  alarms: Type.Array(Alarm),
  supervision: Supervision,
  checks: Type.Record(Type.String(), CheckResult)
})
export type Health = Static<typeof Health>

/** The conditions of `/readyz`. */
export const READY_CHECKS = [
  'leader_known',
  'linearizable_read',
  'applied_caught_up',
  'no_corrupt_alarm',
  'not_draining'
] as const
export type ReadyCheck = (typeof READY_CHECKS)[number]

/** How to reach a node; it needs no cluster to say it. */
export const NodeInfo = Type.Object({
  id: Type.Union([Id, Type.Null({ description: 'it belongs to no cluster' })]),
  key: Key,
  addresses: Type.Array(Address)
})
export type NodeInfo = Static<typeof NodeInfo>

/** How much a node logs, in the words of pino. */
export const LogLevel = Type.Union([
  Type.Literal('trace'),
  Type.Literal('debug'),
  Type.Literal('info'),
  Type.Literal('warn'),
  Type.Literal('error'),
  Type.Literal('fatal'),
  Type.Literal('silent')
])
export type LogLevel = Static<typeof LogLevel>

/** `/livez` and `/readyz`: named conditions. */
export const Probe = Type.Object({
  ok: Type.Boolean(),
  checks: Type.Record(Type.String(), Type.Boolean()),
  reasons: Type.Record(Type.String(), Type.String(), { description: 'of those that fail' })
})
export type Probe = Static<typeof Probe>

export const ErrorBody = Type.Object({
  error: Type.Object({
    code: Type.String(),
    message: Type.String(),
    hint: Type.Union([Type.String(), Type.Null()]),
    retryable: Type.Boolean(),
    /** whether the operation was carried out: false, or null when nobody can say */
    applied: Type.Union([Type.Literal(false), Type.Null()]),
    leader: Type.Union([Id, Type.Null()]),
    revision: Type.Union([Type.Integer(), Type.Null()]),
    /** the facts of the code: `size`, `max`, `key`, `duration_ms` … */
    fields: Type.Record(
      Type.String(),
      Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()])
    )
  })
})
export type ErrorBody = Static<typeof ErrorBody>
