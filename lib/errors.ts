// The operating errors of Aspen: one class per family, each built from one typed detail with a
// stable public `code`, and one exhaustive table from code to HTTP status, exit code and what the
// caller may conclude. Programmer errors are assertions (assert.ts).
//
// Three outcomes of a write, never two: it was done (no error), it was refused (`outcome:
// 'refused'`, nothing happened, safe to retry), or nobody can say (`outcome: 'unknown'`).

/** What is known of the effect of the operation that failed. */
export type Outcome = 'refused' | 'unknown'

interface CodeRow {
  readonly httpStatus: number
  readonly exitCode: number
  readonly outcome: Outcome
  /** Whether the same request may succeed later without anybody changing anything. */
  readonly isRetryable: boolean
}

/** Exit codes of the commands; the README lists them. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  conditionFailed: 4,
  unavailable: 5,
  outcomeUnknown: 6,
  denied: 7,
  daemonNotRunning: 8,
  integrity: 9,
  degraded: 10,
  compacted: 12,
  locked: 73,
  ioError: 74,
  noSpace: 75,
  fenced: 78,
  interrupted: 130
} as const

function refused(httpStatus: number, exitCode: number): CodeRow {
  return { httpStatus, exitCode, outcome: 'refused', isRetryable: false }
}

function retryable(httpStatus: number, exitCode: number): CodeRow {
  return { httpStatus, exitCode, outcome: 'refused', isRetryable: true }
}

function unknown(httpStatus: number, exitCode: number): CodeRow {
  return { httpStatus, exitCode, outcome: 'unknown', isRetryable: false }
}

/** Every public code. */
export const CODES = {
  // requests
  INVALID_REQUEST: refused(400, EXIT.usage),
  UNAUTHORIZED: refused(401, EXIT.denied),
  FORBIDDEN: refused(403, EXIT.denied),
  ROUTE_NOT_FOUND: refused(404, EXIT.usage),
  METHOD_NOT_ALLOWED: refused(405, EXIT.usage),
  PAYLOAD_TOO_LARGE: refused(413, EXIT.usage),
  UNSUPPORTED_MEDIA_TYPE: refused(415, EXIT.usage),
  MISDIRECTED: refused(421, EXIT.usage),
  // key-value store
  NOT_FOUND: refused(404, EXIT.notFound),
  KEY_TOO_LARGE: refused(400, EXIT.usage),
  VALUE_TOO_LARGE: refused(400, EXIT.usage),
  BATCH_TOO_LARGE: refused(400, EXIT.usage),
  BATCH_BYTES_TOO_LARGE: refused(400, EXIT.usage),
  DUPLICATE_KEY: refused(400, EXIT.usage),
  CONDITION_FAILED: refused(412, EXIT.conditionFailed),
  SESSION_EXPIRED: unknown(409, EXIT.outcomeUnknown),
  OVERLOADED: retryable(503, EXIT.unavailable),
  UNAVAILABLE: retryable(503, EXIT.unavailable),
  TIMEOUT: unknown(504, EXIT.outcomeUnknown),
  OUTCOME_UNKNOWN: unknown(504, EXIT.outcomeUnknown),
  FAILED: unknown(502, EXIT.failed),
  // control plane
  NOT_INITIALIZED: refused(412, EXIT.failed),
  ALREADY_INITIALIZED: refused(409, EXIT.failed),
  /** a recovery would split a cluster that works */
  QUORUM_REACHABLE: refused(409, EXIT.failed),
  CHANGE_IN_PROGRESS: retryable(409, EXIT.failed),
  MEMBER_NOT_FOUND: refused(404, EXIT.notFound),
  /** the voters in sight could not agree to the change, nor to anything after it */
  QUORUM_WOULD_BE_LOST: refused(409, EXIT.failed),
  LAST_VOTER: refused(409, EXIT.failed),
  TRANSFER_REFUSED: refused(409, EXIT.failed),
  // promotion (cluster/promotion.ts)
  MEMBERSHIP_CHANGE_TOO_RECENT: retryable(400, EXIT.failed),
  METRICS_UNAVAILABLE: retryable(400, EXIT.failed),
  NOT_A_LEARNER: refused(400, EXIT.failed),
  LEARNER_NOT_FOUND: refused(400, EXIT.notFound),
  LEARNER_UNHEALTHY: refused(400, EXIT.failed),
  LEARNER_LAGGING: retryable(400, EXIT.failed),
  NO_QUORUM_WITHOUT_FAILED_NODE: refused(400, EXIT.failed),
  MAX_VOTERS_EXCEEDED: refused(400, EXIT.failed),
  MEMBERSHIP_CHANGE_FAILED: refused(400, EXIT.failed),
  TICKET_NOT_FOUND: refused(404, EXIT.notFound),
  TOO_MANY_TICKETS: refused(409, EXIT.failed),
  // tickets
  NOT_A_TICKET: refused(400, EXIT.usage),
  TICKET_TOO_LONG: refused(400, EXIT.usage),
  TICKET_DAMAGED: refused(400, EXIT.usage),
  TICKET_NEWER: refused(400, EXIT.usage),
  TICKET_EXPIRED: refused(403, EXIT.denied),
  TICKET_REVOKED: refused(403, EXIT.denied),
  TICKET_USED_UP: refused(403, EXIT.denied),
  TICKET_UNKNOWN: refused(403, EXIT.denied),
  TICKET_WRONG_ROLE: refused(403, EXIT.denied),
  WRONG_CLUSTER: refused(403, EXIT.denied),
  MEMBER_REMOVED: refused(403, EXIT.denied),
  TOO_MANY_MEMBERS: refused(409, EXIT.failed),
  // transport
  NO_PEER_FOUND: retryable(503, EXIT.unavailable),
  LINK_LOST: unknown(504, EXIT.outcomeUnknown),
  PORT_IN_USE: refused(500, EXIT.failed),
  BUSY: retryable(503, EXIT.unavailable),
  PROTOCOL: refused(400, EXIT.failed),
  VERSION_MISMATCH: refused(400, EXIT.failed),
  DATA_LOST: refused(500, EXIT.fenced),
  FENCED: refused(500, EXIT.fenced),
  // storage
  LOCKED: refused(500, EXIT.locked),
  IO_ERROR: unknown(500, EXIT.ioError),
  NO_SPACE: unknown(507, EXIT.noSpace),
  /** the leader's disk is nearly full: refused before anything was written */
  DISK_SPACE_INSUFFICIENT: refused(507, EXIT.noSpace),
  /** the cluster holds as many keys or bytes as it may */
  STORE_FULL: refused(507, EXIT.noSpace),
  OPEN_DATABASE: refused(500, EXIT.ioError),
  CORRUPTED: refused(500, EXIT.integrity),
  /** the state machine is not what most members have: no read of it can be right */
  STATE_DIVERGED: refused(500, EXIT.integrity),
  FORMAT_NEWER: refused(500, EXIT.failed),
  UNKNOWN_ENTRY_KIND: refused(500, EXIT.failed),
  LOG_DIVERGED: refused(500, EXIT.integrity),
  // configuration, data directory, local node
  CONFIG_INVALID: refused(400, EXIT.usage),
  DATA_DIR_UNUSABLE: refused(500, EXIT.failed),
  DATA_DIR_TAKEN: refused(409, EXIT.failed),
  IDENTITY_WITHOUT_LOG: refused(500, EXIT.fenced),
  NO_CLUSTER_HERE: refused(412, EXIT.failed),
  NODE_NOT_RUNNING: retryable(503, EXIT.daemonNotRunning),
  START_FAILED: refused(500, EXIT.failed),
  INTERRUPTED: unknown(500, EXIT.interrupted)
} as const satisfies Record<string, CodeRow>

export type ErrorCode = keyof typeof CODES

/** The fields that some codes carry besides their message; all of them are public. */
export interface ErrorDetail {
  readonly code: ErrorCode
  /** What happened, with the numbers, and what to do next; one line, no secrets, no paths of other machines. */
  readonly message: string
  /** What to try. */
  readonly hint?: string
  /** Facts for programs: `size`, `max`, `key`, `revision`, `phase` … */
  readonly fields?: Readonly<Record<string, string | number | boolean | null>>
}

/** An operating error. Families differ in who raises them; the detail says everything else. */
export class AspenError extends Error {
  override readonly name: string = 'AspenError'
  readonly detail: ErrorDetail

  constructor(detail: ErrorDetail, options?: { cause?: unknown }) {
    super(detail.message, options)
    this.detail = detail
  }

  get code(): ErrorCode {
    return this.detail.code
  }

  get outcome(): Outcome {
    return CODES[this.detail.code].outcome
  }
}

/** Membership, tickets as records, leadership. */
export class ControlPlaneError extends AspenError {
  override readonly name = 'ControlPlaneError'
}

/** Reads and writes. */
export class KeyValueStoreError extends AspenError {
  override readonly name = 'KeyValueStoreError'
}

/** What a storage was asked when it failed. */
export const STORAGE_VARIANTS = [
  'OpenDatabase',
  /** a statement or a transaction that changes something */
  'Execute',
  /** a statement that reads */
  'Query',
  /** something cannot be written in its form; nothing was written */
  'Serialize',
  /** what is stored is not what was written */
  'Deserialize',
  /** likewise, of the JSON files in the data directory */
  'JsonSerialize',
  'JsonDeserialize',
  'IoError',
  'DiskSpaceInsufficient'
] as const
export type StorageVariant = (typeof STORAGE_VARIANTS)[number]

/** Log and state machine. Ends the process when it comes from a write (DESIGN §4). */
export class StorageError extends AspenError {
  override readonly name = 'StorageError'

  /** Null where the storage did what it was asked: what it holds is not this node's, or not wanted any more. */
  get variant(): StorageVariant | null {
    const named = this.detail.fields?.['variant']
    const known = STORAGE_VARIANTS.find((variant) => variant === named)
    return known ?? VARIANT_OF_CODE[this.code] ?? null
  }
}

const VARIANT_OF_CODE: { readonly [Code in ErrorCode]?: StorageVariant } = {
  OPEN_DATABASE: 'OpenDatabase',
  LOCKED: 'OpenDatabase',
  FORMAT_NEWER: 'OpenDatabase',
  IDENTITY_WITHOUT_LOG: 'OpenDatabase',
  CORRUPTED: 'Deserialize',
  UNKNOWN_ENTRY_KIND: 'Deserialize',
  IO_ERROR: 'IoError',
  NO_SPACE: 'DiskSpaceInsufficient',
  DISK_SPACE_INSUFFICIENT: 'DiskSpaceInsufficient'
}

/** Dialling, links, requests between members. */
export class TransportError extends AspenError {
  override readonly name = 'TransportError'
}

/** Bytes from outside that do not have the form they must have. */
export class ProtocolError extends AspenError {
  override readonly name = 'ProtocolError'

  constructor(message: string, options?: { cause?: unknown }) {
    super({ code: 'PROTOCOL', message }, options)
  }
}

/** Ticket texts and what the cluster says of them. */
export class TicketError extends AspenError {
  override readonly name = 'TicketError'
}

/** Configuration, command line, data directory. */
export class ConfigError extends AspenError {
  override readonly name = 'ConfigError'
}

/** What to do about a member whose data cannot be trusted any more. */
export const REJOIN_HINT =
  'keep this folder away, and join again as a new node from an empty folder'

/** The value as an AspenError: itself, or wrapped as FAILED. */
export function asAspenError(error: unknown): AspenError {
  if (error instanceof AspenError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new AspenError({ code: 'FAILED', message }, { cause: error })
}

/** Why the operating system refused, in words; the error's own message when it is something else. */
export function systemReason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : null
  const words = typeof code === 'string' ? SYSTEM_REASONS[code] : undefined
  return words ?? (error instanceof Error ? error.message : String(error))
}

/** What a disk says of itself through the operating system; null when the error is about something else. */
export function diskCodeOf(error: unknown): 'NO_SPACE' | 'IO_ERROR' | null {
  const code = error instanceof Error && 'code' in error ? error.code : null
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'NO_SPACE'
  return code === 'EIO' || code === 'EROFS' ? 'IO_ERROR' : null
}

const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: 'it does not exist',
  ENOTDIR: 'a part of the path is not a folder',
  EISDIR: 'it is a folder',
  EEXIST: 'it exists already',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EMFILE: 'too many open files',
  EIO: 'an input or output error of the disk'
}

/** The form in which an error crosses a process boundary (HTTP bodies, start-up reports, links). */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(CODES, value)
}
