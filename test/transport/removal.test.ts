// A member that is removed, as its links see it: what is open closes, what is under way comes to nothing, and
// whoever asks again is told.

import test from 'brittle'
import { MemoryHub } from '../../lib/transport/memory-network.ts'
import { introduce, keyPairOf, makeNode, peersOf } from './harness.ts'
import type { Node } from './harness.ts'
import { VirtualTime } from './virtual-time.ts'

const REMOVED = {
  kind: 'refused',
  error: { code: 'MEMBER_REMOVED', message: 'node 2 was removed from the cluster' }
} as const

interface Scene {
  readonly time: VirtualTime
  readonly a: Node
  readonly b: Node
}

async function sceneOf(): Promise<Scene> {
  const time = new VirtualTime()
  const hub = new MemoryHub({ clock: time, timers: time, delayMs: 1, linkTimeoutMs: 2_500 })
  const [a, b] = (['a', 'b'] as const).map((name, at) => {
    const network = hub.network(keyPairOf(name), { host: '127.0.0.1', port: at + 1 })
    return makeNode({ name, id: at + 1, network, clock: time, timers: time })
  })
  if (a === undefined || b === undefined) throw new Error('two nodes')
  introduce([a, b])
  for (const node of [a, b]) await node.links.open()
  return { time, a, b }
}

/** What the state of `node` says from then on. */
function remove(from: Node, node: Node): void {
  from.trust.setStanding(node.keyPair.publicKey, REMOVED)
  from.links.setPeers([])
}

void test('its link closes at once, it is told when it asks again, and nobody dials it', async (t) => {
  const { time, a, b } = await sceneOf()
  a.links.setPeers(peersOf([b]))
  b.links.setPeers(peersOf([a]))
  await time.pass(3_500)
  t.is(a.links.links().length, 1)
  const asked: string[] = []
  a.links.request(2, new Uint8Array(3), (answer) => asked.push(answer.kind))
  remove(a, b)
  t.alike(a.links.links(), [])
  await time.pass(5)
  t.alike(asked, ['lost'])
  t.is(b.links.links().length, 0)
  await time.pass(4_000)
  t.alike(b.recorder.refusals, [REMOVED.error])
  t.ok(!b.recorder.events.slice(2).some((event) => event.startsWith('up')))
  await time.pass(60_000)
  t.alike(a.links.links(), [])
  t.ok(b.recorder.refusals.every((error) => error.code === 'MEMBER_REMOVED'))
  await Promise.all([a.links.close(), b.links.close()])
})

void test('a hello that was under way when the removal came does not become a link', async (t) => {
  const { time, a, b } = await sceneOf()
  const secretOf = a.trust.epochSecret.bind(a.trust)
  let isRemoved = false
  // both hellos are known then, and were found good
  a.trust.epochSecret = (epoch) => {
    isRemoved = true
    a.trust.setStanding(b.keyPair.publicKey, REMOVED)
    return secretOf(epoch)
  }
  b.links.setPeers(peersOf([a]))
  await time.pass(5_000)
  t.ok(isRemoved)
  t.alike(a.recorder.events, [])
  t.alike(a.trust.verified, [])
  t.ok(b.recorder.refusals.length > 0, 'its next hello is told')
  await Promise.all([a.links.close(), b.links.close()])
})

void test('a removed key that knocks often is told seldom', async (t) => {
  const { time, a, b } = await sceneOf()
  a.trust.setStanding(b.keyPair.publicKey, REMOVED)
  let connected = 0
  for (let count = 0; count < 100; count++) {
    b.network.dial({ publicKey: a.keyPair.publicKey, addresses: [] }, (result) => {
      if (result.kind !== 'connected') return
      connected++
      result.connection.start({ onFrame() {}, onDrain() {}, onClose() {} })
    })
    await time.pass(100)
  }
  t.ok(connected >= 4 && connected <= 6, `${connected} of 100 in 10 s`)
  await Promise.all([a.links.close(), b.links.close()])
})
