// Real nodes whose storage is damaged where the log is cut behind snapshots: their own snapshots and those of
// others stand for what nobody has any more; who waits for help can be stopped, and helps others meanwhile.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { bytesOf } from '../../lib/encoding.ts'
import { EXIT } from '../../lib/errors.ts'
import { agree, harm } from './harm.ts'
import { Lab, waitFor } from './lab.ts'

const LIMIT = { timeout: 240_000 }
const STORAGE = [
  '--storage=snapshot-entries=100',
  '--storage=keep-entries=60',
  '--storage=keep-revisions=100',
  '--storage=keep-history=1s'
]
const NAMES = ['alder', 'birch', 'cedar']

const lab = await Lab.open()
await lab.cluster(NAMES, STORAGE)
await lab.voters('cedar', 3)

/** Writes values that can be found in a file by their tag; @returns the revision of each. */
async function write(machine: string, count: number, tag: string): Promise<readonly number[]> {
  const client = lab.client(machine)
  const revisions: number[] = []
  try {
    for (let at = 0; at < count; at++) {
      const value = bytesOf(`precious-${tag}-${at}-value`)
      const key = bytesOf(`key-${at % 40}`)
      const { revision } = await client.kv.put(key, value, { timeoutMs: 30_000 })
      revisions.push(revision)
    }
    return revisions
  } finally {
    client.close()
  }
}

async function logOf(machine: string): Promise<string> {
  return (await lab.aspen(machine, ['logs', '-n', '60'])).stdout
}

async function said(t: Assert, machine: string, text: string): Promise<void> {
  const log = await logOf(machine)
  t.ok(log.includes(text), log)
}

async function snapshotted(machine: string, after: number): Promise<void> {
  await waitFor(`a cut log on ${machine}`, async () => {
    const { storage } = await lab.status(machine)
    return storage.snapshot !== null && storage.log_base > after
  })
}

test(
  'a node alone begins its log after its snapshot when what is damaged lies before that',
  LIMIT,
  async (t) => {
    await lab.run('solo', ['create', '--name', 'solo', '--quiet', ...STORAGE])
    const revisions = await write('solo', 290, 'solo')
    await waitFor('no snapshot that is still to come', async () => {
      const { snapshot, log_base: base, log_last: last } = (await lab.status('solo')).storage
      return snapshot !== null && last - snapshot.index < 100 && base >= snapshot.index - 60
    })
    const { storage, state_hash: hash } = await lab.status('solo')
    await lab.run('solo', ['stop'])
    // entries that the log keeps although a snapshot stands for them
    const snapshotIndex = storage.snapshot?.index ?? 0
    const keptFor = revisions.filter((index) => index > storage.log_base && index <= snapshotIndex)
    const harmed = keptFor
      .slice(-3)
      .map((index) => harm(lab, 'solo', `precious-solo-${revisions.indexOf(index)}-value`))
    t.ok(
      harmed.some((count) => count > 0),
      `${harmed.join(', ')} places, the log began after ${storage.log_base}`
    )
    await lab.run('solo', ['start'])
    await said(t, 'solo', 'it begins after')
    await waitFor('the same state', async () => (await lab.status('solo')).state_hash === hash)
    await lab.put('solo', 'more', 'is possible')
    await lab.run('solo', ['stop'])
    await lab.run('solo', ['start'])
    t.is(await lab.run('solo', ['kv', 'get', 'more', '--timeout', '30s']), 'is possible')
    t.is(await lab.run('solo', ['kv', 'get', 'key-39']), 'precious-solo-279-value')
  }
)

test(
  'a node whose state and snapshots are lost gets a snapshot from the others before it runs',
  LIMIT,
  async (t) => {
    await write('alder', 330, 'first')
    await agree(lab, NAMES)
    for (const name of NAMES) await snapshotted(name, 100)
    // the founder was never told by anybody who it is
    for (const name of ['alder', 'cedar']) {
      await lab.run(name, ['stop'])
      rmSync(join(lab.dataDir(name), 'state'), { recursive: true })
      rmSync(join(lab.dataDir(name), 'snapshots'), { recursive: true })
      await lab.run(name, ['start'])
      await said(t, name, 'it begins after')
      await agree(lab, NAMES)
      t.is(
        await lab.run(name, ['kv', 'get', 'key-9', '--timeout', '30s']),
        'precious-first-329-value'
      )
    }
  }
)

test(
  'entries before the beginning of every other log are replaced by a snapshot of theirs',
  LIMIT,
  async (t) => {
    await lab.run('cedar', ['stop'])
    rmSync(join(lab.dataDir('cedar'), 'snapshots'), { recursive: true })
    const harmed = Array.from({ length: 12 }, (_, n) =>
      harm(lab, 'cedar', `precious-first-${318 + n}-value`)
    )
    t.ok(harmed.filter((count) => count > 0).length > 3, harmed.join(', '))
    await write('birch', 400, 'second')
    await agree(lab, ['alder', 'birch'])
    for (const name of ['alder', 'birch']) await snapshotted(name, 500)
    await lab.run('cedar', ['start'])
    await said(t, 'cedar', 'asking other members for what cannot be read')
    await agree(lab, NAMES)
    t.is(
      await lab.run('cedar', ['kv', 'get', 'key-39', '--timeout', '30s']),
      'precious-second-399-value'
    )
  }
)

test(
  'a node that waits for help can be stopped, and two of them help each other',
  LIMIT,
  async (t) => {
    await write('birch', 30, 'third')
    await agree(lab, NAMES)
    await Promise.all(NAMES.map((name) => lab.run(name, ['stop'])))
    t.ok(harm(lab, 'birch', 'precious-third-28-value') > 0)
    t.ok(harm(lab, 'cedar', 'precious-third-29-value') > 0)
    const waiting = lab.start('birch', ['start'])
    await waitFor('a process that can be stopped', async () => {
      const status = await lab.aspen('birch', ['status'])
      return status.stderr.includes('is being repaired')
    })
    await lab.run('birch', ['stop'])
    t.ok(waiting !== null)
    const [birch, cedar] = await Promise.all([
      lab.aspen('birch', ['start']),
      lab.aspen('cedar', ['start'])
    ])
    t.alike([birch.code, cedar.code], [EXIT.ok, EXIT.ok], `${birch.stderr}\n${cedar.stderr}`)
    await lab.run('alder', ['start'])
    await agree(lab, NAMES)
    t.is(
      await lab.run('cedar', ['kv', 'get', 'key-28', '--timeout', '30s']),
      'precious-third-28-value'
    )
    await lab.close()
  }
)
