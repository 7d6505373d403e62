// `aspen config`: what counts and where it comes from, whether a file is right; and flags that are none any more.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { runCli } from './run-cli.ts'

test('show says of each setting its value and its origin', async (t) => {
  const dir = await t.tmp()
  const file = join(dir, 'aspen.toml')
  writeFileSync(
    file,
    '# of alder\nport = 4001\nhttp_addr = "127.0.0.1:8080"\n[storage]\nmax_keys = 5\n'
  )
  writeFileSync(join(dir, 'node.json'), JSON.stringify({ name: 'oak', timing: 'lan' }))
  const env = { ASPEN_DATA_DIR: dir, ASPEN_LOG_LEVEL: 'info', ASPEN_PORT: '5' }
  const argv = ['config', 'show', '--origin', '--config', file, '--http-port', '9000']
  const { code, stdout, stderr } = await runCli(argv, { env })
  t.is(code, 0, stderr)
  const lines = stdout.trimEnd().split('\n')
  t.is(lines[0], `a node in ${dir}; ${file}`)
  t.alike(
    lines.slice(1).map((line) => line.split(/ {2,}/)),
    rowsOf(dir, file)
  )
  const json = JSON.parse((await runCli([...argv, '--json'], { env })).stdout)
  t.alike([json.data_dir, json.file, json.warnings], [dir, file, []])
  t.alike(json.settings.port, {
    value: 4001,
    toml: '4001',
    origin: 'file',
    where: `line 2 of ${file}`,
    line: 2
  })
  t.alike(json.settings['storage.max_bytes'], {
    value: 4 * 1024 ** 3,
    toml: '"4GiB"',
    origin: 'default',
    where: null,
    line: null
  })
})

function rowsOf(dir: string, file: string): readonly (readonly string[])[] {
  return [
    ['KEY', 'VALUE', 'ORIGIN'],
    ['data_dir', JSON.stringify(dir), 'environment (ASPEN_DATA_DIR)'],
    ['name', '"oak"', 'recorded (node.json)'],
    ['storage_backend', '"sqlite"', 'default'],
    ['host', '-', 'default: 0.0.0.0: all; 127.0.0.1 where all bootstrap nodes are on it'],
    ['port', '4001', `file (line 2 of ${file})`],
    ['bootstrap', '-', 'default: those of the ticket, else the public DHT'],
    ['peers', '-', 'default: none: it waits until a cluster is founded on it'],
    ['gossip', 'true', 'default'],
    ['http_addr', '"127.0.0.1:9000"', `file (line 3 of ${file})`],
    ['http_port', '9000', 'command line (--http-port)'],
    ['http_public', 'false', 'default'],
    ['timing', '"lan"', 'recorded (node.json)'],
    ['heartbeat_interval_ms', '75', 'default of timing = lan'],
    ['election_timeout_min_ms', '600', 'default of timing = lan'],
    ['election_timeout_max_ms', '1200', 'default of timing = lan'],
    ['raft_mailbox_capacity', '1024', 'default'],
    [
      'ticket_file',
      '-',
      'default: the ticket comes as an argument, from stdin or from ASPEN_TICKET'
    ],
    ['log_level', '"info"', 'environment (ASPEN_LOG_LEVEL)'],
    ['storage.snapshot_entries', '10000', 'default'],
    ['storage.snapshot_bytes', '"64MiB"', 'default'],
    ['storage.snapshot_age', '"24h"', 'default'],
    ['storage.keep_entries', '5000', 'default'],
    ['storage.keep_revisions', '10000', 'default'],
    ['storage.keep_history', '"1h"', 'default'],
    ['storage.max_keys', '5', `file (line 5 of ${file})`],
    ['storage.max_bytes', '"4GiB"', 'default']
  ]
}

test('what show --quiet prints is a file that says the same', async (t) => {
  const dir = await t.tmp()
  const show = ['config', 'show', '--quiet']
  const before = await runCli([...show, '--timing', 'wan', '--storage', 'max-bytes=1MiB'], {
    env: { ASPEN_DATA_DIR: dir }
  })
  writeFileSync(join(dir, 'config.toml'), before.stdout)
  const after = await runCli(show, { env: { ASPEN_DATA_DIR: dir } })
  t.is(after.stdout, before.stdout)
})

test('check takes what a start would read, or the file that is named', async (t) => {
  const dir = await t.tmp()
  const env = { ASPEN_DATA_DIR: dir }
  t.is(
    (await runCli(['config', 'check'], { env })).stdout,
    '✓ there is no file; what the environment says is right\n'
  )
  const path = join(dir, 'config.toml')
  writeFileSync(path, 'timing = "lan"\nport = 5')
  t.is((await runCli(['config', 'check'], { env })).stdout, `✓ ${path} is right: 2 settings\n`)
  t.is((await runCli(['config', 'check', path, '--quiet'])).stdout, 'ok\n')
  writeFileSync(
    path,
    'timing = "lan"\nelection_timeout_min_ms = 900\nelection_timeout_max_ms = 20000'
  )
  const warned = await runCli(['config', 'check', path])
  t.alike(warned.stderr.trimEnd().split('\n'), [
    '! election_timeout_min_ms is 900: below 1000, a busy machine is taken for a lost one',
    '! election_timeout_max_ms is 20000: so long may nobody write after a leader is lost'
  ])
  t.is(warned.code, 0)
  writeFileSync(path, 'port = 5\nport = 6')
  const wrong = await runCli(['config', 'check', path])
  t.is(wrong.code, 2)
  t.ok(wrong.stderr.startsWith(`✗ line 2 of ${path} is not TOML: `), wrong.stderr)
})

test('settings that contradict each other are refused with both and their places', async (t) => {
  const path = join(await t.tmp(), 'c.toml')
  const said = async (text: string, ...flags: string[]): Promise<string> => {
    writeFileSync(path, text)
    const { code, stderr } = await runCli(['config', 'show', '--config', path, ...flags])
    return code === 2 ? stderr.slice(2).trimEnd().replaceAll(path, 'FILE') : `accepted ${stderr}`
  }
  t.is(
    await said('election_timeout_min_ms = 3000\nelection_timeout_max_ms = 3000'),
    'election_timeout_max_ms (3000, line 2 of FILE) must be more than election_timeout_min_ms (3000, line 1 of FILE): set both, the second about half of the first'
  )
  t.is(
    await said('heartbeat_interval_ms = 600', '--timing', 'lan'),
    'heartbeat_interval_ms (600, line 1 of FILE) must be less than election_timeout_min_ms (600, of timing = lan): about a tenth of it, so that a lost heartbeat is no election'
  )
  t.is(
    await said('http_addr = "0.0.0.0:8080"'),
    'http_addr in line 1 of FILE is 0.0.0.0:8080, which other machines reach, and http_public is not set: the API is not encrypted: on a network that you trust, set http_public = true or --http-public'
  )
  t.is(
    await said('http_addr = "10.0.0.1:8080"\nhttp_public = true', '--no-http-public'),
    'http_addr in line 1 of FILE is 10.0.0.1:8080, which other machines reach, and http_public is not set: the API is not encrypted: on a network that you trust, set http_public = true or --http-public'
  )
  t.is(await said('http_addr = "10.0.0.1:8080"', '--http-public'), 'accepted ')
  t.is(
    await said('http_addr = "127.0.0.1:8080"\nhttp_port = 8081'),
    'http_port in line 2 of FILE (8081) and http_addr in line 1 of FILE (127.0.0.1:8080) name two ports: one of the two is enough'
  )
  t.is(await said('http_addr = "127.0.0.1:8080"', '--http-port', '8081'), 'accepted ')
})

test('flags of the seed without a meaning here say why; a value is given once', async (t) => {
  const cases: readonly (readonly [flag: string, why: string])[] = [
    ['--node-id', 'ids are given by the cluster, when it admits a node'],
    ['--cookie', 'nodes prove by keys that they belong to a cluster, and no password is shared'],
    ['--redb-log-path', 'log and state have their places in the data directory'],
    ['--control-backend', 'there is one way to control a cluster, and it works on every node'],
    ['--ractor-port', 'members have one UDP port for everything'],
    ['--iroh-secret-key', 'the key of a node is made by itself and stays in its data directory'],
    ['--ticket', 'a ticket is a secret, which configurations are not'],
    ['--disable-gossip', 'members find each other over the Hyperswarm DHT'],
    ['--disable-mdns', 'members find each other over the Hyperswarm DHT'],
    ['--enable-pkarr', 'members find each other over the Hyperswarm DHT']
  ]
  for (const [flag, why] of cases) {
    const { code, stderr } = await runCli(['start', flag, '3'])
    t.is(code, 2)
    t.ok(stderr.startsWith(`✗ ${flag} is no setting: ${why}: `), stderr)
  }
  for (const argv of [
    ['--port', '1', '--port', '2'],
    ['--port=1', '--port=1'],
    ['--gossip', '--no-gossip']
  ]) {
    const { code, stderr } = await runCli(['config', 'show', ...argv])
    t.is(code, 2, argv.join(' '))
    t.is(stderr.split('\n')[0], `✗ ${argv[0]?.split('=')[0]} is given twice`)
  }
  t.is((await runCli(['config', 'show', '--bootstrap', 'a:1', '--bootstrap', 'b:2'])).code, 0)
})

test('a file that is named says for every command where the node is', async (t) => {
  const dir = await t.tmp()
  const path = join(dir, 'c.toml')
  writeFileSync(path, 'data_dir = "here"')
  const stderrOf = async (argv: readonly string[], env = {}): Promise<string> =>
    (await runCli(argv, { env })).stderr
  const here = join(dir, 'here')
  t.ok((await stderrOf(['status', '--config', path])).includes(`there is no node in ${here}`))
  t.ok((await stderrOf(['status'], { ASPEN_CONFIG: path })).includes(`there is no node in ${here}`))
  t.ok((await stderrOf(['status', '--config', join(dir, 'none')])).includes('it does not exist'))
  t.ok((await stderrOf(['status', '--config', ''])).includes("--config takes a path, not ''"))
})

test('HTTP-12: a flag that is none, lacks its value or has two is one line and exit code 2', async (t) => {
  const cases: readonly (readonly [argv: readonly string[], line: string])[] = [
    [['--prot', '1'], '✗ there is no flag --prot: did you mean --port?'],
    [['--ports', '1'], '✗ there is no flag --ports: did you mean --port?'],
    [['--port'], '✗ --port needs a value'],
    [['--port', ''], "✗ --port takes a whole number from 1 to 65535, not ''"],
    [['--port', '1', '--port', '1'], '✗ --port is given twice'],
    [['--storage', 'max-keys=1', '--storage', 'max-keys=2'], '✗ --storage max-keys is given twice'],
    [['--gossip=yes'], '✗ --gossip takes no value'],
    [['--data-dir', '/data/\ufffd'], "✗ --data-dir takes a path, not '/data/\ufffd'"],
    [
      ['--storage', 'max-keys'],
      "✗ --storage max-keys takes a whole number from 1 to 100000000, not ''"
    ]
  ]
  for (const command of [['create'], ['start'], ['config', 'show']]) {
    for (const [argv, line] of cases) {
      const { code, stdout, stderr } = await runCli([...command, ...argv])
      t.alike([code, stdout], [2, ''], [...command, ...argv].join(' '))
      t.is(stderr.split('\n')[0], line)
      t.absent(/\n +at /.test(stderr), 'no stack')
    }
  }
})
