// The way of an operation to the leader: what waits, what is sent once, and what an end means.

import test from 'brittle'
import type { NodeId } from '../../lib/node-id.ts'
import { OperationLane } from '../../lib/service/operation-lane.ts'
import type { OperationEnd, OperationResult } from '../../lib/service/operations.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import { fateOf, StillReplica, Wire } from './leader.ts'

const REMOVE = { kind: 'remove', id: 3, force: false } as const
const SNAPSHOT = { kind: 'snapshot', newest: 0 } as const
const LED: OperationResult = { kind: 'transferred', leader: 4 }
const MADE: OperationResult = { kind: 'snapshotAt', index: 9 }

/** Node 2, whose leader is the test. */
class Asker {
  readonly time = new VirtualTime()
  readonly wire = new Wire()
  readonly replica = new StillReplica()
  isOpen = true
  /** how this node ends what it carries out itself */
  readonly own: OperationEnd[] = []
  readonly lane = new OperationLane({
    id: 2,
    clock: this.time,
    timers: this.time,
    replica: this.replica,
    request: this.wire.request,
    desk: { carryOut: () => Promise.resolve(this.own.shift() ?? { kind: 'again' }) },
    isOpen: () => this.isOpen
  })

  follow(leader: NodeId | null): void {
    const role = leader === 2 ? 'leader' : 'follower'
    this.replica.status = { ...this.replica.status, role, leader }
  }
}

test('it waits for a leader, asks it once, and hands on its answer', async (t) => {
  const asker = new Asker()
  const fate = fateOf(asker.lane.ask({ kind: 'transfer', target: 4 }, 1_000))
  await asker.time.run(200)
  t.is(asker.wire.asked.length, 0)
  asker.follow(1)
  await asker.time.run(100)
  t.alike(
    asker.wire.asked.map(({ to, request }) => [to, request.kind]),
    [[1, 'operate']]
  )
  asker.wire.last.answer({ kind: 'operated', end: { kind: 'done', result: LED } })
  await asker.time.run(0)
  t.alike(fate.value, LED)
  t.is(asker.time.pendingCount, 0)
})

test('a node that does not lead any more, or cannot be reached, is followed by the next', async (t) => {
  const asker = new Asker()
  asker.follow(1)
  const fate = fateOf(asker.lane.ask(REMOVE, 1_000))
  await asker.time.run(0)
  asker.wire.last.answer({ kind: 'operated', end: { kind: 'again' } })
  await asker.time.run(50)
  t.is(asker.wire.asked.length, 2)
  asker.wire.last.end({ kind: 'notSent', reason: 'noLink' })
  asker.follow(3)
  await asker.time.run(50)
  t.is(asker.wire.last.to, 3)
  t.is(fate.code, null)
  asker.follow(2)
  asker.wire.last.answer({ kind: 'operated', end: { kind: 'again' } })
  asker.own.push({ kind: 'failed', error: { code: 'LAST_VOTER', message: 'it is the last' } })
  await asker.time.run(50)
  t.is(fate.code, 'LAST_VOTER', 'this node led, and carried it out itself')
})

test('what has left is not sent again: lost it is unknown, unanswered it is a timeout', async (t) => {
  for (const [end, code] of [
    [{ kind: 'lost' }, 'OUTCOME_UNKNOWN'],
    [{ kind: 'answered', payload: Uint8Array.of(1, 99) }, 'OUTCOME_UNKNOWN'],
    [null, 'TIMEOUT']
  ] as const) {
    const asker = new Asker()
    asker.follow(1)
    const fate = fateOf(asker.lane.ask(REMOVE, 1_000))
    await asker.time.run(0)
    if (end !== null) asker.wire.last.end(end)
    await asker.time.run(999)
    t.is(fate.code, end === null ? null : code)
    await asker.time.run(1)
    t.is(fate.code, code)
    t.is(asker.wire.asked.length, 1)
  }
})

test('what may be carried out twice is asked of the next leader', async (t) => {
  const asker = new Asker()
  asker.follow(1)
  const fate = fateOf(asker.lane.ask(SNAPSHOT, 1_000))
  await asker.time.run(0)
  asker.wire.last.end({ kind: 'lost' })
  asker.follow(3)
  await asker.time.run(50)
  asker.wire.last.answer({ kind: 'operated', end: { kind: 'done', result: MADE } })
  await asker.time.run(0)
  t.alike(fate.value, MADE)
})

test('what was lost and is not answered by a next leader may have happened all the same', async (t) => {
  const asker = new Asker()
  asker.follow(1)
  const fate = fateOf(asker.lane.ask(SNAPSHOT, 1_000))
  await asker.time.run(0)
  const error = { code: 'OUTCOME_UNKNOWN', message: 'lost' } as const
  asker.wire.last.answer({ kind: 'operated', end: { kind: 'failed', error } })
  asker.follow(null)
  await asker.time.run(1_000)
  t.is(fate.code, 'TIMEOUT')
})

test('an answer to something else, or none to what cannot be read, is no success', async (t) => {
  const asker = new Asker()
  asker.follow(1)
  const wrong = fateOf(asker.lane.ask(REMOVE, 1_000))
  await asker.time.run(0)
  asker.wire.last.answer({ kind: 'operated', end: { kind: 'done', result: MADE } })
  await asker.time.run(0)
  t.is(wrong.code, 'OUTCOME_UNKNOWN')
  const rejected = fateOf(asker.lane.ask(REMOVE, 1_000))
  await asker.time.run(0)
  asker.wire.last.answer({ kind: 'rejected' })
  await asker.time.run(0)
  t.is(rejected.code, 'UNAVAILABLE')
  const other = fateOf(asker.lane.ask(REMOVE, 1_000))
  await asker.time.run(0)
  asker.wire.last.answer({ kind: 'disk', hasSpace: true })
  await asker.time.run(0)
  t.is(other.code, 'OUTCOME_UNKNOWN')
})

test('without a leader nothing has happened, and a node that ends asks nobody', async (t) => {
  const asker = new Asker()
  const fate = fateOf(asker.lane.ask(REMOVE, 1_000))
  await asker.time.run(1_000)
  t.is(fate.code, 'UNAVAILABLE')
  asker.isOpen = false
  asker.follow(1)
  const closed = fateOf(asker.lane.ask(REMOVE, 1_000))
  await asker.time.run(0)
  t.is(closed.code, 'UNAVAILABLE')
  t.is(asker.wire.asked.length, 0)
})
