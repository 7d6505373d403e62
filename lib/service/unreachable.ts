// Which members are out of reach, and since when: without a link, or, for a leader, with one over which
// nothing is answered. Looked at when somebody asks; between two questions only links are noted.

import type { Clock } from '../clock.ts'
import { NODE_ATTENTION_MS } from '../health-limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { Status as CoreStatus } from '../raft/effects.ts'
import type { Transport } from '../transport/transport.ts'

export interface UnreachableParts {
  readonly id: NodeId
  readonly clock: Clock
  readonly configuration: () => Configuration
  readonly links: Transport['links']
  readonly status: () => Pick<CoreStatus, 'role' | 'progress'>
}

/** `NodeCrash`: its machine, process or network is gone. `ActorCrash`: it has a link and does not answer. */
export type FailureType = 'NodeCrash' | 'ActorCrash'

export interface UnreachableMember {
  readonly id: NodeId
  readonly failureType: FailureType
  readonly seconds: number
  /** for NODE_ATTENTION_MS or longer */
  readonly needsAttention: boolean
}

export class Unreachable {
  readonly #parts: UnreachableParts
  readonly #startedMs: number
  /** when the last link to a member ended; bounded by the members */
  readonly #lostMs = new Map<NodeId, number>()

  constructor(parts: UnreachableParts) {
    this.#parts = parts
    this.#startedMs = parts.clock.nowMs()
  }

  onLinkDown(id: NodeId): void {
    this.#lostMs.set(id, this.#parts.clock.nowMs())
  }

  /** Members that are out of reach now. */
  list(): readonly UnreachableMember[] {
    const { id: own, configuration, links, status, clock } = this.#parts
    const { role, progress } = status()
    const linkedMs = new Map(links().map((link) => [link.id, link.sinceMs]))
    const members = configuration().members.filter(({ id }) => id !== own)
    this.#forgetOthers(new Set(members.map(({ id }) => id)))
    return members.flatMap(({ id }) => {
      const sinceMs = linkedMs.get(id)
      if (sinceMs === undefined) {
        return [this.#one(id, 'NodeCrash', this.#lostMs.get(id) ?? this.#startedMs)]
      }
      const heardMs = progress.get(id)?.heardMs ?? sinceMs
      const isSilent = role === 'leader' && clock.nowMs() - heardMs >= NODE_ATTENTION_MS
      return isSilent ? [this.#one(id, 'ActorCrash', heardMs)] : []
    })
  }

  #one(id: NodeId, failureType: FailureType, sinceMs: number): UnreachableMember {
    const forMs = this.#parts.clock.nowMs() - sinceMs
    const needsAttention = forMs >= NODE_ATTENTION_MS
    return { id, failureType, seconds: forMs / 1_000, needsAttention }
  }

  #forgetOthers(ids: ReadonlySet<NodeId>): void {
    for (const id of this.#lostMs.keys()) if (!ids.has(id)) this.#lostMs.delete(id)
  }
}
