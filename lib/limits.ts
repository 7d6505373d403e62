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
/** Rows of one scan page: the seed's later maximum. Larger limits are refused. */
export const MAX_SCAN_LIMIT = 10_000
/** Rows of one scan page when none is given. */
export const DEFAULT_SCAN_LIMIT = 1_000
/** Bytes of keys and values in one scan page; the page ends early and says that there is more. */
export const MAX_SCAN_BYTES = 4 * MIB
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
/** Reads waiting for one confirmation round; beyond: OVERLOADED. */
export const MAX_PENDING_READS = 10_000

/** Proposals waiting or in progress on a leader (count and bytes); beyond: OVERLOADED. */
export const MAX_PENDING_PROPOSALS = 1_024
export const MAX_PENDING_PROPOSAL_BYTES = 16 * MIB
/** Entries handed to the state machine in one apply call (seed: MAX_BATCH_SIZE). */
export const MAX_BATCH_SIZE = 1_000
/** Bytes of payload handed to the state machine in one apply call, unless one entry is larger. */
export const MAX_APPLY_BYTES = 1 * MIB

// --- the state machine ---

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
/** How long applying waits before another checkpoint when one did not get through. */
export const CHECKPOINT_RETRY_MS = 100

// --- membership ---

/** Voters (seed). More than 9 warns. */
export const MAX_VOTERS = 100
/** Members of any role: bounds a configuration entry. */
export const MAX_MEMBERS = 164
/** Voters that the growth rule makes. */
export const DEFAULT_TARGET_VOTERS = 3
/** A learner this close to the leader's last index counts as caught up (seed). */
export const MAX_PROMOTION_LAG = 100
/** How long a learner must have been caught up and linked before the growth rule takes it. */
export const PROMOTION_STABILITY_MS = 2_000
/** Addresses recorded per member. */
export const MAX_MEMBER_ADDRESSES = 8
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
/** Bytes queued for one peer; beyond, the oldest AppendEntries go (they are sent again). */
export const MAX_SEND_BACKLOG_BYTES = 32 * MIB
/** Requests in flight to one peer; beyond: BUSY. */
export const MAX_INFLIGHT_REQUESTS = 1_024
/** A connection that has not shown its right to be here is closed after this. */
export const HELLO_DEADLINE_MS = 5_000
/** Bytes of any frame before the hello is verified. */
export const MAX_HELLO_BYTES = 4 * KIB
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
export const MAX_HTTP_CONNECTIONS = 256
export const MAX_HTTP_IN_FLIGHT = 1_024
/** First TCP port tried, and how many after it. */
export const DEFAULT_HTTP_PORT = 7_070
export const HTTP_PORT_TRIES = 100

// --- relations ---

assert(MAX_CHANGES_PER_ENTRY < REVISION_STRIDE, 'a row ordinal fits its revision')
assert(MAX_SETMULTI_KEYS <= MAX_CHANGES_PER_ENTRY, 'a client batch fits an entry')
assert(MAX_INDEX * REVISION_STRIDE <= Number.MAX_SAFE_INTEGER, 'a row id is a safe integer')
assert(MAX_KEY_SIZE + MAX_VALUE_SIZE <= MAX_BATCH_BYTES, 'one full pair fits a batch')
assert(MAX_ENTRY_BYTES + 64 * KIB <= MAX_RPC_MESSAGE_SIZE, 'a full entry fits a message')
assert(MAX_ENTRY_BYTES <= MAX_INFLIGHT_BYTES, 'a full entry fits a window')
assert(MAX_ENTRY_BYTES <= MAX_PENDING_PROPOSAL_BYTES, 'a full entry can be proposed')
assert(MAX_RPC_MESSAGE_SIZE <= MAX_SEND_BACKLOG_BYTES, 'any message can be queued')
assert(MAX_KEY_SIZE + MAX_VALUE_SIZE <= MAX_SCAN_BYTES, 'a scan page holds any pair')
assert(MAX_ENTRY_BYTES + CHECKPOINT_WAL_BYTES < MAX_WAL_BYTES, 'a full entry fits the write-ahead log')
assert(MAX_MEMBERS > MAX_VOTERS, 'learners fit beside all voters')
assert(MAX_FRAGMENT_BYTES < MAX_RPC_MESSAGE_SIZE, 'fragments are smaller than messages')
assert(MAX_BATCH_BYTES <= MAX_HTTP_BATCH_BODY_BYTES, 'a full batch fits a request body')
