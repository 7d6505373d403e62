// How long one body may hold the event loop: no turn over 20 ms at the default limits. Each turn is
// measured by the clock and by the CPU time of the process, and the smaller counts, since other
// programs of the machine may hold the CPU; of five requests the best counts, since the first pays for
// compiling and some for collecting garbage. The requests come from another process. The figures are
// in lib/http/README.md.

import test from 'brittle'
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MAX_BATCH_BYTES, MAX_SCAN_BYTES, MAX_SETMULTI_KEYS } from '../../lib/limits.ts'
import { openServer } from './open-server.ts'
import type { Opened } from './open-server.ts'

const VALUE_SIZE = Math.floor(MAX_BATCH_BYTES / MAX_SETMULTI_KEYS) - 16

const BODIES: ReadonlyArray<readonly [string, () => string]> = [
  ['ASCII text', () => batch((index) => ({ value: String(index % 10).repeat(VALUE_SIZE) }))],
  ['Cyrillic text', () => batch(() => ({ value: 'ж'.repeat(VALUE_SIZE / 2) }))],
  [
    'binary',
    () =>
      batch((index) => ({ value_b64: Buffer.alloc(VALUE_SIZE, 128 + index).toString('base64') }))
  ],
  [
    'escapes',
    () => batch(() => ({ value: '"\n'.repeat(VALUE_SIZE / 2) })).slice(0, 12 * 1024 * 1024)
  ],
  [
    'tiny pairs',
    () => `{"command":{"SetMulti":{"pairs":[${'["a","b"],'.repeat(1_200_000)}["a","b"]]}}}`
  ],
  ['one long string', () => `{"command":{"Set":{"key":"a","value":"${'é'.repeat(6_000_000)}"}}}`],
  ['spaces', () => `${' '.repeat(12_000_000)}{}`]
]

function batch(value: (index: number) => object): string {
  const pairs = Array.from({ length: MAX_SETMULTI_KEYS }, (_, index) => ({
    key: `k${index}`,
    ...value(index)
  }))
  return JSON.stringify({ command: { SetMulti: { pairs } } })
}

const CLIENT = `
const { request } = require('node:http')
const [path, file, route] = process.argv.slice(1)
const body = require('node:fs').readFileSync(file)
const headers = { 'content-type': 'application/json' }
const send = () => new Promise((resolve, reject) => {
  const r = request({ socketPath: path, path: route, method: 'POST', headers, agent: false }, (response) => {
    response.resume().on('end', () => resolve(response.statusCode))
  })
  r.on('error', reject).end(body)
})
;(async () => { for (let i = 0; i < 5; i++) console.log(await send()) })()
`

test('no body at the limits holds the event loop for long', { timeout: 120_000 }, async (t) => {
  const opened = await openServer(t)
  const folder = await t.tmp()
  for (const [name, make] of BODIES) {
    const file = join(folder, 'body')
    writeFileSync(file, make())
    const turns = await longestTurns(opened, file, '/kv/write')
    t.comment(`${name}: ${turns.map((ms) => ms.toFixed(1)).join(' ')} ms`)
    t.ok(Math.min(...turns) < MAX_TURN_MS, `${name}: under ${MAX_TURN_MS} ms`)
  }
})

const PAGES: ReadonlyArray<readonly [string, (index: number) => Uint8Array]> = [
  ['ASCII text', () => Buffer.alloc(PAGE_VALUE_SIZE, 'x')],
  ['Cyrillic text', () => Buffer.from('ж'.repeat(PAGE_VALUE_SIZE / 2))],
  ['binary', (index) => Buffer.alloc(PAGE_VALUE_SIZE, 128 + (index % 100))],
  ['control characters', () => Buffer.alloc(PAGE_VALUE_SIZE, 1)]
]

test(
  'no scan page at the limits holds the event loop for long',
  { timeout: 120_000 },
  async (t) => {
    const opened = await openServer(t)
    const file = join(await t.tmp(), 'body')
    writeFileSync(file, '{"prefix":"k"}')
    for (const [name, value] of PAGES) {
      const keys = Array.from({ length: 64 }, (_, index) => Buffer.from(`k${index}`))
      const changes = keys.map((key, index) => ({
        kind: 'put' as const,
        key,
        value: value(index),
        condition: null
      }))
      await opened.node.kv.write({ changes })
      const turns = await longestTurns(opened, file, '/kv/scan')
      t.comment(`${name}: ${turns.map((ms) => ms.toFixed(1)).join(' ')} ms`)
      t.ok(Math.min(...turns) < MAX_TURN_MS, `${name}: under ${MAX_TURN_MS} ms`)
    }
  }
)

const PAGE_VALUE_SIZE = MAX_SCAN_BYTES / 64
const MAX_TURN_MS = 20

/** The longest turn of each of five requests. */
async function longestTurns({ server }: Opened, file: string, route: string): Promise<number[]> {
  const child = spawn(process.execPath, ['-e', CLIENT, server.socketPath, file, route], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const turns: number[] = []
  let longestMs = 0
  let lastMs = performance.now()
  let lastCpuMs = cpuMs()
  let isOver = false
  const tick = (): void => {
    const nowMs = performance.now()
    const nowCpuMs = cpuMs()
    longestMs = Math.max(longestMs, Math.min(nowMs - lastMs, nowCpuMs - lastCpuMs))
    lastMs = nowMs
    lastCpuMs = nowCpuMs
    if (!isOver) setImmediate(tick)
  }
  tick()
  child.stdout.on('data', () => {
    turns.push(longestMs)
    longestMs = 0
  })
  await new Promise((resolve) => child.once('exit', resolve))
  isOver = true
  return turns
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
