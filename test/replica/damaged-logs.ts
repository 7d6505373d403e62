// Logs and members for the tests of repair: what a member has of an entry, and what it can say of it.

import { present } from '../../lib/assert.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { StorageError } from '../../lib/errors.ts'
import type { AspenError } from '../../lib/errors.ts'
import type { Role } from '../../lib/raft/effects.ts'
import type { Entry, EntryId, Index } from '../../lib/raft/entry.ts'
import { chained, genesis } from '../../lib/raft/entry.ts'
import type { SnapshotRequest } from '../../lib/replica/encoding.ts'
import type { VerdictSource } from '../../lib/replica/log-verdict.ts'
import { SnapshotDesk } from '../../lib/replica/snapshot-desk.ts'
import type { SnapshotInfo } from '../../lib/state-machine/state-machine.ts'
import type { VirtualTime } from '../../lib/testing/virtual-time.ts'

export const GENESIS = genesis(new Uint8Array(16).fill(3))

/** A log with entries of the given terms; `text` makes it another one from there on. */
export function logOf(terms: readonly number[], text = 'same'): readonly Entry[] {
  const entries: Entry[] = []
  for (const term of terms) {
    const payload = bytesOf(term === terms.at(-1) ? text : 'same')
    entries.push(chained(entries.at(-1) ?? GENESIS, { term, kind: 2, timeMs: term, payload }))
  }
  return entries
}

export class TableLog {
  stored: readonly Entry[]
  base: EntryId = GENESIS
  readonly damaged = new Set<Index>()

  constructor(stored: readonly Entry[]) {
    this.stored = stored
  }

  idAt(index: Index): EntryId | 'compacted' | 'missing' {
    if (this.damaged.has(index)) throw damagedError()
    if (index < this.base.index) return 'compacted'
    return index === this.base.index ? this.base : (this.stored[index - 1] ?? 'missing')
  }

  entries(from: Index, to: Index): readonly Entry[] {
    if (this.damaged.has(from)) throw damagedError()
    return this.stored.slice(from - 1, to - 1)
  }

  /** From now on the log begins after `index`. */
  compact(index: Index): void {
    this.base = present(this.stored[index - 1], 'the new base')
  }
}

function damagedError(): StorageError {
  return new StorageError({ code: 'CORRUPTED', message: 'the record is damaged' })
}

export class Member {
  readonly log: TableLog
  role: Role = 'follower'
  term = 5
  /** what its core knows beyond the durable log, or instead of it */
  core: TableLog
  /** whether it can confirm that it leads */
  isConfirmed = true
  snapshots: readonly SnapshotInfo[] = []
  readonly asked: SnapshotRequest[] = []
  readonly failures: AspenError[] = []

  constructor(entries: readonly Entry[]) {
    this.log = new TableLog(entries)
    this.core = this.log
  }

  desk(time: VirtualTime): SnapshotDesk {
    const verdicts: VerdictSource = {
      core: {
        status: () => ({ role: this.role, term: this.term }),
        idAt: (index) => this.core.idAt(index)
      },
      readIndex: (onOutcome) => {
        time.start(20, () => {
          if (this.isConfirmed) onOutcome({ kind: 'ready', index: 1 })
          else onOutcome({ kind: 'refused', reason: 'notLeader' })
        })
      }
    }
    const transfer = { onRequest: () => {} }
    return new SnapshotDesk({
      log: this.log,
      transfer,
      verdicts,
      snapshots: { list: () => this.snapshots },
      onNoneHere: () => {},
      onFailed: (error) => this.failures.push(error)
    })
  }
}
