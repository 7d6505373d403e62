// Clusters in memory whose disks fill up: who leads, what is refused, what goes on.

import test from 'brittle'
import type { DiskProbe } from '../../lib/cluster/disk-watch.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import { roomOf } from '../../lib/node/disk-duty.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import { encodeWrite } from '../../lib/state-machine/encoding.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import type { Process } from '../../lib/testing/machine.ts'

const LONG_MS = 60_000
/** Several looks at the disk, and several rounds of questions. */
const SOME_TIME_MS = 12_000

class Disks {
  readonly cluster: MemoryCluster
  /** of each disk, in percent; 10 where nothing is said */
  readonly used = new Map<string, number>()

  constructor(seed: number) {
    this.cluster = new MemoryCluster({ seed, diskProbe: (name) => this.#probe(name) })
  }

  async grow(names: readonly string[]): Promise<void> {
    await this.cluster.form(names)
    await this.cluster.time.run(1_000)
  }

  leader(): Process {
    const leader = this.cluster.leader()
    if (leader === null) throw new Error('somebody leads')
    return leader
  }

  #probe(name: string): DiskProbe {
    return (onStats) => {
      const free = 10_000 - Math.round((this.used.get(name) ?? 10) * 100)
      const stats = { bsize: 2 ** 20, blocks: 10_000, bfree: free, bavail: free }
      this.cluster.time.start(1, () => onStats(stats))
    }
  }
}

/** How it ends: 'done' or the code. */
async function write(disks: Disks, node: Process, kind: 'put' | 'delete'): Promise<string> {
  const key = bytesOf('k')
  const change =
    kind === 'put'
      ? ({ kind, key, value: bytesOf('v'), condition: null } as const)
      : ({ kind, key, condition: null } as const)
  const end = node.assembly.service.kv.write({ changes: [change] }).then(
    () => 'done',
    (error: unknown) => (error instanceof AspenError ? error.code : String(error))
  )
  return await disks.cluster.time.settled(end, LONG_MS)
}

test('a cluster of one refuses writes above 95 %, not deletes or reads, and recovers below 93 %', async (t) => {
  const disks = new Disks(3)
  await disks.grow(['a'])
  const a = disks.cluster.node('a')
  t.is(await write(disks, a, 'put'), 'done')
  disks.used.set('a', 95.5)
  await disks.cluster.time.run(SOME_TIME_MS)
  const { lastIndex } = a.assembly.replica.status
  t.is(await write(disks, a, 'put'), 'DISK_SPACE_INSUFFICIENT')
  t.is(a.assembly.replica.status.lastIndex, lastIndex, 'nothing was proposed')
  t.is(a.assembly.service.status().disk?.is_full, true)
  const got = await disks.cluster.time.settled(a.assembly.service.kv.get(bytesOf('k')), LONG_MS)
  t.ok(got.item !== null, 'reads go on')
  t.is(await write(disks, a, 'delete'), 'done')
  const ticket = await disks.cluster.time.settled(a.assembly.service.createTicket(), LONG_MS)
  t.ok(ticket.ticket.startsWith('aspen1'), 'help can be called')
  disks.used.set('a', 94)
  await disks.cluster.time.run(SOME_TIME_MS)
  t.is(await write(disks, a, 'put'), 'DISK_SPACE_INSUFFICIENT', 'not yet')
  disks.used.set('a', 92)
  await disks.cluster.time.run(SOME_TIME_MS)
  t.is(await write(disks, a, 'put'), 'done')
  await disks.cluster.close()
})

test('STO-13 a leader whose disk is full hands over within 5 s, and writes go on everywhere', async (t) => {
  const disks = new Disks(5)
  await disks.grow(['a', 'b', 'c'])
  const { cluster } = disks
  for (let round = 0; round < 3; round++) {
    const before = disks.leader()
    disks.used.clear()
    disks.used.set(before.name, 97)
    const hasMoved = await cluster.time.runUntil(() => {
      const leader = cluster.leader()
      return leader !== null && leader !== before
    }, 5_000)
    t.ok(hasMoved, `${before.name} leads no more`)
    for (const node of cluster.nodes()) t.is(await write(disks, node, 'put'), 'done', node.name)
  }
  await cluster.close()
})

test('a full leader gives to whom has space, and to nobody else', async (t) => {
  const disks = new Disks(7)
  await disks.grow(['a', 'b', 'c'])
  const { cluster } = disks
  const before = disks.leader()
  const [first, second] = cluster.nodes().filter((node) => node !== before)
  if (first === undefined || second === undefined) throw new Error('three nodes')
  disks.used.set(first.name, 96)
  await cluster.time.run(SOME_TIME_MS)
  disks.used.set(before.name, 96)
  await cluster.time.run(SOME_TIME_MS)
  t.is(cluster.leader(), second)
  await cluster.close()
})

test('where no majority has space nothing is proposed, whoever leads, and a follower tells it', async (t) => {
  const disks = new Disks(11)
  await disks.grow(['a', 'b', 'c'])
  const { cluster } = disks
  const leader = disks.leader()
  for (const node of cluster.nodes()) if (node !== leader) disks.used.set(node.name, 99)
  await cluster.time.run(SOME_TIME_MS)
  t.is(cluster.leader(), leader, 'its own disk has space')
  for (const node of cluster.nodes()) {
    t.is(await write(disks, node, 'put'), 'DISK_SPACE_INSUFFICIENT')
    t.is(await write(disks, node, 'delete'), 'done')
  }
  disks.used.set(leader.name, 99)
  await cluster.time.run(SOME_TIME_MS)
  t.is(cluster.leader(), leader, 'nobody could take it')
  disks.used.clear()
  await cluster.time.run(SOME_TIME_MS)
  for (const node of cluster.nodes()) t.is(await write(disks, node, 'put'), 'done')
  await cluster.close()
})

test('a voter that is gone has said nothing of its disk: a full leader stays and refuses', async (t) => {
  const disks = new Disks(13)
  await disks.grow(['a', 'b', 'c'])
  const { cluster } = disks
  const leader = disks.leader()
  const [kept, gone] = cluster.nodes().filter((node) => node !== leader)
  if (kept === undefined || gone === undefined) throw new Error('three nodes')
  disks.used.set(kept.name, 96)
  disks.used.set(leader.name, 96)
  cluster.crash(gone.name)
  await cluster.time.run(SOME_TIME_MS)
  t.is(await write(disks, leader, 'put'), 'DISK_SPACE_INSUFFICIENT')
  await cluster.close()
})

test('a store with as much as it may hold takes no more, whatever the disk says', async (t) => {
  const disks = new Disks(17)
  await disks.grow(['a'])
  const a = disks.cluster.node('a')
  t.is(await write(disks, a, 'put'), 'done')
  const { stateMachine } = a
  const change = { kind: 'put', key: bytesOf('l'), value: bytesOf('v'), condition: null } as const
  const entry = { kind: ENTRY_KIND.write, payload: encodeWrite({ changes: [change] }, null) }
  const refusalWith = (entryCount: number, byteCount: number) =>
    roomOf(null, { stateMachine, maxState: { entryCount, byteCount } }).gate.refusalOf(entry)
  t.is(refusalWith(2, 3), null, 'one key of two bytes, with its value')
  t.is(refusalWith(1, 3), 'storeFull')
  t.is(refusalWith(2, 2), 'storeFull')
  await disks.cluster.close()
})
