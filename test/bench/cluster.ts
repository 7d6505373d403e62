// How long a user waits: cluster, join, growth, failover, single writes and reads, and what an idle
// node costs. Real processes on one machine and its loopback, through the built program.
//
//   node dist/test/bench/cluster.js [rounds]     default 5 rounds of everything that is short

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { bytesOf } from '../../lib/encoding.ts'
import { asAspenError } from '../../lib/errors.ts'
import { Lab, waitFor } from '../e2e/lab.ts'
import { isAlive } from '../e2e/processes.ts'
import { printConditions, printResults, quantileOf, readConditions } from './conditions.ts'

const NAMES = ['alder', 'birch', 'cedar']
const ROUNDS = Number(process.argv[2] ?? 5)
const REQUEST_COUNT = 2_000
const SETTLE_MS = 10_000

const samples = new Map<string, number[]>()

const first = await Lab.open()
printConditions(await readConditions(first.root))
await first.close()
for (let round = 0; round < ROUNDS; round++) {
  await startAndFail('default')
  await startAndFail('lan')
}
await requests(1)
await requests(3)
const rows = [...samples].map(([what, values]) => [
  what,
  String(values.length),
  quantileOf(values, 0.5).toFixed(2),
  quantileOf(values, 0.99).toFixed(2),
  Math.max(...values).toFixed(2)
])
printResults(['what', 'n', 'median', 'p99', 'max'], rows)

function add(what: string, value: number): void {
  samples.set(what, [...(samples.get(what) ?? []), value])
}

async function timed(what: string, work: () => Promise<unknown>): Promise<void> {
  const startedMs = performance.now()
  await work()
  add(`${what}, ms`, performance.now() - startedMs)
}

/** From nothing to three voters, then one leader killed and one asked to go. */
async function startAndFail(timing: 'default' | 'lan'): Promise<void> {
  const lab = await Lab.open()
  const args = ['--timing', timing]
  let ticket = ''
  const create = async (): Promise<void> => {
    ticket = (await lab.run('alder', ['create', '--name', 'alder', '--quiet', ...args])).trim()
  }
  const join = (name: string) => lab.run(name, ['join', ticket, '--name', name, ...args])
  const isDefault = timing === 'default'
  await (isDefault ? timed('create → ticket', create) : create())
  await (isDefault ? timed('join → learner', () => join('birch')) : join('birch'))
  await join('cedar')
  const grow = () => lab.voters('alder', 3)
  await (isDefault ? timed('third join → three voters', grow) : grow())
  await sleep(1_000)
  await failover(lab, timing)
  await handOver(lab, timing)
  await lab.close()
}

async function failover(lab: Lab, timing: string): Promise<void> {
  const leader = await lab.leader(NAMES)
  const [other = 'alder'] = NAMES.filter((name) => name !== leader)
  const client = lab.client(other)
  const pid = lab.pid(leader)
  await timed(`SIGKILL leader → next acknowledged write (${timing})`, async () => {
    process.kill(pid, 'SIGKILL')
    while (!(await tryPut(client))) await sleep(1)
  })
  await waitFor('the end of the leader', () => !isAlive(pid))
  client.close()
  await lab.run(leader, ['start', '--timing', timing])
  await lab.run(leader, ['kv', 'get', 'k', '--timeout', '20s'])
  await sleep(2_000)
}

async function handOver(lab: Lab, timing: string): Promise<void> {
  const leader = await lab.leader(NAMES)
  const [other = 'alder'] = NAMES.filter((name) => name !== leader)
  const client = lab.client(other)
  let longestMs = 0
  let isOver = false
  const writing = (async () => {
    for (let lastMs = performance.now(); !isOver; lastMs = performance.now()) {
      while (!(await tryPut(client))) await sleep(1)
      longestMs = Math.max(longestMs, performance.now() - lastMs)
    }
  })()
  await sleep(500)
  await lab.run(leader, ['stop'])
  await sleep(500)
  isOver = true
  await writing
  client.close()
  add(`SIGTERM leader → longest write gap (${timing}), ms`, longestMs)
}

async function tryPut(client: ReturnType<Lab['client']>): Promise<boolean> {
  const put = client.kv.put(bytesOf('k'), bytesOf('v'), { timeoutMs: 10_000 })
  const error = await put.then(() => null, asAspenError)
  return error === null
}

/** One request after the other through one connection, on the leader and on a follower; then idle. */
async function requests(nodeCount: 1 | 3): Promise<void> {
  const lab = await Lab.open()
  const names = NAMES.slice(0, nodeCount)
  await lab.cluster(names)
  await lab.voters('alder', nodeCount)
  const leader = await lab.leader(names)
  const follower = names.find((name) => name !== leader)
  const value = new Uint8Array(256).fill(97)
  for (const [role, name] of [['leader', leader] as const, ['follower', follower] as const]) {
    if (name === undefined) continue
    const client = lab.client(name)
    const place = `${nodeCount} node${nodeCount === 1 ? '' : 's'}, on the ${role}`
    for (let count = 0; count < REQUEST_COUNT; count++) {
      const key = bytesOf(`bench/${count % 100}`)
      await timed(`sequential put, ${place}`, () => client.kv.put(key, value))
    }
    for (let count = 0; count < REQUEST_COUNT; count++) {
      const key = bytesOf(`bench/${count % 100}`)
      await timed(`sequential linearizable get, ${place}`, () => client.kv.get(key))
    }
    client.close()
  }
  await sleep(SETTLE_MS)
  for (const name of names) {
    add(`anonymous memory of an idle node of ${nodeCount}, MiB`, anonymousMebibytes(lab.pid(name)))
  }
  await lab.close()
}

function anonymousMebibytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}
