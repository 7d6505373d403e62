// How a leader sends: probing, streaming within a window, going back by terms, recovering.

import test from 'brittle'
import {
  MAX_APPENDS_PER_STEP,
  MAX_APPEND_BYTES,
  MAX_INFLIGHT_APPENDS,
  MAX_INFLIGHT_BYTES
} from '../../lib/limits.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import { Window } from '../../lib/raft/progress.ts'
import { SEND_LIMITS } from '../../lib/raft/send-limits.ts'
import type { Append } from '../../lib/raft/message.ts'
import { Cluster } from './cluster.ts'
import { configurationEntry, configurationOf, entriesAfter, GENESIS, timing } from './fixtures.ts'

/** Node 1 leads term 2 of {1, 2, 3}, phantoms but for itself. */
function leader(terms: readonly number[] = []): Cluster {
  const cluster = Cluster.alone(1, [1, 2, 3], { terms })
  cluster.lead(1, [2])
  return cluster
}

function appendsTo(cluster: Cluster, to: number): readonly Append[] {
  return cluster
    .sent(1, 'append')
    .filter((append) => append.to === to)
    .map(({ message }) => message)
}

function proposeBytes(cluster: Cluster, bytes: number): void {
  const entries = [{ kind: ENTRY_KIND.write, payload: new Uint8Array(bytes) }]
  cluster.step(1, { kind: 'propose', ref: 1, entries })
}

test('a new leader sends its first entry to everybody, and nothing more until one has answered', (t) => {
  const cluster = leader()
  cluster.propose(1, 'a')
  t.alike(
    appendsTo(cluster, 2).map(({ previousIndex, entries }) => [previousIndex, entries.length]),
    [[1, 1]]
  )
  const effects = cluster.acknowledge(1, 2, 2)
  t.alike(
    effects.messages.map(({ to, message }) => [to, message.kind === 'append' && message.entries]),
    [[2, cluster.node(1).disk.stored.slice(2)]]
  )
  t.is(cluster.raft(1).status().progress.get(2)?.state, 'replicate')
})

test('a streaming follower gets each entry at once, without waiting for answers', (t) => {
  const cluster = leader()
  cluster.acknowledge(1, 2, 2)
  cluster.network = []
  for (const text of ['a', 'b', 'c']) cluster.propose(1, text)
  t.alike(
    appendsTo(cluster, 2).map(({ previousIndex, entries }) => [previousIndex, entries.length]),
    [
      [2, 1],
      [3, 1],
      [4, 1]
    ]
  )
})

test('the window is bounded by the number of appends', (t) => {
  const cluster = leader()
  cluster.acknowledge(1, 2, 2)
  cluster.network = []
  for (let count = 0; count < MAX_INFLIGHT_APPENDS + 10; count++) cluster.propose(1, 'a')
  t.is(appendsTo(cluster, 2).length, MAX_INFLIGHT_APPENDS)
  cluster.network = []
  // what did not fit goes in one append when there is room
  const session = 1
  const result = { kind: 'matched', matchIndex: 3 } as const
  cluster.message(1, 2, { kind: 'appendAnswer', term: 2, session, result })
  t.alike(
    appendsTo(cluster, 2).map(({ entries }) => entries.length),
    [10]
  )
})

test('the window is bounded by bytes; what is larger than an append travels alone', (t) => {
  const cluster = leader()
  cluster.acknowledge(1, 2, 2)
  cluster.network = []
  const large = MAX_APPEND_BYTES * 6
  for (let count = 0; count < 4; count++) proposeBytes(cluster, large)
  const sent = appendsTo(cluster, 2)
  t.alike(
    sent.map(({ entries }) => entries.length),
    [1, 1]
  )
  t.ok(2 * large <= MAX_INFLIGHT_BYTES && 3 * large > MAX_INFLIGHT_BYTES)
})

test('one step makes a bounded number of appends, and the answers bring the rest', (t) => {
  const cluster = leader()
  for (let count = 0; count < 10; count++) proposeBytes(cluster, MAX_APPEND_BYTES - 1_000)
  cluster.network = []
  const result = { kind: 'matched', matchIndex: 2 } as const
  cluster.message(1, 2, { kind: 'appendAnswer', term: 2, session: 1, result })
  t.is(appendsTo(cluster, 2).length, MAX_APPENDS_PER_STEP)
  for (const matchIndex of [3, 4]) {
    const next = { kind: 'matched', matchIndex } as const
    cluster.message(1, 2, { kind: 'appendAnswer', term: 2, session: 1, result: next })
  }
  t.is(appendsTo(cluster, 2).length, 10)
})

test('logs that differ for long are brought together in one step per term, not per entry', (t) => {
  const first = configurationEntry(GENESIS, configurationOf([1, 2, 3]))
  const cluster = new Cluster()
  const ofTerm = (term: number, count: number): number[] => Array<number>(count).fill(term)
  cluster.add(1, [first, ...entriesAfter(first, [...ofTerm(2, 50), ...ofTerm(5, 50)])], 6)
  cluster.add(2, [first, ...entriesAfter(first, [...ofTerm(2, 20), ...ofTerm(3, 60)])], 6)
  cluster.add(3, [first, ...entriesAfter(first, ofTerm(4, 200))], 6)
  cluster.elect(1)
  t.alike(cluster.node(2).disk.stored, cluster.node(1).disk.stored)
  t.alike(cluster.node(3).disk.stored, cluster.node(1).disk.stored)
  const rejections = cluster
    .node(2)
    .effects.flatMap(({ messages, gated }) => [...messages, ...gated])
    .filter(({ message }) => message.kind === 'appendAnswer' && message.result.kind === 'rejected')
  t.ok(rejections.length <= 3, `${rejections.length} rejections`)
})

test('a lost probe is sent again, empty, when a heartbeat is answered (B39)', (t) => {
  const cluster = leader()
  cluster.network = []
  cluster.nowMs += timing.heartbeatMs
  cluster.tick(1)
  cluster.message(1, 2, { kind: 'heartbeatAnswer', term: 2, boot: 1, round: 2, wallMs: 0 })
  t.alike(
    appendsTo(cluster, 2).map(({ previousIndex, entries }) => [previousIndex, entries.length]),
    [[1, 0]]
  )
})

test('appends that were lost while streaming are noticed and sent again', (t) => {
  const cluster = Cluster.of([1, 2, 3])
  cluster.elect(1)
  cluster.isLost = ({ to, message }) => to === 2 && message.kind === 'append'
  for (const text of ['a', 'b', 'c']) cluster.propose(1, text)
  cluster.settle()
  t.is(cluster.raft(2).status().lastIndex, 2)
  cluster.isLost = () => false
  cluster.run(timing.electionMinMs)
  t.alike(cluster.node(2).disk.stored, cluster.node(1).disk.stored)
})

test('a new link begins a new session from what is acknowledged', (t) => {
  const cluster = leader([1, 1])
  cluster.acknowledge(1, 2, 4)
  cluster.propose(1, 'a')
  cluster.network = []
  cluster.step(1, { kind: 'linkUp', id: 2 })
  const [probe, ...others] = appendsTo(cluster, 2)
  t.alike(others, [])
  t.alike([probe?.previousIndex, probe?.entries.length], [4, 1])
  t.is(cluster.raft(1).status().progress.get(2)?.matchIndex, 4)
})

test('a follower says where the logs can agree at best', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { terms: [2, 2, 2, 5, 5] })
  const append = {
    kind: 'append',
    term: 6,
    session: 1,
    previousHash: new Uint8Array(32),
    entries: [],
    commitIndex: 0
  } as const
  const cases: readonly (readonly [number, number, number, number])[] = [
    [9, 5, 6, 5],
    [9, 4, 4, 2],
    [5, 3, 4, 2],
    [3, 1, 1, 1]
  ]
  for (const [previousIndex, previousTerm, hintIndex, hintTerm] of cases) {
    cluster.network = []
    cluster.message(1, 2, { ...append, previousIndex, previousTerm })
    const result = { kind: 'rejected', previousIndex, hintIndex, hintTerm } as const
    t.alike(cluster.network[0]?.message, { kind: 'appendAnswer', term: 6, session: 1, result })
  }
})

test('a window knows the sum of what it holds at any time (B40)', (t) => {
  const window = new Window(SEND_LIMITS)
  for (let round = 0; round < 5; round++) {
    for (let at = 1; at <= 40; at++) window.add(round * 40 + at, at)
    t.alike([window.count, window.bytes], [40, 820])
    window.freeTo(round * 40 + 10)
    t.alike([window.count, window.bytes], [30, 820 - 55])
    window.freeTo(round * 40 + 40)
    t.alike([window.count, window.bytes, window.roomBytes], [0, 0, MAX_INFLIGHT_BYTES])
  }
})
