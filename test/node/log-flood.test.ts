// A reader of stderr that stops does not hold the node up.

import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import test from 'brittle'
import type { Assert } from 'brittle'

const PROGRAM = fileURLToPath(new URL('./log-flood-process.js', import.meta.url))
const DEADLINE_MS = 20_000

test('RES-10: a reader of a socket that stops keeps nobody waiting, and learns what it lost', async (t) => {
  const child = spawn(process.execPath, [PROGRAM], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  if (child.stderr === null) return t.fail('stderr is open')
  await checkFlood(t, child, child.stderr)
})

test('RES-10: nor does a reader of a pipe', async (t) => {
  const path = join(await t.tmp(), 'pipe')
  execFileSync('mkfifo', [path])
  // opened for both, so that opening does not wait for the other side
  const end = openSync(path, 'r+')
  t.teardown(() => closeSync(end))
  const child = spawn(process.execPath, [PROGRAM], { stdio: ['ignore', 'ignore', end, 'ipc'] })
  const reader = new Socket({ fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK) })
  t.teardown(() => reader.destroy())
  await checkFlood(t, child, reader)
})

async function checkFlood(t: Assert, child: ChildProcess, stderr: Readable): Promise<void> {
  t.teardown(() => child.kill('SIGKILL'))
  stderr.pause()
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const [message] = await once(child, 'message', { signal })
  t.is(message, 'still here', 'its loop turns while nobody reads')

  let text = ''
  stderr.setEncoding('utf8')
  stderr.on('data', (part: string) => (text += part))
  stderr.resume()
  child.send('end')
  while (!text.includes('the last line') || !text.includes('log.lost')) {
    await once(stderr, 'data', { signal })
  }
  const [code] = await once(child, 'exit', { signal })
  t.is(code, 0, 'it ends by itself')
  const records = text
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line))
  t.ok(records.length > 100 && records.length < 20_000, `${records.length} whole lines`)
}
