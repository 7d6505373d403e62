// The error of an answer, rebuilt: the same family and code as the node raised.

import type { ErrorCode, ErrorDetail } from '../errors.ts'
import {
  AspenError,
  ConfigError,
  ControlPlaneError,
  isErrorCode,
  KeyValueStoreError,
  ProtocolError,
  StorageError,
  TicketError,
  TransportError
} from '../errors.ts'
import type { ErrorBody } from '../service/documents.ts'

/** A code that this version does not know becomes the known one that allows the same conclusions. */
export function errorFrom({ error }: ErrorBody): AspenError {
  const { code, message, hint, leader, revision } = error
  const fields = {
    ...error.fields,
    ...(leader !== null && { leader }),
    ...(revision !== null && { revision })
  }
  const rest = { fields, ...(hint !== null && { hint }) }
  if (!isErrorCode(code)) {
    const known = closestCode(error)
    return new FAMILIES[known]({ code: known, message: `${code}: ${message}`, ...rest })
  }
  return code === 'PROTOCOL'
    ? new ProtocolError(message)
    : new FAMILIES[code]({ code, message, ...rest })
}

function closestCode({ applied, retryable }: ErrorBody['error']): Exclude<ErrorCode, 'PROTOCOL'> {
  if (applied === null) return 'FAILED'
  return retryable ? 'UNAVAILABLE' : 'INVALID_REQUEST'
}

type Family = new (detail: ErrorDetail) => AspenError

const FAMILIES: Readonly<Record<Exclude<ErrorCode, 'PROTOCOL'>, Family>> = {
  INVALID_REQUEST: KeyValueStoreError,
  UNAUTHORIZED: AspenError,
  FORBIDDEN: AspenError,
  ROUTE_NOT_FOUND: AspenError,
  METHOD_NOT_ALLOWED: AspenError,
  PAYLOAD_TOO_LARGE: AspenError,
  UNSUPPORTED_MEDIA_TYPE: AspenError,
  MISDIRECTED: AspenError,
  NOT_FOUND: KeyValueStoreError,
  KEY_TOO_LARGE: KeyValueStoreError,
  VALUE_TOO_LARGE: KeyValueStoreError,
  BATCH_TOO_LARGE: KeyValueStoreError,
  BATCH_BYTES_TOO_LARGE: KeyValueStoreError,
  DUPLICATE_KEY: KeyValueStoreError,
  CONDITION_FAILED: KeyValueStoreError,
  SESSION_EXPIRED: KeyValueStoreError,
  OVERLOADED: KeyValueStoreError,
  UNAVAILABLE: KeyValueStoreError,
  TIMEOUT: KeyValueStoreError,
  OUTCOME_UNKNOWN: KeyValueStoreError,
  FAILED: KeyValueStoreError,
  NOT_INITIALIZED: ControlPlaneError,
  ALREADY_INITIALIZED: ControlPlaneError,
  QUORUM_REACHABLE: ControlPlaneError,
  CHANGE_IN_PROGRESS: ControlPlaneError,
  MEMBER_NOT_FOUND: ControlPlaneError,
  QUORUM_WOULD_BE_LOST: ControlPlaneError,
  LAST_VOTER: ControlPlaneError,
  TRANSFER_REFUSED: ControlPlaneError,
  MEMBERSHIP_CHANGE_TOO_RECENT: ControlPlaneError,
  METRICS_UNAVAILABLE: ControlPlaneError,
  NOT_A_LEARNER: ControlPlaneError,
  LEARNER_NOT_FOUND: ControlPlaneError,
  LEARNER_UNHEALTHY: ControlPlaneError,
  LEARNER_LAGGING: ControlPlaneError,
  NO_QUORUM_WITHOUT_FAILED_NODE: ControlPlaneError,
  MAX_VOTERS_EXCEEDED: ControlPlaneError,
  MEMBERSHIP_CHANGE_FAILED: ControlPlaneError,
  TICKET_NOT_FOUND: ControlPlaneError,
  TOO_MANY_TICKETS: ControlPlaneError,
  TOO_MANY_MEMBERS: ControlPlaneError,
  NOT_A_TICKET: TicketError,
  TICKET_TOO_LONG: TicketError,
  TICKET_DAMAGED: TicketError,
  TICKET_NEWER: TicketError,
  TICKET_EXPIRED: TicketError,
  TICKET_REVOKED: TicketError,
  TICKET_USED_UP: TicketError,
  TICKET_UNKNOWN: TicketError,
  TICKET_WRONG_ROLE: TicketError,
  WRONG_CLUSTER: TicketError,
  MEMBER_REMOVED: TicketError,
  NO_PEER_FOUND: TransportError,
  LINK_LOST: TransportError,
  PORT_IN_USE: TransportError,
  BUSY: TransportError,
  VERSION_MISMATCH: TransportError,
  DATA_LOST: TransportError,
  FENCED: TransportError,
  LOCKED: StorageError,
  IO_ERROR: StorageError,
  DISK_SPACE_INSUFFICIENT: KeyValueStoreError,
  STORE_FULL: KeyValueStoreError,
  NO_SPACE: StorageError,
  OPEN_DATABASE: StorageError,
  CORRUPTED: StorageError,
  FORMAT_NEWER: StorageError,
  UNKNOWN_ENTRY_KIND: StorageError,
  LOG_DIVERGED: StorageError,
  STATE_DIVERGED: StorageError,
  CONFIG_INVALID: ConfigError,
  DATA_DIR_UNUSABLE: ConfigError,
  DATA_DIR_TAKEN: ConfigError,
  IDENTITY_WITHOUT_LOG: ConfigError,
  NO_CLUSTER_HERE: ConfigError,
  NODE_NOT_RUNNING: ConfigError,
  START_FAILED: ConfigError,
  INTERRUPTED: ConfigError
}
