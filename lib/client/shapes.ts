// What the answers must look like. Checked, because what listens there may be another program or
// another version. By hand and not with the schemas of the documents: loading the schema library takes
// longer than everything else that `aspen kv get` does. The compiler sees to it that every field of a
// document has a check here, and a test that both agree.

import type {
  LeaderAnswer,
  PromotionAnswer,
  RemovalAnswer,
  SnapshotAnswer,
  TransferAnswer
} from '../service/cluster-documents.ts'
import type {
  ClusterNode,
  ClusterState,
  ErrorBody,
  Health,
  MemberRow,
  Members,
  NewTicket,
  NodeInfo,
  Probe,
  RaftMetrics,
  Status,
  Survey,
  TicketRow,
  Tickets
} from '../service/documents.ts'
import type { ItemJson, ReadAnswer, ScanAnswer, WriteAnswer } from '../service/kv-documents.ts'

export interface Shape<T> {
  check(value: unknown): value is T
}

type Check = (value: unknown) => boolean
/** A check for each field; those of the document that may be missing are `optional`. */
type Fields<T> = { readonly [Name in keyof T]-?: Check }

const text: Check = (value) => typeof value === 'string'
const flag: Check = (value) => typeof value === 'boolean'
const number: Check = (value) => typeof value === 'number'
const whole: Check = (value) => Number.isInteger(value)

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function object<T>(fields: Fields<T>): Check {
  const checks = Object.entries<Check>(fields)
  return (value) => isRecord(value) && checks.every(([name, check]) => check(value[name]))
}

/** A document: its checks are the compiler's word that it is a T. */
function shape<T>(fields: Fields<T>): Shape<T> {
  const check = object(fields)
  return { check: (value): value is T => check(value) }
}

function optional(check: Check): Check {
  return (value) => value === undefined || check(value)
}

function nullable(check: Check): Check {
  return (value) => value === null || check(value)
}

function oneOf(...values: readonly unknown[]): Check {
  return (value) => values.includes(value)
}

function listOf(check: Check): Check {
  return (value) => Array.isArray(value) && value.every(check)
}

function recordOf(check: Check): Check {
  return (value) => isRecord(value) && Object.values(value).every(check)
}

const role = oneOf('voter', 'learner', 'none')

const itemFields: Fields<ItemJson> = {
  key: optional(text),
  key_b64: optional(text),
  value: optional(text),
  value_b64: optional(text),
  revision: whole,
  create_revision: whole,
  version: whole
}
const consistency = oneOf('linearizable', 'stale')

const memberFields: Fields<MemberRow> = {
  id: whole,
  key: text,
  name: text,
  role,
  is_leader: flag,
  is_self: flag,
  linked: flag,
  path: nullable(oneOf('direct', 'relay')),
  rtt_ms: nullable(number),
  lag: nullable(whole),
  version: text,
  addresses: listOf(text)
}

const surveyed = object<Survey['members'][number]>({
  id: whole,
  key: text,
  name: text,
  role,
  is_self: flag,
  log: nullable(
    object<NonNullable<Survey['members'][number]['log']>>({
      last_term: whole,
      last_index: whole,
      commit_index: whole,
      applied_index: whole
    })
  )
})

const ticketFields: Fields<TicketRow> = {
  id: text,
  role: oneOf('voter', 'learner'),
  state: oneOf('open', 'used_up', 'revoked', 'expired'),
  uses: whole,
  uses_left: whole,
  created_by: whole,
  created_at: text,
  expires_at: text
}

const status = shape<Status>({
  node: object<Status['node']>({ id: whole, key: text, name: text }),
  cluster: object<Status['cluster']>({ id: text }),
  role,
  data_dir: text,
  pid: whole,
  api: object<Status['api']>({ socket: text, http: text }),
  leader: nullable(whole),
  term: whole,
  commit_index: whole,
  applied_index: whole,
  state_hash: text,
  voters: listOf(whole),
  learners: listOf(whole),
  state: oneOf('healthy', 'degraded', 'no_quorum', 'joining'),
  failure_tolerance: whole,
  version: text,
  uptime_ms: whole,
  discovery: object<Status['discovery']>({ online: flag, announced: flag, gossip: flag }),
  addresses: listOf(text),
  storage: object<Status['storage']>({
    backend: oneOf('sqlite', 'inmemory'),
    keys: whole,
    bytes: whole,
    compacted_revision: whole,
    log_base: whole,
    log_last: whole,
    snapshot: nullable(
      object<NonNullable<Status['storage']['snapshot']>>({ index: whole, bytes: whole })
    ),
    fetching: nullable(
      object<NonNullable<Status['storage']['fetching']>>({
        index: whole,
        bytes: whole,
        percent: number
      })
    )
  }),
  disk: nullable(
    object<NonNullable<Status['disk']>>({
      used_bytes: whole,
      total_bytes: whole,
      percent: number,
      is_full: flag
    })
  )
})

const health = shape<Health>({
  status: oneOf('healthy', 'degraded', 'unhealthy'),
  state: text,
  current_leader: nullable(whole),
  term: whole,
  node_id: nullable(whole),
  raft_node_id: nullable(whole),
  uptime_seconds: number,
  failure_tolerance: whole,
  alarms: listOf(oneOf('nospace', 'corrupt', 'clock_skew', 'overloaded')),
  supervision: object<Health['supervision']>({
    status: oneOf('healthy', 'degraded', 'unhealthy'),
    consecutive_failures: whole,
    circuit_state: oneOf('Closed', 'Open', 'HalfOpen'),
    enabled: flag
  }),
  checks: recordOf(
    object<Health['checks'][string]>({
      status: oneOf('ok', 'warning', 'error'),
      message: optional(text)
    })
  )
})

const clusterNode = object<ClusterNode>({ id: whole, key: text, addresses: listOf(text) })
const clusterFields: Fields<ClusterState> = {
  nodes: listOf(clusterNode),
  members: listOf(whole),
  learners: listOf(clusterNode)
}
const logId = object<SnapshotAnswer['snapshot']>({ term: whole, index: whole })

const raftMetrics = shape<RaftMetrics>({
  node_id: whole,
  state: oneOf('Leader', 'Follower', 'Learner', 'Candidate', 'Shutdown'),
  current_leader: nullable(whole),
  current_term: whole,
  last_log_index: whole,
  last_applied: nullable(logId),
  snapshot: nullable(logId),
  replication: nullable(recordOf(nullable(logId))),
  millis_since_quorum_ack: nullable(number)
})

/** Without the echo of the command. */
type WrittenAnswer = Pick<WriteAnswer, 'revision' | 'changes'>

export const shapes = {
  status,
  members: shape<Members>({ members: listOf(object(memberFields)) }),
  health,
  survey: shape<Survey>({
    cluster: object<Survey['cluster']>({ id: text }),
    has_quorum: flag,
    members: listOf(surveyed)
  }),
  nodeInfo: shape<NodeInfo>({ id: nullable(whole), key: text, addresses: listOf(text) }),
  probe: shape<Probe>({ ok: flag, checks: recordOf(flag), reasons: recordOf(text) }),
  newTicket: shape<NewTicket>({ ticket: text, ...ticketFields }),
  tickets: shape<Tickets>({ tickets: listOf(object(ticketFields)) }),
  revoked: shape<{ readonly revoked: true }>({ revoked: oneOf(true) }),
  clusterState: shape<ClusterState>(clusterFields),
  raftMetrics,
  leader: shape<LeaderAnswer>({
    leader: nullable(whole),
    key: nullable(text),
    name: nullable(text),
    addresses: listOf(text)
  }),
  snapshot: shape<SnapshotAnswer>({ snapshot: logId }),
  promotion: shape<PromotionAnswer>({
    success: oneOf(true),
    learner_id: whole,
    previous_voters: listOf(whole),
    new_voters: listOf(whole),
    timestamp: text,
    message: text
  }),
  removal: shape<RemovalAnswer>({ ...clusterFields, revoked_tickets: listOf(text) }),
  transfer: shape<TransferAnswer>({ leader: whole }),
  read: shape<ReadAnswer>({
    ...itemFields,
    consistency,
    applied_index: whole,
    leader_contact_ms: nullable(whole)
  }),
  written: shape<WrittenAnswer>({
    revision: whole,
    changes: listOf(object<WriteAnswer['changes'][number]>({ previous_revision: whole }))
  }),
  scan: shape<ScanAnswer>({
    items: listOf(object(itemFields)),
    has_more: flag,
    revision: whole,
    consistency,
    leader_contact_ms: nullable(whole)
  }),
  error: shape<ErrorBody>({
    error: object<ErrorBody['error']>({
      code: text,
      message: text,
      hint: nullable(text),
      retryable: flag,
      applied: oneOf(false, null),
      leader: nullable(whole),
      revision: nullable(whole),
      fields: recordOf((value) => text(value) || number(value) || flag(value) || value === null)
    })
  })
}
