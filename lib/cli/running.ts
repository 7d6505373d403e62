// Whether a node already runs here, for the commands that would start one.

import { setTimeout as sleep } from 'node:timers/promises'
import { AspenError } from '../errors.ts'
import { isLocked } from '../node/data-directory.ts'
import type { Status } from '../service/documents.ts'
import type { Invocation } from './invocation.ts'
import { shortPath } from './invocation.ts'
import type { Launch } from './launch.ts'

const POLL_MS = 100
const PROBE_TIMEOUT_MS = 1_000
/** Longer than it takes to link to a leader, shorter than most elections. */
const LEADER_WAIT_MS = 1_500

/**
 * The status of the node that holds the data directory, or null when none does. One that is still
 * starting is waited for.
 * @throws AspenError NOT_INITIALIZED of a node that runs here and belongs to no cluster; LOCKED when the directory is held and nobody answers within the deadline
 */
export async function runningStatus(
  invocation: Invocation,
  { target, timeoutMs }: Launch
): Promise<Status | null> {
  const deadlineMs = invocation.host.nowMs() + timeoutMs
  while (isLocked(target.dataDir)) {
    const status = await probe(invocation)
    if (status !== null) return status
    if (invocation.host.nowMs() >= deadlineMs) {
      throw new AspenError({
        code: 'LOCKED',
        message: `a process holds ${shortPath(target.dataDir)}, and it does not answer`,
        hint: `'aspen logs${target.selector}' may say why, 'aspen stop${target.selector}' ends it`
      })
    }
    await sleep(POLL_MS)
  }
  return null
}

/**
 * The status once this node knows a leader, so that what is typed next does not come too early; after
 * `LEADER_WAIT_MS` as it is then. A node without a quorum has no leader, and runs.
 */
export async function statusWithLeader(invocation: Invocation, started: Status): Promise<Status> {
  const deadlineMs = invocation.host.nowMs() + LEADER_WAIT_MS
  let status = started
  while (status.leader === null && invocation.host.nowMs() < deadlineMs) {
    await sleep(POLL_MS)
    status = (await probe(invocation)) ?? status
  }
  return status
}

async function probe(invocation: Invocation): Promise<Status | null> {
  // loaded only when there is somebody to talk to
  const { withNode } = await import('./connect.ts')
  try {
    return await withNode(invocation, (node) => node.status({ timeoutMs: PROBE_TIMEOUT_MS }))
  } catch (error) {
    if (error instanceof AspenError && error.code !== 'NOT_INITIALIZED') return null
    throw error
  }
}
