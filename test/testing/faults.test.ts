// A memory cluster and what goes wrong in it: writes on their way while the leader is cut off, dies
// or goes; disks that fail.

import test from 'brittle'
import { bytesOf, textOf } from '../../lib/encoding.ts'
import { AspenError, CODES, StorageError } from '../../lib/errors.ts'
import { SeededRandom, randomBelow } from '../../lib/random.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import type { Process } from '../../lib/testing/machine.ts'

const LONG_MS = 60_000
const NAMES = ['a', 'b', 'c']

async function threeVoters(seed: number, delayMs = 1): Promise<MemoryCluster> {
  const cluster = new MemoryCluster({ seed, delayMs, writeMs: 1 })
  const { time } = cluster
  await cluster.form(['a', 'b', 'c'])
  await time.run(1_000)
  return cluster
}

function leaderOf(cluster: MemoryCluster): Process {
  const leader = cluster.leader()
  if (leader === null) throw new Error('somebody leads')
  return leader
}

function othersOf(cluster: MemoryCluster, node: Process): readonly [Process, Process] {
  const [first, second] = cluster.nodes().filter((one) => one !== node)
  if (first === undefined || second === undefined) throw new Error('there are two others')
  return [first, second]
}

type End = 'under way' | 'done' | 'refused' | 'unknown'

interface Write {
  readonly key: string
  end: End
  revision: number
}

/** A put of a key of its own. */
function begin(node: Process, key: string): Write {
  const write: Write = { key, end: 'under way', revision: 0 }
  const change = { kind: 'put', key: bytesOf(key), value: bytesOf(key), condition: null } as const
  node.assembly.service.kv.write({ changes: [change] }).then(
    ({ revision }) => {
      write.end = 'done'
      write.revision = revision
    },
    (error: unknown) => {
      if (!(error instanceof AspenError)) throw error
      write.end = CODES[error.code].outcome
    }
  )
  return write
}

async function versionOf(cluster: MemoryCluster, node: Process, key: string): Promise<number> {
  const got = await cluster.time.settled(node.assembly.service.kv.get(bytesOf(key)), LONG_MS)
  return got.item?.version ?? 0
}

/** What was acknowledged is there, what was refused is not, and nothing was applied twice. */
async function mismatchesOf(
  cluster: MemoryCluster,
  writes: readonly Write[]
): Promise<readonly string[]> {
  const found: string[] = []
  const reader = leaderOf(cluster)
  for (const { key, end } of writes) {
    const version = await versionOf(cluster, reader, key)
    const isRight =
      (end === 'done' && version === 1) ||
      (end === 'refused' && version === 0) ||
      (end === 'unknown' && version <= 1)
    if (!isRight) found.push(`${key}: ${end}, version ${version}`)
  }
  return found
}

test('a write on its way while its leader is cut off is done or unknown, never applied and refused', async (t) => {
  const ends = new Set<End>()
  for (let seed = 1; seed <= 6; seed++) {
    const cluster = await threeVoters(seed)
    const leader = leaderOf(cluster)
    const [one, two] = othersOf(cluster, leader)
    const writes: Write[] = []
    for (let count = 0; count < 30; count++) {
      writes.push(begin(one, `one${count}`), begin(leader, `lead${count}`))
      await cluster.time.run(seed / 4)
      if (count !== 15) continue
      cluster.cut(leader.name, one.name)
      if (seed % 2 === 0) cluster.cut(leader.name, two.name)
    }
    await cluster.time.run(20_000)
    cluster.heal(leader.name, one.name)
    cluster.heal(leader.name, two.name)
    await cluster.time.run(20_000)
    for (const { end } of writes) ends.add(end)
    t.alike(await mismatchesOf(cluster, writes), [], `seed ${seed}`)
    await cluster.close()
  }
  t.ok(ends.has('done'))
  t.ok(ends.has('unknown'), 'some were in doubt')
  t.absent(ends.has('under way'))
})

test('through random cuts and deaths nothing acknowledged is lost and nothing refused is found', async (t) => {
  for (const seed of [11, 12, 13]) {
    const cluster = await threeVoters(seed)
    const random = new SeededRandom(seed)
    const writes: Write[] = []
    for (let round = 0; round < 25; round++) {
      const victim = NAMES[randomBelow(random, 3)] ?? 'a'
      const other = NAMES.find((name) => name !== victim) ?? 'b'
      for (const node of cluster.nodes()) writes.push(begin(node, `${round}-${node.name}`))
      await cluster.time.run(randomBelow(random, 5))
      const kind = randomBelow(random, 3)
      if (kind === 0) cluster.cut(victim, other)
      else cluster.crash(victim)
      for (const node of cluster.nodes()) writes.push(begin(node, `${round}+${node.name}`))
      await cluster.time.run(randomBelow(random, 6_000))
      cluster.heal(victim, other)
      if (kind !== 0) await cluster.time.settled(cluster.restart(victim), LONG_MS)
    }
    await cluster.time.run(20_000)
    const settled = writes.filter(({ end }) => end !== 'under way')
    t.alike(await mismatchesOf(cluster, settled), [], `seed ${seed}`)
    t.ok(settled.filter(({ end }) => end === 'done').length > 25, 'most rounds got through')
    await cluster.close()
  }
})

test('writes under way to a leader that dies are all done, each once', async (t) => {
  let resentCount = 0
  for (const [seed, delayMs] of [
    [21, 0.2],
    [22, 1],
    [23, 5]
  ] as const) {
    const cluster = await threeVoters(seed, delayMs)
    const { time } = cluster
    const leader = leaderOf(cluster)
    const [one, two] = othersOf(cluster, leader)
    const writes: Write[] = []
    for (let count = 0; count < 200; count++) {
      time.start(count / 4, () => {
        writes.push(begin(one, `one${count}`), begin(two, `two${count}`))
      })
    }
    await time.run(30)
    cluster.crash(leader.name)
    await time.run(10_000)
    t.is(writes.length, 400)
    const hard = writes.filter(({ end }) => end !== 'done')
    t.alike(hard, [], `seed ${seed}`)
    t.alike(await mismatchesOf(cluster, writes), [], `seed ${seed}`)
    // an entry without an effect of its own: a second copy of a command
    const { applied_index: applied } = one.assembly.service.status()
    resentCount += applied - new Set(writes.map(({ revision }) => revision)).size
    await cluster.close()
  }
  t.comment(`${resentCount} entries were no first copies`)
})

test('one key written by every node while leaders die has as many versions as writes are done', async (t) => {
  for (const seed of [31, 32]) {
    const cluster = await threeVoters(seed)
    const { time } = cluster
    const writes: Promise<unknown>[] = []
    for (let round = 0; round < 4; round++) {
      const leader = leaderOf(cluster)
      for (let count = 0; count < 40; count++) {
        time.start(count / 2, () => {
          for (const node of othersOf(cluster, leader)) writes.push(putOne(node))
        })
      }
      await time.run(10)
      cluster.crash(leader.name)
      await time.run(8_000)
      await time.settled(cluster.restart(leader.name), LONG_MS)
      await time.run(2_000)
    }
    t.is(writes.length, 4 * 40 * 2)
    await time.settled(Promise.all(writes), LONG_MS)
    t.is(await versionOf(cluster, leaderOf(cluster), 'n'), writes.length, `seed ${seed}`)
    await cluster.close()
  }
})

/** Always the same key. */
function putOne({ assembly }: Process): Promise<unknown> {
  const change = { kind: 'put', key: bytesOf('n'), value: bytesOf('n'), condition: null } as const
  return assembly.service.kv.write({ changes: [change] }, { timeoutMs: 30_000 })
}

test('others notice a crash by silence, a goodbye at once', async (t) => {
  const isLinked = (node: Process, id: number): boolean =>
    node.assembly.service.members().members.some((row) => row.id === id && row.linked)
  const [crashed, stopped] = [await threeVoters(1), await threeVoters(1)]
  const follower = othersOf(crashed, leaderOf(crashed))[0].name
  const id = crashed.node(follower).assembly.service.status().node.id
  crashed.crash(follower)
  await stopped.stop(follower)
  for (const cluster of [crashed, stopped]) await cluster.time.run(100)
  t.ok(isLinked(leaderOf(crashed), id))
  t.absent(isLinked(leaderOf(stopped), id))
  await crashed.time.run(5_000)
  t.absent(isLinked(leaderOf(crashed), id))
  for (const cluster of [crashed, stopped]) await cluster.close()
})

test('a leader that is stopped under load leaves no write in doubt', async (t) => {
  // the farther the nodes, the more is on its way when the next leader is elected
  for (const [seed, delayMs] of [
    [3, 0.2],
    [4, 1],
    [5, 5]
  ] as const) {
    const cluster = await threeVoters(seed, delayMs)
    const { time } = cluster
    const leader = leaderOf(cluster)
    const [one, two] = othersOf(cluster, leader)
    const writes: Write[] = []
    for (let count = 0; count < 400; count++) {
      time.start(count / 4, () => {
        writes.push(begin(one, `one${count}`), begin(two, `two${count}`))
      })
    }
    await time.run(10 + seed / 3)
    await cluster.stop(leader.name)
    await time.run(10_000)
    t.is(writes.length, 800)
    t.alike(
      writes.filter(({ end }) => end !== 'done'),
      [],
      `seed ${seed}`
    )
    await cluster.close()
  }
})

const LIVE = { event_loop: true, apply_loop: true, log_writable: true, storage: true }

test('a node whose disk fails falls silent at once, says so, and the others go on', async (t) => {
  const cluster = await threeVoters(5)
  const leader = leaderOf(cluster)
  const [one] = othersOf(cluster, leader)
  const writes = [begin(one, 'before'), begin(leader, 'own')]
  await cluster.time.run(2)
  t.alike(leader.assembly.service.livez(), { ok: true, checks: LIVE, reasons: {} })
  leader.log.fail(new StorageError({ code: 'IO_ERROR', message: 'planted' }))
  t.is(leader.failure?.code, 'IO_ERROR')
  t.alike(leader.assembly.service.livez(), {
    ok: false,
    checks: { ...LIVE, storage: false },
    reasons: { storage: 'the disk has failed' }
  })
  t.is(leader.assembly.service.health().status, 'unhealthy')
  await cluster.time.run(1)
  t.is(writes[1]?.end, 'unknown')
  const after = begin(one, 'after')
  await cluster.time.run(20_000)
  t.is(after.end, 'done')
  const got = await cluster.time.settled(one.assembly.service.kv.get(bytesOf('after')), LONG_MS)
  t.is(got.item === null ? null : textOf(got.item.value), 'after')
  await cluster.close()
})

test('a join that is refused can be tried again under the same name', async (t) => {
  const cluster = new MemoryCluster({ seed: 1 })
  const a = await cluster.time.settled(cluster.create('a'), LONG_MS)
  const { service } = a.assembly
  const used = await cluster.time.settled(service.createTicket(), LONG_MS)
  await cluster.time.settled(service.revokeTicket(used.id), LONG_MS)
  const refused = cluster.join('b', used.ticket).then(
    () => 'joined',
    (error: unknown) => (error instanceof AspenError ? error.code : String(error))
  )
  t.is(await cluster.time.settled(refused, 2 * LONG_MS), 'TICKET_REVOKED')
  const { ticket } = await cluster.time.settled(service.createTicket(), LONG_MS)
  const b = await cluster.time.settled(cluster.join('b', ticket), LONG_MS)
  t.is(b.assembly.service.status().node.id, 2)
  await cluster.close()
  t.is(cluster.nodes().length, 0)
})
