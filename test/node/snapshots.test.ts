// Whole nodes whose log is cut: snapshots at the same index everywhere, members that were away, joiners,
// restarts in the middle, and the size of what is kept.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { STORAGE_POLICY } from '../../lib/cluster/storage-policy.ts'
import { bytesOf, hexOf, textOf } from '../../lib/encoding.ts'
import type { Written } from '../../lib/service/node-api.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import type { Process } from '../../lib/testing/machine.ts'

const LONG_MS = 60_000
const POLICY = { ...STORAGE_POLICY, snapshotEntries: 20, keepEntries: 5 }

async function threeVoters(seed: number) {
  const cluster = new MemoryCluster({ seed, storagePolicy: POLICY })
  const { time } = cluster
  const ticket = await cluster.form(['a', 'b', 'c'])
  const put = async (count: number, node = present(cluster.leader(), 'a leader')) => {
    for (let n = 0; n < count; n++) {
      await time.settled(putTo(node, `k${n % 7}`, `${n}`), LONG_MS)
    }
  }
  return { cluster, time, ticket, put }
}

function putTo(node: Process, key: string, value: string): Promise<Written> {
  const change = { kind: 'put', key: bytesOf(key), value: bytesOf(value), condition: null } as const
  return node.assembly.service.kv.write({ changes: [change] })
}

function isSame(nodes: readonly Process[]): boolean {
  const states = nodes.map(({ stateMachine }) => {
    const { index, stateHash, compactedRevision } = stateMachine.applied()
    return `${index} ${hexOf(stateHash)} ${compactedRevision}`
  })
  return new Set(states).size === 1
}

function newest(node: Process): string {
  const [info] = node.stateMachine.snapshots.list()
  return info === undefined ? 'none' : `${info.index} ${hexOf(info.contentHash)}`
}

test('all members snapshot at the same index, byte for byte, and cut their logs behind it', async (t) => {
  const { cluster, time, put } = await threeVoters(1)
  await put(100)
  await time.run(1_000)
  const nodes = cluster.nodes()
  t.is(new Set(nodes.map(newest)).size, 1, newest(present(nodes[0], 'a node')))
  t.not(newest(present(nodes[0], 'a node')), 'none')
  for (const { log, stateMachine } of nodes) {
    const kept = log.last.index - log.base.index
    t.ok(log.base.index > 60 && kept < 40, `${log.base.index} to ${log.last.index}`)
    t.ok(stateMachine.snapshots.list().length <= 2)
  }
  t.ok(isSame(nodes))
  await cluster.close()
})

test('a member that was away until its next entry was gone gets a snapshot and goes on from there', async (t) => {
  const { cluster, time, put } = await threeVoters(2)
  await put(10)
  const away = present(
    cluster.nodes().find((node) => node !== cluster.leader()),
    'a follower'
  )
  const { name } = away
  cluster.crash(name)
  await put(100)
  const before = away.log.last.index
  const back = await time.settled(cluster.restart(name), LONG_MS)
  t.ok(before < present(cluster.leader(), 'a leader').log.base.index, 'its next entry is gone')
  const isFetching = (): boolean => back.assembly.service.status().storage.fetching !== null
  t.ok(await time.runUntil(isFetching, LONG_MS), 'its status says that it gets one')
  const ok = await time.runUntil(() => isSame(cluster.nodes()), LONG_MS)
  t.absent(isFetching())
  t.ok(
    ok,
    `${back.stateMachine.applied().index} of ${cluster.leader()?.stateMachine.applied().index}`
  )
  t.ok(back.log.stateBase > before, 'by a snapshot')
  const { item } = await time.settled(back.assembly.service.kv.get(bytesOf('k3')), LONG_MS)
  t.is(textOf(present(item, 'an item').value), '94')
  await put(5, back)
  t.ok(await time.runUntil(() => isSame(cluster.nodes()), LONG_MS))
  await cluster.close()
})

test('who joins a cluster whose log was cut gets a snapshot, and becomes a voter', async (t) => {
  const { cluster, time, ticket, put } = await threeVoters(3)
  await put(100)
  const joined = await time.settled(cluster.join('d', ticket), LONG_MS)
  t.ok(joined.log.stateBase > 0)
  t.ok(await time.runUntil(() => isSame(cluster.nodes()), LONG_MS))
  t.is(joined.assembly.service.status().role, 'learner')
  await cluster.close()
})

test('a follower that needs one where none was made yet has one made', async (t) => {
  const cluster = new MemoryCluster({ seed: 4, storagePolicy: POLICY })
  const { time } = cluster
  const a = await time.settled(cluster.create('a'), LONG_MS)
  for (let n = 0; n < 60; n++) {
    await time.settled(putTo(a, `k${n}`, 'v'), LONG_MS)
  }
  t.ok(a.log.base.index > 0)
  const { ticket } = await time.settled(a.assembly.service.createTicket(), LONG_MS)
  const b = await time.settled(cluster.join('b', ticket), LONG_MS)
  t.ok(b.log.stateBase > 0)
  t.ok(await time.runUntil(() => isSame(cluster.nodes()), LONG_MS))
  await cluster.close()
})

test('every node starts again from its snapshot and what its log holds behind it', async (t) => {
  const { cluster, time, put } = await threeVoters(5)
  await put(57)
  for (const name of ['a', 'b', 'c']) {
    cluster.crash(name)
    await time.settled(cluster.restart(name), LONG_MS)
  }
  for (const name of ['a', 'b', 'c']) cluster.crash(name)
  for (const name of ['a', 'b', 'c']) await time.settled(cluster.restart(name), LONG_MS)
  t.ok(await time.runUntil(() => cluster.leader() !== null, LONG_MS))
  await put(30)
  t.ok(await time.runUntil(() => isSame(cluster.nodes()), LONG_MS))
  await cluster.close()
})

test('history is forgotten at the same revision everywhere', async (t) => {
  const policy = { ...POLICY, keepRevisions: 10, keepRevisionsMs: 2_000 }
  const cluster = new MemoryCluster({ seed: 6, storagePolicy: policy })
  const { time } = cluster
  const a = await time.settled(cluster.create('a'), LONG_MS)
  const { ticket } = await time.settled(a.assembly.service.createTicket(), LONG_MS)
  await time.settled(cluster.join('b', ticket), LONG_MS)
  for (let n = 0; n < 80; n++) {
    await time.settled(putTo(a, 'k', `${n}`), LONG_MS)
    await time.run(200)
  }
  const { compactedRevision, index } = a.stateMachine.applied()
  t.ok(compactedRevision > 0 && compactedRevision <= index - 10, `${compactedRevision} of ${index}`)
  t.ok(await time.runUntil(() => isSame(cluster.nodes()), LONG_MS))
  await cluster.close()
})

test('a node whose state is not the one that the others have ends, and says at which entry', async (t) => {
  const { cluster, time, put } = await threeVoters(7)
  await put(30)
  const [odd, ...others] = cluster.nodes().filter((node) => node !== cluster.leader())
  const { machine, name } = present(odd, 'a follower')
  cluster.crash(name)
  // what a broken machine may do to its state, and no hash of its own notices
  const [image] = machine.stateDisk.images.values()
  const { applied } = present(image, 'a state')
  machine.stateDisk.images.clear()
  machine.stateDisk.images.set(present(machine.logDisk.base, 'a base').stateBase, {
    ...present(image, 'a state'),
    applied: { ...applied, liveBytes: applied.liveBytes + 1 }
  })
  const back = await time.settled(cluster.restart(name), LONG_MS)
  await put(60)
  t.ok(await time.runUntil(() => back.failure !== null, 200_000), 'it ends')
  t.is(back.failure?.code, 'STATE_DIVERGED')
  t.alike(
    others.map((node) => node.failure),
    others.map(() => null)
  )
  await put(5)
})
