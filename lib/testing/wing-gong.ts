// Whether a set of overlapping operations can be put in one order that respects real time and in
// which each makes sense: the search of Wing and Gong (1993) with the cache of Lowe (2017), as in
// Porcupine. Iterative; the cost is exponential in the worst case, therefore bounded, and what the
// bound cuts off is undecided, not accepted.

import { assert, present } from '../assert.ts'

/** What a single copy does, one operation after another. */
export interface Model<State, Operation> {
  init(): State
  /** the state after `operation`; undefined when the operation cannot have gone so in `state` */
  step(state: State, operation: Operation): State | undefined
  /** the same text for states that nothing can tell apart */
  keyOf(state: State): string
}

/** An operation and when it was under way. Positions are unique over all calls and returns. */
export interface Interval<Operation> {
  readonly operation: Operation
  readonly calledAt: number
  /** null: it may take effect at any time after the call, or never */
  readonly returnedAt: number | null
  /**
   * Open operations with the same text do the same in every state. The search takes them in the order
   * of their calls only, which loses nothing and spares it all their subsets.
   */
  readonly alike?: string | null
  /**
   * Operations with a rank, each another one, follow each other by it in every legal order, and none
   * of them is left out before the last: what a log has put in order is not searched for.
   */
  readonly rank?: number | null
  /** It changes nothing wherever it stands. Where it fits without telling anything new, it is put at once. */
  readonly isReadOnly?: boolean
}

export type Verdict<Operation> =
  | { readonly kind: 'ok'; readonly stepCount: number }
  | {
      readonly kind: 'illegal'
      readonly stepCount: number
      /** the longest order that the search found */
      readonly prefix: readonly Operation[]
      /** the operation that had to come next then, and could not */
      readonly stuck: Operation
    }
  /** the budget was spent: neither shown nor refuted */
  | { readonly kind: 'undecided'; readonly stepCount: number }

/** Steps after which a search gives up unless the caller says otherwise; at its worst some seconds. */
export const DEFAULT_STEP_BUDGET = 2_000_000
/** A Map or Set holds no more than this; each step adds at most one entry. */
const MAX_STEP_BUDGET = 2 ** 24 - 1
/** Operations in one search; long before, they take too long. */
const MAX_INTERVALS = 100_000

/**
 * Searches for a legal order. `stepBudget` bounds the steps of the model and with them the cache,
 * which is some hundred bytes per step.
 */
export function checkIntervals<State, Operation>(
  model: Model<State, Operation>,
  intervals: readonly Interval<Operation>[],
  stepBudget: number = DEFAULT_STEP_BUDGET
): Verdict<Operation> {
  assert(stepBudget > 0 && stepBudget <= MAX_STEP_BUDGET, 'a step budget fits the cache')
  assert(intervals.length <= MAX_INTERVALS, 'a set of operations fits a key of the cache')
  return new Search(model, intervals).run(stepBudget)
}

/** Whatever may stand before an event: another one, or the head of the list. */
interface Link<Operation> {
  next: Event<Operation> | null
}

/** A call or a return in the list of what is not in the order yet. */
interface Event<Operation> extends Link<Operation> {
  readonly operation: Operation
  /** position among the intervals */
  readonly bit: number
  /** of a call: its return, if it has one */
  readonly end: Event<Operation> | null
  readonly isCall: boolean
  /** the one that is like it, called last before it */
  readonly earlier: Event<Operation> | null
  readonly rank: number | null
  readonly isReadOnly: boolean
  previous: Link<Operation> | null
}

/** The order as a list from its end: remembering one costs nothing. */
interface Chosen<State, Operation> {
  readonly event: Event<Operation>
  /** the state before it */
  readonly state: State
  readonly previous: Chosen<State, Operation> | null
  /** how many the order has with this one */
  readonly count: number
  /** whether nothing else need be tried in its place */
  readonly isForced: boolean
}

class Search<State, Operation> {
  readonly #model: Model<State, Operation>
  /** stands before the first event */
  readonly #head: Link<Operation>
  /** operations that must be in the order */
  readonly #closedCount: number
  /** the operations in the order, one bit each; 16, because a set as text has 16 in a unit */
  readonly #bits: Uint16Array
  /** sets of chosen operations with the state that they led to */
  readonly #seen = new Set<string>()
  #last: Chosen<State, Operation> | null = null
  #closedChosen = 0
  /** all ranks, ascending, and how many of them are in the order */
  readonly #ranks: readonly number[]
  #rankedChosen = 0
  /** the longest order so far, and the operation that could not follow it */
  #best: Chosen<State, Operation> | null = null
  #stuck: Operation | null = null

  constructor(model: Model<State, Operation>, intervals: readonly Interval<Operation>[]) {
    this.#model = model
    this.#head = listOf(intervals)
    this.#closedCount = intervals.filter(({ returnedAt }) => returnedAt !== null).length
    this.#bits = new Uint16Array(Math.ceil(intervals.length / 16))
    this.#ranks = intervals.flatMap(({ rank }) => rank ?? []).toSorted((a, b) => a - b)
  }

  run(stepBudget: number): Verdict<Operation> {
    let state = this.#model.init()
    let event = this.#head.next
    let stepCount = 0
    while (this.#closedChosen < this.#closedCount) {
      const at = present(event, 'a return that is not in the order')
      if (!at.isCall) {
        this.#note(at)
        const last = this.#undo()
        if (last === null) return { kind: 'illegal', stepCount, ...this.#why() }
        state = last.state
        event = last.event.next
        continue
      }
      if (!this.#isTurnOf(at)) {
        event = at.next
        continue
      }
      if (stepCount === stepBudget) return { kind: 'undecided', stepCount }
      stepCount++
      const after = this.#model.step(state, at.operation)
      if (after === undefined || !this.#choose(at, state, after)) {
        event = at.next
        continue
      }
      state = after
      event = this.#head.next
    }
    return { kind: 'ok', stepCount }
  }

  /** Whether those that come before it in every order, or may as well, are in the order. */
  #isTurnOf({ earlier, rank }: Event<Operation>): boolean {
    if (rank !== null && rank !== this.#ranks[this.#rankedChosen]) return false
    return earlier === null || this.#isChosen(earlier)
  }

  /**
   * Puts a call next in the order, unless the same set has led to the same state before. In place of
   * one that changes nothing nothing else is tried: whatever could come before it can as well come after.
   */
  #choose(event: Event<Operation>, before: State, after: State): boolean {
    const stateKey = this.#model.keyOf(after)
    const isForced = event.isReadOnly && stateKey === this.#model.keyOf(before)
    this.#flip(event.bit)
    const key = String.fromCharCode(...this.#bits) + stateKey
    if (this.#seen.has(key)) {
      this.#flip(event.bit)
      return false
    }
    this.#seen.add(key)
    const count = (this.#last?.count ?? 0) + 1
    this.#last = { event, state: before, previous: this.#last, count, isForced }
    if (event.rank !== null) this.#rankedChosen++
    unlink(event)
    if (event.end !== null) {
      unlink(event.end)
      this.#closedChosen++
    }
    return true
  }

  /** Takes back the last choice that had an alternative, with all that was forced after it. */
  #undo(): Chosen<State, Operation> | null {
    for (let last = this.#last; last !== null; last = this.#last) {
      this.#takeBack(last)
      if (!last.isForced) return last
    }
    return null
  }

  #takeBack({ event, previous }: Chosen<State, Operation>): void {
    this.#last = previous
    this.#flip(event.bit)
    if (event.rank !== null) this.#rankedChosen--
    if (event.end !== null) {
      relink(event.end)
      this.#closedChosen--
    }
    relink(event)
  }

  #isChosen({ bit }: Event<Operation>): boolean {
    return ((this.#bits[bit >>> 4] ?? 0) & (1 << (bit & 15))) !== 0
  }

  #flip(bit: number): void {
    this.#bits[bit >>> 4] = (this.#bits[bit >>> 4] ?? 0) ^ (1 << (bit & 15))
  }

  #note({ operation }: Event<Operation>): void {
    if (this.#stuck !== null && (this.#best?.count ?? 0) >= (this.#last?.count ?? 0)) return
    this.#best = this.#last
    this.#stuck = operation
  }

  #why(): { readonly prefix: readonly Operation[]; readonly stuck: Operation } {
    const prefix: Operation[] = []
    for (let chosen = this.#best; chosen !== null; chosen = chosen.previous) {
      prefix.push(chosen.event.operation)
    }
    return { prefix: prefix.toReversed(), stuck: present(this.#stuck, 'what got stuck') }
  }
}

/** All calls and returns in order of time, behind a head that is neither. */
function listOf<Operation>(intervals: readonly Interval<Operation>[]): Link<Operation> {
  const events: { readonly at: number; readonly event: Event<Operation> }[] = []
  const lastAlike = new Map<string, Event<Operation>>()
  for (const [bit, interval] of byCall(intervals).entries()) {
    const {
      operation,
      calledAt,
      returnedAt,
      alike = null,
      rank = null,
      isReadOnly = false
    } = interval
    const earlier = alike === null ? null : (lastAlike.get(alike) ?? null)
    const links = { operation, bit, earlier, rank, isReadOnly, previous: null, next: null }
    const end = returnedAt === null ? null : { ...links, end: null, isCall: false }
    assert(returnedAt === null || returnedAt > calledAt, 'an operation returns after its call')
    assert(returnedAt === null || alike === null, 'only open operations are alike')
    const call = { ...links, end, isCall: true }
    events.push({ at: calledAt, event: call })
    if (alike !== null) lastAlike.set(alike, call)
    if (end !== null && returnedAt !== null) events.push({ at: returnedAt, event: end })
  }
  events.sort((a, b) => a.at - b.at)
  const head: Link<Operation> = { next: null }
  let last = head
  for (const { event } of events) {
    event.previous = last
    last.next = event
    last = event
  }
  return head
}

function byCall<Operation>(
  intervals: readonly Interval<Operation>[]
): readonly Interval<Operation>[] {
  return intervals.toSorted((a, b) => a.calledAt - b.calledAt)
}

function unlink<Operation>({ previous, next }: Event<Operation>): void {
  if (previous !== null) previous.next = next
  if (next !== null) next.previous = previous
}

/** Undoes the last `unlink` that is not undone. */
function relink<Operation>(event: Event<Operation>): void {
  if (event.previous !== null) event.previous.next = event
  if (event.next !== null) event.next.previous = event
}
