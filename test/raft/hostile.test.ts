// One core among members that say anything a message can carry: leaders that nobody elected, terms and
// indexes from the far end of their range, answers to questions that were not asked. Whatever they
// say, no step throws. HOSTILE_SEED=n repeats one life.

import test from 'brittle'
import { unreachable } from '../../lib/assert.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { MAX_INDEX, MAX_TERM, MAX_TERM_JUMP, MAX_TIME_MS } from '../../lib/limits.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Effects, Event } from '../../lib/raft/effects.ts'
import { decodeMessage, encodeMessage } from '../../lib/raft/encoding.ts'
import type { EntryId } from '../../lib/raft/entry.ts'
import { ENTRY_KIND } from '../../lib/raft/entry.ts'
import type { Message } from '../../lib/raft/message.ts'
import { Raft } from '../../lib/raft/raft.ts'
import { SeededRandom } from '../../lib/random.ts'
import { Cluster } from './cluster.ts'
import {
  configurationEntry,
  configurationOf,
  configurationsIn,
  Disk,
  entriesAfter,
  GENESIS,
  timing
} from './fixtures.ts'

const EVENTS = 500
const SEED_COUNT = 200
const ONLY = process.env['HOSTILE_SEED']

const KINDS: readonly Message['kind'][] = [
  'preVote',
  'preVoteAnswer',
  'vote',
  'voteAnswer',
  'append',
  'appendAnswer',
  'heartbeat',
  'heartbeatAnswer',
  'timeoutNow'
]

class Life {
  readonly disk: Disk
  readonly roles = new Set<string>()
  readonly #random: SeededRandom
  readonly #raft: Raft
  #nowMs = 1_000
  #deadlineMs = 0
  #writes: number[] = []
  #lastSession = 0
  isOver = false

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    const founding = configurationEntry(GENESIS, configurationOf([1, 2, 3], [4]))
    const entries = [founding, ...entriesAfter(founding, [1, 1, 1])]
    this.disk = new Disk(entries)
    this.disk.hardState = { term: 1, votedFor: 1, commitIndex: 2 }
    this.#raft = new Raft(
      { id: 1, boot: 3, timing, random: this.#random, log: this.disk },
      { hardState: this.disk.hardState, configurations: configurationsIn(entries), appliedIndex: 1 }
    )
    this.#step({ kind: 'tick' })
    if (seed % 2 === 0) this.#lead()
  }

  /** An honest election, so that more lives are those of leaders. */
  #lead(): void {
    this.#nowMs = this.#deadlineMs
    this.#step({ kind: 'tick' })
    const term = 2
    const granted = { kind: 'preVoteAnswer', term, isGranted: true, ownTerm: 1 } as const
    this.#step({ kind: 'message', from: 2, message: granted })
    this.#completeWrite()
    const vote = { kind: 'voteAnswer', term, isGranted: true } as const
    this.#step({ kind: 'message', from: 2, message: vote })
  }

  below(limit: number): number {
    return Math.floor((this.#random.uint32() / 2 ** 32) * limit)
  }

  act(): void {
    const dice = this.below(100)
    if (dice < 70)
      this.#step({ kind: 'message', from: 2 + this.below(6), message: this.#message() })
    else if (dice < 80) this.#completeWrite()
    else if (dice < 88) this.#passTime()
    else if (dice < 92) this.#step({ kind: 'linkUp', id: 2 + this.below(6) })
    else if (dice < 94) this.#step({ kind: 'leaderLinkLost', id: 2 + this.below(6) })
    else if (dice < 96) this.#step({ kind: 'read', ref: this.below(1_000) })
    else this.#propose()
  }

  #propose(): void {
    const payload = bytesOf('value')
    this.#step({ kind: 'propose', ref: 1, entries: [{ kind: ENTRY_KIND.write, payload }] })
  }

  #passTime(): void {
    this.#nowMs = Math.max(this.#nowMs + this.below(200), this.below(2) * this.#deadlineMs)
    this.#step({ kind: 'tick' })
  }

  #completeWrite(): void {
    const token = this.#writes.shift()
    if (token !== undefined) this.#step({ kind: 'durable', token })
  }

  #step(event: Event): void {
    if (this.isOver) return
    const effects = this.#raft.step(event, { nowMs: this.#nowMs, wallMs: this.#nowMs })
    this.roles.add(this.#raft.status().role)
    this.#carryOut(effects)
  }

  #carryOut(effects: Effects): void {
    this.#deadlineMs = effects.deadlineMs
    // the disk keeps what was written at once; when the core hears of it is another matter
    if (effects.write !== null) {
      this.disk.apply(effects.write)
      this.#writes.push(effects.write.token)
    }
    for (const { message } of [...effects.messages, ...effects.gated]) {
      encodeMessage(message)
      if (message.kind === 'append') this.#lastSession = message.session
    }
    // the driver ends here
    if (effects.diverged !== null) this.isOver = true
  }

  /** A message that the wire can carry, mostly near the truth. */
  #message(): Message {
    return decodeMessage(encodeMessage(this.#drawn()))
  }

  #term(): number {
    const { term } = this.#raft.status()
    const dice = this.below(100)
    if (dice === 0) return this.below(2) === 0 ? MAX_TERM : 2 ** 50
    if (dice < 4) return term + 1 + this.below(3)
    return dice < 8 ? Math.max(0, term - 1) : term
  }

  #index(): number {
    const { lastIndex } = this.#raft.status()
    const dice = this.below(12)
    if (dice === 0) return MAX_INDEX - 8
    return dice < 3 ? lastIndex + this.below(5) : this.below(lastIndex + 1)
  }

  /** What precedes an append: mostly what is there. */
  #previous(): EntryId {
    const index = this.#index()
    const known = this.#raft.idAt(index)
    if (typeof known === 'object' && this.below(8) !== 0) return known
    return { index, term: this.below(3), hash: new Uint8Array(32).fill(this.below(2)) }
  }

  #drawn(): Message {
    const kind = KINDS[this.below(KINDS.length)] ?? 'vote'
    const term = this.#term()
    const isGranted = this.below(4) !== 0
    const isTransfer = this.below(2) === 0
    const wallMs = this.below(2) * MAX_TIME_MS
    switch (kind) {
      case 'preVote':
        return { kind, term, lastIndex: this.#index(), lastTerm: this.#term() }
      case 'preVoteAnswer':
        return { kind, term: term + (term < MAX_TERM ? 1 : 0), isGranted, ownTerm: term }
      case 'vote':
        return { kind, term, lastIndex: this.#index(), lastTerm: this.#term(), isTransfer }
      case 'voteAnswer':
        return { kind, term, isGranted }
      case 'append':
        return this.#append(term)
      case 'appendAnswer':
        return { kind, term, session: this.#lastSession, result: this.#result() }
      case 'heartbeat':
        return { kind, term, boot: 1, round: this.below(50), commitIndex: this.#index() }
      case 'heartbeatAnswer':
        return { kind, term, boot: 3, round: this.below(20), wallMs }
      case 'timeoutNow':
        return { kind, term }
      default:
        return unreachable(kind)
    }
  }

  #append(term: number): Message {
    const previous = this.#previous()
    const [from, to] = [Math.min(previous.term, term), term]
    const terms = [from, to, to, to].slice(4 - this.below(5))
    const entries = entriesAfter({ ...previous, term: from }, terms, `${this.below(3)}`)
    return {
      kind: 'append',
      term,
      session: 1,
      previousIndex: previous.index,
      previousTerm: from,
      previousHash: previous.hash,
      entries,
      commitIndex: this.#index()
    }
  }

  #result(): Extract<Message, { kind: 'appendAnswer' }>['result'] {
    if (this.below(2) === 0) return { kind: 'matched', matchIndex: this.#index() }
    const hintTerm = this.#term()
    return { kind: 'rejected', previousIndex: this.#index(), hintIndex: this.#index(), hintTerm }
  }
}

function live(seed: number, roles: Map<string, number>): string | null {
  const life = new Life(seed)
  try {
    for (let event = 0; event < EVENTS && !life.isOver; event++) life.act()
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  for (const role of life.roles) roles.set(role, (roles.get(role) ?? 0) + 1)
  return null
}

test('nothing that members can say makes a step throw', (t) => {
  const first = ONLY === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(ONLY)
  const count = ONLY === undefined ? SEED_COUNT : 1
  t.comment(`seeds ${first} to ${first + count - 1}`)
  const roles = new Map<string, number>()
  for (let seed = first; seed < first + count; seed++) {
    const failure = live(seed, roles)
    if (failure !== null) return t.fail(`HOSTILE_SEED=${seed}: ${failure}`)
  }
  t.pass([...roles].map(([role, lives]) => `${role} in ${lives}`).join(', '))
  if (ONLY === undefined) t.is(roles.size, 4, 'every role was reached')
})

test('a term beyond all that elections could have led to is not adopted', (t) => {
  const heartbeat = { kind: 'heartbeat', boot: 1, round: 1, commitIndex: 0 } as const
  const cluster = Cluster.alone(1, [1, 2, 3])
  const { term } = cluster.node(1).raft.status()
  const isAdopted = (later: number): boolean => {
    cluster.message(1, 2, { ...heartbeat, term: later })
    return cluster.node(1).raft.status().term === later
  }
  t.absent(isAdopted(MAX_TERM))
  t.absent(isAdopted(term + MAX_TERM_JUMP + 1))
  t.ok(isAdopted(term + MAX_TERM_JUMP))
})

test('a second leader of a term is not believed, whatever it says', (t) => {
  const heartbeat = { kind: 'heartbeat', term: 2, boot: 1, round: 9, commitIndex: 0 } as const
  const cluster = Cluster.alone(1, [1, 2, 3])
  const leaderOf = (id: NodeId): NodeId | null => cluster.node(id).raft.status().leader
  cluster.message(1, 2, { ...heartbeat, round: 1 })
  cluster.message(1, 3, heartbeat)
  t.is(leaderOf(1), 2)
  cluster.network = []
  cluster.message(1, 2, { ...heartbeat, round: 2 })
  t.is(cluster.network.length, 1, 'its rounds do not overtake those of the leader')
})

test('a follower may refuse what it was never sent', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.tick(1)
  cluster.lead(1, [3])
  const entry = { kind: ENTRY_KIND.write, payload: new Uint8Array(0) }
  const answer = (result: Extract<Message, { kind: 'appendAnswer' }>['result']): void => {
    const { term } = cluster.node(1).raft.status()
    const appends = cluster.network.filter(({ to, message }) => to === 2 && 'session' in message)
    const last = appends.at(-1)?.message
    const session = last?.kind === 'append' ? last.session : 0
    cluster.message(1, 2, { kind: 'appendAnswer', term, session, result })
  }
  answer({ kind: 'matched', matchIndex: 1 })
  // more than leaves at once
  cluster.step(1, { kind: 'propose', ref: 1, entries: Array.from({ length: 9_000 }, () => entry) })
  const { progress, lastIndex } = cluster.node(1).raft.status()
  t.is(progress.get(2)?.state, 'replicate')
  answer({
    kind: 'rejected',
    previousIndex: lastIndex,
    hintIndex: lastIndex,
    hintTerm: MAX_TERM
  })
  t.is(cluster.node(1).raft.status().progress.get(2)?.state, 'replicate', 'it is no news')
})
