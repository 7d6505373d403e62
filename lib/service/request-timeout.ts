// How long a request may take.

import { ControlPlaneError } from '../errors.ts'
import { DEFAULT_REQUEST_TIMEOUT_MS, MAX_REQUEST_TIMEOUT_MS } from '../limits.ts'
import type { RequestOptions } from './node-api.ts'

/** @throws ControlPlaneError INVALID_REQUEST when it is not a positive number up to the maximum */
export function timeoutOf(options: RequestOptions): number {
  const { timeoutMs = DEFAULT_REQUEST_TIMEOUT_MS } = options
  if (timeoutMs > 0 && timeoutMs <= MAX_REQUEST_TIMEOUT_MS) return timeoutMs
  throw new ControlPlaneError({
    code: 'INVALID_REQUEST',
    message: `a timeout is between 1 and ${MAX_REQUEST_TIMEOUT_MS} ms, not ${timeoutMs}`
  })
}
