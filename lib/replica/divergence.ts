// The ends that a divergence means: two nodes hold different entries at one index and term; or the log of
// this one does not hold what its state was made from.

import { REJOIN_HINT, StorageError } from '../errors.ts'
import type { LogStore } from '../log-store/log-store.ts'
import { holdsEntry } from '../log-store/log-store.ts'
import type { NodeId } from '../node-id.ts'
import type { Effects } from '../raft/effects.ts'
import type { EntryId } from '../raft/entry.ts'

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

/**
 * Entries are durable in the log before they are applied, so a log without the one that was applied last is
 * not the log that this node had: it has lost promises. To be asked before the node says anything.
 * @throws StorageError DATA_LOST
 */
export function checkBacked(log: Pick<LogStore, 'last' | 'idAt'>, applied: EntryId): void {
  if (holdsEntry(log, applied)) return
  const { index } = applied
  const lack =
    index > log.last.index ? `ends at entry ${log.last.index}` : `has another entry ${index}`
  throw new StorageError({
    code: 'DATA_LOST',
    message: `the log has lost what this node had promised: it ${lack}, and the state was made from entry ${index}`,
    hint: `put back the newest copy of the folder "log", if it was moved or restored; else ${REJOIN_HINT}`,
    fields: { index, lastLogIndex: log.last.index }
  })
}
