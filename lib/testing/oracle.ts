// What oracles are about: what they look at, and how they say that something does not hold.

import type { NodeId } from '../node-id.ts'
import type { Effects, Event, HardState, Status } from '../raft/effects.ts'
import type { EntryId, Index } from '../raft/entry.ts'

/** A broken invariant: the run has failed. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly invariant: string

  constructor(invariant: string, message: string) {
    super(`${invariant}: ${message}`)
    this.invariant = invariant
  }
}

/** @throws Violation unless `holds` */
export function hold(holds: boolean, invariant: string, message: string): asserts holds {
  if (!holds) throw new Violation(invariant, message)
}

/** What is on a disk at this moment, whether its node runs or not. */
export interface DurableLog {
  readonly hardState: HardState | null
  readonly lastIndex: Index
  /** what is at and below it is in a snapshot */
  readonly baseIndex: Index
  idAt(index: Index): EntryId | null
}

/** A core, and what is known of it from outside. */
export interface ObservedCore {
  readonly id: NodeId
  readonly boot: number
  /** committed or not; null for none, and for what is only in a snapshot */
  knownAt(index: Index): EntryId | null
  /** what is below it is only in a snapshot */
  readonly baseIndex: Index
}

export interface Step {
  readonly core: ObservedCore
  readonly event: Event
  readonly before: Status
  readonly after: Status
  readonly effects: Effects
}
