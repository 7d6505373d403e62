// When a lost link to the leader is news.

import test from 'brittle'
import { LeaderLink } from '../../lib/cluster/leader-link.ts'
import { SeededRandom } from '../../lib/random.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'

function open(seed = 1) {
  const time = new VirtualTime()
  const linked = new Set<number>()
  const lost: string[] = []
  const link = new LeaderLink({
    timers: time,
    random: new SeededRandom(seed),
    isLinked: (id) => linked.has(id),
    onLost: (id) => lost.push(`${id}@${time.nowMs()}`)
  })
  return { time, linked, lost, link }
}

test('it is told 200 to 400 ms after the loss', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const { time, lost, link } = open(seed)
    link.onLinkDown(1)
    await time.run(199)
    t.is(lost.length, 0)
    await time.run(201)
    t.is(lost.length, 1)
  }
})

test('a link that is back by then is no news', async (t) => {
  const { time, linked, lost, link } = open()
  link.onLinkDown(1)
  linked.add(1)
  await time.run(1_000)
  t.is(lost.length, 0)
})

test('a second loss begins the grace anew', async (t) => {
  const { time, lost, link } = open()
  link.onLinkDown(1)
  await time.run(190)
  link.onLinkDown(1)
  await time.run(199)
  t.is(lost.length, 0)
  await time.run(201)
  t.is(lost.length, 1)
})

test('each member has its own time, and none after the end', async (t) => {
  const { time, lost, link } = open()
  link.onLinkDown(1)
  link.onLinkDown(2)
  await time.run(400)
  t.alike(new Set(lost.map((text) => text[0])), new Set(['1', '2']))
  link.onLinkDown(1)
  link.close()
  link.onLinkDown(2)
  t.is(time.pendingCount, 0)
})
