// A damaged log and members that have, or have not, what was in it; on virtual time.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { bytesOf, decode, encode } from '../../lib/encoding.ts'
import type { AspenError } from '../../lib/errors.ts'
import { MAX_TERM_JUMP } from '../../lib/limits.ts'
import { MemoryDamagedLog } from '../log-store/memory-damaged-log.ts'
import { MemoryLogDisk } from '../../lib/log-store/memory-log-disk.ts'
import { MemoryLogStore } from '../../lib/log-store/memory-log-store.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Entry, Index } from '../../lib/raft/entry.ts'
import { SeededRandom } from '../../lib/random.ts'
import { snapshotAnswer, snapshotRequest } from '../../lib/replica/encoding.ts'
import type { RepairEnd } from '../../lib/replica/log-repair.ts'
import { LogRepair } from '../../lib/replica/log-repair.ts'
import { askOver } from '../../lib/replica/snapshot-ask.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import type { RequestAnswer } from '../../lib/transport/transport.ts'
import { GENESIS, logOf, Member } from './damaged-logs.ts'

interface BenchParts {
  /** of the node whose log is damaged */
  readonly own: readonly Entry[]
  readonly damaged: readonly Index[]
  readonly members: readonly Member[]
  readonly commitIndex?: Index
}

class Bench {
  readonly time: VirtualTime
  readonly members = new Map<NodeId, Member>()
  readonly repaired: Index[] = []
  readonly ends: RepairEnd[] = []
  /** what nobody had */
  readonly nobody: Index[] = []
  change: (from: NodeId, answer: Uint8Array) => Uint8Array | null = (_from, answer) => answer
  lateMs: (from: NodeId) => number = () => 0
  readonly disk: MemoryLogDisk
  readonly log: MemoryDamagedLog
  readonly repair: LogRepair

  static async make(parts: BenchParts): Promise<Bench> {
    const { own, damaged, commitIndex = 0 } = parts
    const time = new VirtualTime()
    const disk = new MemoryLogDisk()
    const { store } = openLog(disk, time)
    const hardState = { term: own.at(-1)?.term ?? 0, votedFor: null, commitIndex }
    store.write({ hardState, install: null, truncateFrom: null, entries: own }, () => {})
    await time.run(10)
    await store.close()
    for (const index of damaged) disk.flip(new SeededRandom(index), { kind: 'entry', index })
    return new Bench(time, disk, parts.members)
  }

  private constructor(time: VirtualTime, disk: MemoryLogDisk, members: readonly Member[]) {
    this.time = time
    this.disk = disk
    members.forEach((member, at) => this.members.set(at + 2, member))
    this.log = new MemoryDamagedLog({
      disk,
      genesis: GENESIS,
      defer: (fn) => void time.start(5, fn)
    })
    const { log } = this
    this.repair = new LogRepair({
      timers: time,
      ask: askOver((to, payload, onAnswer) => this.#carry(to, payload, onAnswer)),
      members: () => [...this.members.keys()],
      log: {
        get damaged() {
          return log.damaged
        },
        get hardState() {
          return log.hardState
        },
        repair: (entry, previousHash, onDone) =>
          log.repair(entry, previousHash, () => {
            this.repaired.push(entry.index)
            onDone()
          }),
        cutFrom: (cut, onDone) => log.cutFrom(cut, onDone)
      },
      onNobody: (index) => this.nobody.push(index),
      onEnded: (end) => this.ends.push(end)
    })
    this.repair.start()
  }

  /** What a start finds now. @throws StorageError while it is damaged */
  reopened(): readonly Entry[] {
    const { store } = openLog(this.disk, this.time)
    return store.entries(1, store.last.index + 1, 1_000_000)
  }

  #carry(to: NodeId, payload: Uint8Array, onAnswer: (answer: RequestAnswer) => void): void {
    const { time } = this
    const member = this.members.get(to)
    if (member === undefined) {
      time.soon(() => onAnswer({ kind: 'notSent', reason: 'noLink' }))
      return
    }
    time.start(5, () => {
      member.asked.push(decode(snapshotRequest, payload))
      member.desk(time).onRequest(1, payload, (answer) => {
        const changed = this.change(to, answer)
        if (changed === null) return
        time.start(5 + this.lateMs(to), () => onAnswer({ kind: 'answered', payload: changed }))
      })
    })
  }
}

function openLog(disk: MemoryLogDisk, time: VirtualTime) {
  const random = new SeededRandom(1)
  const defer = (fn: () => void): void => time.soon(fn)
  return MemoryLogStore.open({ disk, genesis: GENESIS, random, defer, onFailed: rethrow })
}

function rethrow(error: AspenError): never {
  throw error
}

const WHOLE: RepairEnd = { kind: 'whole' }

void test('a damaged entry comes back from whoever has it', async (t) => {
  const own = logOf([1, 1, 2, 2, 3])
  const members = [new Member(logOf([1])), new Member(own)]
  const bench = await Bench.make({ own, damaged: [3], members })
  await t.exception(() => bench.reopened(), /damaged/)
  await bench.time.run(1_000)
  t.alike(bench.ends, [WHOLE])
  t.alike(bench.repaired, [3])
  t.alike(bench.reopened(), own)
  t.alike(bench.members.get(2)?.asked, [{ kind: 'entry', index: 3, hash: own[2]?.hash }])
})

void test('of a run of damaged entries each is known by the one above it', async (t) => {
  const own = logOf([1, 1, 2, 2, 3])
  const bench = await Bench.make({ own, damaged: [1, 2, 3, 5], members: [new Member(own)] })
  await bench.time.run(1_000)
  t.alike(bench.ends, [WHOLE])
  t.alike(bench.repaired, [5, 3, 2, 1])
  t.alike(bench.reopened(), own)
})

void test('another entry at that index is no help, and neither is a lie', async (t) => {
  const own = logOf([1, 1, 2])
  const [other, liar] = [new Member(logOf([1, 1, 2], 'another')), new Member(own)]
  const members = [other, liar, new Member(own)]
  const bench = await Bench.make({ own, damaged: [3], members })
  const entry = {
    previousHash: present(own[1], 'the one before').hash,
    term: 2,
    kind: 2,
    timeMs: 2,
    payload: bytesOf('lie')
  }
  bench.change = (from, answer) =>
    from === 3 ? encode(snapshotAnswer, { kind: 'entry', entry }) : answer
  await bench.time.run(1_000)
  t.alike(bench.ends, [WHOLE])
  t.alike(bench.reopened(), own)
  t.is(liar.asked.length, 1)
})

void test('while nobody has it, everybody is asked again', async (t) => {
  const own = logOf([1, 1, 2])
  const members = [new Member(logOf([1])), new Member(logOf([1, 1]))]
  const bench = await Bench.make({ own, damaged: [3], members })
  await bench.time.run(30_000)
  t.alike(bench.ends, [])
  const kinds = bench.members.get(2)?.asked.map(({ kind }) => kind) ?? []
  t.alike(kinds.slice(0, 4), ['entry', 'verdict', 'entry', 'verdict'])
  t.ok(kinds.length > 40 && kinds.length < 70, `${kinds.length} questions`)
  t.ok(bench.nobody.length > 10 && bench.nobody.every((index) => index === 3), 'and it is said')
  t.alike(bench.repair.question?.index, 3)
  bench.members.set(4, new Member(own))
  await bench.time.run(3_000)
  t.alike(bench.ends, [WHOLE])
})

void test('without any link it waits', async (t) => {
  const own = logOf([1, 1, 2])
  const bench = await Bench.make({ own, damaged: [3], members: [] })
  await bench.time.run(10_000)
  t.alike(bench.ends, [])
  bench.members.set(2, new Member(own))
  await bench.time.run(2_000)
  t.alike(bench.ends, [WHOLE])
})

void test('a member that never answers is passed over', async (t) => {
  const own = logOf([1, 1, 2])
  const bench = await Bench.make({
    own,
    damaged: [3],
    members: [new Member(own), new Member(own)]
  })
  bench.change = (from, answer) => (from === 2 ? null : answer)
  await bench.time.run(59_000)
  t.alike(bench.ends, [])
  await bench.time.run(2_000)
  t.alike(bench.ends, [WHOLE])
})

void test('an answer that comes too late, or to no question, is none', async (t) => {
  const own = logOf([1, 1, 2])
  const members = [new Member(own), new Member(own)]
  const bench = await Bench.make({ own, damaged: [2, 3], members })
  bench.lateMs = (from) => (from === 2 ? 60_030 : 0)
  await bench.time.run(119_000)
  t.alike(bench.repaired, [3], 'the late answer to the first question is none to the second')
  await bench.time.run(200_000)
  t.alike(bench.ends, [WHOLE])
  t.alike(bench.repaired, [3, 2])
  const wild = await Bench.make({ own, damaged: [3], members })
  wild.change = (from, answer) =>
    from === 2 ? encode(snapshotAnswer, { kind: 'neverCommitted', term: 2 }) : answer
  await wild.time.run(1_000)
  t.alike(wild.ends, [WHOLE])
  t.alike(wild.reopened(), own, 'asked for an entry, nobody gives verdicts')
})

void test('what the leader says was never committed is cut off, with all above it', async (t) => {
  const own = logOf([1, 1, 2, 2, 2])
  const leader = new Member(own.slice(0, 3))
  leader.role = 'leader'
  leader.term = 7
  const members = [new Member(logOf([1])), leader]
  const bench = await Bench.make({ own, damaged: [2, 4], members, commitIndex: 3 })
  await bench.time.run(1_000)
  t.alike(bench.ends, [WHOLE])
  t.alike(bench.repaired, [2])
  t.alike(bench.reopened(), own.slice(0, 3))
  t.is(bench.log.hardState?.term, 7, 'its term goes with it')
})

void test('what is known to be committed is never cut, whoever says so', async (t) => {
  const own = logOf([1, 1, 2, 2, 2])
  const leader = new Member(own.slice(0, 3))
  leader.role = 'leader'
  const bench = await Bench.make({ own, damaged: [4], members: [leader], commitIndex: 4 })
  await bench.time.run(10_000)
  t.alike(bench.ends, [])
  t.ok(leader.asked.every(({ kind }) => kind === 'entry'))
})

void test('a term to which no election led is nobody’s', async (t) => {
  const own = logOf([1, 1, 2])
  const leader = new Member(own.slice(0, 2))
  leader.role = 'leader'
  leader.term = 3 + MAX_TERM_JUMP
  const bench = await Bench.make({ own, damaged: [3], members: [leader] })
  await bench.time.run(5_000)
  t.alike(bench.ends, [])
  leader.term = 2 + MAX_TERM_JUMP
  await bench.time.run(2_000)
  t.alike(bench.ends, [WHOLE])
})

void test('below an entry that was never committed nothing is known: the disk is lost', async (t) => {
  const own = logOf([1, 1, 2, 2])
  const leader = new Member(own.slice(0, 2))
  leader.role = 'leader'
  const bench = await Bench.make({ own, damaged: [3, 4], members: [leader] })
  await bench.time.run(1_000)
  t.alike(bench.ends, [{ kind: 'lost', index: 3 }])
  bench.repair.close()
  await bench.time.run(10_000)
  t.is(bench.ends.length, 1)
})

void test('its end stops it', async (t) => {
  const own = logOf([1, 1, 2])
  const bench = await Bench.make({ own, damaged: [3], members: [new Member(own)] })
  bench.repair.close()
  await bench.time.run(120_000)
  t.alike(bench.ends, [])
  t.alike(bench.repaired, [])
  t.is(bench.time.pendingCount, 0)
})
