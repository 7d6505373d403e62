// What tests of faults do with the real nodes of a lab: kill them, stop and continue them, start them
// again, and ask whether all of them hold the same state.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Status } from '../../lib/service/documents.ts'
import { isAlive } from '../e2e/processes.ts'
import type { Lab } from '../e2e/lab.ts'
import { waitFor } from '../e2e/lab.ts'
import { outputOf } from '../e2e/output.ts'
import { tally } from './tally.ts'

const CONVERGENCE_LIMIT_MS = 60_000
const POLL_MS = 50

/** SIGKILL for all of them at once; resolves when they are gone. @throws if one has ended by itself */
export async function killNodes(lab: Lab, machines: readonly string[]): Promise<void> {
  for (const machine of machines) assertRuns(lab, machine)
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
  const output = outputOf(child)
  ends.delete(machine)
  child.once('exit', (code) => {
    // what a signal ends is ended by the test
    if (code !== null && code !== 0)
      ends.set(machine, `${code}: ${output.stderr().slice(-LOG_SHOWN)}`)
  })
  await waitFor(`${machine} to answer`, async () => {
    assertAlive(machine)
    const status = await lab.status(machine).catch(() => null)
    return status?.pid === child.pid
  })
}

/** Nodes that were started here and have ended by themselves, with what they said. */
const ends = new Map<string, string>()
const LOG_SHOWN = 3_000

function assertAlive(machine: string): void {
  const end = ends.get(machine)
  if (end !== undefined) throw new Error(`${machine} has ended by itself with ${end}`)
}

/** A node that has given up says nothing any more: its own reason is better than what follows from it. */
function assertRuns(lab: Lab, machine: string): void {
  assertAlive(machine)
  const folder = lab.dataDir(machine)
  if (existsSync(join(folder, 'runtime.json'))) return
  const path = join(folder, 'aspen.log')
  const log = existsSync(path) ? readFileSync(path, 'utf8') : ''
  throw new Error(`${machine} has ended by itself:\n${log.slice(-LOG_SHOWN)}`)
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
  for (const machine of machines) assertRuns(lab, machine)
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
