// Reading the command line: what is refused, how, and with which exit code.

import test from 'brittle'
import { markOperands, unmark } from '../../lib/cli/argv.ts'
import { COMMANDS, flagsOf } from '../../lib/cli/command-specs.ts'
import { VERSION } from '../../lib/version.ts'
import { STORAGE_SETTINGS } from '../../lib/config/storage-settings.ts'
import { runCli } from './run-cli.ts'

const RUNNABLE = COMMANDS.filter((spec) => spec.run !== undefined)

test('every command refuses a flag that it does not know, in one line and a hint', async (t) => {
  for (const { path } of RUNNABLE) {
    const { code, stdout, stderr } = await runCli([...path, '--bogus'])
    t.is(code, 2, path.join(' '))
    t.is(stderr, `✗ there is no flag --bogus\nsee aspen help ${path.join(' ')}\n`)
    t.is(stdout, '')
  }
})

test('every command with --json gives the usage error as one object on stdout', async (t) => {
  for (const { path } of RUNNABLE) {
    const { code, stdout, stderr } = await runCli([...path, '--bogus', '--json'])
    t.is(code, 2)
    t.is(stderr, '')
    t.is(JSON.parse(stdout).error.code, 'CONFIG_INVALID')
  }
})

test('every command refuses one argument too many', async (t) => {
  for (const { path, operands = [] } of RUNNABLE) {
    const args = Array.from({ length: operands.length + 1 }, (_item, at) => `arg${at}`)
    const { code, stderr } = await runCli([...path, ...args])
    t.is(code, 2, path.join(' '))
    const isGroup = COMMANDS.some((other) => other.path.length === 2 && other.path[0] === path[0])
    const why =
      isGroup && path.length === 1 ? "there is no command 'arg0'" : 'is one argument too many'
    t.ok(stderr.includes(why), stderr)
  }
})

test('every required operand that is missing is named', async (t) => {
  for (const { path, operands = [] } of RUNNABLE) {
    const required = operands.filter(([spec]) => spec.startsWith('<'))
    for (let given = 0; given < required.length; given++) {
      const args = Array.from({ length: given }, () => 'x')
      const { code, stderr } = await runCli([...path, ...args])
      t.is(code, 2)
      t.ok(stderr.startsWith(`✗ ${required[given]?.[0] ?? ''} is missing\n`), stderr)
    }
  }
})

test('every flag that takes a value refuses to be without one, and no other takes one', async (t) => {
  for (const command of RUNNABLE) {
    const { path, operands = [] } = command
    const flags = flagsOf(command)
    const args = operands.filter(([spec]) => spec.startsWith('<')).map(() => 'x')
    for (const { spec } of flags) {
      const long = spec.split(/[| ]/)[0] ?? ''
      const isValued = spec.includes('<')
      const { code, stderr } = await runCli([...path, ...args, isValued ? long : `${long}=1`])
      t.is(code, 2, `${path.join(' ')} ${spec}`)
      t.ok(/needs a value|takes no value|takes one of/.test(stderr), stderr)
    }
  }
})

test('a flag that would do nothing is neither listed nor taken', async (t) => {
  const about = (flag: string) =>
    RUNNABLE.filter((spec) => flagsOf(spec).some(({ spec: text }) => text.startsWith(`${flag} `)))
  const withoutName = ['ticket show', 'config template', 'dev', 'dht', 'version']
  const withoutDataDir = ['ticket show', 'config template', 'dht', 'version']
  for (const [flag, without] of [
    ['--name', withoutName],
    ['--data-dir', withoutDataDir]
  ] as const) {
    const commands = about(flag).map(({ path }) => path.join(' '))
    const others = RUNNABLE.map(({ path }) => path.join(' ')).filter(
      (name) => !commands.includes(name)
    )
    t.alike(others, without, flag)
    for (const name of without) {
      const help = await runCli(['help', ...name.split(' ')])
      t.absent(help.stdout.includes(flag), name)
      const { code, stderr } = await runCli([...name.split(' '), flag, 'x'])
      t.is(code, 2)
      t.ok(stderr.startsWith(`✗ there is no flag ${flag}\n`), stderr)
    }
  }
})

test('numbers, durations, ports and choices are checked before anything happens', async (t) => {
  const bad = [
    ['kv', 'scan', '--limit', 'many'],
    ['kv', 'scan', '--limit', '0'],
    ['kv', 'scan', '--limit', '10001'],
    ['kv', 'put', 'k', 'v', '--if-revision', '0'],
    ['kv', 'put', 'k', 'v', '--if-revision', '1.5'],
    ['kv', 'get', 'k', '--timeout', 'soon'],
    ['kv', 'get', 'k', '--timeout', '0'],
    ['kv', 'get', 'k', '--timeout', '11m'],
    ['ticket', 'create', '--uses', '0'],
    ['ticket', 'create', '--uses', '1001'],
    ['ticket', 'create', '--ttl', '366d'],
    ['ticket', 'create', '--role', 'king'],
    ['create', '--port', '65536'],
    ['create', '--http-port', '0'],
    ['create', '--timing', 'warp'],
    ['create', '--bootstrap', 'nowhere'],
    ['create', '--bootstrap', '1.2.3.4:0'],
    ['create', '--name', '../escape'],
    ['create', '--data-dir', ''],
    ['logs', '-n', '-3'],
    ['dev', '--nodes', '0'],
    ['dev', '--nodes', '10'],
    ['dht', '--host', 'example.org'],
    ['dht', '--host', '0.0.0.0']
  ]
  for (const argv of bad) {
    const { code, stdout, stderr } = await runCli(argv)
    t.is(code, 2, argv.join(' '))
    t.ok(stderr.startsWith('✗ '), stderr)
    t.is(stdout, '')
  }
})

test('ASPEN_BOOTSTRAP is checked like the flag', async (t) => {
  const { code, stderr } = await runCli(['start'], { env: { ASPEN_BOOTSTRAP: '1.2.3.4:1,five' } })
  t.is(code, 2)
  t.ok(stderr.includes("'five'"), stderr)
})

test('commands that do not exist, and groups without their second word', async (t) => {
  const unknown = await runCli(['frobnicate', 'x'])
  t.is(unknown.code, 2)
  t.is(unknown.stderr, "✗ there is no command 'frobnicate'\nsee aspen help\n")
  const group = await runCli(['kv'])
  t.is(group.code, 2)
  t.is(group.stderr, '✗ kv needs one of: put, get, del, scan\nsee aspen help kv\n')
  t.is(
    (await runCli(['ticket', 'eat'])).stderr,
    "✗ there is no command 'eat'\nsee aspen help ticket\n"
  )
})

test('a slip, or the word of another store, is answered with the command that was meant', async (t) => {
  const meant = [
    [['creat'], 'aspen create'],
    [['get', 'k'], 'aspen kv get'],
    [['put', 'k', 'v'], 'aspen kv put'],
    [['ls'], 'aspen kv scan'],
    [['kv', 'set', 'k', 'v'], 'aspen kv put'],
    [['kv', 'list'], 'aspen kv scan'],
    [['member', 'list'], 'aspen members'],
    [['ticket', 'revok'], 'aspen ticket revoke'],
    [['kv', 'get', 'k', '--jsn'], '--json'],
    [['kv', 'scan', '--limt', '3'], '--limit'],
    [['help', 'kv', 'putt'], 'aspen kv put']
  ] as const
  for (const [argv, command] of meant) {
    const { code, stderr } = await runCli(argv)
    t.is(code, 2)
    t.ok(/did you mean '?(.*?)'?\?\n/.exec(stderr)?.[1] === command, stderr)
  }
  for (const argv of [['frobnicate'], ['kv', 'x'], ['kv', 'create']]) {
    t.absent((await runCli(argv)).stderr.includes('did you mean'), argv.join(' '))
  }
})

test('help fits the terminal, and is whole elsewhere', async (t) => {
  for (const { path } of COMMANDS) {
    const wide = await runCli([...path, '--help'])
    t.is(wide.code, 0)
    const narrow = await runCli([...path, '--help'], { isTerminal: true, columns: 60 })
    for (const line of narrow.stdout.split('\n')) t.ok(line.length <= 60, line)
    const words = (text: string) => text.split(/\s+/).join(' ')
    t.is(words(narrow.stdout), words(wide.stdout))
    t.is((await runCli(['help', ...path])).stdout, wide.stdout)
  }
})

test('help of everything goes to stdout; of what is not there it is a usage error', async (t) => {
  const all = await runCli([])
  t.is(all.code, 0)
  for (const { path } of COMMANDS) {
    t.ok(all.stdout.includes(`  ${path[0]} `), path[0])
    const one = await runCli(['help', ...path])
    t.is(one.code, 0)
    t.ok(one.stdout.startsWith(`aspen ${path.join(' ')}`), one.stdout)
  }
  t.is((await runCli(['help'])).stdout, all.stdout)
  t.is((await runCli(['help', 'nothing'])).code, 2)
})

test('version is the version of the package, in all forms', async (t) => {
  t.is((await runCli(['version', '-q'])).stdout, `${VERSION}\n`)
  t.is((await runCli(['--version', '-q'])).stdout, `${VERSION}\n`)
  t.is(JSON.parse((await runCli(['version', '--json'])).stdout).version, VERSION)
  t.ok((await runCli(['version'])).stdout.startsWith(`aspen ${VERSION} `))
})

test('operands after -- and empty ones reach the command as they were typed', (t) => {
  const typed = ['kv', 'put', '--json', '--', '-k', '', '--', 'x']
  t.alike(markOperands(typed).map(unmark), ['kv', 'put', '--json', '-k', '', '--', 'x'])
  t.alike(markOperands(['kv', 'put', 'k', '']).map(unmark), ['kv', 'put', 'k', ''])
  t.ok(markOperands(['--', '-k']).every((text) => !text.startsWith('-')))
})

test('every setting of --storage is in the help of the commands that take it', async (t) => {
  for (const command of ['create', 'join', 'start', 'restore']) {
    const { stdout } = await runCli([command, '--help'])
    for (const { name, about } of Object.values(STORAGE_SETTINGS)) {
      t.ok(new RegExp(`^ {2}${name} +${about} \\(default: .+\\)$`, 'm').test(stdout), name)
    }
  }
  t.absent((await runCli(['stop', '--help'])).stdout.includes('max-keys'))
})
