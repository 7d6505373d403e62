// Waiting for one node of a router: virtual time passes until the node shows what a test expects of it, and
// an error that carries the test's own words says when it does not.

import { AspenError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import { learnersOf, votersOf } from '../raft/configuration.ts'
import type { Index, Term } from '../raft/entry.ts'
import type { Process } from './machine.ts'
import type { VirtualTime } from './virtual-time.ts'

export type ServerState = 'leader' | 'follower' | 'learner' | 'candidate'

/** What a node of a router shows of itself. */
export interface NodeMetrics {
  readonly id: NodeId
  readonly state: ServerState
  readonly currentLeader: NodeId | null
  readonly currentTerm: Term
  readonly lastLogIndex: Index
  readonly committedIndex: Index
  readonly lastAppliedIndex: Index
  /** newest snapshot; null for none */
  readonly snapshotIndex: Index | null
  /** ascending */
  readonly voters: readonly NodeId[]
  readonly learners: readonly NodeId[]
}

export function metricsOf({ machine, assembly, stateMachine }: Process): NodeMetrics {
  const { status, appliedIndex } = assembly.replica
  const [newest] = stateMachine.snapshots.list()
  const voters = votersOf(status.configuration)
  return {
    id: machine.id,
    state: stateOf(status.role, voters.includes(machine.id)),
    currentLeader: status.leader,
    currentTerm: status.term,
    lastLogIndex: status.lastIndex,
    committedIndex: status.commitIndex,
    lastAppliedIndex: appliedIndex,
    snapshotIndex: newest?.index ?? null,
    voters,
    learners: learnersOf(status.configuration)
  }
}

export class Wait {
  readonly #process: () => Process
  readonly #time: VirtualTime
  readonly #timeoutMs: number

  /** `process`: the one that runs at the moment of the call; it may be another one later */
  constructor(process: () => Process, time: VirtualTime, timeoutMs: number) {
    this.#process = process
    this.#time = time
    this.#timeoutMs = timeoutMs
  }

  /** Exactly `index` is applied; null: nothing is. */
  appliedIndex(index: Index | null, message = ''): Promise<NodeMetrics> {
    const expected = `applied index = ${index}`
    return this.#until(({ lastAppliedIndex: found }) => found === (index ?? 0), expected, message)
  }

  appliedIndexAtLeast(index: Index, message = ''): Promise<NodeMetrics> {
    const expected = `applied index >= ${index}`
    return this.#until(({ lastAppliedIndex: found }) => found >= index, expected, message)
  }

  logIndexAtLeast(index: Index, message = ''): Promise<NodeMetrics> {
    const expected = `last log index >= ${index}`
    return this.#until(({ lastLogIndex }) => lastLogIndex >= index, expected, message)
  }

  currentLeader(id: NodeId, message = ''): Promise<NodeMetrics> {
    return this.#until(({ currentLeader }) => currentLeader === id, `leader = ${id}`, message)
  }

  state(state: ServerState, message = ''): Promise<NodeMetrics> {
    return this.#until((metrics) => metrics.state === state, `state = ${state}`, message)
  }

  voterIds(ids: readonly NodeId[], message = ''): Promise<NodeMetrics> {
    const expected = ids.toSorted((a, b) => a - b).join()
    return this.#until(({ voters }) => voters.join() === expected, `voters = ${expected}`, message)
  }

  metrics(predicate: (metrics: NodeMetrics) => boolean, message = ''): Promise<NodeMetrics> {
    return this.#until(predicate, 'what the predicate says', message)
  }

  async #until(
    holds: (metrics: NodeMetrics) => boolean,
    expected: string,
    message: string
  ): Promise<NodeMetrics> {
    const look = (): boolean => holds(metricsOf(this.#process()))
    if (await this.#time.runUntil(look, this.#timeoutMs)) return metricsOf(this.#process())
    const found = JSON.stringify(metricsOf(this.#process()))
    throw new AspenError({
      code: 'UNAVAILABLE',
      message: `${message === '' ? 'wait' : message}: not within ${this.#timeoutMs} ms: ${expected}; found ${found}`,
      fields: { timeout_ms: this.#timeoutMs }
    })
  }
}

function stateOf(role: string, isVoter: boolean): ServerState {
  if (role === 'leader') return 'leader'
  if (!isVoter) return 'learner'
  return role === 'follower' ? 'follower' : 'candidate'
}
