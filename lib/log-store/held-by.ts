// What a group of writes changes, by the names of the boundaries at which a test may end the process.

import { ENTRY_KIND } from '../raft/entry.ts'
import type { PendingWrite } from './log-tail.ts'

type Held = (typeof HELD)[number]

export function heldBy(group: readonly PendingWrite[]): readonly Held[] {
  const entries = group.flatMap((write) => write.entries)
  const has: Readonly<Record<Held, boolean>> = {
    hardState: group.some(({ hardState }) => hardState !== null),
    install: group.some(({ install }) => install !== null),
    compaction: group.some(({ isCompaction }) => isCompaction),
    truncation: group.some(({ truncateFrom }) => truncateFrom !== null),
    configuration: entries.some(({ kind }) => kind === ENTRY_KIND.configuration),
    entries: entries.length > 0
  }
  return HELD.filter((held) => has[held])
}

const HELD = [
  'hardState',
  'install',
  'compaction',
  'truncation',
  'configuration',
  'entries'
] as const
