// How long a node alone takes from its start to its first linearizable answer, after a clean stop and after
// SIGKILL, by how many entries its log holds: a start verifies all of them. A real process on this machine's
// disk; no snapshot is made, so that nothing is cut.
//
//   node dist/test/bench/restart.js [entries…]      default 10000 300000

import { bytesOf } from '../../lib/encoding.ts'
import { MAX_SETMULTI_KEYS } from '../../lib/limits.ts'
import { Lab, waitFor } from '../e2e/lab.ts'
import { isAlive } from '../e2e/processes.ts'
import { printConditions, printResults, quantileOf, readConditions } from './conditions.ts'

const ROUNDS = 5
const AT_ONCE = 64
const NAME = 'alder'
const NEVER = ['snapshot-entries=1000000000', 'snapshot-bytes=1000000000000', 'snapshot-age=1000d']
const STORAGE = NEVER.map((setting) => `--storage=${setting}`)

const counts = process.argv.slice(2).map(Number)
const rows: string[][] = []
for (const entryCount of counts.length === 0 ? [10_000, 300_000] : counts) {
  const lab = await Lab.open()
  if (rows.length === 0) printConditions(await readConditions(lab.root))
  await lab.run(NAME, ['create', '--name', NAME, '--quiet', ...STORAGE])
  await fill(lab, entryCount)
  await restarts(lab, entryCount, 'SIGTERM')
  await restarts(lab, entryCount, 'SIGKILL')
  await lab.close()
}
printResults(['start → first linearizable get', 'n', 'median, ms', 'longest, ms'], rows)

/** One entry per put, of values of 256 B on 10,000 keys. */
async function fill(lab: Lab, entryCount: number): Promise<void> {
  const client = lab.client(NAME)
  const value = new Uint8Array(256).fill(97)
  let next = 0
  const work = async (): Promise<void> => {
    while (next < entryCount) {
      const key = bytesOf(`bench/${next++ % (100 * MAX_SETMULTI_KEYS)}`)
      await client.kv.put(key, value, { timeoutMs: 60_000 })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  client.close()
}

async function restarts(
  lab: Lab,
  entryCount: number,
  signal: 'SIGTERM' | 'SIGKILL'
): Promise<void> {
  const samples: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const pid = lab.pid(NAME)
    process.kill(pid, signal)
    await waitFor('the end of the node', () => !isAlive(pid))
    samples.push(await startMs(lab))
  }
  const how = signal === 'SIGTERM' ? 'a clean stop' : 'SIGKILL'
  const cells = [quantileOf(samples, 0.5), Math.max(...samples)].map((value) => value.toFixed(0))
  rows.push([`after ${how}, ${entryCount} entries in the log`, String(ROUNDS), ...cells])
}

/** From the start of the process on. */
async function startMs(lab: Lab): Promise<number> {
  const startedMs = performance.now()
  const child = lab.start(NAME, ['start', '--foreground'])
  child.stdout?.resume()
  child.stderr?.resume()
  for (;;) {
    const client = lab.client(NAME)
    const isAnswered = await client.kv.get(bytesOf('bench/0')).then(
      () => true,
      () => false
    )
    client.close()
    if (isAnswered) return performance.now() - startedMs
  }
}
