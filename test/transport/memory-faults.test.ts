// What the memory network does to those who are slow, cut off, paused or dead, and to those who speak
// with them. Connections without a protocol, on a virtual clock.

import test from 'brittle'
import type { Address } from '../../lib/address.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { SeededRandom, randomBelow } from '../../lib/random.ts'
import { NodeTime } from '../../lib/testing/node-time.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import { MemoryHub } from '../../lib/transport/memory-network.ts'
import type { MemoryHubOptions, MemoryNetwork } from '../../lib/transport/memory-network.ts'
import type { Connection, DialResult } from '../../lib/transport/network.ts'
import { keyPairOf } from './harness.ts'

const LINK_TIMEOUT_MS = 2_500
const TOPIC = new Uint8Array(32).fill(4)

interface Host {
  readonly name: string
  readonly address: Address
  readonly time: NodeTime
  readonly network: MemoryNetwork
  /** what it was told, each with the virtual time */
  readonly seen: string[]
  /** the connections that it has, the last one first */
  readonly connections: Connection[]
}

function worldOf(delayMs: MemoryHubOptions['delayMs'] = 5) {
  const time = new VirtualTime()
  const hub = new MemoryHub({ clock: time, timers: time, delayMs, linkTimeoutMs: LINK_TIMEOUT_MS })
  const host = async (name: string, port: number): Promise<Host> => {
    const own = new NodeTime(time)
    const address = { host: '10.0.0.1', port }
    const network = hub.network(keyPairOf(name), address, own)
    const made: Host = { name, address, time: own, network, seen: [], connections: [] }
    await network.listen({
      onKnock: () => made.seen.push(`${time.nowMs()} knock`) > 0,
      onConnection: (connection) => take(time, made, connection),
      onFound: () => true,
      onNetworkChange: () => {}
    })
    return made
  }
  return { time, hub, host }
}

function take(time: VirtualTime, host: Host, connection: Connection): void {
  host.connections.unshift(connection)
  host.seen.push(`${time.nowMs()} open`)
  connection.start({
    onFrame: (bytes) => host.seen.push(`${time.nowMs()} ${new TextDecoder().decode(bytes)}`),
    onDrain: () => {},
    onClose: (reason) => host.seen.push(`${time.nowMs()} ${reason}`)
  })
}

function dial(time: VirtualTime, from: Host, to: Host) {
  return from.network.dial({ publicKey: to.network.publicKey, addresses: [] }, (result) => {
    if (result.kind === 'connected') take(time, from, result.connection)
    else from.seen.push(`${time.nowMs()} ${result.reason}`)
  })
}

async function connected(delayMs?: MemoryHubOptions['delayMs']) {
  const world = worldOf(delayMs)
  const [a, b] = [await world.host('a', 1), await world.host('b', 2)]
  dial(world.time, a, b)
  await world.time.run(1_000)
  a.seen.length = 0
  b.seen.length = 0
  return { ...world, a, b }
}

/** Written at the end of the newest connection that `host` has. */
function say(host: Host, ...words: string[]): void {
  for (const word of words) host.connections[0]?.write(bytesOf(word))
}

test('delays are drawn for each frame and each direction, and a stream stays in order', async (t) => {
  const random = new SeededRandom(5)
  const drawn: string[] = []
  const { time, a, b } = await connected((from, to) => {
    drawn.push(`${from.port}>${to.port}`)
    return from.port === 1 ? randomBelow(random, 400) : 7
  })
  t.ok(drawn.includes('1>2') && drawn.includes('2>1'))
  drawn.length = 0
  const words = Array.from({ length: 50 }, (_, index) => `w${index}`)
  for (const word of words) {
    say(a, word)
    say(b, 'back')
    await time.run(randomBelow(random, 20))
  }
  t.is(drawn.length, 100)
  await time.run(400)
  t.alike(
    b.seen.map((line) => line.split(' ')[1]),
    words
  )
  const moments = new Set(b.seen.map((line) => line.split(' ')[0]))
  t.ok(moments.size > 5 && moments.size < 50, 'what follows something slow waits behind it')
  t.is(a.seen.length, 50)
})

test('a stream stays in order on any clock, whatever is paused and cut meanwhile', async (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
  t.comment(`SEED=${seed}`)
  const random = new SeededRandom(seed)
  const time = new VirtualTime()
  let longestMs = 1
  const delayMs = (): number => (randomBelow(random, 1_000) / 1_000) * longestMs
  const hub = new MemoryHub({ clock: time, timers: time, delayMs, linkTimeoutMs: 1e9 })
  const addresses = [1, 2].map((port) => ({ host: '10.0.0.1', port }))
  const [from, to] = addresses
  if (from === undefined || to === undefined) throw new Error('two addresses')
  const slow = new NodeTime(time, { rate: 0.7 })
  const receiver = hub.network(keyPairOf('b'), to, slow)
  const received: number[] = []
  await receiver.listen({
    onKnock: () => true,
    onFound: () => false,
    onNetworkChange: () => {},
    onConnection: (connection) =>
      connection.start({
        onFrame: (bytes) => received.push(new DataView(bytes.buffer).getUint32(0)),
        onDrain: () => {},
        onClose: (reason) => t.fail(reason)
      })
  })
  const sender = hub.network(keyPairOf('a'), from, new NodeTime(time, { rate: 1.9 }))
  await sender.open()
  const opened: Connection[] = []
  sender.dial({ publicKey: receiver.publicKey, addresses: [] }, (result) => {
    if (result.kind === 'connected') opened.push(result.connection)
  })
  await time.run(1_000)
  longestMs = 400
  const faults = [
    () => slow.pause(),
    () => slow.resume(),
    () => hub.cut(from, to),
    () => hub.heal(from, to),
    () => slow.skip(randomBelow(random, 300))
  ]
  for (let count = 0; count < 500; count++) {
    const frame = new Uint8Array(4)
    new DataView(frame.buffer).setUint32(0, count)
    opened[0]?.write(frame)
    if (randomBelow(random, 4) === 0) faults[randomBelow(random, faults.length)]?.()
    await time.run(randomBelow(random, 40))
  }
  slow.resume()
  hub.heal(from, to)
  await time.run(10_000)
  t.alike(
    received,
    Array.from({ length: 500 }, (_, index) => index)
  )
})

test('a round trip is known when something went both ways', async (t) => {
  const { time, a, b } = await connected((from) => (from.port === 1 ? 30 : 12))
  t.is(b.connections[0]?.rttMs(), null)
  say(b, 'x')
  await time.run(100)
  t.is(a.connections[0]?.rttMs(), 42)
  t.is(b.connections[0]?.rttMs(), 42)
})

test('a paused node gets everything when it goes on, in order, and answers nobody before', async (t) => {
  const { time, host, a, b } = await connected()
  const c = await host('c', 3)
  b.time.pause()
  say(a, 'one', 'two')
  dial(time, c, b)
  await time.run(500)
  a.connections[0]?.close('enough')
  await time.run(1_500)
  t.alike(b.seen, [])
  t.alike(c.seen, ['2000 nobody answered'])
  b.time.resume()
  await time.run(100)
  t.alike(b.seen, ['3000 one', '3000 two', '3000 knock', '3000 closed by the other side'])
  t.alike(c.seen, ['2000 nobody answered'], 'too late')
})

test('a pause of less than the link timeout ends nothing, a longer one is silence', async (t) => {
  const { time, a, b } = await connected()
  b.time.pause()
  await time.run(LINK_TIMEOUT_MS - 1)
  b.time.resume()
  say(a, 'here')
  await time.run(LINK_TIMEOUT_MS)
  t.alike(a.seen, [])
  t.is(b.seen.length, 1)
  b.seen.length = 0
  b.time.pause()
  await time.run(LINK_TIMEOUT_MS + 1_000)
  t.is(a.seen.length, 1)
  t.ok(a.seen[0]?.endsWith('nothing heard for the link timeout'))
  b.time.resume()
  await time.run(10)
  t.is(b.seen.length, 1)
  t.ok(b.seen[0]?.endsWith('closed by the other side'))
})

test('a killed process says no goodbye; the other side hears silence, and then it is over', async (t) => {
  const { time, a, b } = await connected()
  say(a, 'lost')
  say(b, 'last words')
  b.connections[0]?.finish('going')
  b.network.kill()
  await time.run(LINK_TIMEOUT_MS - 1)
  t.alike(a.seen, ['1005 last words'], 'what was sent has left')
  await time.run(100)
  t.alike(a.seen, ['1005 last words', '3500 nothing heard for the link timeout'])
  b.connections[0]?.write(bytesOf('from the grave'))
  b.connections[0]?.close('from the grave')
  await b.network.close()
  await time.run(10_000)
  t.is(a.seen.length, 2)
  t.alike(b.seen, [], 'and it is told nothing itself')
})

test('another process may open at once where one was killed, and the dead one stays dead', async (t) => {
  const { time, hub, host, a, b } = await connected()
  const done: DialResult[] = []
  b.network.setTopics([TOPIC])
  b.network.dial({ publicKey: a.network.publicKey, addresses: [] }, (result) => done.push(result))
  b.network.lookup(TOPIC, () => t.fail('found'))
  a.network.setTopics([TOPIC])
  b.network.kill()
  const again = await host('b', 2)
  await b.network.close()
  b.network.kill()
  b.network.dial({ publicKey: a.network.publicKey, addresses: [] }, (result) => done.push(result))
  dial(time, a, again)
  await time.run(100)
  t.alike(again.seen, ['1005 knock', '1015 open'])
  t.alike(a.seen, ['1005 knock', '1010 open'], 'a knock that had left arrives')
  say(a, 'to the living')
  await time.run(LINK_TIMEOUT_MS)
  t.is(again.seen[2], '1105 to the living')
  t.alike(a.seen.slice(2), ['3500 nothing heard for the link timeout'], 'only the old connection')
  t.alike(done, [])
  t.is(hub.nodes().length, 2)
})

test('without a clock of its own a killed process hears nothing either', async (t) => {
  const { time, hub, a } = await connected()
  const network = hub.network(keyPairOf('c'), { host: '10.0.0.1', port: 3 })
  const told: string[] = []
  const mine: Connection[] = []
  await network.open()
  network.dial({ publicKey: a.network.publicKey, addresses: [] }, (result) => {
    if (result.kind !== 'connected') return
    mine.push(result.connection)
    result.connection.start({
      onFrame: () => told.push('frame'),
      onDrain: () => {},
      onClose: () => told.push('close')
    })
  })
  await time.run(100)
  say(a, 'x')
  await time.run(10)
  t.alike(told, ['frame'])
  say(a, 'y')
  a.connections[0]?.close('z')
  network.dial({ publicKey: a.network.publicKey, addresses: [] }, () => told.push('dial'))
  mine[0]?.close('and is dead before it hears of it')
  network.kill()
  await time.run(10_000)
  t.alike(told, ['frame'])
})

test('a reset ends every connection between two addresses and loses what is on its way', async (t) => {
  const { time, hub, host, a, b } = await connected()
  const c = await host('c', 3)
  dial(time, b, a)
  dial(time, c, a)
  await time.run(100)
  for (const each of [a, b, c]) each.seen.length = 0
  say(b, 'lost')
  say(c, 'kept')
  a.connections[2]?.write(bytesOf('lost'))
  hub.reset(b.address, a.address)
  t.alike([...a.seen, ...b.seen], [], 'not during the call')
  await time.run(5_000)
  t.alike(a.seen, ['1100 connection reset', '1100 connection reset', '1105 kept'])
  t.alike(b.seen, ['1100 connection reset', '1100 connection reset'])
  t.alike(c.seen, [])
})

test('a one-way cut: one side hears nothing and closes, the other is told', async (t) => {
  const { time, hub, a, b } = await connected()
  hub.cut(a.address, b.address)
  say(a, 'lost')
  say(b, 'heard')
  dial(time, b, a)
  await time.run(LINK_TIMEOUT_MS + 100)
  t.alike(b.seen, ['2000 nobody answered', '3500 nothing heard for the link timeout'])
  t.alike(a.seen, ['1005 heard', '1005 knock', '3505 closed by the other side'])
})

test('a goodbye into a cut is lost: silence ends the connection, also when the cut heals', async (t) => {
  const { time, hub, a, b } = await connected()
  hub.cut(a.address, b.address)
  say(a, 'lost')
  a.connections[0]?.close('bye')
  await time.run(1_000)
  hub.heal(a.address, b.address)
  await time.run(LINK_TIMEOUT_MS)
  t.alike(b.seen, ['3500 nothing heard for the link timeout'])
  t.alike(a.seen, ['1000 bye'])
})

test('a goodbye that is on its way when the cut heals arrives; what the cut swallowed does not', async (t) => {
  const { time, hub, a, b } = await connected()
  hub.cut(a.address, b.address)
  say(a, 'lost')
  await time.run(1_000)
  a.connections[0]?.close('bye')
  hub.heal(a.address, b.address)
  await time.run(1_000)
  t.alike(b.seen, ['2005 closed by the other side'])
})

test('an end that finishes waits for the slowest thing that it wrote', async (t) => {
  let delayMs = 5
  const { time, a, b } = await connected(() => delayMs)
  delayMs = 700
  say(a, 'slow')
  delayMs = 5
  a.connections[0]?.finish('done')
  a.connections[0]?.write(bytesOf('too late'))
  await time.run(2_000)
  t.alike(b.seen, ['1700 slow', '1711 closed by the other side'])
  t.alike(a.seen, ['1706 done'])
})

test('who is looked for is told to the one who looks when that one runs', async (t) => {
  const { time, a, b } = await connected(20)
  b.network.setTopics([TOPIC])
  a.network.lookup(TOPIC, ({ addresses }) => a.seen.push(`${time.nowMs()} ${addresses[0]?.port}`))
  a.network.lookup(TOPIC, () => t.fail('cancelled')).cancel()
  a.time.pause()
  await time.run(100)
  t.alike(a.seen, [])
  a.time.resume()
  await time.run(0)
  t.alike(a.seen, ['1100 2'])
})
