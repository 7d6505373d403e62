// Verifies all that a stopped node has on its disk, and names everything that is wrong: a start would stop at the
// first. Nothing is repaired: most of it a start repairs by itself, and the rest is for people.

import { equalSecret } from '../crypto.ts'
import { ConfigError, REJOIN_HINT, StorageError } from '../errors.ts'
import { inspectLog } from '../log-store/inspect.ts'
import type { InspectedLog } from '../log-store/inspect.ts'
import type { ValidationReport } from '../log-store/validation.ts'
import { genesis } from '../raft/entry.ts'
import { inspectSnapshots, inspectState } from '../state-machine/inspect.ts'
import type { InspectedSnapshot, InspectedState } from '../state-machine/inspect.ts'
import type { Applied } from '../state-machine/state-machine.ts'
import type { DataDirectory } from './data-directory.ts'
import type { Membership } from './membership.ts'
import { readMembership } from './membership.ts'

/** One thing that is wrong: where, what, and what to do. */
export interface NodeFault {
  readonly part: 'node.json' | 'node.key' | 'log' | 'state' | 'snapshots'
  readonly what: string
  readonly advice: string
}

export interface VerifiedNode {
  readonly membership: Membership | null
  /** null when something is wrong with the log */
  readonly log: ValidationReport | null
  /** null when there is no database, which a start builds from the log, or it cannot be read */
  readonly applied: Applied | null
  readonly snapshots: readonly InspectedSnapshot[]
  /** none: all is well */
  readonly faults: readonly NodeFault[]
}

/** Reads all of it, in the order in which a start does. The directory is locked by the caller. */
export async function verifyNode(
  directory: DataDirectory,
  nowMs: () => number,
  onPart: (part: NodeFault['part']) => void
): Promise<VerifiedNode> {
  const faults: NodeFault[] = []
  const tell = (part: NodeFault['part']) => (what: string) => {
    faults.push({ part, what, advice: ADVICE[part] })
  }
  onPart('node.json')
  const membership = identityOf(directory, tell)
  if (membership === null) return { membership, log: null, applied: null, snapshots: [], faults }
  onPart('log')
  const begin = genesis(membership.clusterId)
  const log = logOf(() => inspectLog({ directory: directory.logDir, genesis: begin, nowMs }), tell)
  try {
    onPart('state')
    const { stateBase = 0 } = log?.bounds ?? {}
    const state =
      log?.bounds === null ? null : inspectState(directory.stateDir, stateBase, begin.hash)
    for (const fault of state?.faults ?? []) tell('state')(fault.message)
    crossCheck(log, state, tell('state'))
    if (state === null && stateBase > 0)
      tell('state')(`the database that was installed at ${stateBase} is not there`)
    onPart('snapshots')
    const snapshots = inspectSnapshots(directory.snapshotsDir)
    for (const { name, faults: found } of snapshots)
      for (const { what, where } of found) tell('snapshots')(`${name}: ${what} (${where})`)
    const applied = state?.progress?.applied ?? null
    return { membership, log: log?.report ?? null, applied, snapshots, faults }
  } finally {
    await log?.close()
  }
}

type Tell = (part: NodeFault['part']) => (what: string) => void

const REJOIN = `${REJOIN_HINT}; the last member of its cluster: 'aspen restore' with a backup`

const ADVICE: Readonly<Record<NodeFault['part'], string>> = {
  'node.json': `put the file back from where you keep a copy; else ${REJOIN_HINT}`,
  'node.key': `put the file back from where you keep a copy; else ${REJOIN_HINT}`,
  log: `start the node: damaged entries are fetched from other members; if it does not start, ${REJOIN}`,
  state:
    'move the folder state away and start the node: the database is built anew from log and snapshots',
  snapshots: 'delete its two files: a new one is made, or fetched from another member'
}

function identityOf(directory: DataDirectory, tell: Tell): Membership | null {
  const membership = looking(() => readMembership(directory), tell('node.json'))
  if (membership === undefined) return null
  if (membership === null) {
    tell('node.json')('it is not there')
    return null
  }
  if (!directory.hasKey) tell('node.key')('it is not there')
  else looking(() => directory.readKeyPair(), tell('node.key'))
  return membership
}

function logOf(inspect: () => InspectedLog, tell: Tell): InspectedLog | null {
  const log = looking(inspect, tell('log')) ?? null
  for (const fault of log?.faults ?? []) tell('log')(fault.message)
  return log
}

/** The state machine is a view of the log: what it has applied is there, and is the same. */
function crossCheck(
  log: InspectedLog | null,
  state: InspectedState | null,
  tell: (what: string) => void
): void {
  const applied = state?.progress?.applied
  const bounds = log?.bounds
  if (applied === undefined || log === null || bounds === null || bounds === undefined) return
  if (applied.index > bounds.last.index) {
    tell(`applied index ${applied.index} is beyond the last log index ${bounds.last.index}`)
    return
  }
  if (applied.index < bounds.base.index) {
    tell(
      `applied index ${applied.index} is before the log, which begins after ${bounds.base.index}`
    )
    return
  }
  const id = log.idAt(applied.index)
  if (id === null || (id.term === applied.term && equalSecret(id.hash, applied.hash))) return
  tell(`what was applied at index ${applied.index} is another entry than the log has there`)
}

/** Undefined when it throws, and then it is told. */
function looking<T>(look: () => T, tell: (what: string) => void): T | undefined {
  try {
    return look()
  } catch (error) {
    const isFault = error instanceof StorageError || error instanceof ConfigError
    if (!isFault) throw error
    tell(error.message)
    return undefined
  }
}
