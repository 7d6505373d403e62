// The lock of a data directory, between processes and within one.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import { acquireLock } from '../../lib/state-machine/sqlite-lock.ts'

const HOLDER = join(import.meta.dirname, 'lock-holder.js')

function codeOf(fn: () => unknown): string | null {
  try {
    fn()
    return null
  } catch (error) {
    return error instanceof AspenError ? error.code : String(error)
  }
}

test('a lock is held by one, also within a process, until it is released', async (t) => {
  const path = join(await t.tmp(), 'lock')
  const lock = acquireLock(path)
  t.is(statSync(path).mode & 0o777, 0o600)
  t.is(
    codeOf(() => acquireLock(path)),
    'LOCKED'
  )
  t.is(
    codeOf(() => acquireLock(path)),
    'LOCKED',
    'the refused one has not let go of the first'
  )
  lock.release()
  lock.release()
  acquireLock(path).release()
})

test('another process is refused while this one holds the lock, also after a refusal here', async (t) => {
  const path = join(await t.tmp(), 'lock')
  const lock = acquireLock(path)
  t.is(
    codeOf(() => acquireLock(path)),
    'LOCKED'
  )
  t.is(await firstLine(path), 'LOCKED')
  lock.release()
  t.is(await firstLine(path), 'held')
})

test('who is ready to wait gets the lock of one who lets go in time', async (t) => {
  const path = join(await t.tmp(), 'lock')
  const child = spawn(process.execPath, [HOLDER, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'), { force: true })
  await once(child.stdout, 'data')
  t.is(
    codeOf(() => acquireLock(path, 50)),
    'LOCKED',
    'not in time'
  )
  spawn('sh', ['-c', `sleep 0.2; kill -9 ${child.pid}`])
  acquireLock(path, 30_000).release()
})

test('the kernel lets go of the lock of a process that is killed', async (t) => {
  const path = join(await t.tmp(), 'lock')
  const child = spawn(process.execPath, [HOLDER, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'), { force: true })
  const [line] = await once(child.stdout, 'data')
  t.is(String(line).trim(), 'held')
  t.is(
    codeOf(() => acquireLock(path)),
    'LOCKED'
  )
  child.kill('SIGKILL')
  await once(child, 'exit')
  acquireLock(path).release()
})

test('a lock in a folder that does not exist is an error of storage', async (t) => {
  t.is(
    codeOf(() => acquireLock('/nonexistent/folder/lock')),
    'OPEN_DATABASE'
  )
})

/** What a process that wants the lock says; it ends then. */
async function firstLine(path: string): Promise<string> {
  const child = spawn(process.execPath, [HOLDER, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  return String(line).trim()
}
