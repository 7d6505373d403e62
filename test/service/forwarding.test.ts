// Every command and read reaches the leader in one hop, or says truly how it ended.

import test from 'brittle'
import { MAX_ENTRY_BYTES, MAX_FORWARDS_UNDER_WAY, MAX_PENDING_PROPOSALS } from '../../lib/limits.ts'
import { MAX_PENDING_PROPOSAL_BYTES, MAX_PENDING_READS } from '../../lib/limits.ts'
import type { Proposal } from '../../lib/replica/proposals.ts'
import type { LeaderAnswer } from '../../lib/service/encoding.ts'
import { Desk, doneFrom, fateOf } from './leader.ts'
import { put } from './samples.ts'

const ready = (index: number): LeaderAnswer => ({
  kind: 'readAnswer',
  outcome: { kind: 'ready', index }
})
const refused = (
  reason: 'notLeader' | 'overwritten' | 'overloaded' | 'clockOff'
): LeaderAnswer => ({
  kind: 'outcomes',
  outcomes: [{ kind: 'refused', reason }]
})

test('a follower forwards to the leader, and a leader proposes itself', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const far = fateOf(desk.forwarder.submit(put('far'), 5_000))
  t.is(desk.wire.last.to, 1)
  desk.wire.last.answer(doneFrom(desk.wire.last, 7))
  await desk.time.run(0)
  t.alike(far.value, { index: 7, result: { kind: 'none' } })
  desk.follow(2, 4)
  const near = fateOf(desk.forwarder.submit(put('near'), 5_000))
  t.is(desk.wire.asked.length, 1)
  desk.replica.proposed[0]?.onOutcome({ kind: 'done', index: 8, result: { kind: 'none' } })
  await desk.time.run(0)
  t.is(near.value?.index, 8)
  t.is(desk.time.pendingCount, 0, 'no timer stays')
})

test('the same leader in the same term keeps what is under way', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const sent = fateOf(desk.forwarder.submit(put('k'), 5_000))
  desk.follow(1, 3)
  desk.forwarder.onLinkUp()
  await desk.time.run(0)
  t.is(sent.code, null)
  desk.wire.last.answer(doneFrom(desk.wire.last, 7))
  await desk.time.run(0)
  t.is(sent.value?.index, 7)
})

test('a refusal means that nothing happened: the write goes on to whoever leads next', async (t) => {
  for (const reason of ['notLeader', 'overwritten', 'clockOff'] as const) {
    const desk = new Desk()
    desk.follow(1, 3)
    const fate = fateOf(desk.forwarder.submit(put('k'), 5_000))
    desk.wire.last.answer(refused(reason))
    await desk.time.run(1)
    t.is(desk.wire.asked.length, 1, 'not at once again')
    desk.follow(3, 4)
    await desk.time.run(1)
    t.is(desk.wire.last.to, 3, reason)
    desk.wire.last.answer(doneFrom(desk.wire.last, 8))
    await desk.time.run(0)
    t.is(fate.value?.index, 8)
  }
})

test('a leader that does not take such a request is not asked again: nothing happened', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const write = fateOf(desk.forwarder.submit(put('k'), 5_000))
  desk.wire.last.answer({ kind: 'rejected' })
  const read = fateOf(desk.forwarder.confirmRead(5_000))
  desk.wire.last.answer({ kind: 'rejected' })
  await desk.time.run(4_999)
  t.is(write.code, 'UNAVAILABLE')
  t.is(read.code, 'UNAVAILABLE')
  t.is(desk.wire.asked.length, 2)
  t.is(desk.time.pendingCount, 0)
})

test('an overloaded leader is not asked again', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const write = fateOf(desk.forwarder.submit(put('k'), 5_000))
  desk.wire.last.answer(refused('overloaded'))
  const read = fateOf(desk.forwarder.confirmRead(5_000))
  desk.wire.last.answer({
    kind: 'readAnswer',
    outcome: { kind: 'refused', reason: 'overloaded' }
  })
  await desk.time.run(1)
  t.is(write.code, 'OVERLOADED')
  t.is(read.code, 'OVERLOADED')
})

test('without a leader a write waits until its deadline, and is then refused to the millisecond', async (t) => {
  const desk = new Desk()
  const fate = fateOf(desk.forwarder.submit(put('k'), 1_234))
  await desk.time.run(1_233)
  t.is(fate.code, null)
  await desk.time.run(1)
  t.is(fate.code, 'UNAVAILABLE')
  t.is(desk.time.pendingCount, 0)
})

test('a leader that appears wakes who waits', async (t) => {
  const desk = new Desk()
  const fate = fateOf(desk.forwarder.submit(put('k'), 5_000))
  const read = fateOf(desk.forwarder.confirmRead(5_000))
  await desk.time.run(101)
  desk.follow(1, 3)
  await desk.time.run(0)
  t.alike(desk.wire.keys, ['k', '?'])
  desk.wire.at(0).answer(doneFrom(desk.wire.at(0), 1))
  desk.wire.at(1).answer(ready(0))
  await desk.time.run(0)
  t.ok(fate.value !== null && read.value !== null)
})

test('at the deadline: sent is TIMEOUT, not sent is UNAVAILABLE, and never leaves afterwards', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const sent = Array.from({ length: MAX_FORWARDS_UNDER_WAY }, () =>
    fateOf(desk.forwarder.submit(put('sent'), 1_000))
  )
  const waiting = fateOf(desk.forwarder.submit(put('waiting'), 1_000))
  await desk.time.run(999)
  for (const { code } of [...sent, waiting]) t.is(code, null)
  await desk.time.run(1)
  for (const { code } of sent) t.is(code, 'TIMEOUT')
  t.is(waiting.code, 'UNAVAILABLE')
  desk.wire.at(0).answer(doneFrom(desk.wire.at(0), 1))
  await desk.time.run(10_000)
  t.absent(desk.wire.keys.includes('waiting'))
})

test('nothing is begun at the deadline: it would end as unknown', async (t) => {
  const desk = new Desk()
  desk.wire.atOnce = { kind: 'notSent', reason: 'noLink' }
  desk.follow(1, 3)
  const fate = fateOf(desk.forwarder.submit(put('k'), 1_000))
  await desk.time.run(999)
  desk.wire.atOnce = null
  await desk.time.run(1)
  t.is(fate.code, 'UNAVAILABLE')
  t.is(desk.wire.asked.length, 0)
})

test('on the leader itself, a proposal without an outcome at the deadline is TIMEOUT', async (t) => {
  const desk = new Desk()
  desk.follow(2, 3)
  const fate = fateOf(desk.forwarder.submit(put('k'), 1_000))
  await desk.time.run(1_000)
  t.is(fate.code, 'TIMEOUT')
  desk.replica.proposed[0]?.onOutcome({ kind: 'done', index: 8, result: { kind: 'none' } })
  await desk.time.run(0)
  t.is(fate.code, 'TIMEOUT')
})

test('one question serves all reads that wait, and each waits until its index is applied here', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const first = fateOf(desk.forwarder.confirmRead(5_000))
  const later = [1, 2, 3].map(() => fateOf(desk.forwarder.confirmRead(5_000)))
  t.alike(desk.wire.keys, ['?'])
  desk.replica.apply(10)
  desk.wire.last.answer(ready(10))
  await desk.time.run(0)
  t.is(first.value, 10)
  t.alike(desk.wire.keys, ['?', '?'], 'the later ones need an index confirmed after they came')
  desk.wire.last.answer(ready(12))
  await desk.time.run(0)
  t.alike(
    later.map(({ value }) => value),
    [null, null, null]
  )
  desk.replica.apply(13)
  await desk.time.run(0)
  t.alike(
    later.map(({ value }) => value),
    [13, 13, 13]
  )
  t.is(desk.time.pendingCount, 0)
})

test('a lost read is asked again, also of the next leader', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const fate = fateOf(desk.forwarder.confirmRead(5_000))
  desk.wire.last.end({ kind: 'lost' })
  await desk.time.run(60)
  t.is(desk.wire.asked.length, 2)
  desk.follow(3, 4)
  await desk.time.run(1)
  t.is(desk.wire.last.to, 3)
  desk.replica.apply(5)
  desk.wire.last.answer(ready(5))
  await desk.time.run(0)
  t.is(fate.value, 5)
})

test('a read at its deadline is UNAVAILABLE, wherever it hangs, and leaves nothing behind', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const unanswered = fateOf(desk.forwarder.confirmRead(1_000))
  await desk.time.run(999)
  t.is(unanswered.code, null)
  await desk.time.run(1)
  t.is(unanswered.code, 'UNAVAILABLE')
  const unapplied = fateOf(desk.forwarder.confirmRead(1_000))
  desk.wire.last.answer(ready(99))
  desk.wire.last.answer(ready(99))
  await desk.time.run(1_000)
  t.is(unapplied.code, 'UNAVAILABLE')
  t.is(desk.replica.waitingCount, 0)
})

test('a node takes so many writes and reads at a time, in number and in bytes', async (t) => {
  const desk = new Desk()
  for (let count = 0; count < MAX_PENDING_PROPOSALS; count++) {
    fateOf(desk.forwarder.submit(put('k'), 5_000))
  }
  const over = fateOf(desk.forwarder.submit(put('k'), 5_000))
  for (let count = 0; count < MAX_PENDING_READS; count++) fateOf(desk.forwarder.confirmRead(5_000))
  const overRead = fateOf(desk.forwarder.confirmRead(5_000))
  await desk.time.run(0)
  t.is(over.code, 'OVERLOADED')
  t.is(overRead.code, 'OVERLOADED')
  await desk.time.run(5_000)
  const again = fateOf(desk.forwarder.submit(put('k'), 5_000))
  await desk.time.run(0)
  t.is(again.code, null, 'there is room again')

  const other = new Desk()
  const large = () => ({ kind: 2, payload: new Uint8Array(MAX_ENTRY_BYTES) })
  const fitting = Math.floor(MAX_PENDING_PROPOSAL_BYTES / MAX_ENTRY_BYTES)
  const fates = Array.from({ length: fitting + 1 }, () =>
    fateOf(other.forwarder.submit(large, 5_000))
  )
  await other.time.run(0)
  t.is(fates.at(-1)?.code, 'OVERLOADED')
  t.is(fates.at(-2)?.code, null)
})

test('the bytes that writes hold are counted exactly, and given back however a write ends', async (t) => {
  const desk = new Desk()
  desk.follow(2, 3)
  const submit = (byteCount: number) =>
    fateOf(desk.forwarder.submit(() => ({ kind: 2, payload: new Uint8Array(byteCount) }), 5_000))
  const half = MAX_PENDING_PROPOSAL_BYTES / 2
  const ends: readonly ((proposal: Proposal) => void)[] = [
    ({ onOutcome }) => onOutcome({ kind: 'done', index: 7, result: { kind: 'none' } }),
    ({ onOutcome }) => onOutcome({ kind: 'refused', reason: 'overloaded' }),
    ({ onOutcome }) => onOutcome({ kind: 'unknown' }),
    () => {}
  ]
  for (const [position, end] of ends.entries()) {
    const taken = [submit(half), submit(half - 1)]
    const over = submit(2)
    await desk.time.run(0)
    t.is(over.code, 'OVERLOADED', 'one byte too many')
    const full = [...taken, submit(1)]
    await desk.time.run(0)
    for (const { code } of full) t.is(code, null, 'the limit itself fits')
    for (const proposal of desk.replica.proposed.splice(0)) end(proposal)
    await desk.time.run(5_000)
    for (const { value, code } of full) t.ok(value !== null || code !== null, `end ${position}`)
  }
  const again = [submit(half), submit(half), submit(1)]
  await desk.time.run(0)
  t.alike(
    again.map(({ code }) => code),
    [null, null, 'OVERLOADED']
  )
})

test('close answers everybody: under way is unknown, not sent is refused', async (t) => {
  const desk = new Desk()
  desk.follow(1, 3)
  const sent = Array.from({ length: MAX_FORWARDS_UNDER_WAY }, () =>
    fateOf(desk.forwarder.submit(put('sent'), 5_000))
  )
  const waiting = fateOf(desk.forwarder.submit(put('waiting'), 5_000))
  const read = fateOf(desk.forwarder.confirmRead(5_000))
  desk.forwarder.close()
  desk.forwarder.close()
  const late = fateOf(desk.forwarder.submit(put('late'), 5_000))
  await desk.time.run(0)
  for (const { code } of sent) t.is(code, 'OUTCOME_UNKNOWN')
  t.is(waiting.code, 'UNAVAILABLE')
  t.is(read.code, 'UNAVAILABLE')
  t.is(late.code, 'UNAVAILABLE')
  t.is(desk.time.pendingCount, 0)
})
