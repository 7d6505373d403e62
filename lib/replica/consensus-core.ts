// What the loop needs of the consensus core; raft/raft.ts is it. Named here so that a simulator can
// put something around the core that sees every event and every effect.

import type { Effects, Event, Now, Status } from '../raft/effects.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'

/** See `Raft` for what each method promises. */
export interface ConsensusCore {
  step(event: Event, now: Now): Effects
  entries(from: Index, to: Index, maxBytes: number): readonly Entry[]
  idAt(index: Index): EntryId | 'compacted' | 'missing'
  status(): Status
}
