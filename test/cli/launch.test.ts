// Starting a node: the arguments of its process say everything but the ticket, and are understood.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import test from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import { Flags } from '../../lib/cli/flags.ts'
import type { Invocation } from '../../lib/cli/invocation.ts'
import { argumentsOf, intentOf, launchOf } from '../../lib/cli/launch.ts'
import { Output } from '../../lib/cli/output.ts'
import { KeptStream, runCli } from './run-cli.ts'

function invocation(
  flags: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>> = {}
): Invocation {
  const stream = new KeptStream()
  return {
    command: 'join',
    args: {},
    flags: new Flags(flags),
    host: {
      env: { HOME: '/home-of-tests', ...env },
      stdin: Readable.from([]),
      stdout: stream,
      stderr: stream,
      stdoutLost: new Promise(() => {}),
      nowMs: () => 0
    },
    output: new Output({
      stdout: stream,
      stderr: stream,
      env,
      isJson: false,
      isQuiet: false,
      isColourWanted: false
    })
  }
}

test('what is typed becomes arguments that mean the same', async (t) => {
  const launch = await launchOf(
    invocation({
      dataDir: '/data/a b',
      name: 'alder',
      bootstrap: ['127.0.0.1:4001', 'localhost:4002'],
      port: '5001',
      httpPort: '7071',
      timing: 'lan',
      storage: ['snapshot-entries=500', 'snapshot-age=2h', 'max-bytes=1.5MiB'],
      logLevel: 'debug',
      timeout: '1.5s'
    }),
    'join'
  )
  t.alike(argumentsOf(launch), [
    'join',
    '--foreground',
    '--data-dir=/data/a b',
    '--name=alder',
    '--port=5001',
    '--bootstrap=127.0.0.1:4001',
    '--bootstrap=localhost:4002',
    '--http-port=7071',
    '--timing=lan',
    '--log-level=debug',
    '--storage=snapshot-entries=500',
    '--storage=snapshot-age=2h',
    '--storage=max-bytes=1536KiB',
    '--timeout=1500ms'
  ])
  t.alike(intentOf(launch, 'aspen1q'), { kind: 'join', ticket: 'aspen1q', timeoutMs: 1500 })
})

test('defaults: the environment, then what the node has recorded', async (t) => {
  const bare = await launchOf(invocation({}, { XDG_DATA_HOME: '/xdg' }), 'start')
  t.alike(bare, {
    command: 'start',
    target: { dataDir: '/xdg/aspen/default', name: null, selector: '' },
    typed: {},
    given: {},
    configPath: null,
    bootstrap: null,
    port: null,
    httpPort: null,
    timing: null,
    storage: null,
    storageBackend: 'sqlite',
    settings: {},
    logLevel: 'info',
    ticketFile: null,
    timeoutMs: 30_000,
    peers: null
  })
  t.absent(
    argumentsOf(bare).some((argument) => argument.startsWith('--timing')),
    'what is not given is not passed on: it would be recorded'
  )
  const env = { ASPEN_BOOTSTRAP: ' 10.0.0.1:1 , 10.0.0.2:2,', ASPEN_DATA_DIR: '/elsewhere' }
  const from = await launchOf(invocation({}, env), 'create')
  t.is(from.target.dataDir, '/elsewhere')
  t.alike(from.bootstrap, [
    { host: '10.0.0.1', port: 1 },
    { host: '10.0.0.2', port: 2 }
  ])
  const flagged = await launchOf(invocation({ bootstrap: ['10.0.0.3:3'] }, env), 'create')
  t.alike(flagged.bootstrap, [{ host: '10.0.0.3', port: 3 }], 'flags win')
  const named = await launchOf(invocation({ name: 'oak' }, { XDG_DATA_HOME: '/xdg' }), 'create')
  t.alike(named.target, { dataDir: '/xdg/aspen/oak', name: 'oak', selector: ' --name oak' })
})

test('peers go with a node that waits for a cluster, and with no other', async (t) => {
  const key = 'ab'.repeat(32)
  const waiting = { uninitialized: true, peers: [key, `${key}@10.0.0.1:1`] }
  const launch = await launchOf(invocation(waiting), 'start')
  t.alike(launch.peers, waiting.peers)
  const passedOn = argumentsOf(launch)
  t.ok(passedOn.includes('--uninitialized') && passedOn.includes(`--peers=${key}@10.0.0.1:1`))
  t.alike((await launchOf(invocation({ uninitialized: true }), 'start')).peers, [])
  const env = { ASPEN_PEERS: key }
  t.is((await launchOf(invocation({}, env), 'start')).peers, null, 'only where it is waited')
  t.alike((await launchOf(invocation({ uninitialized: true }, env), 'start')).peers, [key])
  for (const flags of [{ peers: [key] }, { uninitialized: true, peers: ['ab'] }]) {
    const refusal = launchOf(invocation(flags), 'start').then(
      () => 'accepted',
      (error: unknown) => (error instanceof AspenError ? error.code : String(error))
    )
    t.is(await refusal, 'CONFIG_INVALID', flags.peers.join())
  }
})

test('a folder that cannot be made is refused at once, in words', async (t) => {
  const file = join(await t.tmp(), 'file')
  await writeFile(file, '')
  const places = process.platform === 'linux' ? [join(file, 'x'), '/proc/aspen'] : [join(file, 'x')]
  for (const place of places) {
    const { code, stderr } = await runCli(['create', '--data-dir', place])
    t.is(code, 1)
    t.ok(/cannot be used: [^:]+: name another folder with --data-dir\n$/.test(stderr), stderr)
    t.absent(/E[A-Z]{4,}/.test(stderr), 'no code of the system')
  }
})
