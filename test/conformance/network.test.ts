// The whole protocol over both networks: hello, welcome, join, messages, requests, refusals, closing.
// Over memory it runs on the real clock too; the virtual one is used in transport/memory-network.test.ts.

import { systemClock, systemTimers } from '../../lib/clock.ts'
import { hexOf } from '../../lib/encoding.ts'
import { TransportError } from '../../lib/errors.ts'
import { MAX_RPC_MESSAGE_SIZE } from '../../lib/limits.ts'
import { requestAdmission } from '../../lib/transport/join.ts'
import type { InviteTicket } from '../../lib/transport/join.ts'
import type { Network } from '../../lib/transport/network.ts'
import type { RequestAnswer, Transport } from '../../lib/transport/transport.ts'
import {
  CLUSTER_ID,
  helloOf,
  introduce,
  keyPairOf,
  opensSealed,
  pause,
  peersOf,
  secretOf,
  until,
  welcomeOf
} from '../transport/harness.ts'
import type { Node } from '../transport/harness.ts'
import { check } from '../transport/stages.ts'
import type { Stage } from '../transport/stages.ts'

check('two members link, speak, ask and part', async (t, stage) => {
  const [a, b] = await linkedPair(stage)
  t.is(a.links.links()[0]?.id, 2)
  t.is(b.links.links()[0]?.id, 1)
  t.is(a.links.links()[0]?.boot, 1)
  t.is(a.links.links()[0]?.version, '0.1.0')
  a.links.send(2, HEARTBEAT)
  await until('the heartbeat', () => b.recorder.messages.length === 1)
  t.alike(b.recorder.messages, [{ from: 1, message: HEARTBEAT }])
  const small = await ask(b.links, 1, new Uint8Array([1, 2, 3]))
  t.alike(small, { kind: 'answered', payload: new Uint8Array([1, 2, 3]) })
  await b.links.close()
  await until('the end of the link', () => a.recorder.events.includes('down 2'))
  t.alike(a.links.links(), [])
  t.alike(await ask(a.links, 2, new Uint8Array(1)), { kind: 'notSent', reason: 'noLink' })
})

check('both dial at once and keep one link', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const b = await stage.make({ name: 'b', id: 2 })
  introduce([a, b])
  a.links.setPeers(peersOf([b]))
  b.links.setPeers(peersOf([a]))
  const isLinked = (): boolean => a.links.links().length === 1 && b.links.links().length === 1
  await until('the link', isLinked)
  t.alike(await ask(a.links, 2, new Uint8Array(9)), {
    kind: 'answered',
    payload: new Uint8Array(9)
  })
})

check('requests and answers of the largest size arrive whole', async (t, stage) => {
  const [a] = await linkedPair(stage)
  const payload = new Uint8Array(MAX_RPC_MESSAGE_SIZE - 5)
  for (let i = 0; i < payload.length; i += 1_000) payload[i] = i % 251
  const answer = await ask(a.links, 2, payload)
  t.is(answer.kind, 'answered')
  if (answer.kind === 'answered') t.is(Buffer.compare(answer.payload, payload), 0)
})

check('requests in flight are lost with the link, once each', async (t, stage) => {
  const [a, b] = await linkedPair(stage)
  b.recorder.answer = () => null
  const answers: RequestAnswer[] = []
  for (let i = 0; i < 3; i++)
    a.links.request(2, new Uint8Array(10), (answer) => answers.push(answer))
  t.alike(answers, [], 'never synchronously')
  await until(
    'the requests',
    () => b.recorder.events.filter((e) => e === 'request from 1').length === 3
  )
  await b.links.close()
  await until('the answers', () => answers.length === 3)
  t.alike(answers, [{ kind: 'lost' }, { kind: 'lost' }, { kind: 'lost' }])
})

check('requests for snapshots go their own way, and are lost likewise', async (t, stage) => {
  const [a, b] = await linkedPair(stage)
  const payload = new Uint8Array(100_000).map((_, at) => at % 251)
  const answers: RequestAnswer[] = []
  const fetch = (): void => a.links.requestSnapshot(2, payload, (each) => answers.push(each))
  fetch()
  await until('the answer', () => answers.length === 1)
  t.alike(answers.splice(0), [{ kind: 'answered', payload }])
  b.recorder.snapshotAnswer = () => null
  fetch()
  const isAsked = (event: string): boolean => event === 'snapshot request from 1'
  await until('the request', () => b.recorder.events.filter(isAsked).length === 2)
  await b.links.close()
  await until('the end', () => answers.length === 1)
  t.alike(answers, [{ kind: 'lost' }])
})

check('a stranger hears nothing', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const b = await stage.make({ name: 'b', id: 2 })
  b.trust.setStanding(a.keyPair.publicKey, { kind: 'member', id: 1 })
  b.links.setPeers(peersOf([a]))
  await pause(300)
  t.alike(a.recorder.events, [])
  t.alike(b.recorder.events, [])
})

check('a removed member is told so', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const b = await stage.make({ name: 'b', id: 2 })
  const error = {
    code: 'MEMBER_REMOVED',
    message: 'node 2 was removed',
    hint: 'join again'
  } as const
  a.trust.setStanding(b.keyPair.publicKey, { kind: 'refused', error })
  b.trust.setStanding(a.keyPair.publicKey, { kind: 'member', id: 1 })
  b.links.setPeers(peersOf([a]))
  await until('the refusal', () => b.recorder.refusals.length === 1)
  t.alike(b.recorder.refusals, [error])
  t.alike(a.recorder.events, [])
})

check('an unproven key is let in by its proof, and only by it', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const b = await stage.make({ name: 'b', id: 2 })
  const c = await stage.make({ name: 'c', id: 3 })
  a.trust.fallback = { kind: 'unproven' }
  for (const node of [b, c]) node.trust.setStanding(a.keyPair.publicKey, { kind: 'member', id: 1 })
  c.trust.secrets.set(1, secretOf(99))
  b.links.setPeers(peersOf([a]))
  c.links.setPeers(peersOf([a]))
  await until('the link', () => a.recorder.events.includes('up 2'))
  await pause(200)
  t.alike(a.recorder.events, ['up 2'])
  t.alike(c.recorder.events, [])
})

check('a node without its welcome asks for it and then says hello', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const b = await stage.make({ name: 'b', id: 2, own: null })
  introduce([a, b])
  a.trust.welcomes.set(hexOf(b.keyPair.publicKey), welcomeOf(2, b.keyPair.publicKey))
  b.recorder.welcome = (welcome) => {
    // durable a little later, as on a disk
    setTimeout(() => {
      b.trust.own = helloOf(welcome.id)
      b.trust.secrets.set(welcome.epoch, secretOf(welcome.epoch))
    }, 30)
  }
  b.links.setPeers(peersOf([a]))
  await until(
    'the link',
    () => a.recorder.events.includes('up 2') && b.recorder.events.includes('up 1')
  )
  t.alike(b.recorder.events, ['welcome 2', 'up 1'])
  const [welcome] = b.recorder.welcomes
  t.ok(welcome !== undefined && opensSealed(welcome, b.keyPair))
})

check('a member that missed a rotation gets the welcome of the newer epoch', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1, own: helloOf(1, { epoch: 2 }) })
  const b = await stage.make({ name: 'b', id: 2 })
  introduce([a, b])
  a.trust.secrets.set(1, secretOf(1))
  a.trust.welcomes.set(hexOf(b.keyPair.publicKey), welcomeOf(2, b.keyPair.publicKey, 2))
  b.links.setPeers(peersOf([a]))
  await until(
    'the link',
    () => a.recorder.events.includes('up 2') && b.recorder.events.includes('up 1')
  )
  t.alike(b.recorder.events, ['welcome 2', 'up 1'])
  t.is(b.recorder.welcomes[0]?.epoch, 2)
})

check('a key that claims another node’s id is refused', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const b = await stage.make({ name: 'b', id: 2, own: helloOf(3) })
  introduce([a, b])
  b.links.setPeers(peersOf([a]))
  await until('the refusal', () => b.recorder.refusals.length === 1)
  t.is(b.recorder.refusals[0]?.code, 'PROTOCOL')
  t.alike(a.recorder.events, [])
})

check('a joiner is admitted by its invite and nothing else opens there', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const ticket = ticketFor(a)
  a.trust.setStanding(ticket.keyPair.publicKey, { kind: 'invite', proofKey: ticket.proofKey })
  const joiner = keyPairOf('joiner')
  a.recorder.join = ({ publicKey }) => ({ kind: 'admitted', welcome: welcomeOf(5, publicKey) })
  const network = stage.network('joiner')
  await network.open()
  const phases: string[] = []
  const welcome = await admit(network, ticket, { phases })
  t.is(welcome.id, 5)
  t.ok(opensSealed(welcome, joiner))
  t.alike(phases, ['connect', 'admission'])
  t.is(a.recorder.joins.length, 1)
  const [request] = a.recorder.joins
  t.is(request?.name, 'laptop')
  t.alike(request?.publicKey, joiner.publicKey)
  t.alike(request?.invitePublicKey, ticket.keyPair.publicKey)
  t.ok((request?.addresses.length ?? 0) > 0)
})

check('a joiner asks again while the cluster is busy', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const ticket = ticketFor(a)
  a.trust.setStanding(ticket.keyPair.publicKey, { kind: 'invite', proofKey: ticket.proofKey })
  let asked = 0
  a.recorder.join = ({ publicKey }) =>
    ++asked < 2 ? { kind: 'busy' } : { kind: 'admitted', welcome: welcomeOf(5, publicKey) }
  const network = stage.network('joiner')
  await network.open()
  t.is((await admit(network, ticket, {})).id, 5)
  t.is(asked, 2)
})

check('a used-up invite is refused with the reason', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const ticket = ticketFor(a)
  const error = {
    code: 'TICKET_USED_UP',
    message: 'all 16 uses of this ticket are used'
  } as const
  a.trust.setStanding(ticket.keyPair.publicKey, { kind: 'refused', error })
  const network = stage.network('joiner')
  await network.open()
  const refusal = await admit(network, ticket, {}).catch((caught: unknown) => caught)
  t.ok(refusal instanceof Error && 'code' in refusal && refusal.code === 'TICKET_USED_UP')
})

check('a joiner does not believe somebody without the proof key', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const ticket = ticketFor(a)
  a.trust.setStanding(ticket.keyPair.publicKey, { kind: 'invite', proofKey: secretOf(5) })
  const network = stage.network('joiner')
  await network.open()
  const refusal = await admit(network, ticket, { timeoutMs: 400 }).catch(
    (caught: unknown) => caught
  )
  t.ok(refusal instanceof TransportError && refusal.code === 'NO_PEER_FOUND')
  t.is(a.recorder.joins.length, 0)
})

check('nobody there: the joiner says so at its deadline', async (t, stage) => {
  const a = await stage.make({ name: 'a', id: 1 })
  const ticket = ticketFor(a)
  await a.links.close()
  const network = stage.network('joiner')
  await network.open()
  const startMs = systemClock.nowMs()
  const error = await admit(network, ticket, { timeoutMs: 900 }).catch((caught: unknown) => caught)
  t.ok(error instanceof TransportError && error.code === 'NO_PEER_FOUND')
  if (error instanceof TransportError) t.is(error.detail.fields?.['phase'], 'lookup')
  t.ok(systemClock.nowMs() - startMs < 1_500)
})

check(
  'a dial that is cancelled, or whose network was closed, ends without a word',
  async (t, stage) => {
    const a = await stage.make({ name: 'a', id: 1 })
    const network = stage.network('c')
    await network.open()
    const done: string[] = []
    const [peer] = peersOf([a])
    const target = { publicKey: a.keyPair.publicKey, addresses: peer?.addresses ?? [] }
    network.dial(target, (result) => done.push(result.kind)).cancel()
    network.dial(target, (result) => done.push(result.kind))
    await network.close()
    network.dial(target, (result) => done.push(result.kind))
    await pause(1_500)
    t.alike(done, [])
  }
)

check('closing twice is closing once', async (t, stage) => {
  const [a, b] = await linkedPair(stage)
  await Promise.all([a.links.close(), a.links.close(), b.links.close()])
  await a.links.close()
  t.alike(a.links.links(), [])
  a.links.send(2, HEARTBEAT)
  t.alike(await ask(a.links, 2, new Uint8Array(1)), { kind: 'notSent', reason: 'noLink' })
})

const HEARTBEAT = { kind: 'heartbeat', term: 3, boot: 1, round: 9, commitIndex: 4 } as const

async function linkedPair(stage: Stage): Promise<[Node, Node]> {
  const a = await stage.make({ name: 'a', id: 1 })
  const b = await stage.make({ name: 'b', id: 2 })
  introduce([a, b])
  a.links.setPeers(peersOf([b]))
  await until('the link', () => a.links.links().length === 1 && b.links.links().length === 1)
  return [a, b]
}

function ask(links: Transport, to: number, payload: Uint8Array): Promise<RequestAnswer> {
  return new Promise((resolve) => {
    links.request(to, payload, resolve)
  })
}

function ticketFor(node: Node): InviteTicket {
  const [peer] = peersOf([node])
  return {
    clusterId: CLUSTER_ID,
    keyPair: keyPairOf('invite'),
    proofKey: secretOf(1_000),
    topic: secretOf(2_000),
    memberKeys: [node.keyPair.publicKey],
    addresses: peer?.addresses ?? []
  }
}

function admit(
  network: Network,
  ticket: InviteTicket,
  { phases = [], timeoutMs = 8_000 }: { phases?: string[]; timeoutMs?: number }
): ReturnType<typeof requestAdmission> {
  return requestAdmission({
    network,
    ticket,
    keyPair: keyPairOf('joiner'),
    name: 'laptop',
    version: '0.1.0',
    deadlineMs: systemClock.nowMs() + timeoutMs,
    clock: systemClock,
    timers: systemTimers,
    onPhase: (phase) => phases.push(phase)
  })
}
