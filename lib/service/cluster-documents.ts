// The documents of the operations on a cluster and on a node: bodies and answers of `/cluster/*`, `/admin/*`,
// `/leader` and `/node-info`, as schemas and as types. snake_case, as the seed has them.

import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { MAX_MEMBERS, MAX_NAME_SIZE, MAX_VOTERS } from '../limits.ts'
import { Address, ClusterState, Id, Instant, Key, LogId, LogLevel, NewTicket } from './documents.ts'
import { TimeoutMs } from './kv-documents.ts'

const strict = { additionalProperties: false } as const
const Timed = { timeout_ms: Type.Optional(TimeoutMs) }
const HINT = 'where it was seen, `host:port`; a hint, never what it is'

/** A node that is to belong to the cluster; `addr` and `raft_addr` are the seed's names for addresses. */
export const NodeSpecJson = Type.Object(
  {
    key: Type.Optional(Key),
    id: Type.Optional(Id),
    name: Type.Optional(Type.String({ maxLength: MAX_NAME_SIZE })),
    addresses: Type.Optional(Type.Array(Address, { description: HINT })),
    addr: Type.Optional(Type.String({ description: HINT })),
    raft_addr: Type.Optional(Type.String({ description: HINT }))
  },
  strict
)
export type NodeSpecJson = Static<typeof NodeSpecJson>

export const InitBody = Type.Object(
  {
    initial_members: Type.Array(NodeSpecJson, {
      maxItems: MAX_MEMBERS,
      description: 'one without `key` is this node'
    }),
    ...Timed
  },
  strict
)

export const AddLearnerBody = Type.Object({ learner: NodeSpecJson, ...Timed }, strict)

export const ChangeMembershipBody = Type.Object(
  {
    members: Type.Array(Id, {
      maxItems: MAX_VOTERS,
      description: 'all voters from now on; those left out become learners'
    }),
    expected_members: Type.Optional(
      Type.Array(Id, {
        maxItems: MAX_VOTERS,
        description: 'who votes before the change; CONDITION_FAILED where others do'
      })
    ),
    ...Timed
  },
  strict
)

const Force = Type.Optional(Type.Boolean({ description: 'skips what the README lists' }))

export const RemoveMemberBody = Type.Object({ id: Id, force: Force, ...Timed }, strict)

export const RemovalAnswer = Type.Object({
  ...ClusterState.properties,
  revoked_tickets: Type.Array(Type.String(), { description: 'ids; a removal revokes all tickets' })
})
export type RemovalAnswer = Static<typeof RemovalAnswer>

export const TransferBody = Type.Object({ target: Type.Optional(Id), ...Timed }, strict)
export const TransferAnswer = Type.Object({ leader: Id })
export type TransferAnswer = Static<typeof TransferAnswer>

export const PromoteBody = Type.Object(
  { learner_id: Id, replace_node: Type.Optional(Id), force: Force, ...Timed },
  strict
)
export const PromotionAnswer = Type.Object({
  success: Type.Literal(true),
  learner_id: Id,
  previous_voters: Type.Array(Id),
  new_voters: Type.Array(Id),
  timestamp: Instant,
  message: Type.String()
})
export type PromotionAnswer = Static<typeof PromotionAnswer>

/** Of operations that take nothing else. */
export const TimedBody = Type.Object(Timed, strict)

export const SnapshotAnswer = Type.Object({ snapshot: LogId })
export type SnapshotAnswer = Static<typeof SnapshotAnswer>

export const CheckpointAnswer = Type.Object({
  status: Type.Literal('success'),
  pages_checkpointed: Type.Integer({ description: 'pages that were copied into the database' }),
  wal_size_before_bytes: Type.Integer(),
  wal_size_after_bytes: Type.Integer({ description: 'the next write begins it anew' }),
  /** of it, what is not in the database yet */
  wal_pending_before_bytes: Type.Integer(),
  wal_pending_after_bytes: Type.Integer()
})
export type CheckpointAnswer = Static<typeof CheckpointAnswer>

export const LogLevelBody = Type.Object({ level: LogLevel }, strict)
export const LogLevelAnswer = Type.Object({ level: LogLevel, previous: LogLevel })
export type LogLevelAnswer = Static<typeof LogLevelAnswer>

/** Who leads, as this node knows it; all null while nobody is known. */
export const LeaderAnswer = Type.Object({
  leader: Type.Union([Id, Type.Null()]),
  key: Type.Union([Key, Type.Null()]),
  name: Type.Union([Type.String(), Type.Null()]),
  addresses: Type.Array(Address)
})
export type LeaderAnswer = Static<typeof LeaderAnswer>

/** Under the seed's names: `endpoint_id` is the key of the node that made it. */
export const ClusterTicketAnswer = Type.Object({
  ...NewTicket.properties,
  cluster_id: Type.String({ pattern: '^[0-9a-f]{32}$' }),
  endpoint_id: Key
})
export type ClusterTicketAnswer = Static<typeof ClusterTicketAnswer>
