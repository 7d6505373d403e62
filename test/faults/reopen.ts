// Opens the stores of a data directory as the start of a node does, without a network, and looks
// whether they keep what was promised: the log holds every acknowledged write, the state machine is no
// further than the log and on its chain, what is applied again amounts to the same state, every key
// reads as it must, and another write goes through.

import { assert, present } from '../../lib/assert.ts'
import { bytesOf, hexOf } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import { MAX_BATCH_SIZE } from '../../lib/limits.ts'
import type { LogStore } from '../../lib/log-store/log-store.ts'
import { DataDirectory } from '../../lib/node/data-directory.ts'
import { Ending } from '../../lib/node/ending.ts'
import { readMembership } from '../../lib/node/membership.ts'
import type { Membership } from '../../lib/node/membership.ts'
import type { Stores } from '../../lib/node/opening.ts'
import { openLog, openStores } from '../../lib/node/opening.ts'
import { planOf } from '../../lib/node/plan.ts'
import { chained, ENTRY_KIND } from '../../lib/raft/entry.ts'
import { TIMING } from '../../lib/raft/timing.ts'
import { systemRandom } from '../../lib/random.ts'
import type { StateMachine } from '../../lib/state-machine/state-machine.ts'
import { Metrics } from '../../lib/service/metrics.ts'
import { HyperswarmNetwork } from '../../lib/transport/hyperswarm-network.ts'
import type { Promises } from './promises.ts'

export type Reopened =
  | { readonly kind: 'kept' }
  /** the start refuses, with this code */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  | { readonly kind: 'broken'; readonly message: string }

const MAX_READ_BYTES = 8 * 1_024 * 1_024

/** Never rejects for what an operator would be told. */
export async function reopen(dataDir: string, promises: Promises): Promise<Reopened> {
  const ending = new Ending((error) => {
    throw error
  })
  try {
    const directory = DataDirectory.open(dataDir)
    ending.add(() => directory.close())
    const membership = readMembership(directory)
    if (membership === null) return promises.acknowledgedCount === 0 ? KEPT : NO_NODE
    let onFailed: (error: AspenError) => void = () => {}
    const failed = new Promise<never>((_resolve, reject) => {
      onFailed = reject
    })
    const opening = storesOf({ directory, membership, ending, onFailed })
    const stores = await Promise.race([opening, failed])
    const complaint =
      identityComplaint(membership, promises) ??
      (await Promise.race([complaintOf(stores, promises), failed]))
    return complaint === null ? KEPT : broken(complaint)
  } catch (error) {
    if (!(error instanceof AspenError)) throw error
    return { kind: 'refused', code: error.code, message: error.message }
  } finally {
    await ending.end()
  }
}

const NO_NODE: Reopened = { kind: 'refused', code: 'NO_CLUSTER_HERE', message: 'no node here' }
const KEPT: Reopened = { kind: 'kept' }

function broken(message: string): Reopened {
  return { kind: 'broken', message }
}

/** As `openStores` of a start: the membership says whether there must be a log. */
async function storesOf({
  directory,
  membership,
  ending,
  onFailed
}: {
  readonly directory: DataDirectory
  readonly membership: Membership
  readonly ending: Ending
  readonly onFailed: (error: AspenError) => void
}): Promise<Stores> {
  const intent = { kind: membership.state === 'creating' ? 'create' : 'start' } as const
  const plan = planOf(
    { intent, name: null, bootstrap: [], timing: null, storage: null },
    membership,
    directory
  )
  const keyPair = directory.keyPair(systemRandom)
  // it is never opened: nobody is asked anything
  const network = new HyperswarmNetwork({
    keyPair,
    bootstrap: [],
    port: null,
    preferredPort: null,
    timing: TIMING.lan
  })
  const instance = new Uint8Array(16)
  const metrics = new Metrics()
  const premises = { directory, plan, keyPair, network, membership, ending, instance, metrics }
  const events = { info: () => {}, warn: () => {} }
  const reporting = { onFailed, onBoundary: undefined, events }
  const opened = await openLog(premises, reporting)
  return openStores(premises, opened, reporting)
}

function identityComplaint({ id, clusterId }: Membership, { identity }: Promises): string | null {
  const found = `${id} ${hexOf(clusterId)}`
  return identity === null || identity === found ? null : `another node: ${found}`
}

async function complaintOf(
  { log, stateMachine }: Stores,
  promises: Promises
): Promise<string | null> {
  const { lastRevision, acknowledged, open, hashes } = promises
  if (log.last.index < lastRevision) return `the log ends at ${log.last.index}, not ${lastRevision}`
  const before = stateMachine.applied()
  const there = log.idAt(before.index)
  if (there === 'missing') return `the state is at ${before.index}, the log at ${log.last.index}`
  if (there !== 'compacted' && hexOf(there.hash) !== hexOf(before.hash)) {
    return `the state at ${before.index} is not of this log`
  }
  await applyAll(log, stateMachine)
  const { index, stateHash } = stateMachine.applied()
  const promised = hashes.get(index)
  if (promised !== undefined && promised !== hexOf(stateHash)) return `another state at ${index}`
  for (const key of new Set([...acknowledged.keys(), ...open.keys()])) {
    const complaint = promises.complaint(key, stateMachine.get(bytesOf(key))?.value ?? null)
    if (complaint !== null) return complaint
  }
  return await unwritable(log, stateMachine)
}

async function applyAll(log: LogStore, stateMachine: StateMachine): Promise<void> {
  const end = log.last.index + 1
  for (let next = stateMachine.applied().index + 1; next < end;) {
    const entries = log.entries(next, Math.min(end, next + MAX_BATCH_SIZE), MAX_READ_BYTES)
    assert(entries.length > 0, 'the log has what it says')
    await new Promise<void>((resolve) => {
      stateMachine.apply(entries, () => resolve())
    })
    next = stateMachine.applied().index + 1
  }
}

/** Another entry goes through log and state machine; null when it does. */
async function unwritable(log: LogStore, stateMachine: StateMachine): Promise<string | null> {
  const { last } = log
  const { timeMs } = stateMachine.applied()
  const more = { term: last.term, kind: ENTRY_KIND.empty, timeMs, payload: new Uint8Array(0) }
  const entry = chained(last, more)
  await new Promise<void>((resolve) => {
    log.write({ hardState: null, truncateFrom: null, entries: [entry], install: null }, resolve)
  })
  await new Promise<void>((resolve) => {
    stateMachine.apply([entry], () => resolve())
  })
  const [found] = log.entries(entry.index, entry.index + 1, MAX_READ_BYTES)
  const isThere = hexOf(present(found, 'the entry').hash) === hexOf(entry.hash)
  return isThere && log.last.index === entry.index ? null : 'the store does not take another write'
}
