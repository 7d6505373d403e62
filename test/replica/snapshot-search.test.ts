// A node that needs a snapshot before it runs, on virtual time: the newest of those that help is fetched from
// whoever has it, and there is no end before there is one.

import test from 'brittle'
import type { NodeId } from '../../lib/node-id.ts'
import type { Index } from '../../lib/raft/entry.ts'
import type { SnapshotRequest } from '../../lib/replica/encoding.ts'
import type { Ask, Heard } from '../../lib/replica/snapshot-ask.ts'
import { SnapshotSearch } from '../../lib/replica/snapshot-search.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import type { Prepared, Stored } from './snapshots.ts'
import { isWhole, MemorySnapshots, snapshotAt, SnapshotDisk } from './snapshots.ts'

class Bench {
  readonly time = new VirtualTime()
  /** what each has; null: it never answers */
  readonly members = new Map<NodeId, Stored | undefined | null>()
  readonly asked: SnapshotRequest['kind'][] = []
  readonly prepared: Prepared[] = []
  readonly search: SnapshotSearch<Prepared>
  readonly own = new MemorySnapshots(new SnapshotDisk(), this.time)

  constructor(from: Index) {
    const { time, own } = this
    const ask: Ask = (to, request, onHeard) => {
      this.asked.push(request.kind)
      const stored = this.members.get(to)
      if (stored !== null) time.start(5, () => onHeard(answerOf(stored, request)))
    }
    this.search = new SnapshotSearch<Prepared>({
      clock: time,
      timers: time,
      ask,
      members: () => [...this.members.keys()],
      receive: (info, manifest) => own.receive(info, manifest),
      from,
      onPrepared: (prepared) => this.prepared.push(prepared)
    })
    this.search.start()
  }
}

function answerOf(stored: Stored | undefined, request: SnapshotRequest): Heard {
  if (stored === undefined) return { kind: 'notHere' }
  if (request.kind === 'newest') return { kind: 'snapshot', snapshot: stored.info }
  const isIt = 'contentHash' in request && request.index === stored.info.index
  if (isIt && request.kind === 'manifest') return { kind: 'manifest', bytes: stored.manifest }
  const chunk = isIt && request.kind === 'chunk' ? stored.chunks[request.position] : undefined
  return chunk === undefined ? { kind: 'notHere' } : { kind: 'chunk', bytes: chunk }
}

void test('the newest that any member has is fetched', async (t) => {
  const bench = new Bench(50)
  const newest = snapshotAt(90, 12)
  bench.members.set(2, snapshotAt(70, 12))
  bench.members.set(3, newest)
  bench.members.set(4, undefined)
  await bench.time.run(3_000)
  t.is(bench.prepared.length, 1)
  t.ok(isWhole(bench.prepared[0], newest))
  t.is(bench.search.fetching, null)
  const count = bench.asked.length
  await bench.time.run(60_000)
  t.is(bench.asked.length, count, 'nothing more is asked')
  t.is(bench.time.pendingCount, 0)
})

void test('one that does not reach far enough is of no use, until there is another', async (t) => {
  const bench = new Bench(80)
  bench.members.set(2, snapshotAt(79, 3))
  await bench.time.run(20_000)
  t.alike(new Set(bench.asked), new Set(['newest']))
  t.is(bench.prepared.length, 0)
  bench.members.set(2, snapshotAt(80, 3))
  await bench.time.run(3_000)
  t.is(bench.prepared[0]?.info.index, 80)
})

void test('members that come later are asked, and one that says nothing is not waited for', async (t) => {
  const bench = new Bench(1)
  await bench.time.run(5_000)
  t.alike(bench.asked, [])
  bench.members.set(2, null)
  bench.members.set(3, snapshotAt(9, 3))
  await bench.time.run(60_000)
  t.is(bench.prepared[0]?.info.index, 9)
})

void test('one that nobody has any more is given up for another', async (t) => {
  const bench = new Bench(1)
  bench.members.set(2, snapshotAt(9, 300))
  while (bench.search.fetching === null) await bench.time.run(5)
  bench.members.set(2, snapshotAt(11, 3))
  await bench.time.run(10_000)
  t.is(bench.prepared[0]?.info.index, 11)
})

void test('one that cannot be prepared is fetched again', async (t) => {
  const bench = new Bench(1)
  bench.own.canPrepare = false
  bench.members.set(2, snapshotAt(9, 3))
  await bench.time.run(2_000)
  t.is(bench.prepared.length, 0)
  bench.own.canPrepare = true
  await bench.time.run(5_000)
  t.is(bench.prepared.length, 1)
})

void test('a search that was closed asks nobody', async (t) => {
  const bench = new Bench(1)
  bench.members.set(2, snapshotAt(9, 300))
  await bench.time.run(30)
  bench.search.close()
  const count = bench.asked.length
  await bench.time.run(60_000)
  t.is(bench.asked.length, count)
  t.is(bench.prepared.length, 0)
})
