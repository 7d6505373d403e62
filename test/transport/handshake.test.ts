// The hello, step by step: MACs, epochs, welcomes, refusals.

import test from 'brittle'
import fc from 'fast-check'
import { encode, hexOf } from '../../lib/encoding.ts'
import { helloEncoding } from '../../lib/transport/encoding.ts'
import { Handshake } from '../../lib/transport/handshake.ts'
import type { HandshakeAction, HelloMessage } from '../../lib/transport/handshake.ts'
import { MESSAGES } from '../../lib/transport/permissions.ts'
import type { OwnHello } from '../../lib/transport/transport.ts'
import { CLUSTER_ID, helloOf, keyPairOf, secretOf, TableTrust, welcomeOf } from './harness.ts'

const HASH = new Uint8Array(64).fill(3)
const A = keyPairOf('a')
const B = keyPairOf('b')

interface Side {
  readonly trust: TableTrust
  readonly handshake: Handshake
  readonly actions: HandshakeAction[]
}

function sideOf(own: OwnHello | null, isInitiator: boolean, hash = HASH): Side {
  const trust = new TableTrust(own)
  trust.fallback = { kind: 'unproven' }
  const remotePublicKey = isInitiator ? B.publicKey : A.publicKey
  trust.setStanding(remotePublicKey, { kind: 'member', id: isInitiator ? 2 : 1 })
  const site = { trust, remotePublicKey, handshakeHash: hash, isInitiator }
  return { trust, handshake: new Handshake(site), actions: [] }
}

function pair(a: OwnHello | null = helloOf(1), b: OwnHello | null = helloOf(2)): [Side, Side] {
  return [sideOf(a, true), sideOf(b, false)]
}

/** Runs both sides against each other until neither has anything to say. */
function converse(a: Side, b: Side): void {
  const queue: { to: Side; from: Side; message: HelloMessage; bytes: Uint8Array }[] = []
  const carryOut = (side: Side, other: Side, actions: readonly HandshakeAction[]): void => {
    for (const action of actions) {
      side.actions.push(action)
      if (action.kind === 'send') queue.push({ ...action, to: other, from: side })
      if (action.kind === 'welcome') {
        side.trust.own = helloOf(action.welcome.id, { epoch: action.welcome.epoch })
        side.trust.secrets.set(action.welcome.epoch, secretOf(action.welcome.epoch))
        carryOut(side, other, side.handshake.poll())
      }
    }
  }
  carryOut(a, b, a.handshake.start())
  carryOut(b, a, b.handshake.start())
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    carryOut(next.to, next.from, next.to.handshake.receive(next.message, next.bytes))
  }
}

function said(side: Side): string[] {
  return side.actions.map((action) => {
    if (action.kind === 'send') return action.message
    if (action.kind === 'refused') return `refused ${action.error.code}`
    return action.kind
  })
}

void test('two members of one epoch accept each other and all their fields', (t) => {
  const [a, b] = pair(
    helloOf(1),
    helloOf(2, { boot: 9, durableTerm: 5, lastIndex: 77, version: '0.2.0' })
  )
  converse(a, b)
  t.alike(said(a), ['hello', 'proof', 'accept'])
  t.alike(said(b), ['hello', 'proof', 'accept'])
  const last = a.actions.at(-1)
  if (last?.kind !== 'accept') throw new Error('not accepted')
  const { instance, storageEpoch, ...fields } = last.hello
  t.alike(storageEpoch, helloOf(2).storageEpoch)
  t.is(instance.byteLength, 16)
  t.alike(fields, {
    clusterId: CLUSTER_ID,
    id: 2,
    boot: 9,
    epoch: 1,
    durableTerm: 5,
    lastIndex: 77,
    version: '0.2.0',
    versions: { from: 1, to: 1 },
    features: 0,
    featureLevel: 1
  })
})

void test('another secret, another handshake or a changed hello makes the proof wrong', (t) => {
  const [a, b] = pair()
  b.trust.secrets.set(1, secretOf(2))
  converse(a, b)
  t.alike(said(a), ['hello', 'proof', 'close'])
  t.alike(said(b), ['hello', 'proof', 'close'])
  const c = sideOf(helloOf(1), true)
  const d = sideOf(helloOf(2), false, new Uint8Array(64).fill(4))
  converse(c, d)
  t.alike(said(c), ['hello', 'proof', 'close'])
  const [e, f] = pair()
  e.handshake.start()
  const [hello] = f.handshake.start()
  if (hello?.kind !== 'send') throw new Error('no hello')
  const changed = hello.bytes.slice()
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
  e.handshake.receive('hello', changed)
  const answer = f.handshake.receive('hello', firstBytes(e))
  const proof = answer.find((action) => action.kind === 'send')
  if (proof?.kind !== 'send') throw new Error('no proof')
  t.is(e.handshake.receive('proof', proof.bytes)[0]?.kind, 'close')
})

void test('a side does not accept its own proof sent back', (t) => {
  const [a, b] = pair()
  a.handshake.start()
  const [hello] = b.handshake.start()
  if (hello?.kind !== 'send') throw new Error('no hello')
  const [proof] = a.handshake.receive('hello', hello.bytes)
  if (proof?.kind !== 'send') throw new Error('no proof')
  t.is(a.handshake.receive('proof', proof.bytes)[0]?.kind, 'close')
})

void test('the older epoch is enough for a member, which gets the welcome first', (t) => {
  const [a, b] = pair(helloOf(1, { epoch: 3 }), helloOf(2, { epoch: 2 }))
  a.trust.secrets.set(2, secretOf(2))
  a.trust.welcomes.set(hexOf(B.publicKey), welcomeOf(2, B.publicKey, 3))
  converse(a, b)
  t.alike(said(a), ['hello', 'welcome', 'proof', 'accept'])
  t.alike(said(b), ['hello', 'proof', 'welcome', 'accept'])
})

void test('a welcome is worth nothing before the proof of who sent it', (t) => {
  const [a, b] = pair(helloOf(1, { epoch: 3 }), helloOf(2, { epoch: 2 }))
  a.trust.welcomes.set(hexOf(B.publicKey), welcomeOf(2, B.publicKey, 3))
  // anybody can seal something to a key that is public
  a.trust.secrets.set(2, secretOf(9))
  converse(a, b)
  t.alike(said(b), ['hello', 'proof', 'close'])
})

void test('a welcome is asked for once and given once', (t) => {
  const [a, b] = pair(helloOf(1), null)
  a.trust.welcomes.set(hexOf(B.publicKey), welcomeOf(2, B.publicKey))
  a.handshake.start()
  b.handshake.start()
  const [welcome] = a.handshake.receive('askWelcome', CLUSTER_ID)
  t.is(a.handshake.receive('askWelcome', CLUSTER_ID)[0]?.kind, 'close')
  if (welcome?.kind !== 'send') throw new Error('no welcome')
  t.is(b.handshake.receive('welcome', welcome.bytes)[0]?.kind, 'welcome')
  t.is(b.handshake.receive('welcome', welcome.bytes)[0]?.kind, 'close')
})

void test('the older epoch is not enough for a key that is no member here', (t) => {
  const [a, b] = pair(helloOf(1, { epoch: 3 }), helloOf(2, { epoch: 2 }))
  a.trust.secrets.set(2, secretOf(2))
  a.trust.welcomes.set(hexOf(B.publicKey), welcomeOf(2, B.publicKey, 3))
  a.trust.setStanding(B.publicKey, { kind: 'unproven' })
  converse(a, b)
  t.alike(said(a), ['hello', 'close'])
  t.absent(said(b).includes('accept'))
})

void test('an epoch whose secret is not known here ends it', (t) => {
  const [a, b] = pair(helloOf(1, { epoch: 3 }), helloOf(2, { epoch: 2 }))
  a.trust.welcomes.set(hexOf(B.publicKey), welcomeOf(2, B.publicKey, 3))
  converse(a, b)
  t.is(said(a).at(-1), 'close')
})

void test('a node without its welcome asks first; two of them have nothing to say', (t) => {
  const [a, b] = pair(helloOf(1), null)
  a.trust.welcomes.set(hexOf(B.publicKey), welcomeOf(2, B.publicKey))
  converse(a, b)
  t.alike(said(a), ['hello', 'welcome', 'proof', 'accept'])
  t.alike(said(b), ['askWelcome', 'welcome', 'hello', 'proof', 'accept'])
  const [c, d] = pair(null, null)
  converse(c, d)
  t.alike(said(c), ['askWelcome', 'close'])
  t.alike(said(d), ['askWelcome', 'close'])
})

void test('nobody but a member is told what it is', (t) => {
  const [a, b] = pair(helloOf(1), null)
  converse(a, b)
  t.alike(said(a), ['hello', 'close'])
  t.alike(said(b), ['askWelcome'])
})

void test('refusals say why: other cluster, other version, other id, not a member', (t) => {
  const [a, b] = pair()
  b.trust.clusterId = new Uint8Array(16)
  converse(a, b)
  t.ok(said(a).includes('refusal') || said(b).includes('refusal'))
  const versions = sideOf(helloOf(1), true)
  versions.handshake.start()
  const hello = { ...helloOf(2), clusterId: CLUSTER_ID, versions: { from: 2, to: 3 }, features: 0 }
  const answer = versions.handshake.receive('hello', encode(helloEncoding, hello))
  t.alike(
    answer.map((action) => (action.kind === 'send' ? action.message : action.kind)),
    ['refusal', 'close']
  )
  for (const standing of [
    { kind: 'member', id: 7 },
    { kind: 'stranger' },
    { kind: 'invite', proofKey: HASH },
    { kind: 'refused', error: { code: 'MEMBER_REMOVED', message: 'gone' } }
  ] as const) {
    const [c, d] = pair()
    c.trust.setStanding(B.publicKey, standing)
    converse(c, d)
    t.absent(said(c).includes('accept') || said(d).includes('accept'), standing.kind)
  }
})

void test('in every state every message has one outcome, and none throws', (t) => {
  const outcomes: Record<string, string[]> = {}
  for (const state of ['asking', 'greeting', 'proving', 'done'] as const) {
    for (const message of MESSAGES.hello) {
      const actions = inState(state).handshake.receive(message, validBytes(message))
      outcomes[`${state} ${message}`] = actions.map((action) =>
        action.kind === 'send' ? action.message : action.kind
      )
    }
  }
  t.alike(outcomes, {
    'asking hello': [],
    'asking proof': ['close'],
    'asking askWelcome': ['close'],
    'asking welcome': ['welcome'],
    'asking refusal': ['refused'],
    'greeting hello': ['proof'],
    'greeting proof': ['close'],
    'greeting askWelcome': ['close'],
    'greeting welcome': ['close'],
    'greeting refusal': ['refused'],
    'proving hello': ['close'],
    'proving proof': ['close'],
    'proving askWelcome': ['close'],
    'proving welcome': ['close'],
    'proving refusal': ['refused'],
    'done hello': [],
    'done proof': [],
    'done askWelcome': [],
    'done welcome': [],
    'done refusal': []
  })
})

void test('hostile bytes in any state end it without a throw', (t) => {
  const states = ['asking', 'greeting', 'proving', 'done'] as const
  const result = fc.check(
    fc.property(
      fc.constantFrom(...states),
      fc.array(fc.tuple(fc.constantFrom(...MESSAGES.hello), fc.uint8Array({ maxLength: 200 }))),
      (state, messages) => {
        const { handshake } = inState(state)
        const all = messages.flatMap(([message, bytes]) => handshake.receive(message, bytes))
        return all.every((action) => action.kind !== 'accept')
      }
    ),
    { numRuns: 2_000 }
  )
  t.absent(result.failed, `seed ${result.seed}`)
})

function inState(state: 'asking' | 'greeting' | 'proving' | 'done'): Side {
  const side = sideOf(state === 'asking' ? null : helloOf(1), true)
  side.handshake.start()
  if (state === 'proving') side.handshake.receive('hello', validBytes('hello'))
  if (state === 'done') side.handshake.receive('proof', validBytes('proof'))
  return side
}

function validBytes(message: HelloMessage): Uint8Array {
  const [a, b] = pair()
  a.trust.welcomes.set(hexOf(B.publicKey), welcomeOf(2, B.publicKey))
  switch (message) {
    case 'hello':
      b.handshake.start()
      return firstBytes(b)
    case 'proof':
      return new Uint8Array(32)
    case 'askWelcome':
      return CLUSTER_ID
    case 'welcome': {
      a.handshake.start()
      const [welcome] = a.handshake.receive('askWelcome', CLUSTER_ID)
      if (welcome?.kind !== 'send') throw new Error('no welcome')
      return welcome.bytes
    }
    case 'refusal': {
      b.trust.clusterId = HASH.subarray(0, 16)
      a.handshake.start()
      b.handshake.start()
      const [refusal] = b.handshake.receive('hello', firstBytes(a))
      if (refusal?.kind !== 'send') throw new Error('no refusal')
      return refusal.bytes
    }
    default:
      return new Uint8Array(0)
  }
}

/** The hello of a side that has started. */
function firstBytes(side: Side): Uint8Array {
  const { own } = side.trust
  if (own === null) throw new Error('no hello')
  const hello = {
    ...own,
    clusterId: side.trust.clusterId,
    versions: { from: 1, to: 1 },
    features: 0
  }
  return encode(helloEncoding, hello)
}
