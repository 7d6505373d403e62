// Every command as users and scripts run it: what it prints in each of its forms, its exit code, how
// it ends, and that nothing stays behind.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { VERSION } from '../../lib/version.ts'
import { isSkipped } from '../skip.ts'
import type { JsonObject } from './lab.ts'
import { Lab, PROGRAM, waitFor } from './lab.ts'
import { outputOf } from './output.ts'
import { isAlive, processesIn } from './processes.ts'
import { refused } from './refusal.ts'

const LIMIT = { timeout: 240_000 }
const NODE_FIELDS = ['node', 'cluster', 'role', 'data_dir', 'pid', 'api']

const lab = await Lab.open()

test(
  'create, join and status have the documented fields in common; create adds the ticket',
  LIMIT,
  async (t) => {
    const created = await lab.json('alder', ['create', '--name', 'alder'])
    const ticket = String(created['ticket'])
    t.ok(/^aspen1[a-z0-9]+$/.test(ticket))
    t.ok(ticket.length >= 130 && ticket.length <= 170, `${ticket.length} characters`)
    const joined = await lab.json('birch', ['join', ticket, '--name', 'birch'])
    t.absent('ticket' in joined, 'a ticket is printed where it is made')
    for (const [name, document] of [
      ['alder', created],
      ['birch', joined]
    ] as const) {
      const status = await lab.json(name, ['status'])
      const started = await lab.json(name, ['start'])
      for (const field of NODE_FIELDS) {
        t.alike(document[field], started[field], `start prints the same ${field}`)
        if (field !== 'role')
          t.alike(document[field], status[field], `status prints the same ${field}`)
      }
      t.absent('ticket' in status)
      checkShapes(t, document)
      const {
        leader,
        term,
        commit_index: commit,
        applied_index: applied,
        voters,
        learners
      } = status
      t.is(leader, 1)
      for (const number of [term, commit, applied]) t.ok(Number.isInteger(number))
      t.alike([voters, learners], [[1], [2]])
      t.is(document['data_dir'], lab.dataDir(name))
      t.is(document['pid'], lab.pid(name))
      t.ok(isAlive(Number(document['pid'])))
      t.alike(
        lab.processes(name),
        [document['pid']],
        'the process that holds the directory, and no other'
      )
    }
  }
)

test('every command prints one JSON object on one line, also with --quiet', LIMIT, async (t) => {
  const put = await lab.json('birch', ['kv', 'put', 'a/1', 'one'])
  t.alike([put['key'], put['previous_revision']], ['a/1', 0])
  const got = await lab.json('alder', ['kv', 'get', 'a/1'])
  t.alike([got['value'], got['revision'], got['version']], ['one', put['revision'], 1])
  t.is(got['consistency'], 'linearizable')
  const stale = await lab.json('birch', ['kv', 'get', 'a/1', '--stale'])
  t.is(stale['consistency'], 'stale')
  const scanned = await lab.json('birch', ['kv', 'scan', 'a/'])
  t.is(Array.isArray(scanned['items']) && scanned['items'].length, 1)
  const deleted = await lab.json('birch', ['kv', 'del', 'a/1'])
  t.alike([deleted['deleted'], deleted['previous_revision']], [true, put['revision']])
  t.is((await lab.json('birch', ['kv', 'del', 'a/1']))['deleted'], false)

  const made = await lab.json('birch', ['ticket', 'create'])
  for (const args of [
    ['members'],
    ['ticket', 'list'],
    ['ticket', 'show', String(made['ticket'])],
    ['ticket', 'revoke', String(made['id'])],
    ['version'],
    ['status', '--quiet']
  ]) {
    t.ok(Object.keys(await lab.json('alder', args)).length > 0, args.join(' '))
  }
  const stopped = await lab.json('birch', ['stop'])
  t.is(stopped['stopped'], true)
  t.is((await lab.json('birch', ['stop']))['stopped'], false)
  await lab.run('birch', ['start'])
})

test('with --quiet only the value that matters is printed', LIMIT, async (t) => {
  t.is(await lab.run('alder', ['version', '-q']), `${VERSION}\n`)
  t.is(await lab.run('alder', ['start', '-q']), `${lab.pid('alder')}\n`)
  t.is(await lab.run('alder', ['status', '-q']), 'healthy\n')
  t.is(await lab.run('alder', ['members', '-q']), '1\n2\n')
  t.ok(/^\d+\n$/.test(await lab.run('alder', ['kv', 'put', 'q', '1', '-q'])))
  t.is(await lab.run('alder', ['kv', 'get', 'q', '-q']), '1')
  t.is(await lab.run('alder', ['kv', 'scan', '-q']), 'q\n')
  t.is(await lab.run('alder', ['kv', 'del', 'q', '-q']), '1\n')
  t.ok(/^aspen1[a-z0-9]+\n$/.test(await lab.run('alder', ['ticket', 'create', '-q'])))
  const quiet = await lab.aspen('alder', ['status', '-q'])
  t.is(quiet.stderr, '')
})

test('exit codes: 3 for no such key, 4 for a condition that does not hold', LIMIT, async (t) => {
  const missing = await lab.aspen('birch', ['kv', 'get', 'nope'])
  t.alike([missing.code, missing.stdout, missing.stderr], [3, '', 'not found: nope\n'])
  t.is((await refused('birch', ['kv', 'get', 'nope'], { lab })).code, 'NOT_FOUND')

  const { revision } = await lab.json('birch', ['kv', 'put', 'c', '1'])
  const stale = await refused('birch', ['kv', 'put', 'c', '2', '--if-revision', '1'], { lab })
  t.alike([stale.exitCode, stale.code, stale.applied], [4, 'CONDITION_FAILED', false])
  t.ok(stale.line.includes(String(revision)), `says where it is: ${stale.line}`)
  const present = await refused('birch', ['kv', 'put', 'c', '2', '--if-absent'], { lab })
  t.is(present.exitCode, 4)
  t.is((await refused('birch', ['kv', 'del', 'c', '--if-revision', '1'], { lab })).exitCode, 4)
  t.is(await lab.run('alder', ['kv', 'get', 'c']), '1', 'nothing changed')
  await lab.run('birch', ['kv', 'put', 'c', '2', '--if-revision', String(revision)])
  t.is(await lab.run('alder', ['kv', 'get', 'c']), '2')
  await lab.run('birch', ['kv', 'put', 'fresh', '1', '--if-absent'])
  t.is((await lab.aspen('alder', ['status', '--strict'])).code, 0, 'one voter of one is as wanted')
})

test('values are bytes: from stdin as they come, to stdout as they are', LIMIT, async (t) => {
  const bytes = Uint8Array.from({ length: 70_000 }, (_item, at) => (at * 7) % 256)
  await lab.run('birch', ['kv', 'put', 'raw', '-'], { stdin: bytes })
  const child = lab.start('alder', ['kv', 'get', 'raw'])
  child.stdin?.end()
  const stdout: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  await once(child, 'close')
  t.alike(Uint8Array.from(Buffer.concat(stdout)), bytes)
  const json = await lab.json('alder', ['kv', 'get', 'raw'])
  t.alike(Uint8Array.from(Buffer.from(String(json['value_b64']), 'base64')), bytes)
  await lab.run('birch', ['kv', 'put', 'empty', '-'], { stdin: '' })
  t.is(await lab.run('alder', ['kv', 'get', 'empty']), '')
  await lab.run('birch', ['kv', 'put', 'empty2', ''])
  t.is(await lab.run('alder', ['kv', 'get', 'empty2']), '')
  await lab.run('birch', ['kv', 'put', '--', '-dash', '--value'])
  t.is(await lab.run('alder', ['kv', 'get', '--', '-dash']), '--value')
})

test('a scan is a table in byte order, with --limit and --after for more', LIMIT, async (t) => {
  for (const key of ['s/b', 's/a', 's/ä', 't/x'])
    await lab.run('birch', ['kv', 'put', key, `v ${key}`])
  await lab.run('birch', ['kv', 'put', 's/raw', '-'], { stdin: Uint8Array.of(0, 255) })
  const page = await lab.aspen('alder', ['kv', 'scan', 's/'])
  const lines = page.stdout.trimEnd().split('\n')
  t.ok(/^KEY +VALUE +REVISION$/.test(lines[0] ?? ''), lines[0])
  t.alike(
    lines.slice(1).map((line) => line.split(/ {2,}/).slice(0, 2)),
    [
      ['s/a', 'v s/a'],
      ['s/b', 'v s/b'],
      ['s/raw', '<binary 2 B>'],
      ['s/ä', 'v s/ä']
    ]
  )
  t.ok(/^4 keys at revision \d+\n$/.test(page.stderr), page.stderr)
  const first = await lab.aspen('alder', ['kv', 'scan', 's/', '--limit', '2'])
  t.ok(/2 keys at revision \d+; more with --after 's\/b'/.test(first.stderr), first.stderr)
  const rest = await lab.json('alder', ['kv', 'scan', 's/', '--after', 's/b'])
  t.is(Array.isArray(rest['items']) && rest['items'].length, 2)
  t.is(rest['has_more'], false)
  t.is(await lab.run('alder', ['kv', 'scan', 's/', '--keys-only']), 's/a\ns/b\ns/raw\ns/ä\n')
})

test(
  'logs prints what the node wrote, and with -f goes on until it is interrupted',
  LIMIT,
  async (t) => {
    const some = await lab.run('alder', ['logs', '-n', '3'])
    t.is(some.trimEnd().split('\n').length, 3)
    const json = (await lab.run('alder', ['logs', '--json', '-n', '5'])).trimEnd().split('\n')
    t.ok(
      json.every((line) => typeof JSON.parse(line).msg === 'string'),
      'NDJSON'
    )
    const child = lab.start('alder', ['logs', '-f', '-n', '0'])
    const output = outputOf(child)
    // a follower that begins late sees what comes after its beginning, so go on until it has
    await waitFor('a line of the log', async () => {
      await lab.run('birch', ['stop'])
      await lab.run('birch', ['start'])
      return output.stdout().includes('link up')
    })
    child.kill('SIGINT')
    const [code] = await once(child, 'close')
    t.is(code, 0)
    const nobody = await refused('nobody', ['logs'], { lab })
    t.is(nobody.code, 'NO_CLUSTER_HERE')
  }
)

test(
  'PRC-06: in the foreground a signal closes it cleanly, and a second one at once',
  LIMIT,
  async (t) => {
    await lab.run('birch', ['stop'])
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const child = lab.start('birch', ['start', '--foreground', '--json'])
      const output = outputOf(child)
      await waitFor('the result', () => output.stdout().includes('\n'))
      const started: JsonObject = JSON.parse(output.stdout())
      t.is(started['pid'], child.pid, 'the process itself holds the directory')
      t.is((await lab.status('birch')).node.id, 2)
      child.kill(signal)
      const [code] = await once(child, 'close')
      t.is(code, 0, `${signal}: ${output.stderr()}`)
      t.is(output.stdout().split('\n').length, 2, 'one line of JSON, and nothing after it')
      for (const file of ['runtime.json', 'aspen.sock']) {
        t.absent(existsSync(join(lab.dataDir('birch'), file)), `${file} is gone`)
      }
      t.is((await lab.aspen('birch', ['kv', 'get', 'c'])).code, 8)
    }
    const child = lab.start('birch', ['start', '--foreground', '--json'])
    const output = outputOf(child)
    await waitFor('the result', () => output.stdout().includes('\n'))
    child.kill('SIGTERM')
    child.kill('SIGINT')
    const [code] = await once(child, 'close')
    t.ok(code === 130 || code === 0, `ended with ${code}`)
    await lab.run('birch', ['start'])
    t.is(await lab.run('birch', ['kv', 'get', 'c', '--timeout', '20s']), '2')
  }
)

test(
  'a create that is interrupted ends with 130, leaves no process, and can be repeated',
  LIMIT,
  async (t) => {
    const child = lab.start('cedar', ['create'])
    const output = outputOf(child)
    await waitFor('the node’s process', () => lab.processes('cedar').length === 2)
    child.kill('SIGINT')
    const [code] = await once(child, 'close')
    t.is(code, 130, output.stderr())
    t.ok(/interrupted/.test(output.stderr()), output.stderr())
    await waitFor('the end of the node', () => lab.processes('cedar').length === 0)
    t.is((await lab.aspen('cedar', ['create'])).code, 0)
    await lab.run('cedar', ['stop'])
  }
)

test('dht prints its address and stays until it is interrupted', LIMIT, async (t) => {
  const child = lab.start('nobody', ['dht', '--port', '0', '--json'])
  const output = outputOf(child)
  await waitFor('the address', () => output.stdout().includes('\n'))
  const { address, port, pid } = JSON.parse(output.stdout())
  t.is(address, `127.0.0.1:${port}`)
  t.is(pid, child.pid)
  const elsewhere = { env: { ASPEN_BOOTSTRAP: String(address) } }
  const created = await lab.json('dogwood', ['create', '--name', 'dogwood'], elsewhere)
  const shown = await lab.json('dogwood', ['ticket', 'show', String(created['ticket'])])
  t.alike(shown['bootstrap'], [address], 'tickets carry it')
  const joined = await lab.json('elm', ['join', String(created['ticket'])], {
    env: { ASPEN_BOOTSTRAP: '' }
  })
  t.is(joined['role'], 'learner', 'so the joiner needs no flag')
  await lab.run('elm', ['stop'])
  await lab.run('dogwood', ['stop'])
  child.kill('SIGINT')
  const [code] = await once(child, 'close')
  t.is(code, 0)
})

test(
  'dev runs a whole cluster, says how to talk to it, and takes all of it away',
  LIMIT,
  async (t) => {
    if (isSkipped(t, 'unix')) return
    const env = { ...process.env, NO_COLOR: '1' }
    const child = spawn(process.execPath, [PROGRAM, 'dev', '--nodes', '3', '--json'], { env })
    t.teardown(() => child.kill('SIGTERM'))
    const output = outputOf(child)
    await waitFor('the cluster', () => output.stdout().includes('\n'), 90_000)
    const { folder, nodes } = JSON.parse(output.stdout())
    t.is(nodes.length, 3)
    const [first, , third] = nodes
    const put = await program(['kv', 'put', 'k', 'v', '--data-dir', first.data_dir])
    t.is(put.code, 0, put.stderr)
    const got = await program(['kv', 'get', 'k', '--data-dir', third.data_dir])
    t.is(got.stdout, 'v', got.stderr)
    const pids: number[] = nodes.map((node: { readonly pid: number }) => node.pid)
    t.alike(
      processesIn(folder).toSorted((a, b) => a - b),
      pids.toSorted((a, b) => a - b)
    )
    child.kill('SIGINT')
    const [code] = await once(child, 'close')
    t.is(code, 0, output.stderr())
    t.absent(pids.some(isAlive), 'no process is left')
    t.absent(existsSync(folder), 'no file is left')
    t.ok(output.stderr().includes('n1 ') && output.stderr().includes('n3 '), 'one log of all')
  }
)

test('dev that is killed takes its nodes along', LIMIT, async (t) => {
  if (isSkipped(t, 'unix')) return
  const args = ['dev', '--nodes', '2', '--json', '--data-dir', join(lab.root, 'dev')]
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  const output = outputOf(child)
  await waitFor('the cluster', () => output.stdout().includes('\n'), 90_000)
  child.kill('SIGKILL')
  await once(child, 'close')
  await waitFor('the end of its nodes', () => processesIn(join(lab.root, 'dev')).length === 0)
  t.pass('no node goes on')
})

test('a program that opens and closes a node ends by itself', LIMIT, async (t) => {
  const library = new URL('../../lib/index.js', import.meta.url).href
  const dataDir = join(lab.root, 'embedded')
  const script = `
    import { AspenNode } from ${JSON.stringify(library)}
    import { createLogger } from ${JSON.stringify(new URL('../../lib/node/log.js', import.meta.url).href)}
    const node = await AspenNode.open({
      intent: { kind: 'create' }, dataDir: ${JSON.stringify(dataDir)}, name: 'embedded',
      bootstrap: [{ host: '127.0.0.1', port: ${lab.bootstrap.split(':')[1]} }], port: null, httpPort: null,
      timing: 'default', onProgress() {}, logger: createLogger({ level: 'silent', destination: 'ndjson' })
    })
    await node.kv.write({ command: { Set: { key: 'k', value: 'k' } } })
    const { value } = await node.kv.read({ key: 'k' })
    console.log(new TextDecoder().decode(value))
    await node.close()
    await node.close()
    console.log('closed', await node.closed)`
  const startedMs = performance.now()
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  const output = outputOf(child)
  const limit = setTimeout(() => child.kill('SIGKILL'), 60_000)
  const [code] = await once(child, 'close')
  clearTimeout(limit)
  t.is(output.stdout(), 'k\nclosed 0\n', output.stderr())
  t.is(code, 0, output.stderr())
  t.comment(`opened, written, closed and ended in ${(performance.now() - startedMs).toFixed(0)} ms`)
  t.is(
    (await lab.aspen('embedded', ['start'])).code,
    0,
    'the command line runs what the program made'
  )
  t.is(await lab.run('embedded', ['kv', 'get', 'k']), 'k')
})

test('nothing is left of any of it', LIMIT, async (t) => {
  for (const name of ['alder', 'birch', 'embedded']) await lab.run(name, ['stop'])
  await lab.killDht()
  t.alike(await lab.settled(0), [], 'no process')
  await lab.close()
  t.absent(existsSync(lab.root))
})

function program(
  args: readonly string[]
): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [PROGRAM, ...args])
  const output = outputOf(child)
  return once(child, 'close').then(([code]) => ({
    code,
    stdout: output.stdout(),
    stderr: output.stderr()
  }))
}

function checkShapes(
  t: { ok(value: unknown, message?: string): void },
  document: JsonObject
): void {
  const text = JSON.stringify(document)
  t.ok(/"node":\{"id":\d+,"key":"[0-9a-f]{64}"/.test(text), 'node has an integer id and a hex key')
  t.ok(/"cluster":\{"id":"[0-9a-f]{32}"\}/.test(text), 'cluster has an id')
  t.ok(/"api":\{"socket":"\/[^"]+","http":"http:\/\/127\.0\.0\.1:\d+"\}/.test(text), 'api has both')
}
