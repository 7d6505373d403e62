// The way to one leader in one term.

import test from 'brittle'
import { MAX_APPEND_BYTES, MAX_APPEND_ENTRIES } from '../../lib/limits.ts'
import { MAX_FORWARDS_UNDER_WAY, READ_ROUND_MS } from '../../lib/limits.ts'
import type { Attempt, ReadAttempt } from '../../lib/service/leader-lane.ts'
import { LeaderLane } from '../../lib/service/leader-lane.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import { doneFrom, Wire } from './leader.ts'
import { writeOf } from './samples.ts'

function open() {
  const time = new VirtualTime()
  const wire = new Wire()
  const { request } = wire
  const lane = new LeaderLane({ leader: 1, term: 3, clock: time, timers: time, request })
  const propose = (key: string, byteCount = 1) => {
    const attempts: Attempt[] = []
    const entry = { kind: 2, payload: writeOf(key, new Uint8Array(byteCount)) }
    const withdraw = lane.propose({
      entry,
      deadlineMs: time.nowMs() + 5_000,
      onEnd: (attempt) => attempts.push(attempt)
    })
    return { attempts, withdraw }
  }
  const read = (): ReadAttempt[] => {
    const attempts: ReadAttempt[] = []
    lane.readIndex((attempt) => attempts.push(attempt))
    return attempts
  }
  return { time, wire, lane, propose, read }
}

const again = { kind: 'again' }
const unknown = { kind: 'settled', outcome: { kind: 'unknown' } }

test('it is for one leader in one term, until it ends', (t) => {
  const { lane } = open()
  t.ok(lane.isFor(1, 3))
  t.absent(lane.isFor(2, 3))
  t.absent(lane.isFor(1, 4))
  lane.end()
  t.absent(lane.isFor(1, 3))
})

test('what is proposed while MAX_FORWARDS_UNDER_WAY requests are under way travels together', (t) => {
  const { wire, propose } = open()
  for (let count = 0; count < MAX_FORWARDS_UNDER_WAY; count++) propose(`first${count}`)
  const later = ['a', 'b', 'c'].map((key) => propose(key))
  t.is(wire.asked.length, MAX_FORWARDS_UNDER_WAY)
  wire.at(1).answer(doneFrom(wire.at(1), 7))
  t.is(wire.asked.length, MAX_FORWARDS_UNDER_WAY + 1)
  t.is(wire.keys.at(-1), 'a b c')
  wire.last.answer(doneFrom(wire.last, 20))
  t.alike(
    later.map(({ attempts }) => attempts),
    [20, 21, 22].map((index) => [
      { kind: 'settled', outcome: { kind: 'done', index, result: { kind: 'none' } } }
    ])
  )
})

test('a batch is bounded like an AppendEntries, in entries and in bytes', (t) => {
  const { wire, propose } = open()
  for (let count = 0; count < MAX_FORWARDS_UNDER_WAY; count++) propose('busy')
  for (let count = 0; count <= MAX_APPEND_ENTRIES; count++) propose('k')
  wire.at(0).answer(doneFrom(wire.at(0), 1))
  const { request } = wire.last
  t.is(request.kind === 'propose' ? request.proposals.length : 0, MAX_APPEND_ENTRIES)

  const other = open()
  for (let count = 0; count < MAX_FORWARDS_UNDER_WAY; count++) other.propose('busy')
  for (const key of ['a', 'b', 'c']) other.propose(key, MAX_APPEND_BYTES / 2 - 100)
  other.wire.at(0).answer(doneFrom(other.wire.at(0), 1))
  t.is(other.wire.keys.at(-1), 'a b')
})

test('what has not left can be taken back, what has left cannot', (t) => {
  const { wire, propose } = open()
  const sent = propose('sent')
  for (let count = 1; count < MAX_FORWARDS_UNDER_WAY; count++) propose('busy')
  const waiting = propose('waiting')
  t.absent(sent.withdraw())
  t.ok(waiting.withdraw())
  t.absent(waiting.withdraw(), 'once')
  wire.at(0).answer(doneFrom(wire.at(0), 1))
  t.absent(wire.keys.includes('waiting'))
})

test('at the end what had left is unknown, what had not goes on to the next leader', (t) => {
  const { lane, wire, propose, read } = open()
  const sent = Array.from({ length: MAX_FORWARDS_UNDER_WAY }, () => propose('sent'))
  const waiting = propose('waiting')
  const [asked, notAsked] = [read(), read()]
  lane.end()
  for (const { attempts } of sent) t.alike(attempts, [unknown])
  t.alike(waiting.attempts, [again])
  t.alike(asked, [again])
  t.alike(notAsked, [again])
  wire.at(0).answer(doneFrom(wire.at(0), 1))
  t.alike(sent[0]?.attempts, [unknown], 'a late answer changes nothing')
  t.is(wire.asked.length, MAX_FORWARDS_UNDER_WAY + 1, 'and nothing is sent any more')
  lane.end()
})

test('a lost link leaves writes unknown; without one nothing happened', (t) => {
  const { wire, propose, read } = open()
  const lost = propose('lost')
  wire.last.end({ kind: 'lost' })
  t.alike(lost.attempts, [unknown])
  const notSent = propose('not sent')
  wire.last.end({ kind: 'notSent', reason: 'busy' })
  t.alike(notSent.attempts, [again])
  const reads = read()
  wire.last.end({ kind: 'lost' })
  t.alike(reads, [again])
})

test('an answer that cannot be read, or is about something else, tells nothing', (t) => {
  const { wire, propose, read } = open()
  const garbled = propose('garbled')
  wire.last.end({ kind: 'answered', payload: Uint8Array.of(9, 9) })
  t.alike(garbled.attempts, [unknown])
  const strange = propose('strange')
  wire.last.answer({ kind: 'readAnswer', outcome: { kind: 'ready', index: 1 } })
  t.alike(strange.attempts, [unknown])
  const short = propose('short')
  wire.last.answer({ kind: 'outcomes', outcomes: [] })
  t.alike(short.attempts, [unknown])
  const reads = read()
  wire.last.answer({ kind: 'outcomes', outcomes: [] })
  t.alike(reads, [again])
})

test('reads that wait share one question, and none rides on a question asked before it', (t) => {
  const { wire, read } = open()
  const first = read()
  const later = [read(), read(), read()]
  t.is(wire.asked.length, 1)
  wire.last.answer({ kind: 'readAnswer', outcome: { kind: 'ready', index: 5 } })
  t.alike(first, [{ kind: 'index', index: 5 }])
  t.alike(later.flat(), [])
  t.is(wire.asked.length, 2)
  wire.last.answer({ kind: 'readAnswer', outcome: { kind: 'ready', index: 9 } })
  t.alike(
    later,
    [1, 2, 3].map(() => [{ kind: 'index', index: 9 }])
  )
})

test('a refused read is asked again, or told that there are too many', (t) => {
  const { wire, read } = open()
  const refused = read()
  wire.last.answer({ kind: 'readAnswer', outcome: { kind: 'refused', reason: 'notLeader' } })
  t.alike(refused, [again])
  const tooMany = read()
  wire.last.answer({ kind: 'readAnswer', outcome: { kind: 'refused', reason: 'overloaded' } })
  t.alike(tooMany, [{ kind: 'overloaded' }])
})

test('a leader that hands over is left alone for a moment, so that nothing is in doubt', async (t) => {
  const { time, wire, lane, propose } = open()
  const refused = propose('refused')
  wire.last.answer({ kind: 'outcomes', outcomes: [{ kind: 'refused', reason: 'transferring' }] })
  t.is(refused.attempts.length, 1)
  const waiting = propose('waiting')
  t.is(wire.asked.length, 1)
  await time.run(99)
  t.is(wire.asked.length, 1)
  await time.run(1)
  t.is(wire.keys.at(-1), 'waiting', 'it still leads: the transfer came to nothing')
  wire.last.answer({ kind: 'outcomes', outcomes: [{ kind: 'refused', reason: 'transferring' }] })
  const later = propose('later')
  lane.end()
  t.alike(later.attempts, [again], 'it goes on to the next leader')
  t.is(waiting.attempts.length, 1)
  t.is(time.pendingCount, 0)
})

test('a leader that never answers does not hold up the lane for ever', async (t) => {
  const { time, wire, propose, read } = open()
  const sent = Array.from({ length: MAX_FORWARDS_UNDER_WAY }, () => propose('sent'))
  const waiting = propose('waiting')
  const [first, second] = [read(), read()]
  await time.run(READ_ROUND_MS + 400)
  t.alike(first, [])
  await time.run(200)
  t.alike(first, [again])
  t.is(wire.keys.at(-1), '?', 'the next reads get a question of their own')
  await time.run(2_950)
  for (const { attempts } of sent) t.alike(attempts, [unknown])
  t.alike(second, [again])
  t.is(wire.keys.filter((keys) => keys === 'waiting').length, 1, 'what waited has its turn')
  t.alike(waiting.attempts, [])
})

test('an answered lane leaves no timer', async (t) => {
  const { time, wire, lane, propose, read } = open()
  propose('k')
  wire.last.answer(doneFrom(wire.last, 1))
  read()
  wire.last.answer({ kind: 'readAnswer', outcome: { kind: 'ready', index: 5 } })
  t.is(time.pendingCount, 0)
  propose('k')
  read()
  lane.end()
  t.is(time.pendingCount, 0)
})
