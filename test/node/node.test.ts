// A real node in this process: its stores, its sockets, a private DHT.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'brittle'
import type { Assert } from 'brittle'
import { formatAddress } from '../../lib/address.ts'
import { present } from '../../lib/assert.ts'
import { bytesOf, textOf } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import { isLocked } from '../../lib/node/data-directory.ts'
import type { AspenNode } from '../../lib/node/node.ts'
import { readRuntime } from '../../lib/config/places.ts'
import { BootstrapNode } from '../../lib/transport/dht.ts'
import type { Site } from './nodes.ts'
import { openNode } from './nodes.ts'
import { freePorts } from '../ports.ts'

const LIMIT = { timeout: 60_000 }

async function siteOf(t: Assert): Promise<Site> {
  const dht = await BootstrapNode.open({ host: '127.0.0.1', port: 0 })
  // last: nodes that close take back what they announced there
  t.teardown(() => dht.close(), { order: 1, force: true })
  return { root: await t.tmp(), bootstrap: [dht.address] }
}

function kept(t: Assert, node: AspenNode): AspenNode {
  t.teardown(() => node.close(), { force: true })
  return node
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof AspenError ? error.code : String(error))
  )
}

async function put(node: AspenNode, key: string, value: string): Promise<void> {
  await node.kv.put(key, value)
}

async function get(node: AspenNode, key: string): Promise<string | null> {
  const { item } = await node.kv.get(bytesOf(key))
  return item === null ? null : textOf(item.value)
}

test('created, closed twice, started again: what was written is there', LIMIT, async (t) => {
  const site = await siteOf(t)
  const first = await openNode(site, { kind: 'create' }, { name: 'a' })
  t.ok(first.opened.ticket?.ticket.startsWith('aspen1'))
  await put(first, 'k', 'kept')
  const { id, key } = first.status().node
  const dataDir = join(site.root, 'a')
  t.is(readRuntime(dataDir)?.pid, process.pid)
  t.alike(first.livez(), {
    ok: true,
    checks: { event_loop: true, apply_loop: true, log_writable: true, storage: true },
    reasons: {}
  })
  await Promise.all([first.close(), first.close()])
  t.is(await first.closed, 0)
  t.is(readRuntime(dataDir), null, 'nobody is sent to a process that has ended')
  t.absent(isLocked(dataDir))
  t.absent(existsSync(join(dataDir, 'aspen.sock')))
  t.is(await codeOf(first.kv.get(bytesOf('k'), { consistency: 'stale' })), 'UNAVAILABLE')
  t.is(await codeOf(put(first, 'k', 'late')), 'UNAVAILABLE')

  const second = kept(t, await openNode(site, { kind: 'start' }, { name: 'a' }))
  t.alike([second.status().node.id, second.status().node.key], [id, key])
  t.is(await get(second, 'k'), 'kept')
})

test(
  'joined by ticket, it reads what the other wrote, and joining again is no error',
  LIMIT,
  async (t) => {
    const site = await siteOf(t)
    const a = kept(t, await openNode(site, { kind: 'create' }, { name: 'a' }))
    const { ticket } = present(a.opened.ticket, 'a ticket')
    await put(a, 'k', 'from a')
    const intent = { kind: 'join', ticket, timeoutMs: 20_000 } as const
    const b = await openNode(site, intent, { name: 'b' })
    t.absent(b.opened.wasMember)
    t.is(await get(b, 'k'), 'from a')
    t.is(b.status().role, 'learner')
    await b.close()
    const again = kept(t, await openNode(site, intent, { name: 'b' }))
    t.ok(again.opened.wasMember)
    t.is(again.status().node.id, 2)
  }
)

test('an opening that fails half-way leaves nothing open and can be repeated', LIMIT, async (t) => {
  const site = await siteOf(t)
  const a = kept(t, await openNode(site, { kind: 'create' }, { name: 'a' }))
  t.is(await codeOf(openNode(site, { kind: 'start' }, { name: 'a' })), 'LOCKED')
  const httpPort = Number(new URL(a.status().api.http).port)
  const dataDir = join(site.root, 'b')
  t.is(await codeOf(openNode(site, { kind: 'create' }, { name: 'b', httpPort })), 'PORT_IN_USE')
  t.absent(isLocked(dataDir))
  t.is(readRuntime(dataDir), null)
  t.is(await codeOf(openNode(site, { kind: 'start' }, { name: 'b' })), 'NO_CLUSTER_HERE')
  const b = kept(t, await openNode(site, { kind: 'create' }, { name: 'b' }))
  t.ok(b.opened.ticket !== null, 'create goes on with what is there')
})

test(
  'a profile and ports given once are kept; others given later are kept from then on',
  LIMIT,
  async (t) => {
    const site = await siteOf(t)
    const recorded = (): unknown =>
      JSON.parse(readFileSync(join(site.root, 'a', 'node.json'), 'utf8')).timing
    // not one of those that nodes of other tests take where none is given
    const [port = 0] = await freePorts(1)
    const openings = [
      [{ kind: 'create' }, 'lan', 'lan', port],
      [{ kind: 'start' }, null, 'lan', null],
      [{ kind: 'start' }, 'wan', 'wan', null],
      [{ kind: 'start' }, null, 'wan', null]
    ] as const
    for (const [intent, timing, expected, httpPort] of openings) {
      const node = await openNode(site, intent, { name: 'a', timing, httpPort })
      t.is(recorded(), expected)
      t.is(node.status().api.http, `http://127.0.0.1:${port}`)
      await node.close()
    }
  }
)

test(
  'a node whose recorded API port is taken runs on another one and goes back later',
  LIMIT,
  async (t) => {
    const site = await siteOf(t)
    const portOf = (node: AspenNode): number => Number(new URL(node.status().api.http).port)
    // none of those that nodes of other tests take while nobody has it
    const [port = 0] = await freePorts(1)
    const first = await openNode(site, { kind: 'create' }, { name: 'a', httpPort: port })
    t.alike([portOf(first), first.opened.httpPortTaken], [port, null])
    await first.close()
    const thief = createServer().listen(port, '127.0.0.1')
    await once(thief, 'listening')
    t.teardown(() => thief.close(), { force: true })
    const second = await openNode(site, { kind: 'start' }, { name: 'a' })
    t.is(second.opened.httpPortTaken, port)
    t.not(portOf(second), port)
    await second.close()
    const named = openNode(site, { kind: 'start' }, { name: 'a', httpPort: port })
    t.is(await codeOf(named), 'PORT_IN_USE', 'one that is named is not replaced')
    thief.close()
    await once(thief, 'close')
    const third = await openNode(site, { kind: 'start' }, { name: 'a' })
    t.alike([portOf(third), third.opened.httpPortTaken], [port, null])
    await third.close()
  }
)

test('what a killed process left is not believed, and what is lost is missed', LIMIT, async (t) => {
  const site = await siteOf(t)
  const a = await openNode(site, { kind: 'create' }, { name: 'a' })
  await a.close()
  const dataDir = join(site.root, 'a')
  writeFileSync(join(dataDir, 'runtime.json'), JSON.stringify({ pid: 1, socket: 'x', http: 'y' }))
  rmSync(join(dataDir, 'log'), { recursive: true })
  t.is(await codeOf(openNode(site, { kind: 'start' }, { name: 'a' })), 'IDENTITY_WITHOUT_LOG')
  t.is(readRuntime(dataDir), null)
  rmSync(join(dataDir, 'node.key'))
  t.is(await codeOf(openNode(site, { kind: 'start' }, { name: 'a' })), 'DATA_DIR_UNUSABLE')
  t.absent(existsSync(join(dataDir, 'node.key')), 'no other key takes its place')
})

test('a program that has closed its nodes ends by itself', LIMIT, async (t) => {
  const site = await siteOf(t)
  const program = fileURLToPath(new URL('./open-and-close.js', import.meta.url))
  const [bootstrap] = site.bootstrap.map(formatAddress)
  const child = spawn(process.execPath, [program, site.root, bootstrap ?? ''], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'), { force: true })
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  const [exitCode] = await once(child, 'exit')
  t.is(exitCode, 0)
  t.alike(JSON.parse(said), { failure: 'TransportError', exitCodes: [0, 0] })
})
