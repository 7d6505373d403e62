// Requests and messages between two verified links, on the memory network and a virtual clock.

import test from 'brittle'
import { bytesOf } from '../../lib/encoding.ts'
import { MAX_INFLIGHT_REQUESTS, MAX_INFLIGHT_SNAPSHOT_REQUESTS } from '../../lib/limits.ts'
import { MAX_LINK_BACKLOG_BYTES } from '../../lib/limits.ts'
import { MAX_REQUEST_TIMEOUT_MS, MAX_SEND_BACKLOG_BYTES } from '../../lib/limits.ts'
import { MAX_UNSENT_ACKS } from '../../lib/limits.ts'
import { chained, genesis } from '../../lib/raft/entry.ts'
import type { Message } from '../../lib/raft/message.ts'
import { Link } from '../../lib/transport/link.ts'
import type { LinkHandlers } from '../../lib/transport/link.ts'
import { MemoryHub } from '../../lib/transport/memory-network.ts'
import { Mux } from '../../lib/transport/mux.ts'
import type { Connection, ConnectionHandlers } from '../../lib/transport/network.ts'
import type { RequestAnswer } from '../../lib/transport/transport.ts'
import { CLUSTER_ID, helloOf, introduce, keyPairOf, makeNode, peersOf } from './harness.ts'
import type { Node } from './harness.ts'
import { VirtualTime } from './virtual-time.ts'

interface Two {
  readonly time: VirtualTime
  readonly a: Node
  readonly b: Node
  close(): Promise<void>
}

async function two(): Promise<Two> {
  const time = new VirtualTime()
  const hub = new MemoryHub({ clock: time, timers: time, delayMs: 5, linkTimeoutMs: 2_500 })
  const [a, b] = [nodeOn(1), nodeOn(2)]
  for (const node of [a, b]) await node.links.open()
  introduce([a, b])
  a.links.setPeers(peersOf([b]))
  await time.pass(500)
  return {
    time,
    a,
    b,
    close: async () => {
      await a.links.close()
      await b.links.close()
      await time.pass(10)
    }
  }

  function nodeOn(id: number): Node {
    const name = `node ${id}`
    const network = hub.network(keyPairOf(name), { host: '127.0.0.1', port: id })
    return makeNode({ name, id, network, clock: time, timers: time })
  }
}

function appendOf(byteCount: number): Message {
  const previous = genesis(CLUSTER_ID)
  const payload = new Uint8Array(byteCount).fill(1)
  return {
    kind: 'append',
    term: 3,
    session: 1,
    previousIndex: 0,
    previousTerm: 0,
    previousHash: previous.hash,
    entries: [chained(previous, { term: 3, kind: 2, timeMs: 1, payload })],
    commitIndex: 0
  }
}

const HEARTBEAT = { kind: 'heartbeat', term: 3, boot: 1, round: 1, commitIndex: 0 } as const

void test('as many requests as allowed are in flight, and the next is told at once', async (t) => {
  const { time, a, b, close } = await two()
  b.recorder.answer = () => null
  const answers: RequestAnswer[] = []
  const ask = (): void => a.links.request(2, new Uint8Array(1), (answer) => answers.push(answer))
  for (let count = 0; count < MAX_INFLIGHT_REQUESTS; count++) ask()
  await time.pass(100)
  t.alike(answers, [])
  ask()
  t.alike(answers, [], 'never synchronously')
  await time.pass(0)
  t.alike(answers, [{ kind: 'notSent', reason: 'busy' }])
  await close()
  t.is(answers.length, MAX_INFLIGHT_REQUESTS + 1)
  t.is(answers.filter(({ kind }) => kind === 'lost').length, MAX_INFLIGHT_REQUESTS)
})

void test('requests for snapshots are counted apart, and fewer', async (t) => {
  const { time, a, b, close } = await two()
  b.recorder.snapshotAnswer = () => null
  const answers: RequestAnswer[] = []
  const ask = (): void =>
    a.links.requestSnapshot(2, new Uint8Array(1), (answer) => answers.push(answer))
  for (let count = 0; count < MAX_INFLIGHT_SNAPSHOT_REQUESTS; count++) ask()
  await time.pass(100)
  t.alike(answers, [])
  ask()
  t.alike(answers, [], 'never synchronously')
  await time.pass(0)
  t.alike(answers, [{ kind: 'notSent', reason: 'busy' }])
  const others: RequestAnswer[] = []
  a.links.request(2, new Uint8Array(1), (answer) => others.push(answer))
  await time.pass(100)
  t.is(others[0]?.kind, 'answered', 'the leader is asked as ever')
  await close()
  t.is(answers.length, MAX_INFLIGHT_SNAPSHOT_REQUESTS + 1)
  t.is(answers.filter(({ kind }) => kind === 'lost').length, MAX_INFLIGHT_SNAPSHOT_REQUESTS)
})

void test('who asks for more snapshots at once than allowed is told so by the other side', (t) => {
  const asked: number[] = []
  const { ended, closed, hear, written, drain } = deaf(
    (channel) => void asked.push(channel === 'rpc' ? 0 : 1)
  )
  drain()
  const open = (number: number, name: string): void =>
    hear(0, 1, number, name.length, ...bytesOf(name), 0)
  open(2, 'aspen/raft')
  open(3, 'aspen/snapshot')
  for (let id = 0; id <= MAX_INFLIGHT_SNAPSHOT_REQUESTS; id++) hear(3, 0, 0, id, 0, 0, 0, 7)
  t.alike(ended, [])
  t.is(asked.length, MAX_INFLIGHT_SNAPSHOT_REQUESTS, 'and not handed up')
  const busy = [0, 2, MAX_INFLIGHT_SNAPSHOT_REQUESTS, 0, 0, 0]
  t.alike([...(written.at(-1) ?? [])].slice(-busy.length), busy)
  hear(3, 0, 0, 1, 0, 0, 0, 7)
  t.alike(closed, ['two requests with one id'])
})

void test('a link that asks for a snapshot carries heartbeats and writes as ever', async (t) => {
  const { time, a, b, close } = await two()
  const chunk = new Uint8Array(64 * 1024).fill(1)
  b.recorder.snapshotAnswer = () => chunk
  let count = 0
  const ask = (): void =>
    a.links.requestSnapshot(2, new Uint8Array(1), (answer) => {
      if (answer.kind === 'answered' && Buffer.compare(answer.payload, chunk) === 0) count++
      if (count < 1_000) ask()
    })
  for (let each = 0; each < 8; each++) ask()
  await time.pass(100)
  t.ok(count > 0 && count < 1_000, `${count} chunks`)
  b.links.send(1, HEARTBEAT)
  await time.pass(6)
  t.is(a.recorder.messages.length, 1)
  const answers: RequestAnswer[] = []
  a.links.request(2, new Uint8Array(3), (answer) => answers.push(answer))
  await time.pass(11)
  t.is(answers.length, 1)
  await time.pass(20_000)
  t.ok(count >= 1_000)
  await close()
})

void test('answers find their requests in any order', async (t) => {
  const { time, a, b, close } = await two()
  const waiting: (() => void)[] = []
  b.recorder.onRequest = (_from, payload, answer) => void waiting.push(() => answer(payload))
  const answers: number[] = []
  for (let index = 0; index < 3; index++) {
    a.links.request(2, new Uint8Array([index]), (answer) => {
      if (answer.kind === 'answered') answers.push(answer.payload[0] ?? 99)
    })
  }
  await time.pass(100)
  for (const answer of waiting.toReversed()) answer()
  await time.pass(100)
  t.alike(answers, [2, 1, 0])
  await close()
})

void test('a request that nobody answers is given up in the end', async (t) => {
  const { time, a, b, close } = await two()
  b.recorder.answer = () => null
  const answers: RequestAnswer[] = []
  a.links.request(2, new Uint8Array(1), (answer) => answers.push(answer))
  await time.pass(MAX_REQUEST_TIMEOUT_MS - 1_000)
  t.alike(answers, [])
  await time.pass(MAX_REQUEST_TIMEOUT_MS / 5)
  t.alike(answers, [{ kind: 'lost' }])
  await close()
})

void test('an answer after the link ended is nothing, and two answers are a mistake', async (t) => {
  const { time, a, b, close } = await two()
  const given: ((payload: Uint8Array) => void)[] = []
  b.recorder.onRequest = (_from, _payload, answer) => void given.push(answer)
  const answers: RequestAnswer[] = []
  a.links.request(2, new Uint8Array(1), (answer) => answers.push(answer))
  await time.pass(100)
  await a.links.close()
  await time.pass(100)
  given[0]?.(new Uint8Array(1))
  t.alike(answers, [{ kind: 'lost' }])
  await t.exception(() => given[0]?.(new Uint8Array(1)), /answered once/)

  await close()
})

void test('a heartbeat passes a big append that was sent before it', async (t) => {
  const { time, a, b, close } = await two()
  a.links.send(2, appendOf(4 * 1024 * 1024))
  a.links.send(2, HEARTBEAT)
  await time.pass(6)
  t.alike(
    b.recorder.messages.map(({ message }) => message.kind),
    ['heartbeat']
  )
  await time.pass(5_000)
  t.alike(
    b.recorder.messages.map(({ message }) => message.kind),
    ['heartbeat', 'append']
  )
  const message = b.recorder.messages[1]?.message
  const payload = message?.kind === 'append' ? message.entries[0]?.payload : undefined
  t.is(Buffer.compare(payload ?? new Uint8Array(0), new Uint8Array(4 * 1024 * 1024).fill(1)), 0)
  await close()
})

/** A link whose other side takes nothing until `drain`, and says what the test has it say. */
function deaf(onRequest: LinkHandlers['onRequest'] = answerMuch) {
  let handlers: ConnectionHandlers | null = null
  let isDrained = false
  const written: Uint8Array[] = []
  const closed: string[] = []
  const connection: Connection = {
    remotePublicKey: keyPairOf('b').publicKey,
    handshakeHash: new Uint8Array(64),
    isInitiator: false,
    remoteAddress: null,
    start: (given) => void (handlers = given),
    allocate: (byteCount) => new Uint8Array(byteCount),
    write: (frame) => {
      written.push(frame.slice())
      return isDrained
    },
    pause: () => {},
    resume: () => {},
    setFrameLimit: () => {},
    rttMs: () => null,
    close: (reason) => void closed.push(reason),
    finish: () => {}
  }
  const time = new VirtualTime()
  const ended: string[] = []
  const nothing = { onMessage: () => {}, onDrain: () => {}, onClose: () => {} }
  const link = new Link({
    traffic: null,
    mux: new Mux(connection, 'member', nothing),
    hello: { ...helloOf(2), clusterId: CLUSTER_ID, versions: { from: 1, to: 1 }, features: 0 },
    clock: time,
    timers: time,
    handlers: {
      onMessage: () => {},
      onRequest,
      onEnd: (reason) => ended.push(reason)
    }
  })
  const hearFrame = (frame: Uint8Array): void => handlers?.onFrame(frame)
  const hear = (...bytes: number[]): void => hearFrame(new Uint8Array(bytes))
  hear(0, 1, 1, 9, ...bytesOf('aspen/rpc'), 0)
  const drain = (): void => {
    isDrained = true
    handlers?.onDrain()
    isDrained = false
  }
  return { link, ended, hear, hearFrame, drain, written, closed }
}

const answerMuch: LinkHandlers['onRequest'] = (_channel, _payload, answer) =>
  answer(new Uint8Array(1_000_000))

const DEAF = ['the other side does not read what is for it']

void test('who asks for ever and reads nothing is cut off', (t) => {
  const { ended, hear } = deaf()
  let count = 0
  while (ended.length === 0 && count < 1_000_000) {
    hear(1, 0, 0, count & 0xff, (count >> 8) & 0xff, (count >> 16) & 0xff, 0, 7)
    count++
  }
  t.alike(ended, DEAF)
})

void test('heartbeats and votes wait up to a bound, and appends give way to them', (t) => {
  const { link, ended } = deaf()
  const append = appendOf(MAX_SEND_BACKLOG_BYTES / 8)
  for (let count = 0; count < 100; count++) link.send(append)
  t.alike(ended, [], 'appends alone never end a link')
  const most = MAX_LINK_BACKLOG_BYTES / 128
  let count = 0
  while (ended.length === 0 && count <= most) {
    link.send(HEARTBEAT)
    count++
  }
  t.alike(ended, DEAF)
  t.ok(count > most / 2, `${count} heartbeats`)
})

void test('acknowledgements wait up to a bound, counted from when all was taken', (t) => {
  const { ended, hearFrame, drain } = deaf()
  // an answer to nothing: 256 fragments of 4 KiB make one of 1 MiB
  const first = new Uint8Array(6 + 4 * 1024)
  first.set([1, 1, 0, 0, 0x10, 0, 1])
  const next = new Uint8Array(2 + 4 * 1024)
  next.set([1, 2])
  let said = 0
  const say = (): void => hearFrame(said++ % 256 === 0 ? first : next)
  for (let round = 0; round < 3; round++) {
    for (let count = 0; count < MAX_UNSENT_ACKS; count++) say()
    t.alike(ended, [])
    drain()
  }
  for (let count = 0; count < MAX_UNSENT_ACKS; count++) say()
  t.alike(ended, [])
  say()
  t.alike(ended, DEAF)
})

void test('messages to nobody are dropped', async (t) => {
  const { time, a, close } = await two()
  a.links.send(9, HEARTBEAT)
  const answers: RequestAnswer[] = []
  a.links.request(9, new Uint8Array(1), (answer) => answers.push(answer))
  t.alike(answers, [])
  await time.pass(0)
  t.alike(answers, [{ kind: 'notSent', reason: 'noLink' }])
  await close()
})
