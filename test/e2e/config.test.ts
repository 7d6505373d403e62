// Settings in a file, with real processes: a node has them, remembers them, reads them again at SIGHUP, and
// starts with nothing that is wrong.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { freePorts } from '../ports.ts'
import { jsonOf, Lab, waitFor } from './lab.ts'
import type { JsonObject } from './lab.ts'
import { isAlive } from './processes.ts'

const LIMIT = { timeout: 240_000 }

const lab = await Lab.open()
const [apiPort = 0, udpPort = 0, publicPort = 0] = await freePorts(3)

function fileOf(machine: string): string {
  return join(lab.dataDir(machine), 'config.toml')
}

function recordOf(machine: string): JsonObject {
  return JSON.parse(readFileSync(join(lab.dataDir(machine), 'node.json'), 'utf8'))
}

/** Events in the log of the node, with how often. */
function countOf(machine: string, event: string): number {
  const log = readFileSync(join(lab.dataDir(machine), 'aspen.log'), 'utf8')
  return log.split('\n').filter((line) => line.includes(`"event":"${event}"`)).length
}

const SETTINGS = `# of alder
name = "alder"
http_addr = "127.0.0.1:${apiPort}"
timing = "lan"
heartbeat_interval_ms = 60
election_timeout_min_ms = 1000
election_timeout_max_ms = 2000
raft_mailbox_capacity = 100
gossip = false

[storage]
max_keys = 1000
`

test('a node has what its file says, and remembers it', LIMIT, async (t) => {
  mkdirSync(lab.dataDir('alder'), { mode: 0o700 })
  writeFileSync(fileOf('alder'), SETTINGS)
  const created = await lab.aspen('alder', ['create', '--json'])
  t.is(created.code, 0, created.stderr)
  const { api, data_dir: dataDir } = await lab.status('alder')
  t.alike([api.http, dataDir], [`http://127.0.0.1:${apiPort}`, lab.dataDir('alder')])
  const { name, timing, settings, storage } = recordOf('alder')
  t.alike([name, timing, storage], ['alder', 'lan', { 'max-keys': 1_000 }])
  t.alike(settings, {
    gossip: false,
    http_addr: `127.0.0.1:${apiPort}`,
    heartbeat_interval_ms: 60,
    election_timeout_min_ms: 1_000,
    election_timeout_max_ms: 2_000,
    raft_mailbox_capacity: 100
  })
  await lab.run('alder', ['kv', 'put', 'k', 'v'])
})

test(
  'SIGHUP applies what may change, says what may not, and keeps off what is wrong',
  LIMIT,
  async (t) => {
    const pid = lab.pid('alder')
    writeFileSync(fileOf('alder'), `log_level = "debug"\nport = ${udpPort}\n${SETTINGS}`)
    process.kill(pid, 'SIGHUP')
    await waitFor('the new level', () => countOf('alder', 'config.restart_needed') === 1)
    t.is(countOf('alder', 'log.level'), 1)
    writeFileSync(fileOf('alder'), 'log_level = "fatal"\nport = "x"')
    process.kill(pid, 'SIGHUP')
    await waitFor('the refusal', () => countOf('alder', 'config.refused') === 1)
    t.is(countOf('alder', 'log.level'), 1, 'the level stays')
    t.ok(isAlive(pid))
    t.is(await lab.run('alder', ['kv', 'get', 'k']), 'v')
  }
)

test('a file that is wrong is refused by every start, with its line', LIMIT, async (t) => {
  await lab.run('alder', ['stop'])
  for (const extra of [[], ['--foreground']]) {
    const { code, stderr } = await lab.aspen('alder', ['start', ...extra])
    t.is(code, 2)
    const line = `port in line 2 of ${fileOf('alder')} takes a whole number from 1 to 65535, without quotes, not "x"`
    t.is(stderr.trim(), `✗ ${line}`)
  }
  rmSync(fileOf('alder'))
  await lab.run('alder', ['start'])
  const shown = await lab.json('alder', ['config', 'show'])
  const settings: unknown = shown['settings']
  t.ok(
    JSON.stringify(settings).includes(
      '"heartbeat_interval_ms":{"value":60,"toml":"60","origin":"recorded"'
    )
  )
  t.is((await lab.status('alder')).api.http, `http://127.0.0.1:${apiPort}`)
})

test('a machine joins by its file alone', LIMIT, async (t) => {
  const ticket = await lab.run('alder', ['ticket', 'create', '--quiet'])
  mkdirSync(lab.dataDir('birch'), { mode: 0o700 })
  writeFileSync(join(lab.dataDir('birch'), 'ticket.txt'), ticket)
  const path = join(lab.root, 'birch.toml')
  writeFileSync(path, 'name = "birch"\nticket_file = "birch/ticket.txt"\ntiming = "lan"\n')
  const joined = await lab.aspen('birch', ['join', '--config', path, '--json'])
  t.is(joined.code, 0, joined.stderr)
  t.is(recordOf('birch')['name'], 'birch')
  t.is(await lab.run('birch', ['kv', 'get', 'k']), 'v')
  const place = join(lab.root, 'place.toml')
  writeFileSync(place, 'data_dir = "birch"')
  t.is(await lab.run('birch', ['kv', 'get', 'k', '--config', place]), 'v')
  await lab.run('birch', ['stop'])
})

test('nobody opens the API to a network by accident', LIMIT, async (t) => {
  const refused = await lab.aspen('cedar', ['create', '--http-addr', `0.0.0.0:${publicPort}`])
  t.is(refused.code, 2)
  t.ok(refused.stderr.includes('http_public is not set'), refused.stderr)
  t.absent(existsSync(lab.dataDir('cedar')), 'and nothing was made')
  const env = { ASPEN_HTTP_ADDR: `0.0.0.0:${publicPort}`, ASPEN_HTTP_PUBLIC: 'true' }
  const created = await lab.aspen('cedar', ['create', '--json'], { env })
  t.is(created.code, 0, created.stderr)
  t.is(jsonOf(created.stdout)['data_dir'], lab.dataDir('cedar'))
  t.is((await fetch(`http://127.0.0.1:${publicPort}/livez`)).status, 200)
  t.is((await fetch(`http://127.0.0.1:${publicPort}/members`)).status, 401)
})

test('an address that the machine does not have is refused by name', LIMIT, async (t) => {
  const { code, stderr } = await lab.aspen('dogwood', ['create', '--host', '203.0.113.7'])
  t.is(code, 2)
  t.is(
    stderr.trim().split('\n').at(-1),
    '✗ host is 203.0.113.7, which is no address of this machine'
  )
})

test('everything ends', LIMIT, async (t) => {
  await lab.close()
  t.alike(lab.processes(), [])
})
