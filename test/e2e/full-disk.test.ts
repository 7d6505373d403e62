// A data directory on a small file system of its own: what a node does while it fills up, when it is
// full, when it is free again, and when it is read-only. Each file system is a tmpfs, which only the
// superuser can mount.

import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, rmSync, statfsSync } from 'node:fs'
import { writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Assert } from 'brittle'
import test from 'brittle'
import { setTimeout as sleep } from 'node:timers/promises'
import { bytesOf } from '../../lib/encoding.ts'
import { asAspenError, EXIT } from '../../lib/errors.ts'
import { DISK_CHECK_MS } from '../../lib/limits.ts'
import { isSkipped } from '../skip.ts'
import { Lab, waitFor } from './lab.ts'

const LIMIT_MS = 120_000
const SIZE_MIB = 128
const VALUE = new Uint8Array(256 * 1024).fill(7)

/** A lab with these machines on file systems of their own. */
async function openLab(t: Assert, machines: readonly string[]): Promise<Lab> {
  const lab = await Lab.open()
  for (const machine of machines) {
    const folder = lab.dataDir(machine)
    mkdirSync(folder, { mode: 0o700 })
    mount(['-t', 'tmpfs', '-o', `size=${SIZE_MIB}m,mode=700`, 'none', folder])
  }
  t.teardown(
    async () => {
      for (const machine of machines) await lab.cut(machine)
      for (const machine of machines) spawnSync('umount', ['-l', lab.dataDir(machine)])
      await lab.close()
    },
    { force: true }
  )
  return lab
}

function mount(args: readonly string[]): void {
  const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`mount ${args.join(' ')}: ${stderr}`)
}

/** Something else on the disk: fills it up to so many percent, and says how to take it away. */
function fill(lab: Lab, machine: string, percent: number): () => void {
  const folder = lab.dataDir(machine)
  const path = join(folder, 'something-else')
  const { blocks, bfree, bsize } = statfsSync(folder)
  const wanted = Math.floor((blocks * percent) / 100) - (blocks - bfree)
  const file = openSync(path, 'a')
  const chunk = new Uint8Array(bsize)
  try {
    for (let count = 0; count < wanted; count++) writeSync(file, chunk)
  } finally {
    closeSync(file)
  }
  return () => rmSync(path)
}

/** Starts it without a command beside it; `exit` is how its process ends. */
async function inForeground(lab: Lab, machine: string) {
  const child = lab.start(machine, ['start', '--foreground'])
  child.stdout?.resume()
  child.stderr?.resume()
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve))
  await waitFor(`${machine} to answer`, async () => {
    const status = await lab.status(machine).catch(() => null)
    return status?.pid === child.pid
  })
  return { exit }
}

/** The code of the error, or 'done'. */
async function put(lab: Lab, machine: string, key: string): Promise<string> {
  const client = lab.client(machine)
  try {
    await client.kv.put(bytesOf(key), VALUE, { timeoutMs: 10_000 })
    return 'done'
  } catch (error) {
    return asAspenError(error).code
  } finally {
    client.close()
  }
}

/**
 * Writes one key after the other until the disk is found full. Before, a write may be refused because
 * those that were just made could have filled it. @returns what was acknowledged, and the other ends
 */
async function putUntilFull(lab: Lab, machine: string) {
  const acknowledged: string[] = []
  const refusals = new Set<string>()
  let isFull = false
  for (let count = 0; !isFull && count < 8 * SIZE_MIB; count++) {
    const end = await put(lab, machine, `k/${count}`)
    if (end === 'done') {
      acknowledged.push(`k/${count}`)
      continue
    }
    refusals.add(end)
    // by then it has looked twice, and counts nothing that may be on its way
    await sleep(3 * DISK_CHECK_MS)
    const { disk } = await lab.status(machine)
    isFull = disk?.is_full === true
  }
  return { acknowledged, refusals: [...refusals] }
}

async function missing(lab: Lab, machine: string, keys: readonly string[]): Promise<number> {
  const client = lab.client(machine)
  let count = 0
  for (const key of keys) {
    const { item } = await client.kv.get(bytesOf(key), { timeoutMs: 20_000 })
    if (item?.value.byteLength !== VALUE.byteLength) count++
  }
  client.close()
  return count
}

test(
  'STO-12 a disk that fills up: writes are refused, deletes and reads go on, and freeing it is enough',
  { timeout: LIMIT_MS },
  async (t) => {
    if (isSkipped(t, 'mounts')) return
    const lab = await openLab(t, ['alder'])
    await lab.run('alder', ['create', '--name', 'alder', '--quiet'])
    const free = fill(lab, 'alder', 50)
    const { acknowledged, refusals } = await putUntilFull(lab, 'alder')
    t.comment(`${acknowledged.length} writes acknowledged until the disk was full`)
    t.alike(refusals, ['DISK_SPACE_INSUFFICIENT'])
    t.ok(acknowledged.length > 10)
    const ended = await lab.aspen('alder', ['kv', 'put', 'one', 'more'])
    t.is(ended.code, EXIT.noSpace, 'exit code 75')
    t.ok(/95 %/.test(ended.stderr), ended.stderr)
    t.is(await missing(lab, 'alder', acknowledged), 0, 'nothing acknowledged is lost')
    const status = await lab.aspen('alder', ['status'])
    t.is(status.code, 0)
    t.ok(/^disk +✗ 9\d(\.\d)? % used/m.test(status.stdout), status.stdout)
    const [first = '', ...others] = acknowledged
    await lab.run('alder', ['kv', 'del', first])
    t.is(await missing(lab, 'alder', [first]), 1)
    free()
    await waitFor('a write to be taken', async () => (await put(lab, 'alder', 'after')) === 'done')
    t.is(await missing(lab, 'alder', [...others, 'after']), 0)
  }
)

test(
  'a disk that is full to the last byte ends the node with 75, and it starts when there is space',
  { timeout: LIMIT_MS },
  async (t) => {
    if (isSkipped(t, 'mounts')) return
    const lab = await openLab(t, ['alder'])
    await lab.run('alder', ['create', '--name', 'alder', '--quiet'])
    t.is(await put(lab, 'alder', 'before'), 'done')
    await lab.run('alder', ['stop'])
    const free = fill(lab, 'alder', 100)
    const ended = await lab.aspen('alder', ['start', '--foreground'])
    t.is(ended.code, EXIT.noSpace, ended.stderr)
    t.ok(/space/.test(ended.stderr), ended.stderr)
    free()
    const nearly = fill(lab, 'alder', 96)
    await lab.run('alder', ['start'])
    await waitFor(
      'a look at the disk',
      async () => (await lab.status('alder')).disk?.is_full === true
    )
    t.is(await put(lab, 'alder', 'refused'), 'DISK_SPACE_INSUFFICIENT')
    t.is(await missing(lab, 'alder', ['before']), 0)
    nearly()
    await waitFor('a write to be taken', async () => (await put(lab, 'alder', 'after')) === 'done')
  }
)

test(
  'a disk that another program fills up between two looks ends the node with 75: nothing acknowledged is lost',
  { timeout: LIMIT_MS },
  async (t) => {
    if (isSkipped(t, 'mounts')) return
    const lab = await openLab(t, ['alder'])
    await lab.run('alder', ['create', '--name', 'alder', '--quiet'])
    await lab.run('alder', ['stop'])
    const { exit } = await inForeground(lab, 'alder')
    t.is(await put(lab, 'alder', 'before'), 'done')
    // deletes pass the gate, so the disk itself must say that it is full
    const free = fill(lab, 'alder', 100)
    const client = lab.client('alder')
    const remove = async (): Promise<void> => {
      for (let count = 0; count < 5_000; count++) {
        await client.kv.delete({ key: `nothing/${count}` }, { timeoutMs: 2_000 })
      }
    }
    await remove().catch(() => {})
    client.close()
    const code = await Promise.race([exit, sleep(20_000, 'still runs')])
    t.is(code, EXIT.noSpace)
    free()
    await lab.run('alder', ['start'])
    t.is(await missing(lab, 'alder', ['before']), 0)
  }
)

test(
  'STO-13 a leader whose disk is full hands over, and writes go on through every node',
  { timeout: LIMIT_MS },
  async (t) => {
    if (isSkipped(t, 'mounts')) return
    const lab = await openLab(t, ['alder'])
    const names = ['alder', 'birch', 'cedar']
    await lab.cluster(names, ['--timing', 'lan'])
    await lab.voters('alder', 3)
    t.is(await lab.leader(names), 'alder')
    fill(lab, 'alder', 96)
    const beganMs = performance.now()
    await waitFor('another leader', async () => (await lab.leader(names)) !== 'alder', 10_000)
    t.comment(`another node led after ${Math.round(performance.now() - beganMs)} ms`)
    for (const name of names) t.is(await put(lab, name, `from/${name}`), 'done', name)
  }
)

test(
  'STO-15 a read-only disk is told at the start, with 74, and nothing is harmed',
  { timeout: LIMIT_MS },
  async (t) => {
    if (isSkipped(t, 'mounts')) return
    const lab = await openLab(t, ['alder'])
    const remount = (how: 'ro' | 'rw'): void =>
      mount(['-o', `remount,${how}`, lab.dataDir('alder')])
    await lab.run('alder', ['create', '--name', 'alder', '--quiet'])
    t.is(await put(lab, 'alder', 'before'), 'done')
    await lab.run('alder', ['stop'])
    t.alike(await lab.settled(0, 'alder'), [])
    remount('ro')
    const ended = await lab.aspen('alder', ['start', '--foreground'])
    t.is(ended.code, EXIT.ioError, ended.stderr)
    t.ok(/read-only/.test(ended.stderr), ended.stderr)
    remount('rw')
    await lab.run('alder', ['start'])
    t.is(await missing(lab, 'alder', ['before']), 0)
  }
)

test(
  'STO-15 a log that is taken away while the node runs ends it with 74; put back, nothing is lost',
  { timeout: LIMIT_MS },
  async (t) => {
    const lab = await openLab(t, [])
    await lab.run('alder', ['create', '--name', 'alder', '--quiet'])
    await lab.run('alder', ['stop'])
    const { exit } = await inForeground(lab, 'alder')
    t.is(await put(lab, 'alder', 'before'), 'done')
    const log = join(lab.dataDir('alder'), 'log')
    renameSync(log, `${log}-away`)
    t.is(await Promise.race([exit, sleep(10_000, 'still runs')]), EXIT.ioError)
    const ended = await lab.aspen('alder', ['start', '--foreground'])
    t.is(ended.code, EXIT.fenced, 'a member without its log')
    renameSync(`${log}-away`, log)
    await lab.run('alder', ['start'])
    t.is(await missing(lab, 'alder', ['before']), 0)
  }
)
