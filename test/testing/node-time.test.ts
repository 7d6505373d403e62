// One node's clocks and timers: fast, slow, wrong, paused, asleep and dead.

import test from 'brittle'
import { SeededRandom, randomBelow } from '../../lib/random.ts'
import { NodeTime } from '../../lib/testing/node-time.ts'
import type { NodeTimeOptions } from '../../lib/testing/node-time.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'

function prepare(options?: NodeTimeOptions) {
  const time = new VirtualTime()
  const node = new NodeTime(time, options)
  const seen: string[] = []
  const at = (name: string) => () => void seen.push(`${name}@${time.nowMs()}`)
  return { time, node, seen, at }
}

test('without options it is the virtual time itself', async (t) => {
  const { time, node, seen, at } = prepare()
  node.start(5, at('b'))
  time.start(5, at('c'))
  node.soon(at('a'))
  node.start(5, at('d'))
  await time.run(5.5)
  t.alike(seen, ['a@0', 'b@5', 'c@5', 'd@5'])
  t.is(node.nowMs(), time.nowMs())
  t.is(node.wallMs(), time.wallMs())
})

test('a fast clock and its timers run fast, a slow one slowly; the wall clock is only off', async (t) => {
  const { time, node: fast, seen, at } = prepare({ rate: 2, wallOffsetMs: -3_600_000 })
  const slow = new NodeTime(time, { rate: 0.5 })
  fast.start(100, at('fast'))
  slow.start(100, at('slow'))
  await time.run(1_000)
  t.alike(seen, ['fast@50', 'slow@200'])
  t.is(fast.nowMs(), 2_000)
  t.is(slow.nowMs(), 500)
  t.is(fast.wallMs(), time.wallMs() - 3_600_000)
  t.is(slow.wallMs(), time.wallMs())
  await t.exception.all(() => new NodeTime(time, { rate: 3 }), /rate/)
})

test('when a timer runs, its time has come by the clock that it was started on', async (t) => {
  const time = new VirtualTime()
  const random = new SeededRandom(3)
  let count = 0
  for (let round = 0; round < 200; round++) {
    const node = new NodeTime(time, { rate: 0.5 + randomBelow(random, 1_500) / 1_000 })
    const delayMs = randomBelow(random, 1_000) / 7
    const dueMs = node.nowMs() + delayMs
    node.start(delayMs, () => {
      count++
      if (node.nowMs() < dueMs) t.fail(`${node.nowMs()} is before ${dueMs}`)
    })
    await time.run(randomBelow(random, 90) / 13)
  }
  await time.run(1_000)
  t.is(count, 200)
})

test('a paused node runs nothing; resumed, it runs what fell due in order, one event each', async (t) => {
  const { time, node, seen, at } = prepare()
  node.pause()
  node.start(30, at('c'))
  node.start(10, at('a'))
  node.start(20, () => {
    at('b')()
    void Promise.resolve().then(at('b settled'))
    node.soon(at('after all that waited'))
  })
  time.start(10, at('another'))
  await time.run(40)
  t.ok(node.isPaused)
  t.alike(seen, ['another@10'])
  t.is(node.nowMs(), 40, 'its clock goes on')
  node.resume()
  t.alike(seen, ['another@10'], 'not during the call')
  node.start(0, at('later'))
  await time.run(0)
  const expected = ['a', 'b', 'b settled', 'c', 'later', 'after all that waited']
  t.alike(
    seen.slice(1),
    expected.map((name) => `${name}@40`)
  )
})

test('a node that is paused again before it has caught up keeps the rest, in order', async (t) => {
  const { time, node, seen, at } = prepare()
  node.pause()
  node.start(1, at('a'))
  node.start(2, () => {
    at('b')()
    node.pause()
  })
  node.start(3, at('c'))
  node.start(9, at('d'))
  await time.run(5)
  node.resume()
  await time.run(5)
  t.alike(seen, ['a@5', 'b@5'])
  node.resume()
  node.pause()
  node.resume()
  await time.run(5)
  t.alike(seen, ['a@5', 'b@5', 'c@10', 'd@10'])
})

test('who watches is told of each pause and each resume, once', (t) => {
  const { node } = prepare()
  const told: boolean[] = []
  node.watchPauses(() => void told.push(node.isPaused))
  node.pause()
  node.pause()
  node.resume()
  node.resume()
  t.alike(told, [true, false])
})

test('what is cancelled never runs, neither before it is due nor while it waits', async (t) => {
  const { time, node, seen, at } = prepare({ rate: 0.7 })
  node.start(1, at('never')).cancel()
  node.pause()
  const waiting = node.start(1, at('never'))
  const victim = node.start(3, at('never'))
  node.start(2, () => {
    at('kept')()
    victim.cancel()
    victim.cancel()
  })
  await time.run(10)
  waiting.cancel()
  node.resume()
  await time.run(10)
  t.alike(seen, ['kept@10'])
  t.is(time.pendingCount, 0)
})

test('a set wall clock disturbs no timer', async (t) => {
  const { time, node, seen, at } = prepare()
  node.start(10, at('a'))
  node.jumpWall(-86_400_000)
  t.is(node.wallMs(), time.wallMs() - 86_400_000)
  node.jumpWall(2 * 86_400_000)
  t.is(node.wallMs(), time.wallMs() + 86_400_000)
  await time.run(10)
  t.alike(seen, ['a@10'])
  t.is(node.nowMs(), 10)
})

test('after a sleep all that is due runs at once, late and in order; the rest comes earlier', async (t) => {
  const { time, node, seen, at } = prepare({ rate: 2 })
  node.start(3_000, at('c'))
  node.start(1_000, at('a'))
  node.start(5_000, at('d'))
  node.start(1_000, at('b'))
  await time.run(100)
  node.skip(3_000)
  t.is(node.nowMs(), 3_200)
  t.alike(seen, [])
  await time.run(0)
  t.alike(seen, ['a@100', 'b@100', 'c@100'])
  await time.run(10_000)
  t.is(seen[3], 'd@1000')
  await t.exception.all(() => node.skip(-1), /never goes back/)
})

test('a killed node never runs anything again', async (t) => {
  const { time, node, seen, at } = prepare()
  node.start(5, at('pending'))
  node.pause()
  node.start(1, at('waiting'))
  await time.run(2)
  node.resume()
  node.kill()
  node.start(1, at('started when dead')).cancel()
  node.soon(at('soon when dead'))
  node.skip(1)
  node.pause()
  node.resume()
  await time.run(100)
  t.alike(seen, [])
  t.absent(node.isPaused)
  t.is(time.pendingCount, 0)
})
