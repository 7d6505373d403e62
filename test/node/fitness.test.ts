// Clusters in memory whose clocks are wrong: who leads, what is refused, what goes on.

import test from 'brittle'
import { bytesOf } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import { MAX_CLOCK_SKEW_MS } from '../../lib/limits.ts'
import type { Process } from '../../lib/testing/machine.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'

const LONG_MS = 60_000
const SOME_TIME_MS = 12_000
const HOUR_MS = 3_600_000
const NAMES = ['a', 'b', 'c', 'd', 'e']

async function voters(seed: number, count: number) {
  const cluster = new MemoryCluster({ seed, targetVoters: count })
  await cluster.form(NAMES.slice(0, count))
  await cluster.time.run(2_000)
  const leader = cluster.leader()
  if (leader === null) throw new Error('somebody leads')
  return { cluster, leader, others: cluster.nodes().filter((node) => node !== leader) }
}

/** How it ends: 'done' or the code. */
async function put(cluster: MemoryCluster, node: Process): Promise<string> {
  const change = { kind: 'put', key: bytesOf('k'), value: bytesOf('v'), condition: null } as const
  const end = node.assembly.service.kv.write({ changes: [change] }).then(
    () => 'done',
    (error: unknown) => (error instanceof AspenError ? error.code : String(error))
  )
  return await cluster.time.settled(end, LONG_MS)
}

test('a leader whose clock goes wrong hands over within 3 s, and writes go on everywhere', async (t) => {
  for (const offMs of [HOUR_MS, -HOUR_MS]) {
    const { cluster, leader } = await voters(3, 3)
    leader.time.jumpWall(offMs)
    const hasMoved = await cluster.time.runUntil(() => {
      const now = cluster.leader()
      return now !== null && now !== leader
    }, 3_000)
    t.ok(hasMoved, `${leader.name} leads no more`)
    for (const node of cluster.nodes()) t.is(await put(cluster, node), 'done', node.name)
    const { term } = leader.assembly.replica.status
    await cluster.time.run(SOME_TIME_MS)
    t.is(leader.assembly.replica.status.term, term, 'and nobody else has to go')
    await cluster.close()
  }
})

test('a clock that is off by less than the limit is no reason to go', async (t) => {
  const { cluster, leader } = await voters(5, 3)
  leader.time.jumpWall(MAX_CLOCK_SKEW_MS - 5_000)
  await cluster.time.run(SOME_TIME_MS)
  t.is(cluster.leader(), leader)
  t.is(await put(cluster, leader), 'done')
  await cluster.close()
})

test('clocks that are all set together move nobody', async (t) => {
  const { cluster, leader } = await voters(23, 3)
  const { term } = leader.assembly.replica.status
  for (let round = 1; round <= 40; round++) {
    // at other moments between two looks, each just after which the others' clocks seem to be old
    await cluster.time.run(2_000 + 25 * round)
    for (const node of cluster.nodes()) node.time.jumpWall(round * HOUR_MS)
  }
  await cluster.time.run(SOME_TIME_MS)
  t.is(leader.assembly.replica.status.term, term)
  t.is(cluster.leader(), leader)
  await cluster.close()
})

test('it goes to a voter whose clock is right, however many others are wrong', async (t) => {
  const { cluster, leader, others } = await voters(7, 5)
  const [wrong] = others
  const { term } = leader.assembly.replica.status
  for (const node of [leader, wrong]) node?.time.jumpWall(HOUR_MS)
  const isRight = (node: Process | null): boolean =>
    node !== null && node !== leader && node !== wrong
  t.ok(await cluster.time.runUntil(() => isRight(cluster.leader()), SOME_TIME_MS))
  t.is(cluster.leader()?.assembly.replica.status.term, term + 1, 'at the first try')
  t.is(await put(cluster, leader), 'done')
  await cluster.close()
})

test('what was heard of clocks counts on: it goes to the one that is left with a right clock', async (t) => {
  const { cluster, leader, others } = await voters(11, 5)
  const [wrong, ...right] = others
  for (const node of [leader, wrong]) node?.time.jumpWall(HOUR_MS)
  const [kept, ...gone] = right
  for (const node of gone) cluster.crash(node.name)
  await cluster.time.run(SOME_TIME_MS)
  t.is(cluster.leader(), kept, 'the one that is left')
  t.is(await put(cluster, leader), 'done')
  await cluster.close()
})

test('two clocks that disagree outvote nobody', async (t) => {
  const { cluster, leader, others } = await voters(13, 3)
  leader.time.jumpWall(HOUR_MS)
  const [gone] = others
  await cluster.time.run(1)
  if (gone !== undefined) cluster.crash(gone.name)
  await cluster.time.run(SOME_TIME_MS)
  t.is(cluster.nodes().length, 2)
  for (const node of cluster.nodes()) t.is(await put(cluster, node), 'done', node.name)
  await cluster.close()
})

test('whoever leaves for another reason gives to a right clock, if there is one', async (t) => {
  const { cluster, leader, others } = await voters(17, 3)
  const [first, second] = others
  first?.time.jumpWall(HOUR_MS)
  await cluster.time.run(2_000)
  await cluster.stop(leader.name)
  t.ok(await cluster.time.runUntil(() => cluster.leader() !== null, LONG_MS))
  t.is(cluster.leader(), second)
  await cluster.close()
})
