// What all members can do. A new kind of entry may stand in the log only when every member knows it: one
// that does not stops there. So before a leader makes the first one, it raises the cluster's feature level
// by an entry, once every member's hello says that its program supports it; from then on older programs
// refuse to go on at that entry, and nothing is ever lowered.
//
// A member without a link supports nothing as far as anybody knows: as long as one is away, or admitted and
// never seen, nothing is raised, and somebody should be told. Nothing is raised before it is needed.

import type { NodeId } from '../node-id.ts'
import type { Status } from '../raft/effects.ts'
import type { Applied } from '../state-machine/state-machine.ts'

export interface FeatureLevelParts {
  readonly id: NodeId
  /** the highest level that this program knows */
  readonly ownLevel: number
  readonly status: () => Status
  readonly applied: () => Pick<Applied, 'term' | 'featureLevel'>
  readonly links: () => readonly { readonly id: NodeId; readonly featureLevel: number }[]
  /** nodes that are admitted, maybe in no configuration yet */
  readonly admitted: () => readonly { readonly id: NodeId }[]
  /** `onEnd` once, when it is settled either way */
  readonly propose: (level: number, onEnd: () => void) => void
  /** once for each level that a leader needs: these do not say that they support it */
  readonly onHeldBack: (level: number, by: readonly NodeId[]) => void
}

export class FeatureLevel {
  readonly #parts: FeatureLevelParts
  #isAsking = false
  readonly #heldBack = new Set<number>()

  constructor(parts: FeatureLevelParts) {
    this.#parts = parts
  }

  /**
   * Whether entries of `level` may be made. If they may not yet, but all members support it, a leader whose
   * term has begun proposes to raise it: ask again when that is applied.
   */
  isReached(level: number): boolean {
    const { status, applied, propose } = this.#parts
    const { featureLevel, term } = applied()
    if (featureLevel >= level) return true
    const isLeading = status().role === 'leader' && status().term === term
    if (!isLeading || this.#isAsking) return false
    const lacking = this.#lacking(level)
    if (lacking.length > 0) {
      this.#tell(level, lacking)
      return false
    }
    this.#isAsking = true
    propose(level, () => {
      this.#isAsking = false
    })
    return false
  }

  #tell(level: number, lacking: readonly NodeId[]): void {
    if (this.#heldBack.has(level)) return
    this.#heldBack.add(level)
    this.#parts.onHeldBack(level, lacking)
  }

  /** Who does not say that it supports the level, in ascending order. */
  #lacking(level: number): readonly NodeId[] {
    const { id: ownId, ownLevel, status, links, admitted } = this.#parts
    const levels = new Map(links().map(({ id, featureLevel }) => [id, featureLevel]))
    levels.set(ownId, ownLevel)
    const ids = new Set([...status().configuration.members, ...admitted()].map(({ id }) => id))
    return [...ids].filter((id) => (levels.get(id) ?? 0) < level).toSorted((a, b) => a - b)
  }
}
