// The program as a process whose output nobody takes: readers that have gone, disks that are full.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, closeSync, existsSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import test from 'brittle'
import type { Assert } from 'brittle'
import { Client } from '../../lib/client/client.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { readRuntime, socketPathOf } from '../../lib/config/places.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/aspen.js', import.meta.url))
const LIMIT = { timeout: 60_000 }
const FULL = '/dev/full'
const hasFullDevice = existsSync(FULL)

type Sink = 'pipe' | 'gone' | 'full'

interface StartOptions {
  readonly stdout: Sink
  readonly stderr: Sink
}

/** `gone`: the reader has closed its end before the program writes its first byte. */
function start(t: Assert, argv: readonly string[], { stdout, stderr }: StartOptions): ChildProcess {
  const descriptor = stdout === 'full' || stderr === 'full' ? openSync(FULL, 'w') : null
  const sinkOf = (sink: Sink): 'pipe' | number =>
    sink === 'full' && descriptor !== null ? descriptor : 'pipe'
  const child = spawn(process.execPath, [PROGRAM, ...argv], {
    env: { ...process.env, ASPEN_BOOTSTRAP: '127.0.0.1:1', NO_COLOR: '1' },
    stdio: ['ignore', sinkOf(stdout), sinkOf(stderr)]
  })
  if (descriptor !== null) closeSync(descriptor)
  if (stdout === 'gone') child.stdout?.destroy()
  if (stderr === 'gone') child.stderr?.destroy()
  t.teardown(() => void child.kill('SIGKILL'), { force: true })
  return child
}

/** Runs it to its end. @returns the exit code and what it said on stderr */
async function run(t: Assert, argv: readonly string[], options: StartOptions) {
  const child = start(t, argv, options)
  let said = ''
  child.stderr?.on('data', (bytes: Buffer) => (said += bytes.toString()))
  const [code] = await once(child, 'close')
  return { code, said }
}

test('a reader that has seen enough changes neither the exit code nor stderr', LIMIT, async (t) => {
  const options = { stdout: 'gone', stderr: 'pipe' } as const
  t.alike(await run(t, ['help'], options), { code: 0, said: '' })
  t.alike(await run(t, ['version', '--json'], options), { code: 0, said: '' })
  const refused = await run(t, ['kv', 'get', 'k', '--json', '--data-dir', await t.tmp()], options)
  t.alike(refused, { code: 8, said: '' })
})

test('an error that nobody reads keeps its exit code', LIMIT, async (t) => {
  const sinks: readonly Sink[] = hasFullDevice ? ['gone', 'full'] : ['gone']
  for (const stderr of sinks) {
    const { code } = await run(t, ['frobnicate'], { stdout: 'pipe', stderr })
    t.is(code, 2, stderr)
  }
})

test(
  'a result that a full disk does not take is a failure, told once',
  { ...LIMIT, skip: !hasFullDevice },
  async (t) => {
    for (const argv of [['help'], ['version'], ['version', '--json']]) {
      const { code, said } = await run(t, argv, { stdout: 'full', stderr: 'pipe' })
      t.is(code, 75)
      t.is(said, 'the output cannot be written: no space left on the disk\n')
    }
  }
)

test('logs -f ends when its reader has gone', LIMIT, async (t) => {
  const dataDir = await t.tmp()
  const file = join(dataDir, 'aspen.log')
  writeFileSync(file, '{"msg":"first"}\n')
  const following = start(t, ['logs', '-f', '--data-dir', dataDir], {
    stdout: 'gone',
    stderr: 'pipe'
  })
  const ended = once(following, 'exit')
  while (following.exitCode === null) {
    appendFileSync(file, '{"msg":"more"}\n')
    await Promise.race([ended, sleep(50)])
  }
  t.is(following.exitCode, 0)
})

test('a node in the foreground goes on whatever becomes of its output', LIMIT, async (t) => {
  const sinks: readonly Sink[] = hasFullDevice ? ['gone', 'full'] : ['gone']
  for (const sink of sinks) {
    const dataDir = join(await t.tmp(), 'node')
    const argv = ['create', '--foreground', '--data-dir', dataDir, '--log-level', 'trace']
    const node = start(t, argv, { stdout: sink, stderr: sink })
    const client = Client.connect({ socketPath: socketPathOf(dataDir) })
    t.teardown(() => client.close(), { force: true })
    // a node that has been founded has printed its result
    const isFounded = async (): Promise<boolean> =>
      (await client.listTickets().catch(() => null))?.tickets.length === 1
    while (node.exitCode === null && !(await isFounded())) await sleep(20)
    await client.kv.put(bytesOf('k'), bytesOf('v'))
    t.is((await client.kv.get(bytesOf('k'))).item?.version, 1)
    node.kill('SIGTERM')
    const [code, signal] = await once(node, 'exit')
    t.alike([code, signal], [sink === 'full' ? 75 : 0, null], sink)
    t.is(readRuntime(dataDir), null, 'it was closed, not cut')
  }
})
