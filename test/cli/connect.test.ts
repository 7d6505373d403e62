// A node whose process is there and says nothing: stopped by somebody, or too busy.

import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { CLIENT_GRACE_MS } from '../../lib/limits.ts'
import { runCli } from './run-cli.ts'

const PID = 4711
/** What the command may take besides waiting. */
const SLACK_MS = 2_000

/** A data directory where requests are taken and never answered. */
async function silentNode(t: Assert): Promise<string> {
  const dataDir = await t.tmp()
  const socket = join(dataDir, 'aspen.sock')
  const sockets: Socket[] = []
  const server = createServer((peer) => sockets.push(peer.on('error', () => {}))).listen(socket)
  await once(server, 'listening')
  t.teardown(() => {
    for (const peer of sockets) peer.destroy()
    server.close()
  })
  const runtime = { pid: PID, socket, http: 'http://127.0.0.1:7070' }
  await writeFile(join(dataDir, 'runtime.json'), JSON.stringify(runtime))
  return dataDir
}

test('a read of a silent node is unavailable, a write is in doubt, and both say what to try', async (t) => {
  const dataDir = await silentNode(t)
  const here = `--data-dir ${dataDir}`
  const why = `its process (pid ${PID}) may be stopped or overloaded: `
  const both = `${why}'aspen status ${here}' and 'aspen logs ${here}' may say more`
  const maybe = '; the write may or may not have happened: read before you write again'
  const cases = [
    [['kv', 'get', 'k'], 5, `: ${both}`],
    [['kv', 'scan'], 5, `: ${both}`],
    [['ticket', 'list'], 5, `: ${both}`],
    [['status'], 5, `: ${why}'aspen logs ${here}' may say more`],
    [['members'], 5, `: ${both}`],
    [['kv', 'put', 'k', 'v'], 6, `${maybe}; ${both}`],
    [['kv', 'del', 'k'], 6, `${maybe}; ${both}`],
    [['ticket', 'revoke', '00000001'], 6, `${maybe}; ${both}`]
  ] as const
  await Promise.all(
    cases.map(async ([argv, exitCode, rest]) => {
      const startedMs = performance.now()
      const ended = await runCli([...argv, '--timeout', '500ms', '--data-dir', dataDir])
      const tookMs = performance.now() - startedMs
      t.is(ended.code, exitCode, argv.join(' '))
      t.is(ended.stderr, `✗ the node did not answer within 0.5 s${rest}\n`)
      t.ok(tookMs < 500 + CLIENT_GRACE_MS + SLACK_MS, `${Math.round(tookMs)} ms`)
    })
  )
})

test('as JSON it is an error like any other', async (t) => {
  const dataDir = await silentNode(t)
  const run = async (...argv: string[]) => {
    const { stdout } = await runCli([...argv, '--timeout', '1ms', '--json', '--data-dir', dataDir])
    const { code, retryable, applied } = JSON.parse(stdout).error
    return { code, retryable, applied }
  }
  t.alike(await run('kv', 'get', 'k'), { code: 'UNAVAILABLE', retryable: true, applied: false })
  t.alike(await run('kv', 'put', 'k', 'v'), { code: 'TIMEOUT', retryable: false, applied: null })
})
