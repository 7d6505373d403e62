// Where a node lives, and the path of its socket.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { defaultDataDir, nameProblem, readRuntime, socketPathOf } from '../../lib/config/places.ts'

test('the default place is a folder by name under the user’s data directory', (t) => {
  t.is(defaultDataDir(null, { XDG_DATA_HOME: '/xdg' }), '/xdg/aspen/default')
  t.is(defaultDataDir('oak', { XDG_DATA_HOME: '/xdg' }), '/xdg/aspen/oak')
})

test('a name is a single safe folder name', (t) => {
  for (const name of ['oak', 'a', '7', 'web-1.example_x', 'x'.repeat(63)]) {
    t.is(nameProblem(name), null, name)
  }
  for (const name of ['', '.', '..', 'a/b', '-a', '.hidden', 'a b', 'ä', 'x'.repeat(64), 'a\n']) {
    t.ok(nameProblem(name), JSON.stringify(name))
  }
})

test('a socket path that is too long moves, and each directory keeps one of its own', (t) => {
  const env = { XDG_RUNTIME_DIR: '/run/user/1000' }
  t.is(socketPathOf('/data/oak', env), '/data/oak/aspen.sock')
  const long = (first: string) => `/${first}/${'deep/'.repeat(30)}same-end`
  const moved = socketPathOf(long('a'), env)
  t.ok(moved.startsWith('/run/user/1000/aspen-') && Buffer.byteLength(moved) <= 100, moved)
  t.is(socketPathOf(long('a'), env), moved)
  t.not(socketPathOf(long('b'), env), moved)
})

test('a runtime file that is not there, or is not one, is null', async (t) => {
  const dataDir = await t.tmp()
  t.is(readRuntime(dataDir), null)
  for (const text of ['', '{', 'null', '{"pid":"1","socket":"s","http":"h"}', '{"pid":1}']) {
    writeFileSync(join(dataDir, 'runtime.json'), text)
    t.is(readRuntime(dataDir), null, text)
  }
  const runtime = { pid: 1, socket: '/s', http: 'http://127.0.0.1:7070' }
  writeFileSync(join(dataDir, 'runtime.json'), JSON.stringify(runtime))
  t.alike(readRuntime(dataDir), { ...runtime, isRepairing: false })
})
