// The consensus core of a node, from what its log and its state machine keep.

import { Raft } from '../raft/raft.ts'
import type { ConsensusCore } from '../replica/consensus-core.ts'
import { checkBacked } from '../replica/divergence.ts'
import type { AssemblyParts } from './assembly-parts.ts'

/** @throws StorageError for a state that the log does not back */
export function makeCore(parts: AssemblyParts): ConsensusCore {
  const { id, log, restored, stateMachine, timing, random } = parts
  const options = { id, boot: log.boot, timing, random, log }
  const applied = stateMachine.applied()
  checkBacked(log, applied)
  const found = { ...restored, appliedIndex: applied.index }
  return parts.makeCore?.(options, found) ?? new Raft(options, found)
}
