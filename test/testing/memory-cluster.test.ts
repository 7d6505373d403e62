// Whole clusters on virtual time: what users do, without a socket, a disk or a real clock.

import test from 'brittle'
import { bytesOf, textOf } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import type { Process } from '../../lib/testing/machine.ts'

const LONG_MS = 60_000

async function clusterOf(names: readonly string[], seed = 1): Promise<MemoryCluster> {
  const cluster = new MemoryCluster({ seed })
  const [first = 'a', ...others] = names
  const { time } = cluster
  const founder = await time.settled(cluster.create(first), LONG_MS)
  const { ticket } = await time.settled(founder.assembly.service.createTicket(), LONG_MS)
  for (const name of others) await time.settled(cluster.join(name, ticket), LONG_MS)
  return cluster
}

interface Pair {
  readonly key: string
  readonly value: string
}

async function putOn(cluster: MemoryCluster, node: Process, { key, value }: Pair) {
  const change = { kind: 'put', key: bytesOf(key), value: bytesOf(value), condition: null } as const
  const { kv } = node.assembly.service
  return await cluster.time.settled(kv.write({ changes: [change] }), LONG_MS)
}

async function getOn(cluster: MemoryCluster, node: Process, key: string) {
  const got = await cluster.time.settled(node.assembly.service.kv.get(bytesOf(key)), LONG_MS)
  return got.item === null ? null : textOf(got.item.value)
}

function votersSeenBy(node: Process): readonly number[] {
  return node.assembly.service.status().voters
}

test('a cluster of one is created, written and read', async (t) => {
  const cluster = await clusterOf(['a'])
  const a = cluster.node('a')
  await putOn(cluster, a, { key: 'k', value: 'v' })
  t.is(await getOn(cluster, a, 'k'), 'v')
  t.is(await getOn(cluster, a, 'nothing'), null)
  t.is(a.assembly.service.status().role, 'voter')
  await cluster.close()
})

test('two join by ticket as learners, and the three become voters in one change', async (t) => {
  const cluster = await clusterOf(['a', 'b', 'c'])
  const c = cluster.node('c')
  t.ok(['learner', 'voter'].includes(c.assembly.service.status().role))
  const isGrown = await cluster.time.runUntil(() => votersSeenBy(c).length === 3, LONG_MS)
  t.ok(isGrown)
  t.alike(votersSeenBy(c), [1, 2, 3])
  await cluster.close()
})

test('two that join at the same instant both succeed', async (t) => {
  const cluster = await clusterOf(['a'])
  const { ticket } = await cluster.time.settled(
    cluster.node('a').assembly.service.createTicket(),
    LONG_MS
  )
  const both = Promise.all([cluster.join('b', ticket), cluster.join('c', ticket)])
  const [b, c] = await cluster.time.settled(both, LONG_MS)
  const ids = [b, c].map((node) => node?.assembly.service.status().node.id)
  t.alike(new Set(ids), new Set([2, 3]))
  await cluster.close()
})

test('every node writes, and every node reads what any other wrote', async (t) => {
  const cluster = await clusterOf(['a', 'b', 'c'])
  for (const writer of cluster.nodes()) {
    await putOn(cluster, writer, { key: 'last', value: writer.name })
    for (const reader of cluster.nodes()) {
      t.is(await getOn(cluster, reader, 'last'), writer.name, `${reader.name} reads ${writer.name}`)
    }
  }
  await cluster.close()
})

test('when the leader crashes another leads, and the crashed one catches up when it returns', async (t) => {
  const cluster = await clusterOf(['a', 'b', 'c'])
  await cluster.time.runUntil(() => votersSeenBy(cluster.node('a')).length === 3, LONG_MS)
  await cluster.time.run(1_000)
  await putOn(cluster, cluster.node('a'), { key: 'before', value: '1' })
  cluster.crash('a')
  t.is(await getOn(cluster, cluster.node('b'), 'before'), '1')
  await putOn(cluster, cluster.node('c'), { key: 'after', value: '2' })
  const a = await cluster.time.settled(cluster.restart('a'), LONG_MS)
  t.is(await getOn(cluster, a, 'after'), '2')
  await cluster.close()
})

test('a cluster that crashes as a whole forms again by itself', async (t) => {
  const cluster = await clusterOf(['a', 'b', 'c'])
  await cluster.time.runUntil(() => votersSeenBy(cluster.node('a')).length === 3, LONG_MS)
  await putOn(cluster, cluster.node('b'), { key: 'k', value: 'kept' })
  for (const name of ['a', 'b', 'c']) cluster.crash(name)
  for (const name of ['a', 'b', 'c']) await cluster.time.settled(cluster.restart(name), LONG_MS)
  t.is(await getOn(cluster, cluster.node('c'), 'k'), 'kept')
  await cluster.close()
})

test('without a quorum a write and a linearizable read are refused, a stale read is not', async (t) => {
  const cluster = await clusterOf(['a', 'b', 'c'])
  await cluster.time.runUntil(() => votersSeenBy(cluster.node('c')).length === 3, LONG_MS)
  await putOn(cluster, cluster.node('c'), { key: 'k', value: 'v' })
  await getOn(cluster, cluster.node('c'), 'k')
  cluster.crash('a')
  cluster.crash('b')
  await cluster.time.run(10_000)
  const c = cluster.node('c')
  const { kv } = c.assembly.service
  const key = bytesOf('k')
  t.is(c.assembly.service.status().state, 'no_quorum')
  t.is(await codeOf(cluster, kv.get(key)), 'UNAVAILABLE')
  const change = { kind: 'delete', key, condition: null } as const
  t.is(await codeOf(cluster, kv.write({ changes: [change] })), 'UNAVAILABLE')
  const stale = await cluster.time.settled(kv.get(key, { consistency: 'stale' }), LONG_MS)
  t.is(stale.consistency, 'stale')
  t.ok(stale.item !== null)
  await cluster.close()
})

test('a leader that is asked to go hands over, and writes go on within 300 ms', async (t) => {
  const cluster = await clusterOf(['a', 'b', 'c'])
  await cluster.time.runUntil(() => votersSeenBy(cluster.node('b')).length === 3, LONG_MS)
  await cluster.time.run(1_000)
  const leader = cluster.leader()
  if (leader === null) return t.fail('somebody leads')
  const beforeMs = cluster.time.nowMs()
  await cluster.time.settled(leader.assembly.handOver(), LONG_MS)
  const other = cluster.nodes().find((node) => node !== leader)
  if (other === undefined) return t.fail('there is another node')
  await putOn(cluster, other, { key: 'k', value: 'v' })
  t.ok(cluster.time.nowMs() - beforeMs < 300, `${cluster.time.nowMs() - beforeMs} ms`)
  t.not(cluster.leader()?.name, leader.name)
  await cluster.close()
})

test('a ticket that is revoked or used up lets nobody in, and says why', async (t) => {
  const cluster = await clusterOf(['a'])
  const { service } = cluster.node('a').assembly
  const revoked = await cluster.time.settled(service.createTicket(), LONG_MS)
  await cluster.time.settled(service.revokeTicket(revoked.id), LONG_MS)
  t.is(await codeOf(cluster, cluster.join('b', revoked.ticket)), 'TICKET_REVOKED')
  const once = await cluster.time.settled(service.createTicket({ uses: 1 }), LONG_MS)
  await cluster.time.settled(cluster.join('c', once.ticket), LONG_MS)
  t.is(await codeOf(cluster, cluster.join('d', once.ticket)), 'TICKET_USED_UP')
  const short = await cluster.time.settled(service.createTicket({ ttlMs: 1_000 }), LONG_MS)
  await cluster.time.run(2_000)
  t.is(await codeOf(cluster, cluster.join('e', short.ticket)), 'TICKET_EXPIRED')
  await cluster.close()
})

test('a leader cut off from the others steps down, and is led by the new one when it is healed', async (t) => {
  const cluster = await clusterOf(['a', 'b', 'c'])
  await cluster.time.runUntil(() => votersSeenBy(cluster.node('b')).length === 3, LONG_MS)
  await cluster.time.run(1_000)
  const leader = cluster.leader()
  if (leader === null) return t.fail('somebody leads')
  const others = cluster.nodes().filter((node) => node !== leader)
  for (const other of others) cluster.cut(leader.name, other.name)
  const [other] = others
  if (other === undefined) return t.fail('there is another node')
  await cluster.time.run(LONG_MS)
  t.is(leader.assembly.service.status().leader, null)
  await putOn(cluster, other, { key: 'k', value: 'new' })
  for (const one of others) cluster.heal(leader.name, one.name)
  t.is(await getOn(cluster, leader, 'k'), 'new')
  await cluster.close()
})

test('the same seed gives the same cluster, to the index', async (t) => {
  const runOnce = async (): Promise<string> => {
    const cluster = await clusterOf(['a', 'b', 'c'], 42)
    for (let count = 0; count < 20; count++) {
      await putOn(cluster, cluster.node(['a', 'b', 'c'][count % 3] ?? 'a'), {
        key: `k${count}`,
        value: `${count}`
      })
    }
    const trace = cluster.nodes().map((node) => node.assembly.service.status())
    const atMs = cluster.time.nowMs()
    await cluster.close()
    return JSON.stringify([trace, atMs])
  }
  t.is(await runOnce(), await runOnce())
})

async function codeOf(cluster: MemoryCluster, promise: Promise<unknown>): Promise<string> {
  const caught = promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof AspenError ? error.code : String(error))
  )
  return await cluster.time.settled(caught, 10 * LONG_MS)
}
