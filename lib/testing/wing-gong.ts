// Whether a set of overlapping operations can be put in one order that respects real time and in
// which each makes sense: the search of Wing and Gong (1993) with the cache of Lowe (2017), as in
// Porcupine. Iterative; the cost is exponential in the worst case, therefore bounded, and what the
// bound cuts off is undecided, not accepted. Operations that may never have happened are tried last,
// and of two ways to one state, the one that took more of them is given up.

import { assert, present } from '../assert.ts'

/** What a single copy does, one operation after another. */
export interface Model<State, Operation> {
  init(): State
  /** the state after `operation`; undefined when the operation cannot have gone so in `state` */
  step(state: State, operation: Operation): State | undefined
  /** the same text for states that nothing can tell apart, or only `covers` */
  keyOf(state: State): string
  /**
   * Of two states of one key: whether whatever can follow `other` can follow `state` too, to states of
   * which the same is true. Left out: always.
   */
  covers?(state: State, other: State): boolean
  /**
   * Whether `next`, the next one by rank, can come after `state`, be it with others in between that have
   * none. Left out: the search finds out.
   */
  canPrecede?(state: State, next: Operation): boolean
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
   * Of those that are like it at most one takes effect in any order, and the state tells whether
   * it still can: the search need not remember it.
   */
  readonly isOnce?: boolean
  /**
   * Operations with a rank, each another one, have happened, whether they returned or not, and follow
   * each other by it in every legal order: what a log has put in order is not searched for.
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
  /** position among those that are in no rank and not optional */
  readonly freeBit: number | null
  /** of a call: its return, if it has one */
  readonly end: Event<Operation> | null
  readonly isCall: boolean
  /** the one that is like it, called last before it */
  readonly earlier: Event<Operation> | null
  /** how many come before it by rank; null if it has none */
  readonly place: number | null
  readonly isReadOnly: boolean
  /** it may never have happened, and nobody knows when it did */
  readonly isOptional: boolean
  /** of what may never have happened: which kind of it is counted; null for what is not */
  readonly counter: number | null
  previous: Link<Operation> | null
}

/** A state that the search was in, and how many of each optional kind the order had by then. */
interface Visit<State> {
  readonly state: State
  readonly counts: Uint16Array
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
  readonly #neededCount: number
  /** the operations in the order, one bit each; 16, because a set as text has 16 in a unit */
  readonly #bits: Uint16Array
  /** those of them that are in no rank and not optional: with the ranked ones they say how far it has come */
  readonly #freeBits: Uint16Array
  /** how many of each optional kind are in the order */
  readonly #counts: Uint16Array
  /** where the search has been: by how far it had come and the state's key */
  readonly #seen = new Map<string, Visit<State>[]>()
  #last: Chosen<State, Operation> | null = null
  #neededChosen = 0
  /** all that have a rank, by it, and how many of them are in the order */
  readonly #ranked: readonly Operation[]
  #rankedChosen = 0
  /** the longest order so far, and the operation that could not follow it */
  #best: Chosen<State, Operation> | null = null
  #stuck: Operation | null = null

  constructor(model: Model<State, Operation>, intervals: readonly Interval<Operation>[]) {
    const { head, ranked, freeCount, counterCount } = listOf(intervals)
    this.#model = model
    this.#head = head
    this.#neededCount = freeCount + ranked.length
    this.#bits = new Uint16Array(Math.ceil(intervals.length / 16))
    this.#freeBits = new Uint16Array(Math.ceil(freeCount / 16))
    this.#counts = new Uint16Array(counterCount)
    this.#ranked = ranked.map(({ operation }) => operation)
  }

  run(stepBudget: number): Verdict<Operation> {
    let state = this.#model.init()
    let event = this.#head.next
    // what must have happened is tried first: an order needs few of the others, and late
    let isOptional = false
    let stepCount = 0
    while (this.#neededChosen < this.#neededCount) {
      const at: Event<Operation> | null = event
      const isEnd = at === null || !at.isCall
      if (isEnd && !isOptional) {
        this.#note(at?.operation ?? present(this.#nextRanked(), 'what is not in the order'))
        isOptional = true
        event = this.#head.next
        continue
      }
      if (isEnd) {
        const last = this.#undo()
        if (last === null) return { kind: 'illegal', stepCount, ...this.#why() }
        state = last.state
        isOptional = last.event.isOptional
        event = last.event.next
        continue
      }
      if (at.isOptional !== isOptional || !this.#isTurnOf(at)) {
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
      isOptional = false
      event = this.#head.next
    }
    return { kind: 'ok', stepCount }
  }

  /** Whether those that come before it in every order, or may as well, are in the order. */
  #isTurnOf({ earlier, place }: Event<Operation>): boolean {
    if (place !== null && place !== this.#rankedChosen) return false
    return earlier === null || this.#isChosen(earlier)
  }

  /**
   * Puts a call next in the order, unless the search has been as far with no more optional operations in
   * a state that covers this one. In place of one that changes nothing nothing else is tried: whatever
   * could come before it can as well come after.
   */
  #choose(event: Event<Operation>, before: State, after: State): boolean {
    this.#mark(event, 1)
    if ((event.isOptional && this.#isDeadEnd(after)) || !this.#visit(after)) {
      this.#mark(event, -1)
      return false
    }
    const isForced = event.isReadOnly && this.#isSame(before, after)
    const count = (this.#last?.count ?? 0) + 1
    this.#last = { event, state: before, previous: this.#last, count, isForced }
    unlink(event)
    if (event.end !== null) unlink(event.end)
    return true
  }

  #nextRanked(): Operation | undefined {
    return this.#ranked[this.#rankedChosen]
  }

  #isDeadEnd(state: State): boolean {
    const next = this.#nextRanked()
    if (next === undefined || this.#model.canPrecede === undefined) return false
    return !this.#model.canPrecede(state, next)
  }

  /** False if what can follow here could as well follow where the search has been. */
  #visit(state: State): boolean {
    const key = `${this.#rankedChosen} ${String.fromCharCode(...this.#freeBits)} ${this.#model.keyOf(state)}`
    const visits = this.#seen.get(key) ?? []
    if (visits.some((visit) => this.#covers(visit, state))) return false
    if (visits.length === 0) this.#seen.set(key, visits)
    visits.push({ state, counts: this.#counts.slice() })
    return true
  }

  #covers(visit: Visit<State>, state: State): boolean {
    const isMore = visit.counts.some((count, kind) => count > (this.#counts[kind] ?? 0))
    return !isMore && (this.#model.covers?.(visit.state, state) ?? true)
  }

  #isSame(a: State, b: State): boolean {
    const model = this.#model
    if (model.keyOf(a) !== model.keyOf(b)) return false
    return model.covers === undefined || (model.covers(a, b) && model.covers(b, a))
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
    this.#mark(event, -1)
    if (event.end !== null) relink(event.end)
    relink(event)
  }

  /** Counts an operation as in the order, or as not in it any more. */
  #mark({ bit, freeBit, place, counter }: Event<Operation>, by: 1 | -1): void {
    flip(this.#bits, bit)
    if (freeBit !== null) flip(this.#freeBits, freeBit)
    if (place !== null) this.#rankedChosen += by
    if (counter !== null) this.#counts[counter] = (this.#counts[counter] ?? 0) + by
    if (freeBit !== null || place !== null) this.#neededChosen += by
  }

  #isChosen({ bit }: Event<Operation>): boolean {
    return ((this.#bits[bit >>> 4] ?? 0) & (1 << (bit & 15))) !== 0
  }

  #note(operation: Operation): void {
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

interface List<Operation> {
  /** stands before the first event, and is none */
  readonly head: Link<Operation>
  /** those with a rank, by it */
  readonly ranked: readonly Interval<Operation>[]
  readonly freeCount: number
  readonly counterCount: number
}

/** All calls and returns in order of time. */
function listOf<Operation>(intervals: readonly Interval<Operation>[]): List<Operation> {
  const events: { readonly at: number; readonly event: Event<Operation> }[] = []
  const lastAlike = new Map<string, Event<Operation>>()
  const counters = new Map<string, number>()
  const ranked = byRank(intervals)
  const places = new Map(ranked.map((interval, place) => [interval, place]))
  let freeCount = 0
  for (const [bit, interval] of byCall(intervals).entries()) {
    const { operation, calledAt, returnedAt, alike = null, rank = null } = interval
    const { isReadOnly = false, isOnce = false } = interval
    assert(returnedAt === null || returnedAt > calledAt, 'an operation returns after its call')
    assert(returnedAt === null || alike === null, 'only open operations are alike')
    const isOptional = returnedAt === null && rank === null
    const kind = alike ?? `#${bit}`
    if (isOptional && !isOnce && !counters.has(kind)) counters.set(kind, counters.size)
    const counter = isOptional && !isOnce ? (counters.get(kind) ?? null) : null
    const freeBit = isOptional || rank !== null ? null : freeCount++
    const earlier = alike === null ? null : (lastAlike.get(alike) ?? null)
    const place = places.get(interval) ?? null
    const marks = { operation, bit, freeBit, earlier, place, isReadOnly, isOptional, counter }
    const links = { ...marks, previous: null, next: null }
    const end = returnedAt === null ? null : { ...links, end: null, isCall: false }
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
  return { head, ranked, freeCount, counterCount: counters.size }
}

function byCall<Operation>(
  intervals: readonly Interval<Operation>[]
): readonly Interval<Operation>[] {
  return intervals.toSorted((a, b) => a.calledAt - b.calledAt)
}

function byRank<Operation>(
  intervals: readonly Interval<Operation>[]
): readonly Interval<Operation>[] {
  const ranked = intervals.filter(({ rank = null }) => rank !== null)
  return ranked.toSorted((a, b) => (a.rank ?? 0) - (b.rank ?? 0))
}

function flip(bits: Uint16Array, bit: number): void {
  bits[bit >>> 4] = (bits[bit >>> 4] ?? 0) ^ (1 << (bit & 15))
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
