// Nodes that keep everything in memory: what they do, and that nothing of them can come back.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { present } from '../../lib/assert.ts'
import { textOf } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import { createLogger } from '../../lib/node/log.ts'
import type { AspenNode } from '../../lib/node/node.ts'
import { BootstrapNode } from '../../lib/transport/dht.ts'
import type { Site } from './nodes.ts'
import { openNode } from './nodes.ts'

const LIMIT = { timeout: 60_000 }
const IN_MEMORY = { storageBackend: 'inmemory' } as const

async function siteOf(t: Assert): Promise<Site> {
  const dht = await BootstrapNode.open({ host: '127.0.0.1', port: 0 })
  t.teardown(() => dht.close(), { order: 1, force: true })
  return { root: await t.tmp(), bootstrap: [dht.address] }
}

function kept(t: Assert, node: AspenNode): AspenNode {
  t.teardown(() => node.close(), { force: true })
  return node
}

async function detailOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'no error',
    (error: unknown) =>
      error instanceof AspenError ? `${error.code}: ${error.message}` : String(error)
  )
}

test('a cluster in memory is a new one each time, and says that it forgets', LIMIT, async (t) => {
  const site = await siteOf(t)
  const lines: string[] = []
  const logger = createLogger({
    level: 'warn',
    destination: 'ndjson',
    write: (line) => void lines.push(line)
  })
  const options = { name: 'a', logger, ...IN_MEMORY }
  const first = await openNode(site, { kind: 'create' }, options)
  t.is(lines.filter((line) => line.includes('storage.inmemory')).length, 1)
  t.is(first.status().storage.backend, 'inmemory')
  t.is(first.status().disk, null)
  await first.kv.put('k', 'v')
  t.is(textOf((await first.kv.read({ key: 'k' })).value), 'v')
  const { cluster, node } = first.status()
  await first.close()
  t.is(await first.closed, 0)
  const left = readdirSync(join(site.root, 'a'))
  for (const name of [
    'node.key',
    'node.json',
    'peers.json',
    'guard.json',
    'log',
    'state',
    'snapshots'
  ]) {
    t.absent(left.includes(name), `${name} was not written`)
  }

  t.ok(/NO_CLUSTER_HERE/.test(await detailOf(openNode(site, { kind: 'start' }, { name: 'a' }))))
  const second = kept(t, await openNode(site, { kind: 'create' }, options))
  t.not(second.status().cluster.id, cluster.id)
  t.not(second.status().node.key, node.key)
  t.is((await second.kv.scan({})).items.length, 0)
})

test(
  'a member in memory has what the others have, and joins again as another one',
  LIMIT,
  async (t) => {
    const site = await siteOf(t)
    const a = kept(t, await openNode(site, { kind: 'create' }, { name: 'a' }))
    const { ticket } = present(a.opened.ticket, 'a ticket')
    await a.kv.put('k', 'v')
    const intent = { kind: 'join', ticket, timeoutMs: 20_000 } as const
    const b = await openNode(site, intent, { name: 'b', ...IN_MEMORY })
    t.is(textOf((await b.kv.read({ key: 'k' })).value), 'v')
    const { id, key } = b.status().node
    t.alike([id, a.status().storage.backend], [2, 'sqlite'])
    t.ok(/INVALID_REQUEST: .*no backups/.test(await detailOf(b.backup())))
    await b.close()
    const again = kept(t, await openNode(site, intent, { name: 'b', ...IN_MEMORY }))
    t.is(again.status().node.id, 3, 'nobody who forgot speaks in the name of the one before')
    t.not(again.status().node.key, key)
    t.absent(again.opened.wasMember)
  }
)

test('a node is where its log is: the other kind is refused there', LIMIT, async (t) => {
  const site = await siteOf(t)
  const a = await openNode(site, { kind: 'create' }, { name: 'a' })
  const { ticket } = present(a.opened.ticket, 'a ticket')
  await a.close()
  const asJoiner = { kind: 'join', ticket, timeoutMs: 1_000 } as const
  for (const intent of [{ kind: 'create' }, asJoiner] as const) {
    const detail = await detailOf(openNode(site, intent, { name: 'a', ...IN_MEMORY }))
    t.ok(/^DATA_DIR_TAKEN: .*keeps its log on the disk/.test(detail), detail)
  }
  const halfMade = join(site.root, 'b')
  mkdirSync(halfMade, { mode: 0o700 })
  writeFileSync(join(halfMade, 'node.key'), '00\n', { mode: 0o600 })
  const half = await detailOf(openNode(site, { kind: 'create' }, { name: 'b', ...IN_MEMORY }))
  t.ok(half.startsWith('DATA_DIR_TAKEN'), half)
  const nothing = await detailOf(openNode(site, { kind: 'start' }, { name: 'c', ...IN_MEMORY }))
  t.ok(/^CONFIG_INVALID: .*nothing to start/.test(nothing), nothing)
  t.absent(existsSync(join(site.root, 'c')))
  const back = kept(t, await openNode(site, { kind: 'start' }, { name: 'a' }))
  t.is(back.status().storage.backend, 'sqlite', 'what was refused has changed nothing')
})
