// Why a commit failed, where lmdb does not tell it apart.

import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { reasonOf } from '../../lib/log-store/lmdb-commit.ts'
import { openEnvironment } from '../../lib/log-store/lmdb-environment.ts'
import { isSkipped } from '../skip.ts'

test('a write that came short where the disk ends is a want of space; elsewhere it is a fault of the disk', async (t) => {
  if (isSkipped(t, 'mounts')) return
  const folder = join(await t.tmp(), 'small')
  mkdirSync(folder)
  t.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', folder]).status, 0)
  t.teardown(() => void spawnSync('umount', ['-l', folder]), { force: true })
  const environment = openEnvironment(join(folder, 'log'))
  t.teardown(() => environment.root.close())
  const failure = Object.assign(new Error('Input/output error'), { code: 5 })
  t.is((await reasonOf(environment, failure)).code, 'IO_ERROR')
  writeFileSync(join(folder, 'filler'), new Uint8Array(3 * 1024 * 1024 + 512 * 1024))
  t.is((await reasonOf(environment, failure)).code, 'NO_SPACE')
  const told = { commitError: Promise.reject(failure) }
  t.is((await reasonOf(environment, told)).code, 'NO_SPACE')
})
