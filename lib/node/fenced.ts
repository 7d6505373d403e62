// The end of a node that another member does not let in, for good: it must not vote anywhere, so that
// the refusal of one member is enough.

import type { ErrorDetail } from '../errors.ts'
import { REJOIN_HINT, StorageError } from '../errors.ts'

/** How the node ends that was told this by a member; null when it may go on and try again. */
export function endOfRefused({ code, message }: ErrorDetail): StorageError | null {
  if (code !== 'DATA_LOST' && code !== 'FENCED') return null
  return new StorageError({
    code,
    message: `a member refuses this node: ${message}`,
    hint: HINTS[code]
  })
}

const HINTS = {
  DATA_LOST: `do not start it again: ${REJOIN_HINT}`,
  FENCED:
    'one data directory runs once: find the other process with this key, keep one of the two, and never start a copy'
} as const
