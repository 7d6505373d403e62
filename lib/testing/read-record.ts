// What is known from outside of reads by index (ReadIndex): when each was asked, what was committed
// anywhere by then, and which rounds of heartbeats its leader has begun and been answered since. A read
// that is confirmed without a round of its own is a fault also when, by luck, nothing was missed.

import type { NodeId } from '../node-id.ts'
import type { Effects, Event } from '../raft/effects.ts'
import type { Index, Term } from '../raft/entry.ts'

interface Asked {
  /** what was committed anywhere */
  readonly floor: Index
  /** the last round that its node had begun */
  readonly round: number
}

interface Rounds {
  readonly boot: number
  readonly term: Term
  last: number
  /** by voter */
  readonly answered: Map<NodeId, number>
}

export interface Asker {
  readonly id: NodeId
  readonly boot: number
}

export class ReadRecord {
  readonly #asked = new Map<string, Asked>()
  readonly #rounds = new Map<NodeId, Rounds>()

  /** Before the step that takes the read. */
  ask(core: Asker, ref: number, floor: Index): void {
    this.#asked.set(nameOf(core, ref), { floor, round: this.#rounds.get(core.id)?.last ?? 0 })
  }

  /** After each step, `term` being the one that it led to. */
  see(core: Asker, term: Term, { event, effects }: { event: Event; effects: Effects }): void {
    const rounds = this.#roundsOf(core, term)
    for (const { message } of [...effects.messages, ...effects.gated]) {
      if (message.kind === 'heartbeat') rounds.last = Math.max(rounds.last, message.round)
    }
    if (event.kind !== 'message' || event.message.kind !== 'heartbeatAnswer') return
    const { boot, round, term: answeredTerm } = event.message
    if (boot !== core.boot || answeredTerm !== term) return
    rounds.answered.set(event.from, Math.max(rounds.answered.get(event.from) ?? 0, round))
  }

  /**
   * A read is confirmed at `index`. Returns what is wrong with that, or null. `choices`: the sets of voters
   * of each configuration that was in use in the step.
   */
  confirm(
    core: Asker,
    read: { readonly ref: number; readonly index: Index },
    choices: readonly (readonly (readonly NodeId[])[])[]
  ): string | null {
    const { ref, index } = read
    const asked = this.#asked.get(nameOf(core, ref))
    if (asked === undefined) return `a read that nobody asked is confirmed at ${index}`
    this.#asked.delete(nameOf(core, ref))
    const { floor, round } = asked
    if (index < floor) return `a read at ${index} misses what was committed before it: ${floor}`
    const answered = this.#rounds.get(core.id)?.answered
    const hasAnswered = (id: NodeId): boolean => id === core.id || (answered?.get(id) ?? 0) > round
    const isConfirmed = choices.some((sets) =>
      sets.every((set) => set.filter(hasAnswered).length * 2 > set.length)
    )
    return isConfirmed
      ? null
      : `no quorum answered ${core.id} after round ${round}, before its read`
  }

  #roundsOf({ id, boot }: Asker, term: Term): Rounds {
    const known = this.#rounds.get(id)
    if (known !== undefined && known.boot === boot && known.term === term) return known
    const last = known?.boot === boot ? known.last : 0
    const rounds = { boot, term, last, answered: new Map<NodeId, number>() }
    this.#rounds.set(id, rounds)
    return rounds
  }
}

function nameOf({ id, boot }: Asker, ref: number): string {
  return `${id}/${boot}/${ref}`
}
