// MEM-06 to MEM-08 on whole clusters in memory: disks that are wiped or put back, folders that are copied,
// and everything that only looks like it.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { TIMING } from '../../lib/raft/timing.ts'
import { MemoryLogDisk } from '../../lib/log-store/memory-log-disk.ts'
import { randomBelow, SeededRandom } from '../../lib/random.ts'
import { Machine } from '../../lib/testing/machine.ts'
import type { Process } from '../../lib/testing/machine.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'

const LONG_MS = 60_000
/** Within this a node that must not run has ended. */
const END_MS = 10_000
const SEEDS = Array.from({ length: 10 }, (_, at) => at + 1)

async function threeVoters(seed: number): Promise<MemoryCluster> {
  const cluster = new MemoryCluster({ seed })
  await cluster.form(['a', 'b', 'c'])
  await put(cluster, cluster.node('a'))
  return cluster
}

/** Whether it was written; never, when the node is killed meanwhile. */
function writeOn(node: Process, timeoutMs: number): Promise<boolean> {
  const change = { kind: 'put', key: bytesOf('k'), value: bytesOf('v'), condition: null } as const
  const { kv } = node.assembly.service
  return kv.write({ changes: [change] }, { timeoutMs }).then(
    () => true,
    () => false
  )
}

async function put(cluster: MemoryCluster, node: Process, timeoutMs = 5_000): Promise<boolean> {
  return await cluster.time.settled(writeOn(node, timeoutMs), LONG_MS)
}

type Content = NonNullable<MemoryLogDisk['content']>

function copyOf({ logDisk }: Machine): Content {
  const content = present(logDisk.content, 'a log')
  return { ...content, entries: [...content.entries] }
}

/** As it was when it was copied: the log, and of the state nothing that came later. */
function putBack({ logDisk, stateDisk }: Machine, content: Content): void {
  logDisk.content = content
  stateDisk.images.clear()
}

/** A disk of its own with what is on the machine's now. */
function copiedDisk(machine: Machine): MemoryLogDisk {
  const disk = new MemoryLogDisk()
  disk.content = copyOf(machine)
  return disk
}

async function endOf(cluster: MemoryCluster, node: Process): Promise<string | null> {
  await cluster.time.runUntil(() => node.failure !== null, END_MS)
  return node.failure?.code ?? null
}

async function growLog(cluster: MemoryCluster, count = 20): Promise<void> {
  for (let round = 0; round < count; round++) await put(cluster, cluster.node('a'))
  await cluster.time.run(3_000)
}

test('MEM-06 a node with a wiped disk and its old key is let in by nobody, and ends', async (t) => {
  for (const seed of SEEDS) {
    const cluster = await threeVoters(seed)
    const { machine } = cluster.node('c')
    cluster.crash('c')
    machine.logDisk.content = null
    machine.stateDisk.images.clear()
    const c = await cluster.time.settled(cluster.restart('c'), LONG_MS)
    t.is(await endOf(cluster, c), 'DATA_LOST', `seed ${seed}`)
    t.alike(
      c.links().filter((id) => id !== machine.id),
      [],
      'it has no link, so no vote'
    )
    t.ok(await put(cluster, cluster.node('a')), 'the others go on')
    await cluster.close()
  }
})

test('MEM-06 also when only one is left who remembers, and has never led: no quorum is made of the two', async (t) => {
  for (const seed of SEEDS) {
    const cluster = await threeVoters(seed)
    const leader = present(cluster.leader(), 'a leader')
    const [wiped, kept] = cluster.nodes().filter((node) => node !== leader)
    if (wiped === undefined || kept === undefined) throw new Error('three nodes')
    cluster.crash(leader.name)
    cluster.crash(wiped.name)
    wiped.machine.logDisk.content = null
    wiped.machine.stateDisk.images.clear()
    const empty = await cluster.time.settled(cluster.restart(wiped.name), LONG_MS)
    const end = await endOf(cluster, empty)
    // who joined before the other knows it from the log alone, and takes no word of a stranger
    t.ok(end === 'DATA_LOST' || (end === null && wiped.name === 'b'), `seed ${seed}: ${end}`)
    t.alike(kept.links(), [kept.machine.id], 'it is not let in')
    t.is(await put(cluster, kept, 2_000), false, 'the one that is left commits nothing')
    await cluster.close()
  }
})

test('MEM-08 a disk put back as it was some starts ago is refused', async (t) => {
  const cluster = await threeVoters(3)
  const { machine } = cluster.node('c')
  const backup = copyOf(machine)
  cluster.crash('c')
  await cluster.time.settled(cluster.restart('c'), LONG_MS)
  await growLog(cluster)
  cluster.crash('c')
  // until its links have ended, the one that was killed may still be running
  await cluster.time.run(5_000)
  putBack(machine, backup)
  const c = await cluster.time.settled(cluster.restart('c'), LONG_MS)
  t.is(await endOf(cluster, c), 'DATA_LOST')
  await cluster.close()
})

test('MEM-08 a disk put back as it was in the same start is refused by whom it acknowledged more to', async (t) => {
  const cluster = await threeVoters(5)
  const follower = present(
    cluster.nodes().find((node) => node !== cluster.leader()),
    'a follower'
  )
  const backup = copyOf(follower.machine)
  await growLog(cluster)
  cluster.crash(follower.name)
  putBack(follower.machine, backup)
  const again = await cluster.time.settled(cluster.restart(follower.name), LONG_MS)
  t.is(await endOf(cluster, again), 'DATA_LOST')
  t.ok(again.failure?.message.includes('entries, and now says'))
  await cluster.close()
})

test('MEM-08 who led when it was acknowledged remembers it also when another one leads', async (t) => {
  const cluster = await threeVoters(5)
  const leader = present(cluster.leader(), 'a leader')
  const follower = present(
    cluster.nodes().find((node) => node !== leader),
    'a follower'
  )
  const backup = copyOf(follower.machine)
  await growLog(cluster)
  cluster.crash(follower.name)
  await cluster.time.run(5_000)
  await cluster.time.settled(leader.assembly.handOver(), LONG_MS)
  t.ok(await cluster.time.runUntil(() => cluster.leader() !== leader, LONG_MS))
  putBack(follower.machine, backup)
  const again = await cluster.time.settled(cluster.restart(follower.name), LONG_MS)
  t.is(await endOf(cluster, again), 'DATA_LOST')
  t.ok(again.failure?.message.includes('entries, and now says'), again.failure?.message)
  await cluster.close()
})

test('MEM-06 who was restarted itself remembers: all go down, one comes back with nothing', async (t) => {
  const cluster = await threeVoters(7)
  await growLog(cluster)
  const { machine } = cluster.node('c')
  for (const name of ['a', 'b', 'c']) cluster.crash(name)
  machine.logDisk.content = null
  machine.stateDisk.images.clear()
  for (const name of ['a', 'b', 'c']) await cluster.time.settled(cluster.restart(name), LONG_MS)
  t.is(await endOf(cluster, cluster.node('c')), 'DATA_LOST')
  t.ok(await put(cluster, cluster.node('a'), 20_000))
  await cluster.close()
})

/** Another machine with a key and a log that are in use. */
function cloneOf(cluster: MemoryCluster, { machine }: Process, disk: MemoryLogDisk): Machine {
  const { keyPair, clusterId, welcome } = machine
  return new Machine(
    {
      name: 'clone',
      address: { host: '10.0.9.9', port: 49_737 },
      hub: cluster.hub,
      time: cluster.time,
      random: new SeededRandom(99),
      timing: TIMING.default,
      targetVoters: 3,
      writeMs: () => 1
    },
    { keyPair, logDisk: disk, clusterId: present(clusterId, 'a cluster'), welcome }
  )
}

test('MEM-07 of a node and its copy at most one is active after 10 s', async (t) => {
  for (const seed of SEEDS) {
    const cluster = await threeVoters(seed)
    const victim = present(cluster.nodes()[seed % 3], 'a node')
    const clone = cloneOf(cluster, victim, copiedDisk(victim.machine))
    const copy = await cluster.time.settled(clone.start(), LONG_MS)
    await cluster.time.run(END_MS)
    const ends = [victim, copy].map((one) => one.failure?.code ?? 'active')
    t.ok(ends.filter((end) => end === 'active').length <= 1, `seed ${seed}: ${ends.join(', ')}`)
    t.ok(
      ends.every((end) => ['active', 'FENCED', 'DATA_LOST'].includes(end)),
      ends.join(', ')
    )
    const others = cluster.nodes().filter((node) => node !== victim)
    t.ok(await put(cluster, present(others[0], 'another node'), 20_000), 'the cluster goes on')
    if (copy.failure === null) await cluster.time.settled(copy.assembly.close(), LONG_MS)
    await cluster.close()
  }
})

test('MEM-07 of two copies of a stopped node, started one after the other, the later one is fenced', async (t) => {
  const cluster = await threeVoters(11)
  const before = cluster.node('c')
  await cluster.stop('c')
  const disk = copiedDisk(before.machine)
  const first = await cluster.time.settled(cluster.restart('c'), LONG_MS)
  await cluster.time.runUntil(() => first.links().length === 3, LONG_MS)
  const clone = cloneOf(cluster, before, disk)
  const second = await cluster.time.settled(clone.start(), LONG_MS)
  t.is(await endOf(cluster, second), 'FENCED')
  t.is(first.failure, null)
  t.ok(await put(cluster, first))
  await cluster.close()
})

test('crashes, stops, cuts and restarts in any order are no loss of memory', async (t) => {
  for (const seed of SEEDS) {
    const cluster = await threeVoters(seed)
    const random = new SeededRandom(seed)
    const names = ['a', 'b', 'c']
    const pick = (): string => names[randomBelow(random, names.length)] ?? 'a'
    for (let round = 0; round < 30; round++) {
      const name = pick()
      const running = cluster.nodes().find((node) => node.name === name)
      void writeOn(present(cluster.nodes()[0], 'a node'), 100)
      await cluster.time.run(randomBelow(random, 40))
      if (running === undefined) await cluster.time.settled(cluster.restart(name), LONG_MS)
      else if (cluster.nodes().length > 1) cluster.crash(name)
      const [from, to] = [pick(), pick()]
      if (randomBelow(random, 3) === 0) cluster.cut(from, to)
      await cluster.time.run(randomBelow(random, 4_000))
      cluster.heal(from, to)
    }
    for (const name of names) {
      const isRunning = cluster.nodes().some((node) => node.name === name)
      if (!isRunning) await cluster.time.settled(cluster.restart(name), LONG_MS)
    }
    await cluster.time.run(END_MS)
    for (const node of cluster.nodes()) t.is(node.failure, null, `seed ${seed}, ${node.name}`)
    t.ok(await put(cluster, cluster.node('b'), 20_000), `seed ${seed}`)
    await cluster.close()
  }
})
