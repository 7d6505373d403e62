// What only the real network can show: ports, the DHT, processes that die, and the facts of the pinned
// versions that the design leans on (stack-facts §0).

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import test from 'brittle'
import type { Assert } from 'brittle'
import type { Address } from '../../lib/address.ts'
import { systemClock, systemTimers } from '../../lib/clock.ts'
import { hexOf } from '../../lib/encoding.ts'
import { TransportError } from '../../lib/errors.ts'
import { TIMING } from '../../lib/raft/timing.ts'
import { BootstrapNode } from '../../lib/transport/dht.ts'
import { HyperswarmNetwork } from '../../lib/transport/hyperswarm-network.ts'
import type { HyperswarmNetworkOptions } from '../../lib/transport/hyperswarm-network.ts'
import { requestAdmission } from '../../lib/transport/join.ts'
import {
  CLUSTER_ID,
  introduce,
  keyPairOf,
  makeNode,
  pause,
  peersOf,
  secretOf,
  until,
  welcomeOf
} from './harness.ts'
import type { Node } from './harness.ts'

const LOOPBACK = '127.0.0.1'
/** How long a member stands still after its link has ended. */
const OUTAGE_MS = process.env['ASPEN_FULL'] === '1' ? 60_000 : 3_000

function networkOf(
  name: string,
  options: Partial<HyperswarmNetworkOptions> = {}
): HyperswarmNetwork {
  return new HyperswarmNetwork({
    keyPair: keyPairOf(name),
    bootstrap: [],
    port: null,
    preferredPort: null,
    timing: TIMING.default,
    ...options
  })
}

/** Keeps the process alive for the test's time: the program's own timers do not. */
function check(name: string, run: (t: Assert) => Promise<void>): void {
  void test(name, { timeout: 120_000 }, async (t) => {
    const alive = setInterval(() => {}, 1_000)
    t.teardown(() => clearInterval(alive), { force: true, order: Infinity })
    await run(t)
  })
}

async function dhtOf(t: Assert): Promise<readonly Address[]> {
  const dht = await BootstrapNode.open({ host: LOOPBACK, port: 0 })
  t.teardown(() => dht.close(), { order: 10 })
  return [dht.address]
}

async function memberOf(
  t: Assert,
  member: { name: string; id: number; options?: Partial<HyperswarmNetworkOptions> }
): Promise<Node> {
  const node = makeNode({ ...member, network: networkOf(member.name, member.options) })
  t.teardown(() => node.links.close())
  await node.links.open()
  return node
}

function areLinked(nodes: readonly Node[]): boolean {
  return nodes.every((node) => node.links.links().length === nodes.length - 1)
}

check('a port that the user named is taken or refused', async (t) => {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => {
    socket.bind(0, '0.0.0.0', resolve)
  })
  const { port } = socket.address()
  const network = networkOf('a', { port })
  const error = await network.open().catch((caught: unknown) => caught)
  t.ok(error instanceof TransportError && error.code === 'PORT_IN_USE', 'refused')
  await network.close()
  const other = networkOf('a', { preferredPort: port })
  await other.open()
  t.ok(other.port !== null && other.port !== port, 'the last port is only preferred')
  await other.close()
  await new Promise<void>((resolve) => {
    socket.close(resolve)
  })
  const named = networkOf('a', { port })
  await named.open()
  t.is(named.port, port)
  await named.close()
})

check('with a loopback bootstrap everything is on loopback', async (t) => {
  const network = networkOf('a', { bootstrap: await dhtOf(t) })
  t.teardown(() => network.close())
  await network.open()
  t.alike(network.addresses(), [{ host: LOOPBACK, port: network.port ?? 0 }])
})

check('members that start at one moment and know no address meet through the DHT', async (t) => {
  const bootstrap = await dhtOf(t)
  const ids = [1, 2, 3]
  const nodes = await Promise.all(
    ids.map((id) => memberOf(t, { name: `node ${id}`, id, options: { bootstrap } }))
  )
  introduce(nodes)
  for (const node of nodes) {
    node.links.setTopics([secretOf(77)])
    node.links.setPeers(withoutAddresses(nodes))
  }
  const tookMs = await until('the mesh', () => areLinked(nodes), 20_000)
  t.comment(`mesh of three after ${tookMs.toFixed(0)} ms`)
  await until('online and announced', () => {
    return nodes.every(({ links }) => links.discovery().isOnline && links.discovery().isAnnounced)
  })
  t.pass('announced')
})

check('members find each other again after all ports changed', async (t) => {
  const bootstrap = await dhtOf(t)
  const old = [
    { host: LOOPBACK, port: 9 },
    { host: LOOPBACK, port: 10 }
  ]
  const a = await memberOf(t, { name: 'a', id: 1, options: { bootstrap } })
  const b = await memberOf(t, { name: 'b', id: 2, options: { bootstrap } })
  introduce([a, b])
  // each one knows only where the other was
  a.links.setPeers(withoutAddresses([b]).map((peer) => ({ ...peer, addresses: old })))
  b.links.setPeers(withoutAddresses([a]).map((peer) => ({ ...peer, addresses: old })))
  const tookMs = await until('the link', () => areLinked([a, b]), 20_000)
  t.comment(`linked after ${tookMs.toFixed(0)} ms`)
  t.pass('linked')
})

check('a network without topics is found by key only', async (t) => {
  const bootstrap = await dhtOf(t)
  const options = { bootstrap, usesTopics: false }
  const a = await memberOf(t, { name: 'a', id: 1, options })
  const b = await memberOf(t, { name: 'b', id: 2, options: { bootstrap } })
  for (const { links } of [a, b]) links.setTopics([secretOf(77)])
  await until('the announcement', () => b.links.discovery().isAnnounced)
  const found = new Set<string>()
  const query = b.network.lookup(secretOf(77), ({ publicKey }) => found.add(hexOf(publicKey)))
  await until('an answer', () => found.size > 0)
  await pause(200)
  query.cancel()
  t.alike([...found], [hexOf(keyPairOf('b').publicKey)])
  introduce([a, b])
  b.links.setPeers(withoutAddresses([a]))
  await until('the link', () => b.links.links().length === 1, 20_000)
})

check('members meet by address when the bootstrap is dead', async (t) => {
  const bootstrap = [{ host: LOOPBACK, port: 9 }]
  const a = await memberOf(t, { name: 'a', id: 1, options: { bootstrap } })
  const b = await memberOf(t, { name: 'b', id: 2, options: { bootstrap } })
  introduce([a, b])
  a.links.setPeers(withDead(peersOf([b])))
  b.links.setPeers(withDead(peersOf([a])))
  const tookMs = await until('the link', () => areLinked([a, b]))
  t.ok(tookMs < 2_000, `linked after ${tookMs.toFixed(0)} ms beside dead addresses`)
  t.is(a.links.discovery().isOnline, false)
  const startMs = systemClock.nowMs()
  await Promise.all([a.links.close(), b.links.close()])
  t.ok(systemClock.nowMs() - startMs < 3_000, 'closing does not wait for a dead DHT')
})

check('a joiner with a dead member in its ticket finds another by the topic', async (t) => {
  const bootstrap = await dhtOf(t)
  const a = await memberOf(t, { name: 'a', id: 1, options: { bootstrap } })
  const invite = keyPairOf('invite')
  a.trust.setStanding(invite.publicKey, { kind: 'invite', proofKey: secretOf(1) })
  a.recorder.join = ({ publicKey }) => ({ kind: 'admitted', welcome: welcomeOf(9, publicKey) })
  a.links.setTopics([secretOf(2)])
  await until('the announcement', () => a.links.discovery().isAnnounced)
  const network = networkOf('joiner', { bootstrap })
  t.teardown(() => network.close())
  await network.open()
  const startMs = systemClock.nowMs()
  const welcome = await requestAdmission({
    network,
    ticket: {
      clusterId: CLUSTER_ID,
      keyPair: invite,
      proofKey: secretOf(1),
      topic: secretOf(2),
      memberKeys: [keyPairOf('dead').publicKey],
      addresses: [{ host: LOOPBACK, port: 9 }]
    },
    keyPair: keyPairOf('joiner'),
    name: 'joiner',
    version: '0.1.0',
    deadlineMs: systemClock.nowMs() + 15_000,
    clock: systemClock,
    timers: systemTimers,
    onPhase: () => {}
  })
  t.is(welcome.id, 9)
  t.comment(`admitted after ${(systemClock.nowMs() - startMs).toFixed(0)} ms`)
})

check('a killed member is noticed within the link timeout, and its return as well', async (t) => {
  const a = await memberOf(t, { name: 'a', id: 1 })
  a.trust.setStanding(keyPairOf('b').publicKey, { kind: 'member', id: 2 })
  const other = memberProcess(t, a)
  await other.said('up 1')
  await until('the link', () => a.links.links().length === 1)
  other.child.kill('SIGKILL')
  const tookMs = await until('the end of the link', () => a.links.links().length === 0)
  t.ok(tookMs < TIMING.default.linkTimeoutMs + 500, `noticed after ${tookMs.toFixed(0)} ms`)
  const again = memberProcess(t, a)
  await again.said('up 1')
  await until('the new link', () => a.links.links().length === 1)
  t.alike(a.recorder.events, ['up 2', 'down 2', 'up 2'])
})

check('a member that comes back at once replaces its own dead link', async (t) => {
  const a = await memberOf(t, { name: 'a', id: 1 })
  a.trust.setStanding(keyPairOf('b').publicKey, { kind: 'member', id: 2 })
  const other = memberProcess(t, a)
  await other.said('up 1')
  other.child.kill('SIGKILL')
  const startMs = systemClock.nowMs()
  const again = memberProcess(t, a)
  await again.said('up 1')
  t.comment(`linked again ${(systemClock.nowMs() - startMs).toFixed(0)} ms after the kill`)
  await until('the events', () => a.recorder.events.length === 3)
  t.alike(a.recorder.events, ['up 2', 'down 2', 'up 2'])
})

check('SIGTERM closes quickly and leaves no handle', async (t) => {
  const a = await memberOf(t, { name: 'a', id: 1 })
  a.trust.setStanding(keyPairOf('b').publicKey, { kind: 'member', id: 2 })
  const other = memberProcess(t, a)
  await other.said('up 1')
  await until('the link', () => a.links.links().length === 1)
  const exited = new Promise<void>((resolve) => {
    other.child.once('exit', () => resolve())
  })
  const startMs = systemClock.nowMs()
  other.child.kill('SIGTERM')
  const seenMs = await until('the end of the link', () => a.links.links().length === 0)
  await exited
  t.ok(seenMs < 500, `the others see it after ${seenMs.toFixed(0)} ms`)
  t.ok(systemClock.nowMs() - startMs < 2_500, 'the process ends by itself')
})

check(`an outage of ${OUTAGE_MS / 1_000} s heals within seconds`, async (t) => {
  const a = await memberOf(t, { name: 'a', id: 1 })
  a.trust.setStanding(keyPairOf('b').publicKey, { kind: 'member', id: 2 })
  const other = memberProcess(t, a)
  await other.said('up 1')
  other.child.kill('SIGSTOP')
  await until('the end of the link', () => a.links.links().length === 0)
  await pause(OUTAGE_MS)
  other.child.kill('SIGCONT')
  const tookMs = await until('the link', () => a.links.links().length === 1)
  t.ok(tookMs < 5_000, `healed after ${tookMs.toFixed(0)} ms`)
})

interface MemberProcess {
  readonly child: ChildProcess
  said(line: string): Promise<void>
}

/** Node 2 in a process of its own, which dials `peer` by address. */
function memberProcess(t: Assert, peer: Node): MemberProcess {
  const script = fileURLToPath(new URL('member-process.js', import.meta.url))
  const peers = peersOf([peer]).map(({ id, addresses }) => ({ name: peer.name, id, addresses }))
  const options = { name: 'b', id: 2, bootstrap: [], port: null, peers }
  const child = spawn(process.execPath, [script, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => void child.kill('SIGKILL'), { force: true })
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  return {
    child,
    said: async (line) => {
      await until(`the process says ${line}`, () => lines.includes(line), 20_000)
    }
  }
}

function withoutAddresses(nodes: readonly Node[]): ReturnType<typeof peersOf> {
  return peersOf(nodes).map((peer) => ({ ...peer, addresses: [] }))
}

/** The peers with addresses at which nobody is, in front of their own. */
function withDead(peers: ReturnType<typeof peersOf>): ReturnType<typeof peersOf> {
  const dead = [1, 2, 3].map((port) => ({ host: LOOPBACK, port }))
  return peers.map((peer) => ({ ...peer, addresses: [...dead, ...peer.addresses] }))
}

check('a network binds on the address that it is told, and tells no other', async (t) => {
  if (process.platform !== 'linux') return t.comment('skip: only Linux has all of 127.0.0.0/8')
  const network = networkOf('a', { bootstrap: [], host: '127.0.0.2' })
  t.teardown(() => network.close())
  await network.open()
  t.alike(network.addresses(), [{ host: '127.0.0.2', port: network.port }])
  const elsewhere = networkOf('b', { bootstrap: [], host: '203.0.113.7' })
  t.teardown(() => elsewhere.close())
  await t.exception(elsewhere.open(), /host is 203\.0\.113\.7, which is no address of this machine/)
})
