// Every limit of the product, with its unit, its reason and what happens at it. Names that the
// seed used are kept. A limit that a folder alone needs still lives here, so that the relations
// between limits can be asserted in one place, at the foot.

import { assert } from './assert.ts'

const KIB = 1024
const MIB = 1024 * KIB

// --- what a client may ask (refused with its own code) ---

/** Bytes of a key (seed). At n + 1: KEY_TOO_LARGE. An empty key is refused too. */
export const MAX_KEY_SIZE = 1 * KIB
/** Bytes of a value (seed). At n + 1: VALUE_TOO_LARGE. */
export const MAX_VALUE_SIZE = 1 * MIB
/** Changes in one client command (seed). At n + 1: BATCH_TOO_LARGE. */
export const MAX_SETMULTI_KEYS = 100
/** Bytes of all keys and values of one client command: 100 values of 1 MiB would fit no message. */
export const MAX_BATCH_BYTES = 8 * MIB
/** Rows of one scan page, which is read in one turn of the event loop. Larger limits are refused. */
export const MAX_SCAN_LIMIT = 1_000
/** Rows of one scan page when none is given. */
export const DEFAULT_SCAN_LIMIT = 1_000
/** Bytes of keys and values in one scan page; the page ends early and says that there is more. */
export const MAX_SCAN_BYTES = 2 * MIB
/** How long a request may wait by default and at most. */
export const DEFAULT_REQUEST_TIMEOUT_MS = 5_000
export const MAX_REQUEST_TIMEOUT_MS = 10 * 60_000

// --- the log ---

/** Rows that one entry of any kind may change; the ordinal of a row within its revision. */
export const MAX_CHANGES_PER_ENTRY = 1_000
/** Row id = revision × this + ordinal. */
export const REVISION_STRIDE = 1_024
/** Bytes of an entry's payload: a full batch and its framing. */
export const MAX_ENTRY_BYTES = MAX_BATCH_BYTES + 256 * KIB
/** Highest index and term that are accepted: a revision row id stays a safe integer. */
export const MAX_INDEX = 2 ** 42
export const MAX_TERM = 2 ** 52
/** A message of a term this much later than the own one is dropped: no election led there. */
export const MAX_TERM_JUMP = 1_000_000
/** Bytes of the log's file and of the address space mapped for it; beyond: NO_SPACE. */
export const MAX_LOG_FILE_BYTES = 64 * 1024 * MIB

/** Bytes of payload that one slice of a scrub reads of the log, in one turn of the event loop. */
export const MAX_SCRUB_SLICE_BYTES = 256 * KIB
/** Between two slices: a megabyte a second at most. And between the end of a pass and the next one. */
export const SCRUB_SLICE_MS = 250
export const SCRUB_INTERVAL_MS = 24 * 60 * 60_000
/** Entries behind the log's base that one transaction removes: more would hold up the writes beside it. */
export const LOG_SWEEP_ENTRIES = 256

// --- consensus ---

/** Bytes of entries in one AppendEntries, unless a single entry is larger. */
export const MAX_APPEND_BYTES = 1 * MIB
/** Entries in one AppendEntries. */
export const MAX_APPEND_ENTRIES = 1_024
/** AppendEntries on the way to one follower. */
export const MAX_INFLIGHT_APPENDS = 64
/** Bytes of entries on the way to one follower, unless a single entry is larger. */
export const MAX_INFLIGHT_BYTES = 16 * MIB
/** Bytes of recent entries kept in memory for followers; older ones are read from the store. */
export const MAX_LOG_CACHE_BYTES = 16 * MIB
/** Entries kept in memory likewise. */
export const MAX_LOG_CACHE_ENTRIES = 16_384
/** AppendEntries to one follower that one step may make, so that a turn of the loop stays short. */
export const MAX_APPENDS_PER_STEP = 4
/** A leader whose clock is further from its quorum's refuses to stamp entries, and hands over. */
export const MAX_CLOCK_SKEW_MS = 5 * 60_000
/** How often a node looks at what the others' clocks say of its own; each second look hands over. */
export const CLOCK_LOOK_MS = 1_000
/** The latest time that an entry or a clock may show: the last one that a Date holds. */
export const MAX_TIME_MS = 8.64e15
/** Reads waiting for one confirmation round; beyond: OVERLOADED. */
export const MAX_PENDING_READS = 10_000

/** Proposals waiting or in progress on a leader (count and bytes); beyond: OVERLOADED. */
export const MAX_PENDING_PROPOSALS = 1_024
export const MAX_PENDING_PROPOSAL_BYTES = 16 * MIB
/** How long a member may take to say what it has, when somebody looks for a way out of a lost quorum. */
export const ASK_LOG_MS = 1_000
/** Requests with proposals under way from one node to its leader; more would split what can travel together. */
export const MAX_FORWARDS_UNDER_WAY = 4
/** How long the leader may take to say up to where a read must go; then it is asked again. */
export const READ_ROUND_MS = 2_000
/** Entries handed to the state machine in one apply call (seed: MAX_BATCH_SIZE). */
export const MAX_BATCH_SIZE = 1_000
/** Bytes of payload handed to the state machine in one apply call, unless one entry is larger. */
export const MAX_APPLY_BYTES = 1 * MIB

// --- the disk ---

/** Use of the data directory's disk, as `df` counts it, above which a leader takes no more writes. */
export const DISK_FULL_PERCENT = 95
/** Use below which a full disk counts as free again. */
export const DISK_FREE_PERCENT = 93
/** Use from which the health of a node warns. */
export const DISK_WARN_PERCENT = 80
/** How often the disk is looked at; sooner when what was written since could have filled 1 % of it. */
export const DISK_CHECK_MS = 1_000
/** Bytes that a byte of an entry may take until the disk is looked at again: log, write-ahead log, database, pages. */
export const DISK_BYTES_PER_ENTRY_BYTE = 4
/** What the smallest entry takes likewise. */
export const MIN_DISK_BYTES_PER_ENTRY = 4 * KIB
/** How often a leader asks the other voters whether their disks have space, and how long an answer counts. */
export const DISK_ASK_MS = 5_000
export const DISK_ANSWER_MS = 15_000

// --- the state machine ---

/** Live keys, and bytes of live keys and values: at that many, puts are refused with STORE_FULL (seed: 1,000,000 and 100 MiB). */
export const DEFAULT_MAX_STATE_ENTRIES = 10_000_000
export const DEFAULT_MAX_STATE_BYTES = 4 * 1024 * MIB

/** Work on entries in one turn of the event loop; one row is the unit that is not divided. */
export const APPLY_SLICE_MS = 5
/** Payload bytes after which a transaction of several entries is committed. */
export const MAX_TRANSACTION_BYTES = 1 * MIB
/** Page cache of each SQLite connection: what is more goes to the write-ahead log before the commit. */
export const MAX_SQLITE_CACHE_BYTES = 2 * MIB
/** Bytes of write-ahead log at which a checkpoint starts. */
export const CHECKPOINT_WAL_BYTES = 4 * MIB
/** Bytes of write-ahead log at which applying waits for the checkpoint. */
export const MAX_WAL_BYTES = 64 * MIB
/** How long the checkpoint thread stays when there is nothing to do: starting it costs 0.2 s of a core. */
export const CHECKPOINT_LINGER_MS = 10_000
/** How long applying waits before another checkpoint when one did not get through. */
export const CHECKPOINT_RETRY_MS = 100

/** Rows that compaction looks at in one transaction: while nothing is applied, and behind one that applies. */
export const COMPACTION_IDLE_ROWS = 1_000
export const COMPACTION_BUSY_ROWS = 64

// --- snapshots ---

/** Bytes of a chunk: the unit of hashing and of fetching. */
export const SNAPSHOT_CHUNK_BYTES = 64 * KIB
/** Chunks of one snapshot; one with more is not made, and an offer of one is refused. */
export const MAX_SNAPSHOT_CHUNKS = 4 * MIB
/** Hashes of chunks that are sent at once. */
export const MAX_MANIFEST_PAGE = 16 * KIB
/** Chunks asked for and not there yet, of one member and of all: what a fetch holds in memory. */
export const MAX_SOURCE_CHUNKS = 8
export const MAX_FETCHING_CHUNKS = 16
/** Manifests and chunks being read for other members, of all; beyond: they ask again later. */
export const MAX_SNAPSHOT_READS = 32
/** Bad answers of a member after which it is left out for a while. */
export const MAX_BAD_CHUNKS = 3
/** Bytes of one record in the stream: a client's session with a full table of results is the longest. */
export const MAX_SNAPSHOT_RECORD_BYTES = 16 * MIB
/** Live keys, and bytes of their keys and values, beyond which no snapshot is made; configurable (seed: 1,000,000 and 100 MiB). */
export const DEFAULT_SNAPSHOT_ENTRIES = 100_000_000
export const DEFAULT_SNAPSHOT_BYTES = 64 * 1024 * MIB
/** How long the read transaction of a snapshot may stay open; then the snapshot is given up. */
export const MAX_SNAPSHOT_READ_MS = 10 * 60_000
/** Bytes of write-ahead log at which applying waits while a snapshot is being read: nothing can be checkpointed behind it. */
export const MAX_SNAPSHOT_WAL_BYTES = 1024 * MIB
/** Backups of one node that are being made or taken; beyond: OVERLOADED. */
export const MAX_BACKUPS = 2
/** How long a node may take until the first byte of one comes: its own limit is MAX_SNAPSHOT_READ_MS. */
export const BACKUP_MAKING_MS = 11 * 60_000
/** How long whoever takes a backup may take nothing; then the connection is closed. */
export const BACKUP_STALL_MS = 60_000
/** Snapshots kept of what has been applied; and the newest one that is ahead of it. */
export const KEPT_SNAPSHOTS = 2
/** Page cache of the threads that read and build snapshots. */
export const SNAPSHOT_CACHE_BYTES = 32 * MIB
/** Bytes of fetched chunks on the way to the disk; beyond, each is written before the next is taken. */
export const MAX_INCOMING_BACKLOG_BYTES = 4 * MIB

// --- sessions (at n + 1 the least recently used is forgotten; changing one changes what old entries mean) ---

/** Clients whose requests are remembered: one per life of a node's process, as a rule. */
export const MAX_SESSIONS = 1_024
/** Requests of one client that are remembered; when a later one comes, the first are taken as answered. */
export const MAX_SESSION_RESULTS = 1_024
/** Bytes of all remembered results with what keeping them costs, which is counted as so many each. */
export const MAX_SESSION_TABLE_BYTES = 16 * MIB
export const SESSION_RESULT_OVERHEAD = 64
/** Log time after which a client that is not heard of is forgotten. */
export const MAX_SESSION_AGE_MS = 24 * 60 * 60_000
/** Bytes of a result as it is remembered and sent: one number per change, or the texts of a refusal. */
export const MAX_RESULT_BYTES = 9 * MAX_CHANGES_PER_ENTRY + 64

// --- membership ---

/** Voters (seed). More than 9 warns. */
export const MAX_VOTERS = 100
/** Members of any role: bounds a configuration entry. */
export const MAX_MEMBERS = 164
/** Voters that the growth rule makes. */
export const DEFAULT_TARGET_VOTERS = 3
/** A learner this close to the leader's last index counts as caught up (seed). */
export const MAX_PROMOTION_LAG = 100
/** Log time after a change of the voters in which no learner is promoted by command, unless forced (seed: MEMBERSHIP_COOLDOWN). */
export const MEMBERSHIP_COOLDOWN_MS = 5 * 60_000
/** Voters beyond which the leader warns: each write waits for a majority of them. */
export const MANY_VOTERS = 9
/** Operations on the cluster that one node carries out as the leader, of all members; beyond: OVERLOADED. */
export const MAX_PENDING_OPERATIONS = 128
/** Of these, for one other member, so that none keeps the others out; beyond: OVERLOADED. */
export const MAX_MEMBER_OPERATIONS = 32
/** How long a learner must have been caught up and linked before the growth rule takes it. */
export const PROMOTION_STABILITY_MS = 2_000
/** Removed keys remembered, which are never let in again; beyond: the one removed first is forgotten, and is any stranger's then. */
export const MAX_REMOVED_KEYS = 10_000
/** Addresses recorded per member. */
export const MAX_MEMBER_ADDRESSES = 8
/** How long what is remembered of other members (amnesia guard) may wait before it is saved. */
export const GUARD_SAVE_MS = 2_000
/** Bytes of a member's display name (UTF-8). */
export const MAX_NAME_SIZE = 63
/** Bytes of the version text that a member says of itself. */
export const MAX_VERSION_SIZE = 32
/** Bytes of an epoch secret sealed to a node; room for a longer secret. */
export const MAX_SEALED_SECRET_SIZE = 128

// --- tickets and invites ---

/** Characters of a ticket. */
export const MAX_TICKET_LENGTH = 300
/** Open invites in a cluster; beyond: TOO_MANY_TICKETS. */
export const MAX_OPEN_INVITES = 100
/** Closed invites remembered, so that their holders are told why (with MAX_CLOSED_INVITE_AGE_MS). */
export const MAX_CLOSED_INVITES = 1_000
export const MAX_CLOSED_INVITE_AGE_MS = 30 * 24 * 60 * 60_000
/** Uses of an invite: default of `create`, and the most that can be asked. */
export const DEFAULT_INVITE_USES = 16
export const MAX_INVITE_USES = 1_000
/** Life of an invite: default, and the most that can be asked. */
export const DEFAULT_INVITE_TTL_MS = 24 * 60 * 60_000
export const MAX_INVITE_TTL_MS = 365 * 24 * 60 * 60_000

// --- links ---

/** Bytes of one message between members (seed). */
export const MAX_RPC_MESSAGE_SIZE = 10 * MIB
/** Messages above this are fragmented, so that nothing small waits behind something big. */
export const MAX_FRAGMENT_BYTES = 16 * KIB
/** Bytes of bulk unacknowledged in a stream: max(MIN, BULK_WINDOW_MS of measured bandwidth). */
export const MIN_BULK_WINDOW_BYTES = 4 * KIB
export const BULK_WINDOW_MS = 100
/** Of that, at most so much beyond what the path itself holds, and so much in all. */
export const MAX_BULK_QUEUE_BYTES = 512 * KIB
export const MAX_BULK_WINDOW_BYTES = 8 * MIB
/** Bytes of bulk written to one stream in one turn of the event loop; the rest in the next. */
export const MAX_TURN_BULK_BYTES = 256 * KIB
/** Bytes queued for one peer; beyond, the oldest AppendEntries go (they are sent again). */
export const MAX_SEND_BACKLOG_BYTES = 32 * MIB
/**
 * Bytes queued for one peer with what is not sent again (requests, answers, heartbeats, votes); beyond,
 * the link is closed: the other side does not read.
 */
export const MAX_LINK_BACKLOG_BYTES = 64 * MIB
/** Acknowledgements of bulk that wait to leave; beyond, likewise. An honest sender waits for fewer. */
export const MAX_UNSENT_ACKS = 8_192
/** Requests in flight to one peer; beyond: BUSY. */
export const MAX_INFLIGHT_REQUESTS = 1_024
/** Of those, on the channel of snapshots: each may be answered with something big; beyond: BUSY. */
export const MAX_INFLIGHT_SNAPSHOT_REQUESTS = 32
/** A connection that has not shown its right to be here is closed after this. */
export const HELLO_DEADLINE_MS = 5_000
/** Bytes of any frame before the hello is verified. */
export const MAX_HELLO_BYTES = 4 * KIB
/** Connections in which nobody has said a verified hello yet; beyond: silence. */
export const MAX_UNPROVEN_CONNECTIONS = 32
/** Handshakes per second with keys that are no members'; beyond: silence. Each costs memory for 10 s. */
export const MAX_KNOCKS_PER_SECOND = 50
/**
 * Handshakes that were not let in, kept against repeats of their first packet (10 s, some KiB each);
 * beyond: the oldest are forgotten.
 */
export const MAX_REFUSED_HANDSHAKES = 1_000
/** Answers with a reason to keys that are refused: pause per key, and per second in all. */
export const REFUSAL_PAUSE_MS = 2_000
export const MAX_REFUSALS_PER_SECOND = 10
/** What was written last may take so long to arrive before a connection closes. */
export const FINISH_DEADLINE_MS = 1_000
/** A network that closes takes back its announcements for at most so long. */
export const CLOSE_DEADLINE_MS = 2_000
/** Announcers of an invite's topic that a joiner tries. */
export const MAX_JOIN_CANDIDATES = 64
/** Connections that joiners may hold: per invite and in all; each for JOIN_DEADLINE_MS. */
export const MAX_CONNECTIONS_PER_INVITE = 4
export const MAX_INVITE_CONNECTIONS = 16
export const JOIN_DEADLINE_MS = 5_000
/** Members known (seed). */
export const MAX_PEERS = 1_000

// --- the HTTP API ---

/** Bytes of a request body: one value in base64 with room; the batch route takes a full batch. */
export const MAX_HTTP_BODY_BYTES = 1.5 * MIB
export const MAX_HTTP_BATCH_BODY_BYTES = 12 * MIB
/** Bytes of all bodies being read or worked on, of all connections; beyond: OVERLOADED. */
export const MAX_HTTP_PENDING_BODY_BYTES = 64 * MIB
/** Connections of one listener, the next is closed at once; requests on one, whose last answer says that it closes; those not answered yet, one more closes it. */
export const MAX_HTTP_CONNECTIONS = 256
export const MAX_HTTP_REQUESTS_PER_CONNECTION = 1_000
export const MAX_HTTP_PIPELINED = 8
/** Requests being worked on, of all listeners; beyond: OVERLOADED. */
export const MAX_HTTP_IN_FLIGHT = 1_024
/** Bytes of a request's line and headers, beyond: the connection is closed; and header lines. Beyond: INVALID_REQUEST. */
export const MAX_HTTP_HEADER_BYTES = 16 * KIB
export const MAX_HTTP_HEADERS = 64
/** How long headers, and a whole request, may take to arrive, an answer may lie untaken, and a connection is kept without a request; then it is closed. */
export const HTTP_HEADERS_TIMEOUT_MS = 10_000
export const HTTP_REQUEST_TIMEOUT_MS = 30_000
export const HTTP_ANSWER_STALL_MS = 30_000
export const HTTP_KEEP_ALIVE_TIMEOUT_MS = 60_000
/** How long requests in progress may take to end once the API closes. */
export const HTTP_DRAIN_MS = 1_500
/** Work on the body of one request or answer in one turn of the event loop. */
export const HTTP_SLICE_MS = 2
/** Bytes of an answer that the client reads: a scan page with each byte escaped. */
export const MAX_HTTP_ANSWER_BYTES = 32 * MIB
/** Connections and requests of one client; beyond the first they wait, beyond the second: OVERLOADED. */
export const MAX_CLIENT_CONNECTIONS = 64
export const MAX_CLIENT_IN_FLIGHT = 1_024
/**
 * How much longer than the node the client waits for an answer. The node answers at the request's
 * deadline, and knows better how it ended; this is what that answer may take to arrive on a busy machine.
 */
export const CLIENT_GRACE_MS = 1_000
/** Nesting and number of values in a request body; beyond: INVALID_REQUEST, BATCH_TOO_LARGE. */
export const MAX_JSON_DEPTH = 8
export const MAX_JSON_VALUES = 8_192
/** First TCP port tried, and how many after it. */
export const DEFAULT_HTTP_PORT = 7_070
export const HTTP_PORT_TRIES = 100

// --- the command line ---

/** How long a node waits for the lock of its directory: a command that looks whether it is held, holds it. */
export const LOCK_WAIT_MS = 500

// --- relations ---

assert(
  DEFAULT_MAX_STATE_ENTRIES <= DEFAULT_SNAPSHOT_ENTRIES &&
    DEFAULT_MAX_STATE_BYTES <= DEFAULT_SNAPSHOT_BYTES,
  'what may be written fits a snapshot'
)
assert(DISK_WARN_PERCENT < DISK_FREE_PERCENT, 'a warning comes first')
assert(DISK_FREE_PERCENT < DISK_FULL_PERCENT, 'a disk does not flicker')
assert(DISK_ASK_MS * 2 < DISK_ANSWER_MS, 'one lost answer does not count as silence')
assert(MAX_CHANGES_PER_ENTRY < REVISION_STRIDE, 'a row ordinal fits its revision')
assert(MAX_SETMULTI_KEYS <= MAX_CHANGES_PER_ENTRY, 'a client batch fits an entry')
assert(MAX_INDEX * REVISION_STRIDE <= Number.MAX_SAFE_INTEGER, 'a row id is a safe integer')
assert(MAX_KEY_SIZE + MAX_VALUE_SIZE <= MAX_BATCH_BYTES, 'one full pair fits a batch')
assert(MAX_ENTRY_BYTES + 64 * KIB <= MAX_RPC_MESSAGE_SIZE, 'a full entry fits a message')
assert(MAX_ENTRY_BYTES <= MAX_INFLIGHT_BYTES, 'a full entry fits a window')
assert(MAX_ENTRY_BYTES <= MAX_PENDING_PROPOSAL_BYTES, 'a full entry can be proposed')
assert(MAX_RPC_MESSAGE_SIZE <= MAX_SEND_BACKLOG_BYTES, 'any message can be queued')
assert(
  MAX_SEND_BACKLOG_BYTES + MAX_RPC_MESSAGE_SIZE <= MAX_LINK_BACKLOG_BYTES,
  'what is dropped goes first'
)
assert(
  2 * (MAX_BULK_WINDOW_BYTES / MIN_BULK_WINDOW_BYTES) <= MAX_UNSENT_ACKS,
  'a full window of the smallest fragments can be acknowledged'
)
assert(MAX_KEY_SIZE + MAX_VALUE_SIZE <= MAX_SCAN_BYTES, 'a scan page holds any pair')
assert(
  MAX_ENTRY_BYTES + CHECKPOINT_WAL_BYTES < MAX_WAL_BYTES,
  'a full entry fits the write-ahead log'
)
assert(
  MAX_PENDING_PROPOSALS <= MAX_SESSION_RESULTS,
  'all that one node has in progress is remembered'
)
assert(
  MAX_SESSION_RESULTS * (MAX_RESULT_BYTES + SESSION_RESULT_OVERHEAD) <= MAX_SESSION_TABLE_BYTES,
  'one session always fits'
)
assert(
  MAX_SESSION_RESULTS * (MAX_RESULT_BYTES + 16) + KIB <= MAX_SNAPSHOT_RECORD_BYTES,
  'a full session is a record of a snapshot'
)
assert(MAX_KEY_SIZE + MAX_VALUE_SIZE + KIB <= MAX_SNAPSHOT_RECORD_BYTES, 'and so is any row')
assert(MAX_WAL_BYTES < MAX_SNAPSHOT_WAL_BYTES, 'a snapshot being read allows for more')
assert(KEPT_SNAPSHOTS >= 1, 'the newest snapshot is kept')
assert(MAX_REQUEST_TIMEOUT_MS * 2 < MAX_SESSION_AGE_MS, 'no request outlives its session')
assert(
  MAX_RESULT_BYTES * MAX_APPEND_ENTRIES < MAX_RPC_MESSAGE_SIZE,
  'the results of a full batch fit a message'
)
assert(MAX_MANIFEST_PAGE * 32 + KIB <= MAX_RPC_MESSAGE_SIZE, 'hashes of chunks fit a message')
assert(MAX_SOURCE_CHUNKS < MAX_INFLIGHT_SNAPSHOT_REQUESTS, 'a fetch leaves room for others')
assert(MAX_MEMBERS > MAX_VOTERS, 'learners fit beside all voters')
assert(MAX_PENDING_OPERATIONS > MAX_VOTERS, 'a founder waits for all initial members at once')
assert(MAX_FRAGMENT_BYTES < MAX_RPC_MESSAGE_SIZE, 'fragments are smaller than messages')
assert(MAX_FRAGMENT_BYTES <= MAX_TURN_BULK_BYTES, 'a fragment fits a turn')
assert(MAX_BULK_QUEUE_BYTES <= MAX_BULK_WINDOW_BYTES, 'the queue is part of the window')
assert(MAX_BATCH_BYTES <= MAX_HTTP_BATCH_BODY_BYTES, 'a full batch fits a request body')
assert(MAX_SETMULTI_KEYS * 8 < MAX_JSON_VALUES, 'any spelling of a full batch can be read')
assert(MAX_HTTP_BATCH_BODY_BYTES <= MAX_HTTP_PENDING_BODY_BYTES, 'any body can be read')
assert(MAX_SNAPSHOT_READ_MS < BACKUP_MAKING_MS, 'a backup that takes long is refused by its maker')
