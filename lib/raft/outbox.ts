// What one step decides, collected until the step ends. Messages say what they depend on; which
// token that is, is known when the step's one write has its number.

import { assert } from '../assert.ts'
import type { NodeId } from '../node-id.ts'
import type { Durability } from './durability.ts'
import type {
  Effects,
  Install,
  Outgoing,
  Ref,
  RefusalReason,
  SecondLeader,
  Token,
  Write
} from './effects.ts'
import type { Entry, Index, Term } from './entry.ts'
import type { Message } from './message.ts'
import type { ConfirmedRead } from './reads.ts'

/** What must be durable before a message may leave: the term, the vote, or the log up to an index. */
export type Promised = 'term' | 'vote' | { readonly logTo: Index }

interface Pending extends Outgoing {
  readonly promised: Promised
}

/** The parts of Effects that the end of the step adds. */
export interface StepEnd {
  readonly write: Write | null
  readonly durability: Durability
  readonly commitIndex: Index
  readonly deadlineMs: number
}

export class Outbox {
  isTermNew = false
  isVoteNew = false
  /** with the commit index before it */
  install: { readonly snapshot: Install; readonly commitIndex: Index } | null = null
  truncateFrom: Index | null = null
  readonly entries: Entry[] = []
  readonly #messages: Pending[] = []
  readonly #proposed: { ref: Ref; term: Term; from: Index; to: Index }[] = []
  readonly #refused: { ref: Ref; reason: RefusalReason }[] = []
  readonly #reads: ConfirmedRead[] = []
  readonly #snapshotsNeeded: NodeId[] = []
  #diverged: Effects['diverged'] = null
  installed: Effects['installed'] = null
  secondLeader: SecondLeader | null = null

  send(to: NodeId, message: Message, promised: Promised): void {
    this.#messages.push({ to, message, promised })
  }

  /** Entries of [from, to) were appended for `ref`. */
  propose(proposed: Effects['proposed'][number]): void {
    assert(proposed.from <= proposed.to, 'a range of indexes')
    this.#proposed.push(proposed)
  }

  refuse(ref: Ref, reason: RefusalReason): void {
    this.#refused.push({ ref, reason })
  }

  answerReads(reads: readonly ConfirmedRead[]): void {
    this.#reads.push(...reads)
  }

  needSnapshot(id: NodeId): void {
    if (!this.#snapshotsNeeded.includes(id)) this.#snapshotsNeeded.push(id)
  }

  diverge(leader: NodeId | null, index: Index): void {
    assert(this.#diverged === null, 'a step finds one divergence')
    this.#diverged = { leader, index }
  }

  /** The effects of the step; messages gated by what is not durable yet. */
  finish(end: StepEnd): Effects {
    const messages: Outgoing[] = []
    const gated: (Outgoing & { token: Token })[] = []
    for (const { to, message, promised } of this.#messages) {
      const token = gateOf(promised, end.durability)
      if (token === null) messages.push({ to, message })
      else gated.push({ to, message, token })
    }
    return {
      write: end.write,
      messages,
      gated,
      commitIndex: end.commitIndex,
      proposed: this.#proposed,
      refused: this.#refused,
      reads: this.#reads,
      snapshotsNeeded: this.#snapshotsNeeded,
      installed: this.installed,
      diverged: this.#diverged,
      secondLeader: this.secondLeader,
      deadlineMs: end.deadlineMs
    }
  }
}

function gateOf(promised: Promised, durability: Durability): Token | null {
  if (promised === 'term') return durability.termGate()
  if (promised === 'vote') return durability.voteGate()
  return durability.logGate(promised.logTo)
}
