// A command that has left this node and is not answered goes to the next leader under the same id.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { MAX_FORWARDS_UNDER_WAY } from '../../lib/limits.ts'
import type { LeaderAnswer } from '../../lib/service/encoding.ts'
import type { RequestId } from '../../lib/state-machine/command.ts'
import { decodeWrite } from '../../lib/state-machine/encoding.ts'
import type { ApplyResult } from '../../lib/state-machine/state-machine.ts'
import { Desk, doneFrom, fateOf } from './leader.ts'
import type { Asked } from './leader.ts'
import { put } from './samples.ts'

/** The ids of the commands in a request to a leader. */
function idsOf({ request }: Asked): readonly RequestId[] {
  if (request.kind !== 'propose') return []
  return request.proposals.map(({ payload }) => present(decodeWrite(payload).request, 'an id'))
}

function answerOf(...results: readonly ApplyResult[]): LeaderAnswer {
  const outcomes = results.map((result) => ({ kind: 'done', index: 9, result }) as const)
  return { kind: 'outcomes', outcomes }
}

function expired(since: number): ApplyResult {
  const error = { code: 'SESSION_EXPIRED', message: 'forgotten', fields: { since } } as const
  return { kind: 'refused', error }
}

const OVERLOADED: LeaderAnswer = {
  kind: 'outcomes',
  outcomes: [{ kind: 'refused', reason: 'overloaded' }]
}

test('what was lost on its way is sent again under its id', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const fate = fateOf(desk.forwarder.submit(put('k'), 5_000))
  desk.wire.last.end({ kind: 'lost' })
  await desk.time.run(100)
  t.is(desk.wire.asked.length, 2, 'to the same leader: only the link was lost')
  t.alike(idsOf(desk.wire.at(1)), idsOf(desk.wire.at(0)))
  desk.wire.last.answer(doneFrom(desk.wire.last, 7))
  await desk.time.run(0)
  t.is(fate.value?.index, 7)
  t.is(desk.time.pendingCount, 0, 'no timer stays')
})

test('a leader that says unknown is asked again, and the next one when there is one', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const fate = fateOf(desk.forwarder.submit(put('k'), 5_000))
  desk.wire.last.answer({ kind: 'outcomes', outcomes: [{ kind: 'unknown' }] })
  desk.follow(3, 4)
  await desk.time.run(1)
  t.is(desk.wire.last.to, 3)
  desk.wire.last.answer(doneFrom(desk.wire.last, 8))
  await desk.time.run(0)
  t.is(fate.value?.index, 8)
})

test('another leader gets what was under way and what was waiting, and late answers change nothing', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const keys = Array.from({ length: MAX_FORWARDS_UNDER_WAY + 1 }, (_, at) => `k${at}`)
  const fates = keys.map((key) => fateOf(desk.forwarder.submit(put(key), 5_000)))
  const sent = desk.wire.asked.slice()
  desk.follow(3, 4)
  await desk.time.run(1)
  for (const asked of sent) asked.answer(doneFrom(asked, 1))
  const again = desk.wire.asked.slice(MAX_FORWARDS_UNDER_WAY)
  for (const { to } of again) t.is(to, 3)
  for (const asked of again) asked.answer(doneFrom(asked, 9))
  await desk.time.run(1)
  for (const asked of desk.wire.asked.slice(sent.length + again.length)) {
    asked.answer(doneFrom(asked, 9))
  }
  await desk.time.run(0)
  t.alike(new Set(desk.wire.keys.slice(sent.length).join(' ').split(' ')), new Set(keys))
  for (const { value } of fates) t.ok((value?.index ?? 0) >= 9)
})

test('the loss of the leader alone ends what is under way there; it waits for the next', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const fate = fateOf(desk.forwarder.submit(put('k'), 5_000))
  desk.follow(null, 3)
  await desk.time.run(1_000)
  t.is(fate.code, null)
  t.is(desk.wire.asked.length, 1)
  desk.follow(3, 4)
  await desk.time.run(0)
  desk.wire.last.answer(doneFrom(desk.wire.last, 8))
  await desk.time.run(0)
  t.is(fate.value?.index, 8)
})

test('a node that led and was deposed sends what it proposed to the next leader', async (t) => {
  const desk = new Desk()
  desk.follow(2, 3)
  const fate = fateOf(desk.forwarder.submit(put('k'), 5_000))
  const proposed = present(desk.replica.proposed[0], 'a proposal')
  desk.follow(1, 4)
  proposed.onOutcome({ kind: 'unknown' })
  await desk.time.run(1)
  t.alike(desk.wire.keys, ['k'])
  t.alike(idsOf(desk.wire.last), [decodeWrite(proposed.payload).request])
  desk.wire.last.answer(doneFrom(desk.wire.last, 8))
  await desk.time.run(0)
  t.is(fate.value?.index, 8)
})

test('without a leader until the deadline: what had left is TIMEOUT, what had not is UNAVAILABLE', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const sent = fateOf(desk.forwarder.submit(put('sent'), 1_000))
  desk.follow(null, 4)
  const waiting = fateOf(desk.forwarder.submit(put('waiting'), 1_000))
  await desk.time.run(999)
  t.is(sent.code, null)
  await desk.time.run(1)
  t.is(sent.code, 'TIMEOUT')
  t.is(waiting.code, 'UNAVAILABLE')
})

test('a second copy that is refused leaves the first in doubt', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const fate = fateOf(desk.forwarder.submit(put('k'), 1_000))
  desk.wire.last.end({ kind: 'lost' })
  await desk.time.run(60)
  desk.wire.last.answer(OVERLOADED)
  await desk.time.run(60)
  t.is(fate.code, null, 'OVERLOADED would say that nothing happened')
  t.is(desk.wire.asked.length, 3)
  desk.wire.last.answer({
    kind: 'outcomes',
    outcomes: [{ kind: 'refused', reason: 'overwritten' }]
  })
  await desk.time.run(1_000)
  t.is(fate.code, 'TIMEOUT')

  const other = fateOf(desk.forwarder.submit(put('k'), 1_000))
  desk.wire.last.end({ kind: 'lost' })
  await desk.time.run(60)
  desk.wire.last.answer({ kind: 'rejected' })
  await desk.time.run(0)
  t.is(other.code, 'OUTCOME_UNKNOWN')
})

test('a node that ends while a command is in doubt says so', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const fate = fateOf(desk.forwarder.submit(put('k'), 1_000))
  desk.follow(null, 3)
  await desk.time.run(10)
  desk.forwarder.close()
  await desk.time.run(0)
  t.is(fate.code, 'OUTCOME_UNKNOWN')
})

test('whoever has its answer, or gave up, is waited for no more', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const done = fateOf(desk.forwarder.submit(put('done'), 1_000))
  desk.wire.last.answer(doneFrom(desk.wire.last, 7))
  const late = fateOf(desk.forwarder.submit(put('late'), 1_000))
  await desk.time.run(1_000)
  t.is(done.value?.index, 7)
  t.is(late.code, 'TIMEOUT')
  fateOf(desk.forwarder.submit(put('next'), 1_000))
  t.is(idsOf(desk.wire.last)[0]?.answeredBelow, 3)
})

test('a client that the cluster has forgotten becomes another one, if no copy is in doubt', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  desk.replica.apply(40)
  const fates = ['a', 'b'].map((key) => fateOf(desk.forwarder.submit(put(key), 5_000)))
  const before = [0, 1].flatMap((at) => idsOf(desk.wire.at(at)))
  t.alike(
    before.map(({ since, sequence, answeredBelow }) => [since, sequence, answeredBelow]),
    [
      [40, 1, 1],
      [40, 2, 1]
    ]
  )
  for (const asked of desk.wire.asked.slice()) asked.answer(answerOf(expired(77)))
  await desk.time.run(0)
  const after = [2, 3].flatMap((at) => idsOf(desk.wire.at(at)))
  t.alike(
    after.map(({ since, sequence }) => [since, sequence]),
    [
      [77, 1],
      [77, 2]
    ],
    'at once, from where the cluster takes new clients, and one for both'
  )
  t.unlike(after[0]?.clientId, before[0]?.clientId)
  t.alike(after[0]?.clientId, after[1]?.clientId)
  for (const asked of desk.wire.asked.slice(2)) asked.answer(doneFrom(asked, 80))
  await desk.time.run(0)
  for (const { value } of fates) t.is(value?.index, 80)
})

test('a command in doubt whose client is forgotten is not sent under another id', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const fate = fateOf(desk.forwarder.submit(put('k'), 5_000))
  desk.wire.last.end({ kind: 'lost' })
  await desk.time.run(60)
  desk.wire.last.answer(answerOf(expired(77)))
  await desk.time.run(1_000)
  t.alike(fate.value?.result, expired(77))
  t.is(desk.wire.asked.length, 2)
})
