// A node that was started without a cluster: what it answers, and the ways into one.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { formatAddress } from '../../lib/address.ts'
import { Client } from '../../lib/client/client.ts'
import { keyPairFromSeed } from '../../lib/crypto.ts'
import { hexOf, textOf } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import { AspenBuilder } from '../../lib/node/aspen-builder.ts'
import type { AspenNode } from '../../lib/node/node.ts'
import { readRuntime } from '../../lib/config/places.ts'
import { BootstrapNode } from '../../lib/transport/dht.ts'

const LIMIT = { timeout: 60_000 }
/** of a node that is nowhere */
const KEY = hexOf(keyPairFromSeed(new Uint8Array(32).fill(7)).publicKey)

interface Site {
  readonly root: string
  readonly bootstrap: string
}

async function siteOf(t: Assert): Promise<Site> {
  const dht = await BootstrapNode.open({ host: '127.0.0.1', port: 0 })
  t.teardown(() => dht.close(), { order: 1, force: true })
  return { root: await t.tmp(), bootstrap: formatAddress(dht.address) }
}

function waiting(site: Site, name: string, peers: readonly string[] = []): AspenBuilder {
  return new AspenBuilder(join(site.root, name))
    .withBootstrap([site.bootstrap])
    .withName(name)
    .withTiming('lan')
    .withPeers(peers)
}

async function started(t: Assert, builder: AspenBuilder): Promise<AspenNode> {
  const node = await builder.start()
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

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return (await detailOf(promise)).split(':')[0] ?? ''
}

/** As `--peers` takes it. */
function peerOf(node: AspenNode): string {
  const { key, addresses } = node.nodeInfo()
  return `${key}@${addresses[0]}`
}

async function until(condition: () => boolean, deadlineMs = 20_000): Promise<boolean> {
  const endMs = Date.now() + deadlineMs
  while (!condition() && Date.now() < endMs) {
    await new Promise((resolve) => {
      setTimeout(resolve, 20)
    })
  }
  return condition()
}

test('without a cluster it says who it is, and refuses everything else', LIMIT, async (t) => {
  const site = await siteOf(t)
  const node = await started(t, waiting(site, 'a'))
  const { id, key, addresses } = node.nodeInfo()
  t.is(id, null)
  t.is(key.length, 64)
  t.is(addresses.length, 1)
  t.is(node.health().state, 'Uninitialized')
  t.is(node.health().status, 'degraded')
  t.ok(node.livez().ok)
  t.absent((await node.readyz()).ok)
  t.ok((await node.metrics()).includes('aspen_build_info'))
  const { cluster } = node
  const refused: Record<string, () => unknown> = {
    status: () => node.status(),
    members: () => node.members(),
    createTicket: () => node.createTicket(),
    listTickets: () => node.listTickets(),
    revokeTicket: () => node.revokeTicket('00000000'),
    backup: () => node.backup(),
    survey: () => node.survey(),
    put: () => node.kv.put('k', 'v'),
    read: () => node.kv.read({ key: 'k' }, { consistency: 'stale' }),
    scan: () => node.kv.scan({}),
    addLearner: () => cluster.addLearner({ learner: { key } }),
    changeMembership: () => cluster.changeMembership({ members: [1] }),
    currentState: () => cluster.currentState({ consistency: 'stale' }),
    getMetrics: () => cluster.getMetrics(),
    getLeader: () => cluster.getLeader(),
    triggerSnapshot: () => cluster.triggerSnapshot(),
    promoteLearner: () => cluster.promoteLearner({ learnerId: 1 }),
    removeMember: () => cluster.removeMember({ id: 1 }),
    transferLeadership: () => cluster.transferLeadership()
  }
  for (const [name, ask] of Object.entries(refused)) {
    t.is(await codeOf((async () => ask())()), 'NOT_INITIALIZED', name)
  }
  const runtime = readRuntime(join(site.root, 'a'))
  const client = Client.connect({ socketPath: runtime?.socket ?? '' })
  t.teardown(() => client.close(), { force: true })
  t.is(await codeOf(client.status()), 'NOT_INITIALIZED', 'also over HTTP')
  t.absent(existsSync(join(site.root, 'a', 'node.json')))
  t.absent(existsSync(join(site.root, 'a', 'log')))
})

test('what init is asked for is checked before anything is done', LIMIT, async (t) => {
  const site = await siteOf(t)
  const node = await started(t, waiting(site, 'a'))
  const own = node.nodeInfo()
  const other = KEY
  const cases = [
    { name: 'none', members: [], message: /initial_members must not be empty/ },
    { name: 'not this one', members: [{ key: other }], message: /must contain this node/ },
    { name: 'a short key', members: [{ key: own.key }, { key: 'ab' }], message: /'ab' is no key/ },
    {
      name: 'no point',
      members: [{ key: own.key }, { key: 'ab'.repeat(32) }],
      message: /is no key of a node/
    },
    {
      name: 'one twice',
      members: [{ key: own.key }, { key: other }, { key: other.toUpperCase() }],
      message: /a key twice/
    },
    { name: 'another id', members: [{ key: own.key, id: 2 }], message: /is node 1 of it, not 2/ },
    {
      name: 'an id too high',
      members: [{ key: own.key }, { key: other, id: 3 }],
      message: /are 1 to 2, each once/
    },
    {
      name: 'the id of the founder',
      members: [{ key: own.key }, { key: other, id: 1 }],
      message: /are 1 to 2, each once/
    },
    {
      name: 'a host name',
      members: [{ key: own.key }, { key: other, addresses: ['localhost:1'] }],
      message: /'localhost:1' is no IPv4 address/
    },
    {
      name: 'a name',
      members: [{ key: own.key }, { key: other, name: 'a b' }],
      message: /'a b' is no name/
    }
  ]
  for (const { name, members, message } of cases) {
    const detail = await detailOf(node.cluster.init({ initialMembers: members }))
    t.ok(detail.startsWith('INVALID_REQUEST') && message.test(detail), `${name}: ${detail}`)
  }
  const soon = node.cluster.init({ initialMembers: [{ key: own.key }] }, { timeoutMs: 0 })
  t.is(await codeOf(soon), 'INVALID_REQUEST')
  t.absent(existsSync(join(site.root, 'a', 'node.json')))
  t.is(node.nodeInfo().id, null)
})

test('founded, it is the first member of a cluster, and stays it', LIMIT, async (t) => {
  const site = await siteOf(t)
  const builder = waiting(site, 'a')
  const node = await builder.start()
  const { key } = node.nodeInfo()
  const runtime = readRuntime(join(site.root, 'a'))
  const client = Client.connect({ socketPath: runtime?.socket ?? '' })
  t.teardown(() => client.close(), { force: true })
  t.is(await codeOf(client.kv.put('k', 'v')), 'NOT_INITIALIZED')
  const initialMembers = [{ key }]
  const waitedMs = node.health().uptime_seconds * 1_000
  const thenMs = performance.now()
  const [first, second] = await Promise.all([
    node.cluster.init({ initialMembers }),
    codeOf(node.cluster.init({ initialMembers }))
  ])
  t.is(second, 'ALREADY_INITIALIZED')
  t.alike(first.members, [1])
  const sinceMs = performance.now() - thenMs
  const upMs = node.status().uptime_ms
  t.ok(upMs + 1 >= waitedMs + sinceMs, 'it is up since it waits, not since it was founded')
  t.alike(
    first.nodes.map((member) => [member.id, member.key]),
    [[1, key]]
  )
  t.is(await codeOf(node.cluster.init({ initialMembers })), 'ALREADY_INITIALIZED')
  await client.kv.put('k', 'v')
  t.is(readRuntime(join(site.root, 'a'))?.http, runtime?.http, 'the API has never moved')
  t.is(node.nodeInfo().id, 1)
  t.ok((await node.readyz()).ok)
  t.is(node.status().api.socket, runtime?.socket)
  const json = JSON.parse(readFileSync(join(site.root, 'a', 'node.json'), 'utf8'))
  t.alike([json.state, json.name, json.timing], ['member', 'a', 'lan'])
  await node.close()
  t.is(await node.closed, 0)

  const again = await started(t, builder)
  t.is(textOf((await again.kv.read({ key: 'k' })).value), 'v')
  const { ticket } = await again.createTicket()
  const b = await started(t, new AspenBuilder(join(site.root, 'b')).withTicket(ticket))
  t.is(b.status().node.id, 2, 'a cluster like any other')
})

test('a node that waits can be closed, and be created in the same folder', LIMIT, async (t) => {
  const site = await siteOf(t)
  const peer = 'ab'.repeat(32)
  const node = await waiting(site, 'a', [peer]).start()
  const { key } = node.nodeInfo()
  await Promise.all([node.close(), node.close()])
  t.is(await node.closed, 0)
  const created = new AspenBuilder(join(site.root, 'a')).withBootstrap([site.bootstrap])
  const member = await started(t, created)
  t.is(member.status().node.key, key)
})

test('the log of an admission that was interrupted is not founded upon', LIMIT, async (t) => {
  const site = await siteOf(t)
  mkdirSync(join(site.root, 'a', 'log'), { recursive: true, mode: 0o700 })
  t.is(await codeOf(waiting(site, 'a').start()), 'DATA_DIR_TAKEN')
  const node = await started(t, waiting(site, 'a', ['ab'.repeat(32)]))
  const { key } = node.nodeInfo()
  const initialMembers = [{ key }]
  t.is(await codeOf(node.cluster.init({ initialMembers })), 'DATA_DIR_TAKEN')
  t.is(node.nodeInfo().id, null)
})

test('a cluster of three is founded on one of them, and takes a fourth', LIMIT, async (t) => {
  const site = await siteOf(t)
  const a = await started(t, waiting(site, 'a'))
  const b = await started(t, waiting(site, 'b', [peerOf(a)]))
  // each is given the same list, as a script would
  const c = await started(t, waiting(site, 'c', [peerOf(a), peerOf(b), b.nodeInfo().key]))
  const initialMembers = [
    { key: c.nodeInfo().key, id: 2 },
    { key: a.nodeInfo().key.toUpperCase() },
    { key: b.nodeInfo().key, addresses: b.nodeInfo().addresses }
  ]
  const startedMs = Date.now()
  const state = await a.cluster.init({ initialMembers }, { timeoutMs: 20_000 })
  t.comment(`three voters after ${Date.now() - startedMs} ms`)
  t.alike(state.members, [1, 2, 3])
  t.alike(state.learners, [])
  t.alike(
    [a, c, b].map((node) => node.nodeInfo().id),
    [1, 2, 3]
  )
  await b.kv.put('k', 'v')
  t.is(textOf((await c.kv.read({ key: 'k' })).value), 'v')
  t.is(await codeOf(b.cluster.init({ initialMembers })), 'ALREADY_INITIALIZED')

  const d = await started(t, waiting(site, 'd', [peerOf(b)]))
  const { key } = d.nodeInfo()
  const grown = await c.cluster.addLearner({ learner: { key } }, { timeoutMs: 20_000 })
  t.alike(
    grown.learners.map((node) => [node.id, node.key]),
    [[4, key]]
  )
  t.is(textOf((await d.kv.read({ key: 'k' })).value), 'v')
  await d.close()
  const again = await started(t, waiting(site, 'd', [peerOf(b)]))
  t.is(again.status().node.id, 4, 'a member by now: it just starts')
})

test('what is missing at founding is said, and the cluster works without it', LIMIT, async (t) => {
  const site = await siteOf(t)
  const a = await started(t, waiting(site, 'a'))
  const missing = KEY
  const initialMembers = [{ key: a.nodeInfo().key }, { key: missing }]
  const detail = await detailOf(a.cluster.init({ initialMembers }, { timeoutMs: 1_500 }))
  t.ok(
    detail.startsWith('TIMEOUT: the cluster is founded') && detail.includes(`${KEY.slice(0, 8)}…`),
    detail
  )
  await a.kv.put('k', 'v')
  t.alike((await a.cluster.currentState()).members, [1])
  t.is(await codeOf(a.cluster.init({ initialMembers })), 'ALREADY_INITIALIZED')
})

test('a node is let in by whoever is first, and asks nobody any more', LIMIT, async (t) => {
  const site = await siteOf(t)
  const a = await started(t, waiting(site, 'a').withStorage('inmemory'))
  await a.cluster.init({ initialMembers: [a.nodeInfo()].map(({ key }) => ({ key })) })
  const b = await started(t, waiting(site, 'b', [peerOf(a)]).withStorage('inmemory'))
  const { key } = b.nodeInfo()
  await a.cluster.addLearner({ learner: { key } }, { timeoutMs: 20_000 })
  t.ok(await until(() => b.nodeInfo().id === 2))
  t.is(await codeOf(b.cluster.init({ initialMembers: [{ key }] })), 'ALREADY_INITIALIZED')
  t.is(b.status().storage.backend, 'inmemory')
})

test('a founding that was interrupted is gone on with by the same start', LIMIT, async (t) => {
  const site = await siteOf(t)
  const node = await waiting(site, 'a').start()
  const { key } = node.nodeInfo()
  await node.cluster.init({ initialMembers: [{ key }] })
  await node.kv.put('k', 'v')
  await node.close()
  const path = join(site.root, 'a', 'node.json')
  // as it is until the first epoch is there
  const json = JSON.parse(readFileSync(path, 'utf8'))
  writeFileSync(path, JSON.stringify({ ...json, state: 'creating' }), { mode: 0o600 })
  const again = await started(t, waiting(site, 'a'))
  t.is(JSON.parse(readFileSync(path, 'utf8')).state, 'member')
  t.is(again.opened.ticket, null)
  t.is(textOf((await again.kv.read({ key: 'k' })).value), 'v')
})

test('closed while it is being founded, it is a member at the next start', LIMIT, async (t) => {
  const site = await siteOf(t)
  for (const delayMs of [0, 6, 20]) {
    const builder = waiting(site, `a${delayMs}`)
    const node = await builder.start()
    const initialMembers = [{ key: node.nodeInfo().key }]
    const founding = codeOf(node.cluster.init({ initialMembers }))
    await new Promise((resolve) => {
      setTimeout(resolve, delayMs)
    })
    await node.close()
    t.is(await node.closed, 0)
    t.ok(['no error', 'FAILED'].includes(await founding), await founding)
    const again = await builder.start()
    t.is(again.nodeInfo().id, 1, `${delayMs} ms`)
    await again.close()
  }
  const node = await waiting(site, 'b').start()
  const initialMembers = [{ key: node.nodeInfo().key }]
  await node.close()
  t.is(await codeOf(node.cluster.init({ initialMembers })), 'UNAVAILABLE')
  t.absent(existsSync(join(site.root, 'b', 'node.json')))
})
