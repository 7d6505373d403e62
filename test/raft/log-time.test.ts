// The log's own time: never back, never moved by a minority of wrong clocks.

import test from 'brittle'
import { MAX_CLOCK_SKEW_MS } from '../../lib/limits.ts'
import { LogClock } from '../../lib/raft/log-time.ts'
import { Cluster } from './cluster.ts'
import { timing } from './fixtures.ts'

const HOUR = 3_600_000
const now = { nowMs: 1_000, wallMs: 10 * HOUR }

test('a sole voter stamps with its own clock, and never goes back', (t) => {
  const clock = new LogClock(1, 0)
  t.is(clock.stamp([1], now), now.wallMs)
  t.is(clock.stamp([1], { nowMs: 2_000, wallMs: now.wallMs - HOUR }), now.wallMs)
  t.absent(clock.isOff([1], { nowMs: 2_000, wallMs: now.wallMs - HOUR }), 'and refuses nothing')
  t.is(clock.stamp([1], { nowMs: 3_000, wallMs: now.wallMs + 1.5 }), now.wallMs + 1)
})

test('until a quorum of clocks is known, time stands still', (t) => {
  const clock = new LogClock(1, 5 * HOUR)
  t.is(clock.stamp([1, 2, 3], now), 5 * HOUR)
  clock.hear(2, now.wallMs + 10, now)
  t.is(clock.stamp([1, 2, 3], now), now.wallMs)
})

test('clocks go on with monotonic time after they were heard', (t) => {
  const clock = new LogClock(1, 0)
  clock.hear(2, now.wallMs - 5, now)
  clock.hear(3, now.wallMs - 10, now)
  const later = { nowMs: now.nowMs + 700, wallMs: now.wallMs + 700 }
  t.is(clock.stamp([1, 2, 3], later), now.wallMs + 695)
})

test('what the next stamp would be goes on while nothing is stamped, and looking moves nothing', (t) => {
  const clock = new LogClock(1, 0)
  t.is(clock.read([1], now), now.wallMs)
  const later = { nowMs: now.nowMs + HOUR, wallMs: now.wallMs + HOUR }
  t.is(clock.read([1], later), later.wallMs)
  t.is(clock.stamp([1], now), now.wallMs, 'the later look was no stamp')
  t.is(clock.read([1], { nowMs: 2_000, wallMs: 0 }), now.wallMs, 'and it never falls')
})

test('TIM-03: one wrong clock of three moves nothing, wherever it is', (t) => {
  for (const wrong of [0, 1_000 * HOUR]) {
    const follower = new LogClock(1, 0)
    follower.hear(2, now.wallMs, now)
    follower.hear(3, wrong, now)
    t.is(follower.stamp([1, 2, 3], now), now.wallMs)
    t.absent(follower.isOff([1, 2, 3], now))
    const leader = new LogClock(1, 0)
    for (const id of [2, 3]) leader.hear(id, now.wallMs, now)
    const off = { nowMs: now.nowMs, wallMs: wrong }
    t.is(leader.stamp([1, 2, 3], off), now.wallMs)
    t.ok(leader.isOff([1, 2, 3], off), 'the leader is told that it is the wrong one')
  }
})

test('two clocks that disagree: nobody knows, the earlier one stamps, nothing is refused', (t) => {
  const clock = new LogClock(1, 0)
  clock.hear(2, now.wallMs - HOUR, now)
  t.is(clock.stamp([1, 2], now), now.wallMs - HOUR)
  t.absent(clock.isOff([1, 2], now))
})

test('the limit is five minutes, exactly', (t) => {
  const clock = new LogClock(1, 0)
  for (const id of [2, 3]) clock.hear(id, now.wallMs, now)
  t.absent(clock.isOff([1, 2, 3], { ...now, wallMs: now.wallMs + MAX_CLOCK_SKEW_MS }))
  t.ok(clock.isOff([1, 2, 3], { ...now, wallMs: now.wallMs + MAX_CLOCK_SKEW_MS + 1 }))
})

test('learners have no say in time, and a leader with a wrong clock refuses proposals', (t) => {
  const cluster = Cluster.of([1, 2, 3], { learners: [4] })
  cluster.node(1).skewMs = -HOUR
  cluster.node(4).skewMs = 100 * HOUR
  cluster.elect(1)
  t.alike(cluster.propose(1, 'a').refused, [{ ref: 1, reason: 'clockOff' }])
  cluster.step(1, { kind: 'transfer', ref: 2, target: 2 })
  cluster.settle()
  cluster.run(timing.heartbeatMs)
  t.is(cluster.propose(2, 'a').proposed.length, 1, 'another leader takes them')
  const { stored } = cluster.node(2).disk
  const stamps = stored.map((entry) => entry.timeMs)
  t.alike(
    stamps,
    stamps.toSorted((a, b) => a - b)
  )
  t.is(stamps.at(-1), 1_700_000_000_000 + Math.floor(cluster.nowMs))
})
