// What users get wrong, and what goes wrong around them: one clear line, its own code, nothing changed.

import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { CODES } from '../../lib/errors.ts'
import type { ErrorCode } from '../../lib/errors.ts'
import { MAX_KEY_SIZE, MAX_VALUE_SIZE } from '../../lib/limits.ts'
import { isSkipped } from '../skip.ts'
import { ask, portOf, socketOf } from './http.ts'
import { Lab, PROGRAM } from './lab.ts'
import { refused } from './refusal.ts'
import type { Refusal } from './refusal.ts'

const LIMIT = { timeout: 240_000 }

const lab = await Lab.open()

test(
  'keys and values at their limits are taken, one byte more is refused everywhere',
  LIMIT,
  async (t) => {
    await lab.run('alder', ['create', '--name', 'alder'])
    const before = (await lab.status('alder')).commit_index
    const longest = 'é'.repeat(MAX_KEY_SIZE / 2)
    const tooLong = `${longest}x`
    const value = Buffer.alloc(MAX_VALUE_SIZE, 'v')
    const tooMuch = Buffer.alloc(MAX_VALUE_SIZE + 1, 'v')

    await lab.run('alder', ['kv', 'put', longest, '-'], { stdin: value })
    t.is(await lab.run('alder', ['kv', 'get', longest]), value.toString())
    isRefused(t, await refused('alder', ['kv', 'put', tooLong, 'x'], { lab }), 'KEY_TOO_LARGE')
    isRefused(t, await refused('alder', ['kv', 'get', tooLong], { lab }), 'KEY_TOO_LARGE')
    isRefused(t, await refused('alder', ['kv', 'del', tooLong], { lab }), 'KEY_TOO_LARGE')
    const large = await refused('alder', ['kv', 'put', 'k', '-'], { lab, stdin: tooMuch })
    isRefused(t, large, 'VALUE_TOO_LARGE')
    isRefused(t, await refused('alder', ['kv', 'put', '', 'x'], { lab }), 'CONFIG_INVALID')

    for (const place of [socketOf(lab, 'alder'), await portOf(lab, 'alder')]) {
      const put = (key: string, text: string) =>
        ask(place, { path: '/kv/write', body: { command: { Set: { key, value: text } } } })
      t.is((await put(longest, value.toString())).status, 200)
      const keyRefused = await put(tooLong, 'x')
      t.alike([keyRefused.status, keyRefused.code], [400, 'KEY_TOO_LARGE'])
      const valueRefused = await put('k', tooMuch.toString())
      t.alike([valueRefused.status, valueRefused.code], [400, 'VALUE_TOO_LARGE'])
      const read = await ask(place, { path: '/kv/read', body: { key: tooLong } })
      t.alike([read.status, read.code], [400, 'KEY_TOO_LARGE'])
      const emptyKey = await put('', 'x')
      t.is(emptyKey.status, 400)
    }
    t.is(
      (await lab.status('alder')).commit_index,
      before + 3,
      'three writes, and nothing of the others'
    )
  }
)

// every flag and command is held to it in test/cli, without a process for each
test('flags that make no sense are refused by name, with exit code 2', LIMIT, async (t) => {
  const cases: readonly (readonly [args: string[], words: RegExp])[] = [
    [['nosuch'], /no command 'nosuch'/],
    [['status', '--nosuch'], /no flag --nosuch/],
    [['kv', 'put', 'k'], /value.* missing/],
    [['create', '--port', '70000'], /--port takes a whole number from 1 to 65535/]
  ]
  for (const [args, words] of cases) {
    const refusal = await refused('nobody', args, { lab })
    isRefused(t, refusal, 'CONFIG_INVALID')
    t.ok(words.test(refusal.line), refusal.line)
  }
  t.absent(existsSync(lab.dataDir('nobody')), 'nothing was made')
})

test(
  'without a node a command names the one that starts it, with exit code 8',
  LIMIT,
  async (t) => {
    const nobody = await refused('nobody', ['kv', 'get', 'k'], { lab })
    isRefused(t, nobody, 'NODE_NOT_RUNNING')
    t.ok(/there is no node in .*aspen create .*aspen join/.test(nobody.line), nobody.line)

    await lab.run('birch', ['create', '--name', 'birch'])
    await lab.run('birch', ['stop'])
    const commands = [
      ['kv', 'get', 'k'],
      ['kv', 'put', 'k', 'v'],
      ['status'],
      ['members'],
      ['ticket', 'list']
    ]
    for (const [at, args] of commands.entries()) {
      const refusal = await refused('birch', args, { lab, isOnce: at > 0 })
      isRefused(t, refusal, 'NODE_NOT_RUNNING')
      t.is(refusal.exitCode, 8)
      t.ok(
        /is not running: 'aspen start --data-dir \S+birch' starts it/.test(refusal.line),
        refusal.line
      )
    }
    await lab.run('birch', ['start'])
    await lab.cut('birch')
    const killed = await refused('birch', ['kv', 'get', 'k'], { lab })
    isRefused(t, killed, 'NODE_NOT_RUNNING')
    t.ok(/aspen start/.test(killed.line), 'also when what it left behind says where it listened')
  }
)

test(
  'a directory that is in use has one node: start says so, the foreground exits 73',
  LIMIT,
  async (t) => {
    const { pid } = await lab.status('alder')
    const again = await lab.json('alder', ['start'])
    t.is(again['already_running'], true)
    t.is(again['pid'], pid)
    for (const command of ['start', 'create']) {
      const isOnce = command === 'create'
      const refusal = await refused('alder', [command, '--foreground'], { lab, isOnce })
      const expected = command === 'start' ? 'LOCKED' : 'DATA_DIR_TAKEN'
      isRefused(t, refusal, expected)
      if (command === 'start') t.is(refusal.exitCode, 73)
    }
    isRefused(t, await refused('alder', ['create'], { lab }), 'DATA_DIR_TAKEN')
    t.is((await lab.status('alder')).pid, pid, 'the first goes on')

    const both = await Promise.all(
      ['start', 'start'].map((command) => lab.aspen('birch', [command]))
    )
    t.alike(
      both.map((ended) => ended.code),
      [0, 0],
      both.map((ended) => ended.stderr).join('')
    )
    t.is((await lab.settled(1, 'birch')).length, 1)
    await lab.run('birch', ['stop'])
  }
)

test('a directory that cannot be used is named with what to do', LIMIT, async (t) => {
  const file = join(lab.root, 'a-file')
  writeFileSync(file, '')
  const below = await refused('a-file/below', ['create'], { lab })
  isRefused(t, below, 'DATA_DIR_UNUSABLE')
  t.ok(below.line.includes('a-file/below'), below.line)
  isRefused(t, await refused('a-file', ['create'], { lab, isOnce: true }), 'DATA_DIR_UNUSABLE')

  mkdirSync(lab.dataDir('open'), { mode: 0o755 })
  chmodSync(lab.dataDir('open'), 0o755)
  const open = await refused('open', ['create'], { lab })
  isRefused(t, open, 'DATA_DIR_UNUSABLE')
  t.ok(open.line.includes(`chmod 700 ${lab.dataDir('open')}`), open.line)
  t.alike(readdirSync(lab.dataDir('open')), [], 'nothing was written there')

  chmodSync(lab.dataDir('birch'), 0o750)
  const later = await refused('birch', ['start'], { lab, isOnce: true })
  isRefused(t, later, 'DATA_DIR_UNUSABLE')
  t.ok(later.line.includes('chmod 700'), later.line)
  chmodSync(lab.dataDir('birch'), 0o700)
})

test('a read-only file system is told at once', LIMIT, (t) => {
  if (isSkipped(t, 'mount-namespaces')) return
  const dir = lab.dataDir('readonly')
  mkdirSync(dir, { mode: 0o700 })
  const script =
    'mount -t tmpfs -o ro,mode=700 none "$1" && exec "$2" "$3" create --data-dir "$1" --json'
  const args = ['-rm', 'sh', '-c', script, 'sh', dir, process.execPath, PROGRAM]
  const env = { ...process.env, ASPEN_BOOTSTRAP: lab.bootstrap }
  const ended = spawnSync('unshare', args, { encoding: 'utf8', env })
  t.is(ended.status, CODES.DATA_DIR_UNUSABLE.exitCode, ended.stderr)
  const { error } = JSON.parse(ended.stdout)
  t.is(error.code, 'DATA_DIR_UNUSABLE')
  t.ok(/read-only/i.test(error.message), error.message)
})

test('an explicit port that is taken is refused, and another try succeeds', LIMIT, async (t) => {
  const udp = createSocket('udp4')
  udp.bind(0, '0.0.0.0')
  await once(udp, 'listening')
  const tcp = createServer().listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  const address = tcp.address()
  const tcpPort = typeof address === 'object' && address !== null ? address.port : 0
  const taken = [
    ['--port', udp.address().port],
    ['--http-port', tcpPort]
  ] as const
  for (const [flag, port] of taken) {
    const refusal = await refused('cedar', ['create', flag, String(port)], { lab })
    isRefused(t, refusal, 'PORT_IN_USE')
    t.ok(refusal.line.includes(`port ${port} `) && /in use/.test(refusal.line), refusal.line)
    t.alike(await lab.settled(0, 'cedar'), [])
  }
  const dht = await refused('cedar', ['dht', '--port', String(udp.address().port)], { lab })
  isRefused(t, dht, 'PORT_IN_USE')
  t.is((await lab.aspen('cedar', ['create'])).code, 0, 'what was refused left nothing in the way')
  await lab.run('cedar', ['stop'])
  for (const [flag, port] of taken) {
    const refusal = await refused('cedar', ['start', flag, String(port)], { lab, isOnce: true })
    isRefused(t, refusal, 'PORT_IN_USE')
  }
  udp.close()
  tcp.close()
  await lab.run('cedar', ['start'])
  t.is((await lab.status('cedar')).state, 'healthy')
  await lab.run('cedar', ['stop'])
})

test('damaged and newer files of a node are refused, not replaced', LIMIT, async (t) => {
  await made('dogwood')
  const path = join(lab.dataDir('dogwood'), 'node.json')
  const good = readFileSync(path, 'utf8')
  const damages = [
    good.slice(0, good.length / 2),
    '',
    '[]',
    good.replace('"cluster_id"', '"cluster"')
  ]
  const ticket = await lab.run('alder', ['ticket', 'create', '--quiet'])
  for (const [at, text] of damages.entries()) {
    writeFileSync(path, text)
    const joining = ['join', ticket.trim(), '--timeout', '5s']
    for (const args of at === 0 ? [['start'], ['create'], joining] : [['start']]) {
      const refusal = await refused('dogwood', args, { lab, isOnce: at > 0 || args !== joining })
      isRefused(t, refusal, 'DATA_DIR_UNUSABLE')
      t.ok(/node\.json .*damaged/.test(refusal.line), refusal.line)
    }
    t.is(readFileSync(path, 'utf8'), text, 'left as it is')
  }
  writeFileSync(path, good.replace('"format": 1', '"format": 2'))
  const newer = await refused('dogwood', ['start'], { lab })
  isRefused(t, newer, 'FORMAT_NEWER')
  t.ok(/format 2.*up to 1.*newer aspen/.test(newer.line), newer.line)
  writeFileSync(path, good)

  const key = join(lab.dataDir('dogwood'), 'node.key')
  const seed = readFileSync(key, 'utf8')
  writeFileSync(key, seed.slice(0, 20))
  isRefused(t, await refused('dogwood', ['start'], { lab, isOnce: true }), 'DATA_DIR_UNUSABLE')
  writeFileSync(key, seed)
  await lab.run('dogwood', ['start'])
  t.is(
    await lab.run('dogwood', ['kv', 'get', 'mark', '--timeout', '20s']),
    MARK,
    'as good as before'
  )
  await lab.run('dogwood', ['stop'])
})

test(
  'a damaged record of the log is found before the node serves: exit code 9',
  LIMIT,
  async (t) => {
    const path = join(lab.dataDir('dogwood'), 'log', 'data.mdb')
    const bytes = readFileSync(path)
    let count = 0
    for (let at = bytes.indexOf(MARK); at !== -1; at = bytes.indexOf(MARK, at + 1)) {
      bytes[at] = 'X'.charCodeAt(0)
      count++
    }
    t.ok(count > 0, 'the record is in the file')
    writeFileSync(path, bytes)
    for (const args of [['start'], ['start', '--foreground']]) {
      const refusal = await refused('dogwood', args, { lab, isOnce: args.length > 1 })
      isRefused(t, refusal, 'CORRUPTED')
      t.is(refusal.exitCode, 9)
      t.ok(/entry \d+ does not match/.test(refusal.line), refusal.line)
    }
    t.alike(await lab.settled(0, 'dogwood'), [])
  }
)

test('a member’s directory without its log never starts: exit code 78', LIMIT, async (t) => {
  const log = join(lab.dataDir('dogwood'), 'log')
  rmSync(log, { recursive: true })
  for (const args of [['start'], ['start', '--foreground']]) {
    const refusal = await refused('dogwood', args, { lab, isOnce: args.length === 1 })
    isRefused(t, refusal, 'IDENTITY_WITHOUT_LOG')
    t.is(refusal.exitCode, 78)
  }
  t.absent(existsSync(log), 'and no new log is begun')
})

test('everything ends', LIMIT, async (t) => {
  await lab.close()
  t.alike(lab.processes(), [])
})

/** Long enough to be found in a file. */
const MARK = 'a value that is nowhere else: 5b1f3c9e7d20468a'

/** A cluster of one that has a value and is stopped. */
async function made(machine: string): Promise<void> {
  await lab.run(machine, ['create', '--name', machine])
  await lab.run(machine, ['kv', 'put', 'mark', MARK])
  await lab.run(machine, ['stop'])
}

function isRefused(t: Assert, refusal: Refusal, code: ErrorCode): void {
  t.is(refusal.code, code, refusal.line)
  t.is(refusal.exitCode, CODES[code].exitCode, refusal.line)
  t.is(refusal.applied, CODES[code].outcome === 'refused' ? false : null)
}
