// The memories of the amnesia guard as a file.

import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import type { Memory } from '../../lib/cluster/amnesia-guard.ts'
import { GuardFile } from '../../lib/node/guard-file.ts'

const MEMORY: Memory = {
  boot: 5,
  instance: '0a'.repeat(16),
  storageEpoch: '0b'.repeat(16),
  saidTerm: 7,
  term: 8,
  index: 2 ** 40
}
const KEY = 'cd'.repeat(32)

function save(file: GuardFile, memories: ReadonlyMap<string, Memory>): Promise<boolean> {
  return new Promise((resolve) => file.save(memories, resolve))
}

test('what was saved is found, in its order, by this user alone', async (t) => {
  const dir = await t.tmp()
  const memories = new Map([
    [KEY, MEMORY],
    ['ab'.repeat(32), { ...MEMORY, boot: 6 }]
  ])
  const file = new GuardFile(dir)
  t.is(file.found.size, 0)
  t.ok(await save(file, memories))
  t.alike([...new GuardFile(dir).found], [...memories])
  t.is(statSync(join(dir, 'guard.json')).mode & 0o777, 0o600)
  t.absent(existsSync(join(dir, 'guard.json.tmp')))
})

test('a file that is damaged or of another form counts as none', async (t) => {
  const dir = await t.tmp()
  await save(new GuardFile(dir), new Map([[KEY, MEMORY]]))
  const path = join(dir, 'guard.json')
  const good = readFileSync(path, 'utf8')
  for (const bad of [
    '',
    good.slice(0, -9),
    '[]',
    good.replace('"boot": 5', '"boot": -5'),
    '{"x":1}'
  ]) {
    writeFileSync(path, bad)
    t.is(new GuardFile(dir).found.size, 0, bad.slice(0, 20))
  }
})

test('a folder that takes no file is no failure, and is said', async (t) => {
  const file = new GuardFile(join(await t.tmp(), 'nowhere'))
  t.absent(await save(file, new Map([[KEY, MEMORY]])))
})
