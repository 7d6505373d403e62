// Clusters on the memory network and a virtual clock: the same run twice, cuts, and what only time
// shows (deadlines, the reconcile loop).

import test from 'brittle'
import type { Address } from '../../lib/address.ts'
import { hexOf } from '../../lib/encoding.ts'
import { HELLO_DEADLINE_MS } from '../../lib/limits.ts'
import { HelloSession } from '../../lib/transport/hello-session.ts'
import { MemoryHub } from '../../lib/transport/memory-network.ts'
import type { RequestAnswer } from '../../lib/transport/transport.ts'
import { helloOf, introduce, keyPairOf, makeNode, peersOf } from './harness.ts'
import type { Node } from './harness.ts'
import { VirtualTime } from './virtual-time.ts'

const LINK_TIMEOUT_MS = 2_500

interface World {
  readonly time: VirtualTime
  readonly hub: MemoryHub
  readonly nodes: readonly Node[]
  readonly trace: string[]
}

async function worldOf(count: number, delayMs = 5): Promise<World> {
  const time = new VirtualTime()
  const hub = new MemoryHub({ clock: time, timers: time, delayMs, linkTimeoutMs: LINK_TIMEOUT_MS })
  const trace: string[] = []
  const nodes = Array.from({ length: count }, (_, index) => {
    const id = index + 1
    const name = `node ${id}`
    const network = hub.network(keyPairOf(name), addressOf(id))
    const own = helloOf(id, { instance: new Uint8Array(16).fill(id) })
    const node = makeNode({ name, id, network, own, clock: time, timers: time })
    node.recorder.hook = (event) => trace.push(`${time.nowMs()} ${id}: ${event}`)
    return node
  })
  for (const node of nodes) await node.links.open()
  introduce(nodes)
  for (const node of nodes) node.links.setPeers(peersOf(nodes))
  return { time, hub, nodes, trace }
}

function addressOf(id: number): Address {
  return { host: '127.0.0.1', port: id }
}

function nodeOf({ nodes }: World, id: number): Node {
  const node = nodes[id - 1]
  if (node === undefined) throw new Error(`no node ${id}`)
  return node
}

function cut({ hub }: World, from: number, to: number): void {
  hub.cut(addressOf(from), addressOf(to))
}

void test('five nodes mesh, and the same run gives the same trace', async (t) => {
  const run = async (): Promise<string[]> => {
    const world = await worldOf(5)
    await world.time.pass(1_000)
    cut(world, 1, 2)
    nodeOf(world, 3).links.send(4, { kind: 'timeoutNow', term: 9 })
    await world.time.pass(20_000)
    for (const node of world.nodes) await node.links.close()
    await world.time.pass(100)
    return world.trace
  }
  const first = await run()
  t.is(first.filter((line) => line.includes('up')).length, 20)
  t.alike(await run(), first)
})

void test('a cut in one direction ends the link at both ends, and healing brings it back', async (t) => {
  const world = await worldOf(2)
  await world.time.pass(500)
  world.trace.length = 0
  cut(world, 1, 2)
  await world.time.pass(LINK_TIMEOUT_MS - 100)
  t.alike(world.trace, [], 'silence may still be a pause')
  await world.time.pass(200)
  t.alike(
    world.trace.map((line) => line.split(' ').slice(1).join(' ')),
    ['2: down 1', '1: down 2']
  )
  await world.time.pass(60_000)
  t.is(nodeOf(world, 1).links.links().length, 0)
  world.hub.heal(addressOf(1), addressOf(2))
  await world.time.pass(5_000)
  t.is(nodeOf(world, 1).links.links().length, 1)
  t.is(nodeOf(world, 2).links.links().length, 1)
  await closeAll(world)
})

void test('a short cut loses nothing', async (t) => {
  const world = await worldOf(2)
  await world.time.pass(500)
  cut(world, 1, 2)
  nodeOf(world, 1).links.send(2, { kind: 'timeoutNow', term: 3 })
  await world.time.pass(1_000)
  t.is(nodeOf(world, 2).recorder.messages.length, 0)
  world.hub.heal(addressOf(1), addressOf(2))
  await world.time.pass(100)
  t.is(nodeOf(world, 2).recorder.messages.length, 1)
  await world.time.pass(60_000)
  t.absent(world.trace.some((line) => line.includes('down')))
  await closeAll(world)
})

void test('a member that says nothing is dropped after the hello deadline', async (t) => {
  const world = await worldOf(1)
  const ended: string[] = []
  const network = world.hub.network(keyPairOf('mute'), addressOf(9))
  await network.open()
  nodeOf(world, 1).trust.fallback = { kind: 'unproven' }
  network.dial({ publicKey: nodeOf(world, 1).keyPair.publicKey, addresses: [] }, (result) => {
    if (result.kind !== 'connected') return
    result.connection.start({
      onFrame: () => {},
      onDrain: () => {},
      onClose: () => ended.push(`closed at ${world.time.nowMs()}`)
    })
  })
  await world.time.pass(HELLO_DEADLINE_MS - 100)
  t.alike(ended, [])
  await world.time.pass(200)
  t.is(ended.length, 1)
  await closeAll(world)
})

void test('a request over a cut is lost with its link', async (t) => {
  const world = await worldOf(2)
  await world.time.pass(500)
  cut(world, 1, 2)
  const answers: RequestAnswer[] = []
  nodeOf(world, 1).links.request(2, new Uint8Array(3), (answer) => answers.push(answer))
  await world.time.pass(LINK_TIMEOUT_MS - 100)
  t.alike(answers, [])
  await world.time.pass(500)
  t.alike(answers, [{ kind: 'lost' }])
  await closeAll(world)
})

void test('a member that is no peer any more loses its link and stays away', async (t) => {
  const world = await worldOf(3)
  await world.time.pass(500)
  for (const id of [1, 2]) {
    const node = nodeOf(world, id)
    const error = { code: 'MEMBER_REMOVED', message: 'node 3 was removed' } as const
    node.trust.setStanding(nodeOf(world, 3).keyPair.publicKey, { kind: 'refused', error })
    node.links.setPeers(peersOf(world.nodes.slice(0, 2)))
  }
  await world.time.pass(60_000)
  t.alike(
    nodeOf(world, 1)
      .links.links()
      .map(({ id }) => id),
    [2]
  )
  t.alike(nodeOf(world, 3).links.links(), [])
  const { refusals } = nodeOf(world, 3).recorder
  t.ok(refusals.length > 0 && refusals.length < 15, `told ${refusals.length} times in a minute`)
  await closeAll(world)
})

void test('a key that is not known here cannot take the id of a known peer', async (t) => {
  const world = await worldOf(2)
  const [first, second] = [nodeOf(world, 1), nodeOf(world, 2)]
  await world.time.pass(500)
  await second.links.close()
  await world.time.pass(100)
  first.trust.fallback = { kind: 'unproven' }
  const own = helloOf(2)
  const network = world.hub.network(keyPairOf('impostor'), addressOf(7))
  const impostor = makeNode({
    name: 'impostor',
    id: 2,
    network,
    own,
    clock: world.time,
    timers: world.time
  })
  introduce([impostor, first])
  first.trust.standings.delete(hexOf(impostor.keyPair.publicKey))
  await impostor.links.open()
  impostor.links.setPeers(peersOf([first]))
  await world.time.pass(2_000)
  t.alike(first.links.links(), [])
  await impostor.links.close()
  await closeAll(world)
})

void test('a key has one id: a second one is refused, and one that proves untrue ends its link', async (t) => {
  const world = await worldOf(1)
  const first = nodeOf(world, 1)
  first.trust.fallback = { kind: 'unproven' }
  const network = world.hub.network(keyPairOf('new'), addressOf(7))
  const parts = { name: 'new', network, clock: world.time, timers: world.time }
  const instance = new Uint8Array(16).fill(9)
  const comer = makeNode({ ...parts, id: 5, own: helloOf(5, { instance }) })
  introduce([comer, first])
  first.trust.standings.delete(hexOf(comer.keyPair.publicKey))
  await comer.links.open()
  comer.links.setPeers(peersOf([first]))
  await world.time.pass(2_000)
  const ids = (): number[] => first.links.links().map(({ id }) => id)
  t.alike(ids(), [5])
  comer.trust.own = helloOf(6, { instance })
  network.dial(
    peersOf([first])[0] ?? { publicKey: first.keyPair.publicKey, addresses: [] },
    (result) => {
      if (result.kind !== 'connected') throw new Error(result.reason)
      const trust = comer.trust
      const end = { onWelcome() {}, onAccept() {}, onRefused() {}, onEnd() {} }
      void new HelloSession(result.connection, { trust, timers: world.time }, end)
    }
  )
  await world.time.pass(1_000)
  t.alike(first.recorder.events, ['up 5'])
  // the log arrives, and says otherwise
  first.links.setPeers([{ id: 8, publicKey: comer.keyPair.publicKey, addresses: [] }])
  t.alike(ids(), [])
  await comer.links.close()
  await closeAll(world)
})

void test('another process with the same key replaces a link at once', async (t) => {
  const world = await worldOf(2)
  await world.time.pass(500)
  const second = nodeOf(world, 2)
  // gone without a word, as with SIGKILL: over a cut nobody hears the end
  cut(world, 2, 1)
  cut(world, 1, 2)
  await second.links.close()
  world.hub.heal(addressOf(2), addressOf(1))
  world.hub.heal(addressOf(1), addressOf(2))
  const again = makeNode({
    name: 'node 2',
    id: 2,
    network: world.hub.network(keyPairOf('node 2'), addressOf(2)),
    own: helloOf(2, { boot: 2 }),
    clock: world.time,
    timers: world.time
  })
  introduce([nodeOf(world, 1), again])
  await again.links.open()
  again.links.setPeers(peersOf([nodeOf(world, 1)]))
  await world.time.pass(200)
  t.is(nodeOf(world, 1).links.links()[0]?.boot, 2)
  await closeAll(world)
  await again.links.close()
})

async function closeAll(world: World): Promise<void> {
  for (const node of world.nodes) await node.links.close()
}
