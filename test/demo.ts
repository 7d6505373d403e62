// `npm run demo`: what Aspen is, in half a minute and real processes. A private DHT, three nodes that
// meet by ticket, writes, linearizable reads on each, the death of the leader, its return; and at the
// end a check that every acknowledged write is there.

import { present } from '../lib/assert.ts'
import { bytesOf, textOf } from '../lib/encoding.ts'
import type { Client } from '../lib/client/client.ts'
import { asAspenError } from '../lib/errors.ts'
import { Lab, waitFor } from './e2e/lab.ts'

const NAMES = ['alder', 'birch', 'cedar']
const WRITE_COUNT = 200
const MAX_TRIES = 20

const acknowledged = new Map<string, string>()
const startedMs = performance.now()

const lab = await Lab.open()
let exitCode = 1
try {
  await show(lab)
  exitCode = 0
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
} finally {
  await lab.close()
}
process.exit(exitCode)

async function show(on: Lab): Promise<void> {
  say(`a private DHT at ${on.bootstrap}; everything below runs on this machine`)
  const ticket = await step('alder: aspen create', async () => {
    return (await on.run('alder', ['create', '--name', 'alder', '--quiet'])).trim()
  })
  say(`       ${ticket.slice(0, 24)}…${ticket.slice(-6)}  (${ticket.length} characters)`)
  for (const name of ['birch', 'cedar']) {
    await step(`${name}: aspen join <ticket>`, () => on.run(name, ['join', ticket, '--name', name]))
  }
  await step('two learners become voters, in one change', () => on.voters('alder', 3))

  await step(`${WRITE_COUNT} writes, over all three nodes`, () => writeAll(on, 'first', NAMES))
  for (const name of NAMES) {
    await step(`${name}: linearizable reads of all of them`, () => verify(on, name))
  }

  const leader = await on.leader(NAMES)
  const others = NAMES.filter((name) => name !== leader)
  await step(`${leader} leads: SIGKILL`, () => on.kill(leader))
  await step('the next write is acknowledged', () => writeOne(on, others[0] ?? 'alder'))
  await step(`${WRITE_COUNT} writes more, on the two that are left`, () =>
    writeAll(on, 'second', others)
  )
  await step(`${leader}: aspen start`, () => on.run(leader, ['start']))
  await step(`${leader} has caught up and is a follower`, async () => {
    await verify(on, leader)
    await waitFor('health', async () => (await on.status(leader)).state === 'healthy')
  })

  for (const name of NAMES) await verify(on, name)
  say(`every one of ${acknowledged.size} acknowledged writes is on every node`)
  say(`done in ${seconds(performance.now() - startedMs)}`)
}

/** Writes through the nodes in turn. */
async function writeAll(on: Lab, group: string, names: readonly string[]): Promise<void> {
  const clients = names.map((name) => on.client(name))
  for (let index = 0; index < WRITE_COUNT; index++) {
    const client = present(clients[index % clients.length], 'a client')
    await write(client, `${group}/${index}`, `value ${index} of ${group}`)
  }
  for (const client of clients) client.close()
}

async function writeOne(on: Lab, name: string): Promise<void> {
  const client = on.client(name)
  await write(client, 'failover', `through ${name}`)
  client.close()
}

/** A write whose outcome is unknown is repeated: with the same value, twice is as good as once. */
async function write(client: Client, key: string, value: string): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const put = client.kv.put(bytesOf(key), bytesOf(value), { timeoutMs: 15_000 })
    const error = await put.then(() => null, asAspenError)
    if (error === null) {
      acknowledged.set(key, value)
      return
    }
    if (error.outcome !== 'unknown') throw error
  }
  throw new Error(`no write was acknowledged in ${MAX_TRIES} tries`)
}

async function verify(on: Lab, name: string): Promise<void> {
  const client = on.client(name)
  for (const [key, value] of acknowledged) {
    const { item, consistency } = await client.kv.get(bytesOf(key), { timeoutMs: 15_000 })
    const found = item === null ? null : textOf(item.value)
    if (found !== value || consistency !== 'linearizable') {
      throw new Error(`${name} answers ${found} for ${key}; acknowledged was ${value}`)
    }
  }
  client.close()
}

async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const beforeMs = performance.now()
  const result = await work()
  say(`${seconds(performance.now() - beforeMs).padStart(7)}  ${what}`)
  return result
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}

function say(line: string): void {
  console.log(line)
}
