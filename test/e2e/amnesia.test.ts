// MEM-06 to MEM-08 with real processes: a folder without its log, one put back, one started twice.

import { cpSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT } from '../../lib/errors.ts'
import { Lab, waitFor } from './lab.ts'

const LIMIT_MS = 120_000
const NAMES = ['alder', 'birch', 'cedar']
/** Within this a process that must not run has ended. */
const END_MS = 10_000

interface Running {
  readonly stderr: () => string
  /** how it ended within END_MS from the start; null when it still runs */
  readonly end: Promise<number | null>
  stop(): void
}

/** In the foreground; its log comes on stderr. */
function startNode(lab: Lab, machine: string): Running {
  const child = lab.start(machine, ['start', '--foreground'])
  let text = ''
  child.stdout?.resume()
  child.stderr?.on('data', (chunk) => (text += String(chunk)))
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve))
  return {
    stderr: () => text,
    end: Promise.race([exit, sleep(END_MS, null)]),
    stop: () => void child.kill('SIGKILL')
  }
}

async function grow(lab: Lab): Promise<string> {
  const ticket = await lab.cluster(NAMES, ['--timing', 'lan'])
  await lab.voters('alder', 3)
  for (let count = 0; count < 20; count++) await lab.put('alder', `k/${count}`, 'v')
  return ticket
}

test(
  'MEM-06 a member that comes back with its key and nothing else is refused with 78, and the others go on',
  { timeout: LIMIT_MS },
  async (t) => {
    const lab = await Lab.open()
    t.teardown(() => lab.close(), { force: true })
    const ticket = await grow(lab)
    await lab.kill('cedar')
    const folder = lab.dataDir('cedar')
    rmSync(join(folder, 'log'), { recursive: true })
    const local = await lab.aspen('cedar', ['start', '--foreground'])
    t.is(local.code, EXIT.fenced, 'its own folder says so')
    // as if nobody had told it that it was a member
    for (const name of ['node.json', 'state', 'snapshots', 'guard.json']) {
      rmSync(join(folder, name), { force: true, recursive: true })
    }
    const joined = await lab.aspen('cedar', ['join', ticket, '--name', 'cedar', '--foreground'])
    t.is(joined.code, EXIT.fenced, joined.stderr)
    t.ok(/forgotten what it promised/.test(joined.stderr), joined.stderr)
    t.ok(/join again as a new node/.test(joined.stderr), 'and what to do')
    await lab.put('alder', 'after', 'v')
  }
)

test(
  'MEM-08 a folder put back as it was before is refused with 78',
  { timeout: LIMIT_MS },
  async (t) => {
    const lab = await Lab.open()
    t.teardown(() => lab.close(), { force: true })
    await grow(lab)
    await lab.run('cedar', ['stop'])
    const folder = lab.dataDir('cedar')
    cpSync(folder, `${folder}-backup`, { recursive: true })
    await lab.run('cedar', ['start'])
    for (let count = 0; count < 5; count++) await lab.put('alder', `later/${count}`, 'v')
    await lab.run('cedar', ['stop'])
    renameSync(folder, `${folder}-newest`)
    renameSync(`${folder}-backup`, folder)
    const old = startNode(lab, 'cedar')
    t.is(await old.end, EXIT.fenced, old.stderr())
    t.ok(/DATA_LOST|forgotten/.test(old.stderr()), old.stderr())
    renameSync(folder, `${folder}-backup`)
    renameSync(`${folder}-newest`, folder)
    await lab.run('cedar', ['start'])
    await lab.put('cedar', 'after', 'v')
    t.pass('the newest one is let in')
  }
)

test(
  'MEM-07 a folder that is copied while it is in use: at most one of the two runs after 10 s',
  { timeout: LIMIT_MS },
  async (t) => {
    const lab = await Lab.open()
    t.teardown(() => lab.close(), { force: true })
    await grow(lab)
    await lab.run('cedar', ['stop'])
    const folder = lab.dataDir('cedar')
    const original = startNode(lab, 'cedar')
    await waitFor('cedar to answer', () =>
      lab.status('cedar').then(
        () => true,
        () => false
      )
    )
    cpSync(folder, lab.dataDir('copy'), {
      recursive: true,
      filter: (source) => !source.endsWith('.sock')
    })
    const copy = startNode(lab, 'copy')
    const ends = await Promise.all([original.end, copy.end])
    t.comment(`the original ended with ${ends[0]}, the copy with ${ends[1]}; null: it runs`)
    t.ok(ends.includes(EXIT.fenced), `${original.stderr()}${copy.stderr()}`)
    t.ok(ends.every((end) => end === EXIT.fenced || end === null))
    await lab.put('birch', 'after', 'v')
    original.stop()
    copy.stop()
  }
)

test(
  'MEM-07 a folder that was copied and is started twice: the second is fenced with 78',
  { timeout: LIMIT_MS },
  async (t) => {
    const lab = await Lab.open()
    t.teardown(() => lab.close(), { force: true })
    await grow(lab)
    await lab.run('cedar', ['stop'])
    cpSync(lab.dataDir('cedar'), lab.dataDir('copy'), { recursive: true })
    await lab.run('cedar', ['start'])
    await lab.put('cedar', 'first', 'v')
    const copy = startNode(lab, 'copy')
    t.is(await copy.end, EXIT.fenced, copy.stderr())
    t.ok(/another process has this node's key/.test(copy.stderr()), copy.stderr())
    await lab.put('cedar', 'after', 'v')
  }
)

test(
  'MEM-06 an older log under a newer state is refused with 78, by the node itself; the newer one put back, nothing is lost',
  { timeout: LIMIT_MS },
  async (t) => {
    const lab = await Lab.open()
    t.teardown(() => lab.close(), { force: true })
    await lab.run('alder', ['create', '--name', 'alder', '--quiet'])
    await lab.run('alder', ['stop'])
    const log = join(lab.dataDir('alder'), 'log')
    cpSync(log, `${log}-old`, { recursive: true })
    await lab.run('alder', ['start'])
    await lab.put('alder', 'k', 'v')
    await lab.run('alder', ['stop'])
    renameSync(log, `${log}-new`)
    renameSync(`${log}-old`, log)
    const ended = await lab.aspen('alder', ['start', '--foreground'])
    t.is(ended.code, EXIT.fenced, ended.stderr)
    t.ok(/has lost what this node had promised/.test(ended.stderr), ended.stderr)
    rmSync(log, { recursive: true })
    renameSync(`${log}-new`, log)
    await lab.run('alder', ['start'])
    t.is((await lab.run('alder', ['kv', 'get', 'k'])).trim(), 'v')
  }
)
