// The end that a divergence means: two nodes hold different entries at one index and term.

import { StorageError } from '../errors.ts'
import type { LogStore } from '../log-store/log-store.ts'
import type { NodeId } from '../node-id.ts'
import type { Effects } from '../raft/effects.ts'

type Diverged = NonNullable<Effects['diverged']>

/**
 * Our record is read again, which verifies it: a bad one is ours; a good one is a broken promise.
 * @throws StorageError CORRUPTED, else LOG_DIVERGED
 */
export function failDiverged(id: NodeId, log: LogStore, { leader, index }: Diverged): never {
  if (index > 0) log.entries(index, index + 1, 1)
  throw new StorageError({
    code: 'LOG_DIVERGED',
    message: `entry ${index} of node ${id} and of leader ${leader} have one term and two contents`,
    fields: { index, node: id, leader }
  })
}
