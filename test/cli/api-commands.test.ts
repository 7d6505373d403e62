// `aspen token` and `aspen api`: the lines that they print run as they are, in a shell, where curl is.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { openServer } from '../http/open-server.ts'
import { runCli } from './run-cli.ts'
import type { Ran } from './run-cli.ts'

const TOKEN = '5a'.repeat(32)
const hasCurl = spawnSync('curl', ['--version']).status === 0

/** A node whose folder has a name that a shell would take apart. */
async function open(
  t: Assert
): Promise<{ dataDir: string; run: (...argv: string[]) => Promise<Ran> }> {
  const dataDir = join(await t.tmp(), `it's a "node" $HOME`)
  mkdirSync(dataDir)
  const { server } = await openServer(t, { socketPath: join(dataDir, 'aspen.sock'), token: TOKEN })
  writeFileSync(join(dataDir, 'api.token'), `${TOKEN}\n`)
  const runtime = { pid: process.pid, socket: server.socketPath, http: server.url }
  writeFileSync(join(dataDir, 'runtime.json'), JSON.stringify(runtime))
  return { dataDir, run: (...argv) => runCli([...argv, '--data-dir', dataDir]) }
}

async function shell(line: string): Promise<string> {
  const child = spawn('sh', ['-c', line], { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  child.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()))
  await once(child, 'close')
  return text
}

test('the token is printed, and where it is kept is said beside it', async (t) => {
  const { dataDir, run } = await open(t)
  const human = await run('token')
  t.alike([human.code, human.stdout], [0, `${TOKEN}\n`])
  t.ok(human.stderr.includes('api.token'), human.stderr)
  const json = await run('token', '--json')
  t.alike(JSON.parse(json.stdout), { token: TOKEN, file: join(dataDir, 'api.token') })
  t.is(json.stderr, '')
})

test('where no node is, both say so and exit with 8', async (t) => {
  for (const command of ['token', 'api']) {
    const { code, stdout, stderr } = await runCli([command, '--data-dir', await t.tmp()])
    t.alike([code, stdout], [8, ''], command)
    t.ok(stderr.startsWith('✗ there is no node in '), stderr)
  }
})

test('a file that is no token is not printed', async (t) => {
  const { dataDir, run } = await open(t)
  writeFileSync(join(dataDir, 'api.token'), 'something else\n')
  const { code, stdout, stderr } = await run('token')
  t.alike([code, stdout], [1, ''])
  t.ok(stderr.includes('is no token'), stderr)
})

test('the lines have the token in none of them', async (t) => {
  const { run } = await open(t)
  for (const argv of [[], ['POST', '/kv/read'], ['--json'], ['--quiet']]) {
    const { code, stdout, stderr } = await run('api', ...argv)
    t.is(code, 0, stderr)
    t.absent(stdout.includes(TOKEN))
    t.ok(stdout.includes('curl '), stdout)
  }
})

test('the token is among no arguments either, which all users of a machine can read', async (t) => {
  const { run } = await open(t)
  const folder = await t.tmp()
  // says what it was called with, and what it was given
  const script = '#!/bin/sh\necho "arguments: $*"\necho "input: $(cat)"\n'
  writeFileSync(join(folder, 'curl'), script, { mode: 0o755 })
  for (const argv of [['/leader'], ['PUT', '/kv/a'], ['POST', '/kv/read']]) {
    const { tcp } = JSON.parse((await run('api', ...argv, '--json')).stdout)
    const text = await shell(`PATH=${folder}:$PATH; ${tcp.curl}`)
    const [called = '', given] = text.split('\n')
    t.ok(called.startsWith('arguments: -sS -H @-'), called)
    t.absent(called.includes(TOKEN))
    t.is(given, `input: Authorization: Bearer ${TOKEN}`)
  }
})

test('methods and paths are checked', async (t) => {
  const { run } = await open(t)
  for (const argv of [
    ['FETCH', '/status'],
    ['GET', 'status'],
    ['GET', '/a b'],
    ['GET', '/é'],
    ['status']
  ]) {
    t.is((await run('api', ...argv)).code, 2, argv.join(' '))
  }
  t.ok((await run('api', 'leader')).stderr.includes('paths begin with /'))
  const { stdout } = await run('api', 'get', '/leader', '--json')
  t.alike([JSON.parse(stdout).method, JSON.parse(stdout).path], ['GET', '/leader'])
})

test('both lines run as they are printed', { skip: !hasCurl }, async (t) => {
  const { run } = await open(t)
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /"role":"voter"/],
    [['/leader'], /^\{"leader":1/],
    [['PUT', "/kv/it's/[x]/../{y}"], /"revision":/],
    [['GET', "/kv/it's/[x]/../{y}"], /^hello$/],
    [['POST', '/kv/write'], /"revision":/],
    [['POST', '/kv/read'], /"value":"8080"/],
    [['POST', '/kv/scan'], /"items":\[\{/],
    [['POST', '/admin/trigger-snapshot'], /"snapshot":/],
    [['HEAD', '/kv/app%2Fport'], /^HTTP\/1.1 200 OK/],
    [['DELETE', '/kv/app%2Fport?timeout_ms=500'], /"deleted":/],
    [['GET', '/kv?prefix=&limit=1'], /"has_more":/]
  ]
  for (const [argv, expected] of cases) {
    const lines = JSON.parse((await run('api', ...argv, '--json')).stdout)
    for (const line of [lines.socket.curl, lines.tcp.curl]) {
      const text = await shell(line)
      t.ok(expected.test(text), `${line} → ${text.slice(0, 80)}`)
    }
  }
})

if (!hasCurl) console.log('# curl is not here: the printed lines were not run')
