// Real nodes whose logs are cut: a member that was away too long and a machine that joins late get a
// snapshot, damage to the state of one node is repaired from its own, and files stop growing.

import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { bytesOf } from '../../lib/encoding.ts'
import { Lab, waitFor } from './lab.ts'

const LIMIT = { timeout: 240_000 }
const STORAGE = [
  '--storage=snapshot-entries=100',
  '--storage=keep-entries=20',
  '--storage=keep-revisions=100',
  '--storage=keep-history=1s'
]

const lab = await Lab.open()
const ticket = await lab.cluster(['alder', 'birch', 'cedar'], STORAGE)
await lab.voters('cedar', 3)

/** Writes many values to few keys, some at a time. */
async function write(machine: string, count: number, tag: string): Promise<void> {
  const client = lab.client(machine)
  try {
    for (let from = 0; from < count; from += 40) {
      const puts = Array.from({ length: Math.min(40, count - from) }, (_, at) =>
        client.kv.put(bytesOf(`key-${(from + at) % 40}`), bytesOf(`${tag}-${from + at}`), {
          timeoutMs: 30_000
        })
      )
      await Promise.all(puts)
    }
  } finally {
    client.close()
  }
}

async function agree(machines: readonly string[]): Promise<void> {
  await waitFor('one state everywhere', async () => {
    const states = await Promise.all(machines.map((name) => lab.status(name)))
    const said = states.map((status) => `${status.applied_index} ${status.state_hash}`)
    return new Set(said).size === 1
  })
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}

test('logs are cut behind snapshots, on every member', LIMIT, async (t) => {
  await write('alder', 400, 'first')
  await agree(['alder', 'birch', 'cedar'])
  for (const name of ['alder', 'birch', 'cedar']) {
    await waitFor(`a cut log on ${name}`, async () => {
      const { storage } = await lab.status(name)
      return storage.snapshot !== null && storage.log_last - storage.log_base < 250
    })
    const { storage } = await lab.status(name)
    t.ok(storage.log_base > 150, JSON.stringify(storage))
  }
})

test(
  'STO-23: a member that was away until its entries were gone comes back by a snapshot',
  LIMIT,
  async (t) => {
    await lab.kill('cedar')
    await write('birch', 400, 'second')
    await lab.run('cedar', ['start'])
    await agree(['alder', 'birch', 'cedar'])
    const { storage } = await lab.status('cedar')
    t.ok(storage.log_base > 400, JSON.stringify(storage))
    t.is(await lab.run('cedar', ['kv', 'get', 'key-39', '--timeout', '30s']), 'second-399')
  }
)

test('a machine that joins late gets the state by a snapshot', LIMIT, async (t) => {
  await lab.run('dogwood', ['join', ticket, '--name', 'dogwood', ...STORAGE])
  await agree(['alder', 'dogwood'])
  const { storage } = await lab.status('dogwood')
  t.ok(storage.log_base > 400, JSON.stringify(storage))
  t.is(storage.keys, 40)
})

test(
  'a state machine that is lost or damaged is made again from the snapshot',
  LIMIT,
  async (t) => {
    for (const harm of ['lost', 'damaged'] as const) {
      await lab.run('birch', ['stop'])
      const folder = join(lab.dataDir('birch'), 'state')
      for (const name of readdirSync(folder)) {
        if (harm === 'lost') rmSync(join(folder, name))
        else writeFileSync(join(folder, name), 'this is no database, and never was one')
      }
      await write('alder', 30, harm)
      await lab.run('birch', ['start'])
      await agree(['alder', 'birch', 'cedar', 'dogwood'])
      t.is(await lab.run('birch', ['kv', 'get', 'key-29', '--timeout', '30s']), `${harm}-29`)
    }
  }
)

test('files stop growing', LIMIT, async (t) => {
  const sizes: number[] = []
  for (let round = 0; round < 3; round++) {
    await write('alder', 400, `round${round}`)
    await agree(['alder', 'birch', 'cedar'])
    sizes.push(bytesIn(lab.dataDir('cedar')) / 1024)
  }
  t.comment(`KiB after each 400 overwrites: ${sizes.map((size) => size.toFixed(0)).join(', ')}`)
  const [first = 0, , last = 0] = sizes
  t.ok(last < first * 1.5 + 2_048, 'level, but for what a write-ahead log may hold')
  await lab.close()
})
