// The router, by the scenarios of Raft that it is for.

import test from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import { AspenRouter } from '../../lib/testing/aspen-router.ts'
import type { NodeMetrics, Wait } from '../../lib/testing/router-wait.ts'

const ALL = [1, 2, 3, 4, 5]

async function routerWith(voters: readonly number[], learners: readonly number[] = []) {
  const router = new AspenRouter()
  const index = await router.newCluster(voters, learners)
  return { router, index }
}

/** Each node has applied `index`, and has the same under every key. */
async function areEqual(router: AspenRouter, ids: readonly number[], index: number) {
  const states = new Set<string>()
  for (const id of ids) {
    await router.wait(id).appliedIndexAtLeast(index, `node ${id} catches up`)
    states.add(router.getRaftHandle(id).assembly.service.status().state_hash)
  }
  return states.size === 1
}

test('a cluster has the voters and learners that were asked for, and goes on so', async (t) => {
  const { router, index } = await routerWith([1, 2, 3], [4, 5])
  for (const id of ALL) {
    const metrics = await router.wait(id).voterIds([1, 2, 3])
    t.alike(metrics.learners, [4, 5])
    t.ok(metrics.lastAppliedIndex >= index)
  }
  t.is(router.leader(), 1)
  await router.wait(4).state('learner')
  await router.time.run(30_000)
  await router.wait(1).voterIds([1, 2, 3], 'nothing grows by itself')
  await router.close()
})

test('a write is applied everywhere, and read from each node alone', async (t) => {
  const { router } = await routerWith([1, 2, 3])
  const index = await router.write(3, 'key', 'value')
  for (const id of [1, 2, 3]) {
    await router.wait(id).appliedIndexAtLeast(index)
    t.is(router.read(id, 'key'), 'value')
    t.is(router.read(id, 'nothing'), null)
  }
  await router.close()
})

test('a majority goes on during a partition, and all are equal after it', async (t) => {
  const { router } = await routerWith(ALL)
  router.failNode(4)
  router.failNode(5)
  for (let at = 0; at < 5; at++) await router.write(1, `key${at}`, 'during')
  const last = await router.write(1, 'last', 'during')
  t.is(router.read(4, 'last'), null)
  router.recoverNode(4)
  await router.wait(4).appliedIndexAtLeast(last, 'one that is back catches up')
  t.is(router.read(5, 'last'), null, 'the other is still cut off')
  router.recoverNode(5)
  t.ok(await areEqual(router, ALL, last))
  await router.close()
})

test('when the leader fails another one is elected, and the old one follows it afterwards', async (t) => {
  const { router } = await routerWith([1, 2, 3])
  router.failNode(1)
  const { currentLeader } = await router
    .wait(2)
    .metrics((metrics) => [2, 3].includes(metrics.currentLeader ?? 0), 'another leader')
  t.is(router.leader(), currentLeader)
  const index = await router.write(2, 'key', 'of the new leader')
  router.recoverNode(1)
  await router.wait(1).state('follower')
  t.ok(await areEqual(router, [1, 2, 3], index))
  await router.close()
})

test('a slow network keeps its leader', async (t) => {
  const { router } = await routerWith([1, 2, 3])
  const { currentTerm } = await router.wait(1).state('leader')
  router.setGlobalNetworkDelay(200)
  const index = await router.write(2, 'key', 'slowly')
  await router.time.run(20_000)
  const after = await router.wait(1).state('leader')
  t.is(after.currentTerm, currentTerm)
  t.ok(await areEqual(router, [1, 2, 3], index))
  router.clearNetworkDelays()
  await router.time.run(1_000)
  const beginMs = router.time.nowMs()
  await router.write(1, 'key', 'fast')
  t.ok(router.time.nowMs() - beginMs < 50)
  await router.close()
})

test('what is lost of the messages is sent again, and the same seed loses the same', async (t) => {
  const runs: number[] = []
  for (let run = 0; run < 2; run++) {
    const router = new AspenRouter({ seed: 7 })
    await router.newCluster([1, 2, 3])
    router.setGlobalMessageDropRate(20)
    let index = 0
    for (let at = 0; at < 20; at++) index = await router.write(1, `key${at}`, 'value')
    t.ok(await areEqual(router, [1, 2, 3], index))
    runs.push(router.time.nowMs())
    router.clearMessageDropRates()
    await router.close()
  }
  t.is(runs[0], runs[1])
})

test('nothing passes where everything is lost', async (t) => {
  const { router } = await routerWith([1, 2])
  router.setMessageDropRate({ from: 1, to: 2 }, 100)
  const error = await router.write(1, 'key', 'value').catch((caught: unknown) => caught)
  t.ok(error instanceof AspenError)
  t.is(router.read(1, 'key'), null)
  await router.close()
})

test('the voters change in one step, and who is left out becomes a learner', async (t) => {
  const { router } = await routerWith([1, 2, 3], [4])
  await router.changeMembership([1, 2, 4])
  const { learners } = await router.wait(4).voterIds([1, 2, 4])
  t.alike(learners, [3])
  await router.write(4, 'key', 'value')
  await router.close()
})

test('a node that is taken out and put back goes on from its disks', async (t) => {
  const { router } = await routerWith([1, 2, 3])
  await router.write(1, 'before', 'value')
  const machine = router.removeNode(3)
  const index = await router.write(1, 'while away', 'value')
  if (machine !== null) await router.newRaftNodeWithStorage(3, machine)
  await router.wait(3).appliedIndexAtLeast(index)
  t.is(router.read(3, 'before'), 'value')
  t.is(router.read(3, 'while away'), 'value')
  t.is(router.removeNode(9), null)
  await router.close()
})

test('waiting in vain says what was expected, what was found, and why it was waited for', async (t) => {
  const { router } = await routerWith([1])
  const waits: Record<string, (wait: Wait) => Promise<NodeMetrics>> = {
    'applied index = 99': (wait) => wait.appliedIndex(99, 'the last entry'),
    'last log index >= 99': (wait) => wait.logIndexAtLeast(99, 'the last entry'),
    'leader = 2': (wait) => wait.currentLeader(2, 'the last entry'),
    'state = candidate': (wait) => wait.state('candidate', 'the last entry')
  }
  for (const [expected, wait] of Object.entries(waits)) {
    const error = await wait(router.wait(1, 100)).catch((caught: unknown) => caught)
    const text = error instanceof AspenError ? error.message : ''
    t.ok(text.startsWith('the last entry: '), text)
    t.ok(text.includes(expected), text)
    t.ok(text.includes('"state":"leader"'), text)
  }
  await router.close()
})
