// What tests of faults do with the real nodes of a lab: kill them, stop and continue them, start them
// again, and ask whether all of them hold the same state.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Status } from '../../lib/service/documents.ts'
import { isAlive } from '../e2e/processes.ts'
import type { Lab } from '../e2e/lab.ts'
import { waitFor } from '../e2e/lab.ts'
import { tally } from './tally.ts'

const CONVERGENCE_LIMIT_MS = 60_000
const POLL_MS = 50

/** SIGKILL for all of them at once; resolves when they are gone. */
export async function killNodes(lab: Lab, machines: readonly string[]): Promise<void> {
  const pids = machines.map((machine) => lab.pid(machine))
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  tally({ kills: pids.length })
  await waitFor('the end of what was killed', () => !pids.some(isAlive))
}

/** In the foreground, without a command beside it; resolves when the node answers. */
export async function startNode(
  lab: Lab,
  machine: string,
  env: Readonly<Record<string, string>> = {}
): Promise<void> {
  const child = lab.start(machine, ['start', '--foreground'], { env })
  child.stdout?.resume()
  child.stderr?.resume()
  await waitFor(`${machine} to answer`, async () => {
    const status = await lab.status(machine).catch(() => null)
    return status?.pid === child.pid
  })
}

/** Stops the processes for a while, as a laptop's lid or a busy machine does. */
export async function pauseNodes(
  lab: Lab,
  machines: readonly string[],
  pauseMs: number
): Promise<void> {
  const pids = machines.map((machine) => lab.pid(machine))
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  tally({ pauses: pids.length })
  try {
    await sleep(pauseMs)
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT')
  }
}

/** Waits until all have applied the same entries, and then gives their state hashes; all equal, or something is wrong. */
export async function stateHashes(lab: Lab, machines: readonly string[]): Promise<string[]> {
  let found: readonly Status[] = []
  await waitFor(
    `${machines.join(', ')} at one index`,
    async () => {
      found = await Promise.all(machines.map((machine) => lab.status(machine)))
      const indexes = new Set(found.map((status) => status.applied_index))
      const isWhole = found.every((status) => status.applied_index === status.commit_index)
      return indexes.size === 1 && isWhole
    },
    CONVERGENCE_LIMIT_MS
  )
  return found.map((status) => status.state_hash)
}

/** Resolves when `count` more writes were acknowledged. */
export async function progress(
  load: { readonly acknowledgedCount: number },
  count: number
): Promise<void> {
  const before = load.acknowledgedCount
  await waitFor(
    `${count} more acknowledged writes`,
    () => load.acknowledgedCount >= before + count,
    CONVERGENCE_LIMIT_MS
  )
}

/** How long it took until a machine other than `than` leads, as the others see it. */
export async function newLeaderMs(
  lab: Lab,
  machines: readonly string[],
  than: string
): Promise<number> {
  const startedMs = performance.now()
  const others = machines.filter((machine) => machine !== than)
  await waitFor('another leader', async () => {
    const seen = await Promise.all(others.map((machine) => lab.status(machine).catch(() => null)))
    return seen.some((status) => status !== null && status.leader === status.node.id)
  })
  await sleep(POLL_MS)
  return performance.now() - startedMs
}
