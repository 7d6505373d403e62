// Time that passes only when a test says so.

import test from 'brittle'
import { SeededRandom, randomBelow } from '../../lib/random.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'

test('events come in order of time, then of arrival, at exactly their time', async (t) => {
  const time = new VirtualTime()
  const seen: string[] = []
  const at = (name: string) => () => void seen.push(`${name}@${time.nowMs()}`)
  time.start(5, at('c'))
  time.start(1, at('a'))
  time.start(5, at('d'))
  time.start(2.5, at('b'))
  time.soon(at('soon'))
  time.start(-1, at('late'))
  await time.run(5)
  t.alike(seen, ['soon@0', 'late@0', 'a@1', 'b@2.5', 'c@5', 'd@5'])
  t.is(time.nowMs(), 5)
})

test('a thousand events in any order come out sorted', async (t) => {
  const time = new VirtualTime()
  const random = new SeededRandom(7)
  const seen: number[] = []
  for (let count = 0; count < 1_000; count++) {
    const atMs = randomBelow(random, 300)
    time.start(atMs, () => seen.push(atMs))
  }
  await time.run(300)
  t.is(seen.length, 1_000)
  t.alike(
    seen,
    seen.toSorted((a, b) => a - b)
  )
})

test('what is cancelled never comes, also twice, also by an event of the same moment', async (t) => {
  const time = new VirtualTime()
  const never = time.start(1, () => t.fail('cancelled'))
  const victim = time.start(2, () => t.fail('cancelled in time'))
  never.cancel()
  never.cancel()
  time.start(0, () => {
    time.start(2, () => t.fail('cancelled by the one before')).cancel()
    victim.cancel()
  })
  t.is(time.pendingCount, 2)
  await time.run(10)
  t.is(time.pendingCount, 0)
})

test('time ends where it was told to, and what is due later waits', async (t) => {
  const time = new VirtualTime()
  let count = 0
  time.start(10, () => count++)
  await time.run(9.5)
  t.is(count, 0)
  t.is(time.nowMs(), 9.5)
  await time.run(0.5)
  t.is(count, 1)
})

test('microtasks settle between two events, however many follow each other', async (t) => {
  const time = new VirtualTime()
  const seen: string[] = []
  const chain = async (): Promise<void> => {
    for (let step = 0; step < 50; step++) await Promise.resolve()
    seen.push('chain')
  }
  time.start(1, () => void chain())
  time.start(1, () => seen.push('next'))
  await time.run(1)
  t.alike(seen, ['chain', 'next'])
})

test('runUntil stops at the event that made it true, and says so when nothing did', async (t) => {
  const time = new VirtualTime()
  let value = 0
  for (const atMs of [1, 2, 3]) time.start(atMs, () => (value = atMs))
  t.ok(await time.runUntil(() => value === 2, 100))
  t.is(time.nowMs(), 2)
  t.absent(await time.runUntil(() => value === 9, 100))
})

test('settled gives the value or the error, and fails when time is over', async (t) => {
  const time = new VirtualTime()
  const after = (
    ms: number,
    end: (resolve: (text: string) => void, reject: (e: Error) => void) => void
  ) =>
    new Promise<string>((resolve, reject) => {
      time.start(ms, () => end(resolve, reject))
    })
  t.is(
    await time.settled(
      after(5, (resolve) => resolve('x')),
      10
    ),
    'x'
  )
  const failing = after(5, (_resolve, reject) => reject(new Error('planted')))
  await t.exception(time.settled(failing, 10), /planted/)
  await t.exception(time.settled(new Promise(() => {}), 10), /nothing within 10 ms/)
})

test('both clocks move together', async (t) => {
  const time = new VirtualTime(1_000)
  await time.run(20.7)
  t.is(time.nowMs(), 20.7)
  t.is(time.wallMs(), 1_020)
})
