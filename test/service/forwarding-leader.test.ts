// The leader's side of forwarding: what another node asks.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { decode, encode } from '../../lib/encoding.ts'
import type { LeaderAnswer, LeaderRequest } from '../../lib/service/encoding.ts'
import { leaderAnswer, leaderRequest } from '../../lib/service/encoding.ts'
import { Desk } from './leader.ts'
import { writeOf } from './samples.ts'

const put = (key: string) => ({ kind: 2, payload: writeOf(key) })
const ready = (index: number): LeaderAnswer => ({
  kind: 'readAnswer',
  outcome: { kind: 'ready', index }
})

/** What a node answers to another one's request; null while it has not. */
function ask(desk: Desk, request: LeaderRequest): readonly LeaderAnswer[] {
  const answers: LeaderAnswer[] = []
  desk.forwarder.onRequest(encode(leaderRequest, request), (payload) => {
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

test('it never passes a request on, and answers none that it cannot read or that comes after its end', (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  ask(desk, { kind: 'propose', timeoutMs: 1_000, proposals: [put('a')] })
  t.is(desk.wire.asked.length, 0)
  t.is(desk.replica.proposed.length, 1, 'its own replica refuses it')
  const fail = (): void => t.fail('no answer')
  desk.forwarder.onRequest(Uint8Array.of(1, 9, 0), fail)
  desk.forwarder.close()
  desk.forwarder.onRequest(encode(leaderRequest, { kind: 'readIndex', timeoutMs: 1 }), fail)
  t.is(desk.replica.readIndexes.length, 0)
})

test('an empty request is answered at once', (t) => {
  const desk = new Desk()
  const answers = ask(desk, { kind: 'propose', timeoutMs: 1_000, proposals: [] })
  t.alike(answers, [{ kind: 'outcomes', outcomes: [] }])
  t.is(desk.time.pendingCount, 0)
})
