// What is known from outside of reads by index (ReadIndex): when each was asked, what was committed
// anywhere by then, and which rounds of heartbeats its leader has begun and been answered since. A read
// that is confirmed without a round of its own is a fault also when, by luck, nothing was missed, and so
// is one that nobody answers when its leader has stepped down.

import { MAX_PENDING_READS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Effects, Event, Role } from '../raft/effects.ts'
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
  /** what was asked of each node in its present life and is not answered yet */
  readonly #pending = new Map<
    NodeId,
    { readonly boot: number; readonly byRef: Map<number, Asked> }
  >()
  readonly #rounds = new Map<NodeId, Rounds>()

  /** Before the step that takes the read. */
  ask(core: Asker, ref: number, floor: Index): void {
    this.#pendingOf(core).set(ref, { floor, round: this.#rounds.get(core.id)?.last ?? 0 })
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
    const pending = this.#pendingOf(core)
    const asked = pending.get(ref)
    if (asked === undefined) return `a read that nobody asked is confirmed at ${index}`
    pending.delete(ref)
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

  /** After each step, what it has confirmed being taken off. Returns what is wrong with what waits, or null. */
  checkPending(core: Asker, role: Role, refused: Effects['refused']): string | null {
    const pending = this.#pendingOf(core)
    for (const { ref } of refused) pending.delete(ref)
    const { size } = pending
    if (role !== 'leader' && size > 0) return `${core.id} does not lead, and ${size} reads wait`
    return size > MAX_PENDING_READS ? `${size} reads wait on ${core.id}` : null
  }

  #pendingOf({ id, boot }: Asker): Map<number, Asked> {
    const known = this.#pending.get(id)
    if (known !== undefined && known.boot === boot) return known.byRef
    const byRef = new Map<number, Asked>()
    this.#pending.set(id, { boot, byRef })
    return byRef
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
