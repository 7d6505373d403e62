// A damaged log and members that have, or have not, what was in it; on virtual time.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { hash } from '../../lib/crypto.ts'
import { bytesOf, decode, encode, hexOf } from '../../lib/encoding.ts'
import { StorageError } from '../../lib/errors.ts'
import type { AspenError } from '../../lib/errors.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Role } from '../../lib/raft/effects.ts'
import type { Entry, EntryId, Index } from '../../lib/raft/entry.ts'
import { chained, genesis } from '../../lib/raft/entry.ts'
import type { SnapshotAnswer, SnapshotRequest } from '../../lib/replica/encoding.ts'
import { snapshotAnswer, snapshotRequest } from '../../lib/replica/encoding.ts'
import type { DamagedEntry, RepairEnd } from '../../lib/replica/log-repair.ts'
import { LogRepair } from '../../lib/replica/log-repair.ts'
import type { VerdictSource } from '../../lib/replica/log-verdict.ts'
import { askOver } from '../../lib/replica/snapshot-ask.ts'
import { SnapshotDesk } from '../../lib/replica/snapshot-desk.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'

const GENESIS = genesis(new Uint8Array(16).fill(3))

/** A log with entries of the given terms; `text` makes it another one from there on. */
function logOf(terms: readonly number[], text = 'same'): readonly Entry[] {
  const entries: Entry[] = []
  for (const term of terms) {
    const payload = bytesOf(term === terms.at(-1) ? text : 'same')
    entries.push(chained(entries.at(-1) ?? GENESIS, { term, kind: 2, timeMs: term, payload }))
  }
  return entries
}

class TableLog {
  stored: readonly Entry[]
  base: EntryId = GENESIS
  readonly damaged = new Set<Index>()

  constructor(stored: readonly Entry[]) {
    this.stored = stored
  }

  idAt(index: Index): EntryId | 'compacted' | 'missing' {
    if (this.damaged.has(index)) throw damagedError()
    if (index < this.base.index) return 'compacted'
    return index === this.base.index ? this.base : (this.stored[index - 1] ?? 'missing')
  }

  entries(from: Index, to: Index): readonly Entry[] {
    if (this.damaged.has(from)) throw damagedError()
    return this.stored.slice(from - 1, to - 1)
  }

  /** From now on the log begins after `index`. */
  compact(index: Index): void {
    this.base = present(this.stored[index - 1], 'the new base')
  }
}

function damagedError(): StorageError {
  return new StorageError({ code: 'CORRUPTED', message: 'the record is damaged' })
}

class Member {
  readonly log: TableLog
  role: Role = 'follower'
  /** what its core knows beyond the durable log, or instead of it */
  core: TableLog
  /** whether it can confirm that it leads */
  isConfirmed = true
  isRunning = true
  readonly asked: SnapshotRequest[] = []
  readonly failures: AspenError[] = []

  constructor(entries: readonly Entry[]) {
    this.log = new TableLog(entries)
    this.core = this.log
  }

  desk(time: VirtualTime): SnapshotDesk {
    const verdicts: VerdictSource = {
      core: {
        status: () => ({ role: this.role }),
        idAt: (index) => this.core.idAt(index)
      },
      readIndex: (onOutcome) => {
        time.start(20, () => {
          if (this.isConfirmed) onOutcome({ kind: 'ready', index: 1 })
          else onOutcome({ kind: 'refused', reason: 'notLeader' })
        })
      }
    }
    const transfer = { onRequest: () => {} }
    return new SnapshotDesk({
      log: this.log,
      running: this.isRunning ? { transfer, verdicts } : null,
      onFailed: (error) => this.failures.push(error)
    })
  }
}

class Bench {
  readonly time = new VirtualTime()
  readonly members = new Map<NodeId, Member>()
  readonly repaired: { readonly entry: Entry; readonly previousHash: Uint8Array }[] = []
  readonly ends: RepairEnd[] = []
  lateMs: (from: NodeId) => number = () => 0
  change: (from: NodeId, answer: Uint8Array) => Uint8Array | null = (_from, answer) => answer
  readonly repair: LogRepair

  constructor(members: readonly Member[], damaged: readonly DamagedEntry[]) {
    members.forEach((member, at) => this.members.set(at + 2, member))
    const { time } = this
    this.repair = new LogRepair({
      timers: time,
      ask: askOver((to, payload, onAnswer) => {
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
      }),
      members: () => [...this.members.keys()],
      damaged,
      repair: (entry, previousHash, onDone) => {
        this.repaired.push({ entry, previousHash })
        time.start(5, onDone)
      },
      onEnded: (end) => this.ends.push(end)
    })
    this.repair.start()
  }
}

/** An entry, 1 the first, as the damaged log must have it. */
function nameOf(entries: readonly Entry[], index: Index): DamagedEntry {
  return { index, hash: present(entries[index - 1], 'the entry').hash }
}

function unnamed(index: Index): DamagedEntry {
  return { index, hash: null }
}

const WHOLE: RepairEnd = { kind: 'whole', cutFrom: null }

void test('a damaged entry comes back from whoever has it', async (t) => {
  const own = logOf([1, 1, 2, 2, 3])
  const bench = new Bench([new Member(logOf([1])), new Member(own)], [nameOf(own, 3)])
  await bench.time.run(1_000)
  t.alike(bench.ends, [WHOLE])
  t.alike(bench.repaired, [{ entry: own[2], previousHash: own[1]?.hash }])
  t.alike(bench.members.get(2)?.asked, [{ kind: 'entry', index: 3, hash: own[2]?.hash }])
})

void test('of a run of damaged entries each is known by the one above it', async (t) => {
  const own = logOf([1, 1, 2, 2, 3])
  const damaged = [unnamed(1), unnamed(2), nameOf(own, 3), nameOf(own, 5)]
  const bench = new Bench([new Member(own)], damaged)
  t.is(bench.repair.leftCount, 4)
  await bench.time.run(1_000)
  t.alike(bench.ends, [WHOLE])
  t.alike(
    bench.repaired.map(({ entry, previousHash }) => [entry, hexOf(previousHash)]),
    [5, 3, 2, 1].map((index) => [own[index - 1], hexOf(own[index - 2]?.hash ?? GENESIS.hash)])
  )
  t.is(bench.repair.leftCount, 0)
})

void test('another entry at that index is no help, and neither is a lie', async (t) => {
  const own = logOf([1, 1, 2])
  const other = logOf([1, 1, 2], 'another')
  const liar = new Member(own)
  const bench = new Bench([new Member(other), liar, new Member(own)], [nameOf(own, 3)])
  const entry = {
    previousHash: GENESIS.hash,
    term: 2,
    kind: 2,
    timeMs: 2,
    payload: bytesOf('lie')
  }
  bench.change = (from, answer) =>
    from === 3 ? encode(snapshotAnswer, { kind: 'entry', entry }) : answer
  await bench.time.run(1_000)
  t.alike(bench.ends, [WHOLE])
  t.alike(
    bench.repaired.map((each) => each.entry),
    [own[2]]
  )
  t.is(liar.asked.length, 1)
})

void test('while nobody has it, everybody is asked again', async (t) => {
  const own = logOf([1, 1, 2])
  const bench = new Bench([new Member(logOf([1])), new Member(logOf([1, 1]))], [nameOf(own, 3)])
  await bench.time.run(30_000)
  t.alike(bench.ends, [])
  const kinds = bench.members.get(2)?.asked.map(({ kind }) => kind) ?? []
  t.alike(kinds.slice(0, 4), ['entry', 'verdict', 'entry', 'verdict'])
  t.ok(kinds.length > 40 && kinds.length < 70, `${kinds.length} questions`)
  bench.members.set(4, new Member(own))
  await bench.time.run(3_000)
  t.alike(bench.ends, [WHOLE])
})

void test('without any link it waits', async (t) => {
  const own = logOf([1, 1, 2])
  const bench = new Bench([], [nameOf(own, 3)])
  await bench.time.run(10_000)
  t.alike(bench.ends, [])
  bench.members.set(2, new Member(own))
  await bench.time.run(2_000)
  t.alike(bench.ends, [WHOLE])
})

void test('a member that never answers is passed over', async (t) => {
  const own = logOf([1, 1, 2])
  const bench = new Bench([new Member(own), new Member(own)], [nameOf(own, 3)])
  bench.change = (from, answer) => (from === 2 ? null : answer)
  await bench.time.run(59_000)
  t.alike(bench.ends, [])
  await bench.time.run(2_000)
  t.alike(bench.ends, [WHOLE])
})

void test('an answer that comes too late, or to no question, is none', async (t) => {
  const own = logOf([1, 1, 2])
  const bench = new Bench([new Member(own), new Member(own)], [nameOf(own, 2), nameOf(own, 3)])
  const { time } = bench
  bench.lateMs = (from) => (from === 2 ? 60_030 : 0)
  await time.run(300_000)
  t.alike(bench.ends, [WHOLE])
  t.alike(
    bench.repaired.map(({ entry }) => entry.index),
    [3, 2]
  )
  const wild = new Bench([new Member(own), new Member(own)], [nameOf(own, 3)])
  wild.change = (from, answer) =>
    from === 2 ? encode(snapshotAnswer, { kind: 'neverCommitted' }) : answer
  await wild.time.run(1_000)
  t.alike(wild.ends, [WHOLE], 'asked for an entry, nobody gives verdicts')
})

void test('what the leader says was never committed is cut off, with all above it', async (t) => {
  const own = logOf([1, 1, 2, 2, 2])
  const shorter = new Member(own.slice(0, 3))
  shorter.role = 'leader'
  const bench = new Bench([new Member(logOf([1])), shorter], [nameOf(own, 2), nameOf(own, 4)])
  await bench.time.run(1_000)
  t.alike(bench.ends, [{ kind: 'whole', cutFrom: 4 }])
  t.alike(
    bench.repaired.map(({ entry }) => entry.index),
    [2]
  )
})

void test('below an entry that was never committed nothing is known: the disk is lost', async (t) => {
  const own = logOf([1, 1, 2, 2])
  const leader = new Member(own.slice(0, 2))
  leader.role = 'leader'
  const bench = new Bench([leader], [unnamed(3), nameOf(own, 4)])
  await bench.time.run(1_000)
  t.alike(bench.ends, [{ kind: 'lost', index: 3 }])
  const { time } = bench
  bench.repair.close()
  await time.run(10_000)
  t.is(bench.ends.length, 1)
})

void test('its end stops it', async (t) => {
  const own = logOf([1, 1, 2])
  const bench = new Bench([new Member(own)], [nameOf(own, 3)])
  bench.repair.close()
  await bench.time.run(120_000)
  t.alike(bench.ends, [])
  t.alike(bench.repaired, [])
  t.is(bench.time.pendingCount, 0)
})

/** What a member answers to one question. */
async function answerOf(member: Member, request: SnapshotRequest): Promise<SnapshotAnswer | null> {
  const time = new VirtualTime()
  const answers: SnapshotAnswer[] = []
  member
    .desk(time)
    .onRequest(1, encode(snapshotRequest, request), (answer) =>
      answers.push(decode(snapshotAnswer, answer))
    )
  await time.run(1_000)
  return answers[0] ?? null
}

void test('the verdict of a leader, case by case', async (t) => {
  const own = logOf([1, 1, 2, 2], 'own')
  const others = logOf([1, 1, 2, 2], 'another')
  const wanted = present(own[3], 'the entry in question')
  const ask = (member: Member): Promise<SnapshotAnswer | null> =>
    answerOf(member, { kind: 'verdict', index: 4, hash: wanted.hash })
  const leaderOf = (entries: readonly Entry[]): Member => {
    const member = new Member(entries)
    member.role = 'leader'
    return member
  }
  t.alike(await ask(leaderOf(others)), { kind: 'neverCommitted' }, 'another entry is there')
  t.alike(
    await ask(leaderOf(own.slice(0, 3))),
    { kind: 'neverCommitted' },
    'the log ends before it'
  )
  t.alike(await ask(leaderOf(own)), { kind: 'notHere' }, 'it is there')

  const follower = leaderOf(others)
  follower.role = 'follower'
  t.alike(await ask(follower), { kind: 'notHere' }, 'a follower knows nothing')
  const unconfirmed = leaderOf(others)
  unconfirmed.isConfirmed = false
  t.alike(await ask(unconfirmed), { kind: 'notHere' }, 'it may have been deposed')
  const compacted = leaderOf(logOf([1, 1, 2, 2, 3, 3]))
  compacted.log.compact(5)
  t.alike(await ask(compacted), { kind: 'notHere' }, 'it does not know any more')
  const base = leaderOf(own)
  base.log.compact(4)
  t.alike(await ask(base), { kind: 'notHere' }, 'it is the last one that a snapshot stands for')
  const otherBase = leaderOf(others)
  otherBase.log.compact(4)
  t.alike(await ask(otherBase), { kind: 'neverCommitted' }, 'another one is')
  const ahead = leaderOf(own.slice(0, 3))
  ahead.core = new TableLog(own)
  t.alike(await ask(ahead), { kind: 'notHere' }, 'it is there, only not durable yet')
  const starting = leaderOf(others)
  starting.isRunning = false
  t.alike(await ask(starting), { kind: 'notHere' }, 'it does not run')
})

void test('a member gives the very entry or nothing', async (t) => {
  const own = logOf([1, 1, 2])
  const member = new Member(own)
  const wanted = present(own[1], 'the entry')
  const { index, term, kind, timeMs, payload } = wanted
  const ask = (fields: { index?: Index; hash?: Uint8Array }): Promise<SnapshotAnswer | null> =>
    answerOf(member, { kind: 'entry', index, hash: wanted.hash, ...fields })
  const entry = { previousHash: present(own[0], 'the first').hash, term, kind, timeMs, payload }
  t.alike(await ask({}), { kind: 'entry', entry })
  t.alike(await ask({ hash: hash(bytesOf('x')) }), { kind: 'notHere' })
  t.alike(await ask({ index: 3 }), { kind: 'notHere' })
  t.alike(await ask({ index: 9 }), { kind: 'notHere' })
  member.log.compact(1)
  t.alike(await ask({}), { kind: 'entry', entry }, 'its predecessor is known as the base')
  member.log.compact(2)
  t.alike(await ask({}), { kind: 'notHere' }, 'of the base only the hash is left')
  member.log.compact(3)
  t.alike(await ask({}), { kind: 'notHere' })
})

void test('a member that finds its own record damaged ends, unless it knows that', async (t) => {
  const own = logOf([1, 1, 2])
  const member = new Member(own)
  member.log.damaged.add(2)
  const request = { kind: 'entry', ...nameOf(own, 2), hash: present(own[1], 'it').hash } as const
  t.is(await answerOf(member, request), null)
  t.is(member.failures.length, 1)
  member.isRunning = false
  t.alike(await answerOf(member, request), { kind: 'notHere' })
  t.is(member.failures.length, 1)
})

void test('bytes that no member sends are answered as if nothing were here', (t) => {
  const answers: Uint8Array[] = []
  const desk = new Member([]).desk(new VirtualTime())
  for (const bytes of [[], [1], [1, 99], [2, 1], [1, 4, 0]]) {
    desk.onRequest(1, new Uint8Array(bytes), (answer) => answers.push(answer))
  }
  t.is(answers.length, 5)
  for (const answer of answers) t.alike(decode(snapshotAnswer, answer), { kind: 'notHere' })
})
