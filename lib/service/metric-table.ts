// Every metric of a node, once: its name, its kind, its labels and what it says. The registry is made
// of this table (metrics.ts), and METRICS.md is written from it.
//
// Base units only (seconds, bytes); counters end in `_total`. A label has the values named here, all of
// which are there from the start with 0, or `null`: then they are few and known only while the node runs
// (members by id, routes). Which node it is says the scrape (`instance`), not a label.

import { DIAL_FAILURES } from '../transport/dial-reason.ts'

export interface MetricRow {
  readonly help: string
  readonly labels?: Readonly<Record<string, readonly string[] | null>>
  /** what is there from the start, where not every combination can occur */
  readonly initial?: readonly Readonly<Record<string, string>>[]
}

const PEER = { peer: null }
const TRAFFIC = { direction: ['sent', 'received'], channel: ['raft', 'rpc', 'snapshot'] }

/** Operations with what they may be worth. */
const KV_SERIES = [
  ...['put', 'delete', 'batch'].map((op) => ({ op, consistency: 'linearizable' })),
  ...['get', 'scan'].flatMap((op) =>
    ['linearizable', 'stale'].map((consistency) => ({ op, consistency }))
  )
]
const KV_RESULTS = [
  'ok',
  'not_found',
  'conflict',
  'invalid',
  'unavailable',
  'overloaded',
  'no_space',
  'timeout',
  'failed'
] as const
export type KvResult = (typeof KV_RESULTS)[number]
const STORE = { store: ['log', 'state', 'snapshots'] }

export const GAUGES = {
  aspen_build_info: {
    help: 'which program runs; 1',
    labels: { version: null, node_version: null }
  },
  aspen_node_info: {
    help: 'which node this is; 1',
    labels: { id: null, name: null, cluster: null }
  },
  aspen_node_start_time_seconds: { help: 'when the node was started, as Unix time' },
  aspen_node_draining: { help: '1 while the node is being closed' },
  aspen_current_leader: { help: 'id of the leader; absent while none is known' },
  aspen_raft_has_leader: { help: '1 while a leader is known, else 0' },
  aspen_raft_state: {
    help: '1 for what the node is, 0 for what it is not',
    labels: { state: ['leader', 'follower', 'candidate', 'learner'] }
  },
  aspen_raft_term: { help: 'the current term' },
  aspen_raft_last_log_index: { help: 'index of the last entry in the log' },
  aspen_raft_commit_index: { help: 'index of the last entry known to be committed' },
  aspen_raft_applied_index: { help: 'index of the last entry applied to the state machine' },
  aspen_raft_snapshot_index: { help: 'index of the newest snapshot here; absent without one' },
  aspen_apply_lag: { help: 'entries in the log that are not applied yet' },
  aspen_quorum_acked_seconds: {
    help: 'time since a majority of the voters was heard; leader only, else absent'
  },
  aspen_raft_proposals_pending: { help: 'commands given to this node that have no answer yet' },
  aspen_raft_replication_lag_entries: {
    help: 'entries that a member lacks; leader only',
    labels: PEER
  },
  aspen_raft_peer_last_contact_seconds: {
    help: 'time since a member answered; leader only',
    labels: PEER
  },
  aspen_raft_peer_rtt_seconds: {
    help: 'smoothed round trip of the link to a member',
    labels: PEER
  },
  aspen_log_entries: { help: 'entries kept in the log' },
  aspen_storage_size_bytes: { help: 'bytes of the files on the disk', labels: STORE },
  aspen_disk_available_bytes: { help: 'bytes that the file system of the data directory has left' },
  aspen_disk_size_bytes: { help: 'bytes of that file system' },
  sqlite_wal_size_bytes: { help: "bytes of the state machine's write-ahead log" },
  aspen_snapshot_apply_in_progress: {
    help: '1 while a snapshot of another member is on its way here'
  },
  aspen_kv_keys: { help: 'live keys' },
  aspen_kv_bytes: { help: 'bytes of live keys and their values' },
  aspen_kv_revision: { help: 'newest revision that reads of this node alone see' },
  aspen_kv_compact_revision: { help: 'history before this revision is gone; 0 for none' },
  aspen_members: {
    help: 'members by role, and by whether this node has a link to them',
    labels: { role: ['voter', 'learner'], health: ['linked', 'unreachable'] }
  },
  aspen_failure_tolerance: { help: 'voters that may fail now with writes going on' },
  aspen_unreachable_nodes: { help: 'members to which this node has no link' },
  aspen_nodes_needing_attention: {
    help: 'members that have been out of reach, or silent, for a minute'
  },
  aspen_node_unreachable_seconds: {
    help: 'for how long, for members that need attention',
    labels: { peer: null, failure_type: null }
  },
  aspen_alarms: {
    help: '1 while the alarm is on',
    labels: { alarm: ['nospace', 'corrupt', 'clock_skew', 'overloaded'] }
  },
  aspen_net_connections: {
    help: 'links to members by their way',
    labels: { path: ['direct', 'relay'] }
  },
  aspen_http_in_flight: { help: 'requests that are being worked on' },
  aspen_dht_online: { help: '1 once a query on the DHT has been answered' },
  aspen_dht_announced: { help: '1 while everything that this node announces is on the DHT' },
  aspen_tickets_open: { help: 'tickets that still let a machine in' },
  nodejs_eventloop_lag_p99_seconds: {
    help: 'how late the event loop turned, 99th percentile since the metrics were read last'
  },
  nodejs_heap_size_used_bytes: { help: 'bytes of the heap in use' },
  process_resident_memory_bytes: { help: 'bytes of memory that the process holds' },
  process_open_fds: { help: 'open descriptors; absent where the system does not say' },
  process_max_fds: { help: 'most descriptors that may be open; absent likewise' }
} as const satisfies Readonly<Record<string, MetricRow>>

export type GaugeName = keyof typeof GAUGES

export const COUNTERS = {
  aspen_raft_leader_changes_seen_total: { help: 'how often this node saw another leader' },
  aspen_raft_elections_total: {
    help: 'elections in which this node stood',
    labels: { result: ['won', 'lost', 'prevote_rejected'] }
  },
  aspen_raft_proposals_committed_total: {
    help: 'entries that became committed, as this node saw it'
  },
  aspen_raft_proposals_applied_total: { help: 'entries applied to the state machine' },
  aspen_raft_proposals_failed_total: {
    help: 'commands given to this node that were not carried out, or of which nobody knows',
    labels: { reason: ['no_leader', 'dropped', 'timeout', 'overloaded', 'no_space', 'refused'] }
  },
  aspen_raft_heartbeat_send_failures_total: {
    help: 'heartbeats of this leader to a member without a link'
  },
  aspen_snapshot_transfers_total: {
    help: 'snapshots of other members installed here, and own ones that others asked for',
    labels: { direction: ['in', 'out'], result: ['ok', 'failed'] }
  },
  aspen_kv_requests_total: {
    help: 'reads and writes asked of this node',
    labels: { op: null, consistency: null, result: null },
    initial: KV_SERIES.flatMap((series) => KV_RESULTS.map((result) => ({ ...series, result })))
  },
  aspen_kv_forwarded_total: {
    help: 'what this node sent on to the leader: writes, other commands, questions for reads',
    labels: { op: ['write', 'control', 'read'] }
  },
  aspen_net_dials_total: {
    help: 'attempts to reach a member',
    labels: { result: ['ok', ...DIAL_FAILURES] }
  },
  aspen_net_connections_established_total: { help: 'links that were opened' },
  aspen_net_connections_failed_total: {
    help: 'connections that were closed before they became a link to a member'
  },
  aspen_net_bytes_total: { help: 'bytes of messages on links', labels: TRAFFIC },
  aspen_net_messages_total: { help: 'messages on links', labels: TRAFFIC },
  aspen_net_messages_rejected_total: {
    help: 'messages that were not sent: no link, or too much waits for it already',
    labels: { reason: ['no_link', 'backlog'] }
  },
  aspen_ticket_uses_total: { help: 'nodes let in by tickets since this node was started' },
  aspen_admissions_total: {
    help: 'nodes that knocked here with a ticket',
    labels: { result: ['ok', 'expired', 'revoked', 'used', 'refused', 'busy'] }
  },
  aspen_errors_total: {
    help: 'storage: a store or a snapshot failed; network: a connection did; rpc: a request to a member had no answer',
    labels: { type: ['storage', 'network', 'rpc'] }
  },
  aspen_http_requests_total: {
    help: 'requests that were answered, by the template of their route',
    labels: { route: null, method: null, code: null }
  },
  process_cpu_seconds_total: { help: 'processor time of the process' }
} as const satisfies Readonly<Record<string, MetricRow>>

export type CounterName = keyof typeof COUNTERS

export interface HistogramRow extends MetricRow {
  /** upper bounds */
  readonly buckets: readonly number[]
}

/** Seconds, from a fast disk to a wide network. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

export const HISTOGRAMS = {
  aspen_raft_commit_duration_seconds: {
    help: 'a batch of commands on the leader, from its log to committed',
    buckets: SECONDS
  },
  aspen_raft_apply_duration_seconds: {
    help: 'applying a batch of entries to the state machine',
    buckets: SECONDS
  },
  aspen_raft_read_index_duration_seconds: {
    help: 'confirming a linearizable read, up to its index being applied here',
    buckets: SECONDS
  },
  aspen_log_fsync_duration_seconds: {
    help: 'a transaction of the log, until it is on the disk',
    buckets: SECONDS
  },
  aspen_storage_commit_duration_seconds: {
    help: 'log: a write, with its wait for the one before; state: the transaction of applied entries',
    labels: { store: ['log', 'state'] },
    buckets: SECONDS
  },
  aspen_snapshot_duration_seconds: {
    help: 'making a snapshot',
    buckets: [0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300]
  },
  aspen_snapshot_size_bytes: {
    help: 'snapshots made here or installed',
    buckets: [2 ** 16, 2 ** 20, 2 ** 24, 2 ** 27, 2 ** 30, 2 ** 33]
  },
  aspen_kv_request_duration_seconds: {
    help: 'reads and writes asked of this node',
    labels: { op: null, consistency: null },
    initial: KV_SERIES,
    buckets: SECONDS
  },
  aspen_rpc_duration_seconds: {
    help: 'requests to a member, until they were answered',
    labels: PEER,
    buckets: SECONDS
  },
  aspen_http_request_duration_seconds: {
    help: 'requests, until their answer had left',
    labels: { route: null, method: null },
    buckets: SECONDS
  },
  nodejs_gc_duration_seconds: {
    help: 'collecting garbage',
    labels: { kind: ['minor', 'major', 'incremental', 'weakcb'] },
    buckets: [0.001, 0.01, 0.1, 1]
  }
} as const satisfies Readonly<Record<string, HistogramRow>>

export type HistogramName = keyof typeof HISTOGRAMS
