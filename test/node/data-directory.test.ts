// The data directory on a real disk: private, locked, and what it keeps.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import { DataDirectory, isLocked } from '../../lib/node/data-directory.ts'
import { SeededRandom } from '../../lib/random.ts'

function codeOf(run: () => unknown): string {
  try {
    run()
    return 'no error'
  } catch (error) {
    return error instanceof AspenError ? error.code : String(error)
  }
}

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

test('it is made with its parents, private, and locked until it is closed', async (t) => {
  const path = join(await t.tmp(), 'one', 'two')
  const directory = DataDirectory.open(path)
  t.is(modeOf(path), '700')
  t.ok(isLocked(path))
  t.is(
    codeOf(() => DataDirectory.open(path)),
    'LOCKED'
  )
  directory.close()
  directory.close()
  t.absent(isLocked(path))
  DataDirectory.open(path).close()
  t.absent(existsSync(join(path, '.probe')))
})

test('a directory that others may enter, or that is none, is refused', async (t) => {
  const root = await t.tmp()
  const open = join(root, 'open')
  mkdirSync(open)
  chmodSync(open, 0o750)
  t.is(
    codeOf(() => DataDirectory.open(open)),
    'DATA_DIR_UNUSABLE'
  )
  chmodSync(open, 0o700)
  t.is(
    codeOf(() => DataDirectory.open(open).close()),
    'no error'
  )
  const file = join(root, 'file')
  writeFileSync(file, '')
  t.is(
    codeOf(() => DataDirectory.open(file)),
    'DATA_DIR_UNUSABLE'
  )
  t.is(
    codeOf(() => DataDirectory.open(join(file, 'below'))),
    'DATA_DIR_UNUSABLE'
  )
})

test('the key is made once, kept, and only its owner’s', async (t) => {
  const path = join(await t.tmp(), 'data')
  const first = DataDirectory.open(path)
  t.absent(first.hasKey)
  const { publicKey } = first.keyPair(new SeededRandom(1))
  t.ok(first.hasKey)
  t.is(modeOf(join(path, 'node.key')), '600')
  t.alike(first.keyPair(new SeededRandom(2)).publicKey, publicKey)
  first.close()
  const second = DataDirectory.open(path)
  t.alike(second.keyPair(new SeededRandom(3)).publicKey, publicKey)
  second.close()
  t.alike(
    readdirSync(path).filter((name) => name.endsWith('.tmp')),
    []
  )
})

test('a damaged key is refused and never replaced', async (t) => {
  const path = join(await t.tmp(), 'data')
  const directory = DataDirectory.open(path)
  for (const text of ['', 'zz', `${'ab'.repeat(31)}\n`, 'AB'.repeat(32)]) {
    writeFileSync(join(path, 'node.key'), text)
    t.is(
      codeOf(() => directory.keyPair(new SeededRandom(1))),
      'DATA_DIR_UNUSABLE'
    )
    t.is(readFileSync(join(path, 'node.key'), 'utf8'), text)
  }
  directory.close()
})

test('the token is kept; what is no token is replaced', async (t) => {
  const path = join(await t.tmp(), 'data')
  const directory = DataDirectory.open(path)
  const token = directory.apiToken(new SeededRandom(1))
  t.is(token.length, 64)
  t.is(modeOf(join(path, 'api.token')), '600')
  t.is(directory.apiToken(new SeededRandom(2)), token)
  for (const text of ['', '\n', 'short', `${token}00`]) {
    writeFileSync(join(path, 'api.token'), text)
    const made = directory.apiToken(new SeededRandom(3))
    t.is(made.length, 64, JSON.stringify(text))
    t.is(directory.apiToken(new SeededRandom(4)), made)
  }
  directory.close()
})

test('JSON files are written whole and private; what cannot be written says so', async (t) => {
  const path = join(await t.tmp(), 'data')
  const directory = DataDirectory.open(path)
  t.is(directory.readJson('peers.json'), null)
  t.absent(directory.hasJson('peers.json'))
  directory.writeHint('peers.json', { a: 1 })
  directory.writeJson('runtime.json', { pid: 1 })
  t.alike(directory.readJson('peers.json'), { a: 1 })
  t.is(modeOf(join(path, 'runtime.json')), '600')
  directory.removeRuntime()
  directory.removeRuntime()
  t.absent(directory.hasJson('runtime.json'))
  mkdirSync(join(path, 'node.json'))
  t.is(
    codeOf(() => directory.writeJson('node.json', {})),
    'IO_ERROR'
  )
  directory.close()
})
