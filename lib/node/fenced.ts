// The end of a node that another member does not let in, for good: it must not vote anywhere, so that
// the refusal of one member is enough. A node that has applied its own removal needs no member to say it.
//
// A removal is of a cluster: two nodes that were founded on each other have each other's key in two clusters,
// and what one of these removes is no less a member, perhaps the only voter, of the other.

import { hexOf } from '../encoding.ts'
import type { ErrorDetail } from '../errors.ts'
import { REJOIN_HINT, StorageError } from '../errors.ts'
import type { RemovedNode } from '../state-machine/state-machine.ts'

/** How a node of this cluster ends that was told this by a member; null when it may go on and try again. */
export function endOfRefused(
  { code, message, fields }: ErrorDetail,
  clusterId: Uint8Array
): StorageError | null {
  if (code === 'MEMBER_REMOVED') {
    if (fields?.['cluster'] !== hexOf(clusterId)) return null
    return removed('this node was removed from its cluster: a member refuses it')
  }
  if (code !== 'DATA_LOST' && code !== 'FENCED') return null
  return new StorageError({
    code,
    message: `a member refuses this node: ${message}`,
    hint: HINTS[code]
  })
}

/** How it ends when its own log says so. */
export function endOfRemoved({ id }: RemovedNode): StorageError {
  return removed(`this node (${id}) was removed from its cluster`)
}

function removed(message: string): StorageError {
  return new StorageError({ code: 'MEMBER_REMOVED', message, hint: REJOIN_HINT })
}

const HINTS = {
  DATA_LOST: `do not start it again: ${REJOIN_HINT}`,
  FENCED:
    'one data directory runs once: find the other process with this key, keep one of the two, and never start a copy'
} as const
