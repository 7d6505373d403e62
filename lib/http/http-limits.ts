// The limits of the HTTP API as one object, so that a test can reach them in less than minutes.

import {
  HTTP_ANSWER_STALL_MS,
  HTTP_DRAIN_MS,
  HTTP_HEADERS_TIMEOUT_MS,
  HTTP_KEEP_ALIVE_TIMEOUT_MS,
  HTTP_REQUEST_TIMEOUT_MS,
  MAX_HTTP_CONNECTIONS,
  MAX_HTTP_IN_FLIGHT,
  MAX_HTTP_PENDING_BODY_BYTES,
  MAX_HTTP_REQUESTS_PER_CONNECTION
} from '../limits.ts'

export interface HttpLimits {
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  readonly stallMs: number
  readonly drainMs: number
  readonly maxConnections: number
  readonly maxRequestsPerConnection: number
  readonly maxInFlight: number
  readonly maxPendingBodyBytes: number
}

export const HTTP_LIMITS: HttpLimits = {
  headersTimeoutMs: HTTP_HEADERS_TIMEOUT_MS,
  requestTimeoutMs: HTTP_REQUEST_TIMEOUT_MS,
  keepAliveTimeoutMs: HTTP_KEEP_ALIVE_TIMEOUT_MS,
  stallMs: HTTP_ANSWER_STALL_MS,
  drainMs: HTTP_DRAIN_MS,
  maxConnections: MAX_HTTP_CONNECTIONS,
  maxRequestsPerConnection: MAX_HTTP_REQUESTS_PER_CONNECTION,
  maxInFlight: MAX_HTTP_IN_FLIGHT,
  maxPendingBodyBytes: MAX_HTTP_PENDING_BODY_BYTES
}
