// What a leader does for the cluster besides committing: it makes a learner of every admitted node
// that is in no configuration (also one whose admission an earlier leader did not finish), and it
// promotes learners by the growth rule. One change at a time; what cannot be done now is looked at
// again at the next occasion or after LOOK_MS.

import type { Clock, Timer, Timers } from '../clock.ts'
import { MAX_MEMBERS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { ConfigurationChange } from '../raft/configuration.ts'
import { isJoint, learnersOf, memberOf } from '../raft/configuration.ts'
import type { Status } from '../raft/effects.ts'
import type { Applied, NodeRecord, TrustState } from '../state-machine/state-machine.ts'
import { isReady, promotionsDue } from './growth.ts'

export interface LeaderDutiesParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly targetVoters: number
  readonly status: () => Status
  readonly trustState: () => TrustState
  /**
   * A leader begins when its own first entry is applied, and decides when the configuration in use is: before that
   * the trust state still has who was just removed, and the old role of who was just demoted.
   */
  readonly applied: () => Pick<Applied, 'term' | 'configurationIndex'>
  readonly isLinked: (id: NodeId) => boolean
  readonly heartbeatMs: number
  /** proposes; `onEnd` once, when it is settled: carried out, or refused or unknown */
  readonly change: (change: ConfigurationChange, onEnd: (isDone: boolean) => void) => void
  readonly onChange: (change: ConfigurationChange) => void
}

export class LeaderDuties {
  readonly #parts: LeaderDutiesParts
  readonly #readySinceMs = new Map<NodeId, number>()
  #timer: Timer | null = null
  #isChanging = false
  #isClosed = false

  constructor(parts: LeaderDutiesParts) {
    this.#parts = parts
  }

  /** Call when the status changed, entries were applied, or a link opened or closed. */
  look(): void {
    if (this.#isClosed) return
    this.#timer?.cancel()
    this.#timer = null
    if (this.#parts.status().role !== 'leader') {
      this.#readySinceMs.clear()
      return
    }
    this.#watchLearners()
    this.#maybeChange()
    this.#timer = this.#parts.timers.start(LOOK_MS, () => this.look())
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #watchLearners(): void {
    const nowMs = this.#parts.clock.nowMs()
    const input = this.#growthInput()
    const learners = learnersOf(input.status.configuration)
    for (const id of this.#readySinceMs.keys()) {
      if (!learners.includes(id)) this.#readySinceMs.delete(id)
    }
    for (const id of learners) {
      if (!isReady(input, id)) this.#readySinceMs.delete(id)
      else if (!this.#readySinceMs.has(id)) this.#readySinceMs.set(id, nowMs)
    }
  }

  #maybeChange(): boolean {
    const { term, configuration, configurationIndex } = this.#parts.status()
    const applied = this.#parts.applied()
    if (applied.term !== term || applied.configurationIndex < configurationIndex) return false
    if (this.#isChanging || isJoint(configuration)) return false
    const change = this.#additionsDue() ?? this.#promotionsDue()
    if (change === null) return false
    this.#isChanging = true
    this.#parts.onChange(change)
    this.#parts.change(change, (isDone) => {
      this.#isChanging = false
      // what was refused now would be refused at once again: the timer looks later
      if (isDone) this.look()
    })
    return true
  }

  #additionsDue(): ConfigurationChange | null {
    const { configuration } = this.#parts.status()
    const isMissing = (node: NodeRecord): boolean => memberOf(configuration, node.id) === undefined
    const room = MAX_MEMBERS - configuration.members.length
    const missing = this.#parts.trustState().nodes.filter(isMissing).slice(0, room)
    if (missing.length === 0) return null
    const add = missing.map(({ id, publicKey, addresses }) => ({
      id,
      publicKey,
      addresses,
      role: 'learner' as const
    }))
    return { add, promote: [], demote: [], remove: [] }
  }

  #promotionsDue(): ConfigurationChange | null {
    const { clock, heartbeatMs } = this.#parts
    const promote = promotionsDue({
      ...this.#growthInput(),
      readySinceMs: this.#readySinceMs,
      nowMs: clock.nowMs(),
      heartbeatMs
    })
    return promote.length === 0 ? null : { add: [], promote, demote: [], remove: [] }
  }

  #growthInput() {
    const { status, targetVoters, isLinked, trustState } = this.#parts
    const voterKind = new Set(
      trustState()
        .nodes.filter((node) => node.role === 'voter')
        .map((node) => node.id)
    )
    const isEligible = (id: NodeId): boolean => voterKind.has(id)
    return { status: status(), targetVoters, isEligible, isLinked }
  }
}

/** How often a leader looks when nothing tells it to: a learner's stability is a matter of time. */
const LOOK_MS = 250
