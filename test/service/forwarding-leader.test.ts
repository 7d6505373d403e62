// The leader's side of forwarding: what another node asks.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { decode, encode } from '../../lib/encoding.ts'
import type { LeaderAnswer, LeaderRequest } from '../../lib/service/encoding.ts'
import { leaderAnswer, leaderRequest } from '../../lib/service/encoding.ts'
import { encodeControl } from '../../lib/state-machine/encoding.ts'
import { Desk } from './leader.ts'
import { writeOf } from './samples.ts'

const put = (key: string) => ({ kind: 2, payload: writeOf(key) })
const ready = (index: number): LeaderAnswer => ({
  kind: 'readAnswer',
  outcome: { kind: 'ready', index }
})

/** What a node answers to another one's request; null while it has not. */
function ask(desk: Desk, request: LeaderRequest | Uint8Array, from = 1): readonly LeaderAnswer[] {
  const answers: LeaderAnswer[] = []
  const asked = request instanceof Uint8Array ? request : encode(leaderRequest, request)
  desk.forwarder.onRequest(from, asked, (payload) => {
    answers.push(decode(leaderAnswer, payload))
  })
  return answers
}

test('asked by another node it proposes each entry, and answers when all are settled', async (t) => {
  const desk = new Desk()
  const proposals = ['a', 'b'].map(put)
  const answers = ask(desk, { kind: 'propose', timeoutMs: 1_000, proposals })
  const [a, b] = desk.replica.proposed
  present(b, 'b').onOutcome({ kind: 'refused', reason: 'notLeader' })
  t.alike(answers, [])
  present(a, 'a').onOutcome({ kind: 'done', index: 4, result: { kind: 'none' } })
  t.alike(answers, [
    {
      kind: 'outcomes',
      outcomes: [
        { kind: 'done', index: 4, result: { kind: 'none' } },
        { kind: 'refused', reason: 'notLeader' }
      ]
    }
  ])
  t.is(desk.time.pendingCount, 0)
})

test('when the time is over it answers with what is known, once', async (t) => {
  const desk = new Desk()
  const proposals = ['a', 'b'].map(put)
  const answers = ask(desk, { kind: 'propose', timeoutMs: 1_000, proposals })
  desk.replica.proposed[1]?.onOutcome({ kind: 'done', index: 5, result: { kind: 'none' } })
  await desk.time.run(1_000)
  const expected = {
    kind: 'outcomes',
    outcomes: [{ kind: 'unknown' }, { kind: 'done', index: 5, result: { kind: 'none' } }]
  }
  t.alike(answers, [expected])
  desk.replica.proposed[0]?.onOutcome({ kind: 'done', index: 4, result: { kind: 'none' } })
  t.is(answers.length, 1)
})

test('asked for an index it answers without waiting for its own state machine', (t) => {
  const desk = new Desk()
  const answers = ask(desk, { kind: 'readIndex', timeoutMs: 1_000 })
  t.is(desk.replica.reads.length, 0)
  desk.replica.readIndexes[0]?.({ kind: 'ready', index: 6 })
  t.alike(answers, [ready(6)])
})

test('it never passes a request on, and answers none that comes after its end', (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  ask(desk, { kind: 'propose', timeoutMs: 1_000, proposals: [put('a')] })
  t.is(desk.wire.asked.length, 0)
  t.is(desk.replica.proposed.length, 1, 'its own replica refuses it')
  desk.forwarder.close()
  t.alike(ask(desk, { kind: 'readIndex', timeoutMs: 1 }), [])
  t.alike(ask(desk, Uint8Array.of(1, 9, 0)), [])
  t.is(desk.replica.readIndexes.length, 0)
})

test('what it cannot read is rejected at once, as a whole, and nothing of it happens', (t) => {
  const desk = new Desk()
  desk.follow(2, 3)
  const readable = encode(leaderRequest, {
    kind: 'propose',
    timeoutMs: 1_000,
    proposals: [put('a'), put('b')]
  })
  const withTail = Uint8Array.of(...readable, 0)
  const ofLaterFormat = readable.slice()
  ofLaterFormat[0] = 2
  const unreadable = [Uint8Array.of(1, 9, 0), new Uint8Array(0), readable.slice(0, -1)]
  for (const bytes of [...unreadable, withTail, ofLaterFormat]) {
    t.alike(ask(desk, bytes), [{ kind: 'rejected' }])
  }
  t.is(desk.replica.proposed.length, 0)
  t.is(desk.time.pendingCount, 0)
})

const describe = (id: number) => ({
  kind: 3,
  payload: encodeControl({
    kind: 'describe',
    id,
    name: 'mine',
    version: '9.9.9',
    addresses: [{ host: '10.0.0.9', port: 9 }]
  })
})

const invite = (createdBy: number) => ({
  kind: 3,
  payload: encodeControl({
    kind: 'createInvite',
    publicKey: new Uint8Array(32).fill(1),
    proofKey: new Uint8Array(32).fill(2),
    topic: new Uint8Array(32).fill(3),
    role: 'voter',
    ttlMs: 1_000,
    uses: 1,
    createdBy
  })
})

test('a member speaks for itself only: it describes no other, and makes no tickets in its name', (t) => {
  for (const entryOf of [describe, invite]) {
    const desk = new Desk()
    desk.follow(2, 3)
    const propose = (...ids: number[]): LeaderRequest => ({
      kind: 'propose',
      timeoutMs: 1_000,
      proposals: [put('a'), ...ids.map(entryOf)]
    })
    t.alike(ask(desk, propose(2), 3), [{ kind: 'rejected' }], 'the leader')
    t.alike(ask(desk, propose(1), 3), [{ kind: 'rejected' }], 'a third one')
    t.alike(ask(desk, propose(3, 1), 3), [{ kind: 'rejected' }], 'behind an honest one')
    t.is(desk.replica.proposed.length, 0)
    t.alike(ask(desk, propose(3), 3), [])
    t.is(desk.replica.proposed.length, 2)
  }
})

test('nobody founds a cluster through another node', (t) => {
  const desk = new Desk()
  desk.follow(2, 3)
  const payload = encodeControl({
    kind: 'found',
    id: 3,
    publicKey: new Uint8Array(32).fill(1),
    name: 'third',
    version: '1.0.0',
    addresses: [],
    sealedSecret: new Uint8Array(80)
  })
  const request = { kind: 'propose', timeoutMs: 1, proposals: [{ kind: 3, payload }] } as const
  t.alike(ask(desk, request, 3), [{ kind: 'rejected' }])
  t.is(desk.replica.proposed.length, 0)
})

test('an empty request is answered at once', (t) => {
  const desk = new Desk()
  const answers = ask(desk, { kind: 'propose', timeoutMs: 1_000, proposals: [] })
  t.alike(answers, [{ kind: 'outcomes', outcomes: [] }])
  t.is(desk.time.pendingCount, 0)
})

test('a whole operation is carried out for the member that asks, and answered when it ends', async (t) => {
  const desk = new Desk()
  const operation = { kind: 'remove', id: 7, force: true } as const
  const answers = ask(desk, { kind: 'operate', timeoutMs: 900, operation }, 4)
  t.alike(desk.operated, [{ operation, timeoutMs: 900, from: 4 }])
  t.alike(answers, [])
  const end = { kind: 'failed', error: { code: 'LAST_VOTER', message: 'it is the last' } } as const
  desk.endOperation(end)
  await desk.time.run(0)
  t.alike(answers, [{ kind: 'operated', end }])
  const late = ask(desk, { kind: 'operate', timeoutMs: 900, operation }, 4)
  desk.forwarder.close()
  desk.endOperation(end)
  await desk.time.run(0)
  t.alike(late, [], 'a node that has ended is silent')
})

test('an operation that cannot be read is rejected, and nothing is carried out', (t) => {
  const desk = new Desk()
  const bytes = encode(leaderRequest, {
    kind: 'operate',
    timeoutMs: 900,
    operation: { kind: 'promote', learnerId: 4, replaceNode: null, force: false }
  })
  // not 3 and 4, which are the timeout
  for (const at of [0, 1, 2, 5, 6, 7, 8]) {
    const damaged = bytes.slice()
    damaged[at] = 0xff
    t.alike(ask(desk, damaged), [{ kind: 'rejected' }], `byte ${at}`)
  }
  t.alike(ask(desk, bytes.subarray(0, bytes.byteLength - 1)), [{ kind: 'rejected' }])
  t.alike(desk.operated, [])
})
