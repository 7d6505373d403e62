// `create` and `join` that are killed half-way: the same command again goes on from there. The seed of
// the moments is printed; ASPEN_SEED repeats it.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'brittle'
import { decodeTicket } from '../../tickets/tickets.ts'
import { hexOf } from '../../lib/encoding.ts'
import { clusterOf, nodeOf, recordOf, ticketRows } from './documents.ts'
import { Lab } from './lab.ts'

const LIMIT = { timeout: 240_000 }
const seed = Number(process.env['ASPEN_SEED'] ?? Date.now() % 1_000_000)

let random = seed

const lab = await Lab.open()

// as learners, so that those that are cut off at the end take no quorum with them
test('joins that are killed half-way resume, each with one id', LIMIT, async (t) => {
  t.comment(`seed ${seed}`)
  await lab.run('alder', ['create', '--name', 'alder'])
  const before = await memberIds('alder')
  const made = await lab.json('alder', ['ticket', 'create', '--uses', '5', '--role', 'learner'])
  const stdin = String(made['ticket'])
  const args = ['join', '-']
  for (const [at, stage] of ['aspen.log', 'node.key', 'log', 'state', 'node.json'].entries()) {
    const name = `hazel${at}`
    await killedAt(name, { args, stdin, stage })
    t.comment(`killed with ${filesIn(lab.dataDir(name))}`)
    if (at % 2 === 0) await killedAt(name, { args, stdin, stage })
    const joined = await lab.json(name, args, { stdin })
    t.alike(await memberIds('alder'), [...before, nodeOf(joined).id], `one member more: ${stage}`)
    before.push(nodeOf(joined).id)
  }
  const list = await ticketRows(lab, 'alder')
  t.is(list.find((row) => row['id'] === made['id'])?.['uses_left'], 0, 'one use for each')
  for (const at of [0, 1, 2, 3, 4]) {
    await lab.put(`hazel${at}`, `hazel${at}`, 'in')
    await lab.cut(`hazel${at}`)
  }
})

test('creates that are killed half-way resume, as the cluster that was begun', LIMIT, async (t) => {
  t.comment(`seed ${seed}`)
  for (const [at, stage] of ['node.key', 'node.json', 'log', 'state'].entries()) {
    const name = `ivy${at}`
    const dir = lab.dataDir(name)
    await killedAt(name, { args: ['create'], stdin: '', stage })
    t.comment(`killed with ${filesIn(dir)}, ${stateIn(dir)}`)
    const id = clusterIdIn(dir)
    const isMember = stateIn(dir) === 'member'
    const begun = await lab.json(name, [isMember ? 'start' : 'create'])
    if (id !== null) t.is(clusterOf(begun).id, id, stage)
    await lab.put(name, 'a', 'b')
    const made = await lab.json(name, ['ticket', 'create'])
    t.is(hexOf(decodeTicket(String(made['ticket'])).clusterId), clusterOf(begun).id)
    await lab.cut(name)
  }
})

test('everything ends', LIMIT, async (t) => {
  await lab.close()
  t.alike(lab.processes(), [])
})

interface Kill {
  readonly args: readonly string[]
  readonly stdin: string
  /** a file of the data directory */
  readonly stage: string
}

/** Starts the command and kills all of it at a random moment soon after the file is there. */
async function killedAt(machine: string, { args, stdin, stage }: Kill): Promise<void> {
  const child = lab.start(machine, args)
  child.stdin?.end(stdin)
  const path = join(lab.dataDir(machine), stage)
  const endMs = performance.now() + 30_000
  while (!existsSync(path) && child.exitCode === null && performance.now() < endMs) await sleep(1)
  random = (random * 48_271 + 11) % 2_147_483_647
  await sleep(random % 40)
  await lab.cut(machine)
}

function filesIn(dir: string): string {
  return existsSync(dir) ? readdirSync(dir).join(' ') : 'nothing'
}

async function memberIds(machine: string): Promise<number[]> {
  const client = lab.client(machine)
  const { members } = await client.members()
  client.close()
  return members.map((member) => member.id)
}

function membershipIn(dataDir: string): Readonly<Record<string, unknown>> | null {
  const path = join(dataDir, 'node.json')
  return existsSync(path) ? recordOf(JSON.parse(readFileSync(path, 'utf8'))) : null
}

function clusterIdIn(dataDir: string): string | null {
  const id = membershipIn(dataDir)?.['cluster_id']
  return typeof id === 'string' ? id : null
}

function stateIn(dataDir: string): string | null {
  const state = membershipIn(dataDir)?.['state']
  return typeof state === 'string' ? state : null
}
