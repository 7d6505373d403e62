// What the core is asked and has not answered, by number: the number goes in with the event and comes back
// with the answer.

import { assert } from '../assert.ts'
import type { Proposal, Refusal } from './proposals.ts'
import type { OnRead } from './waiting-reads.ts'

export type Asked =
  | { readonly kind: 'batch'; readonly batch: readonly Proposal[] }
  | {
      readonly kind: 'read'
      /** whether the answer waits until the index is applied here */
      readonly isLocal: boolean
      readonly onOutcome: OnRead
    }
  | { readonly kind: 'transfer'; readonly onAnswer: (reason: Refusal | null) => void }

export class Questions {
  /** to be asked in the next turn of the event loop */
  readonly #soon = new Map<number, Asked>()
  readonly #asked = new Map<number, Asked>()
  #nextRef = 1

  /** It will be asked soon. Returns its number. */
  announce(asked: Asked): number {
    const ref = this.#nextRef++
    this.#soon.set(ref, asked)
    return ref
  }

  /** It is asked now; false when it is gone, since the replica has ended meanwhile. */
  maybeBegin(ref: number): boolean {
    const asked = this.#soon.get(ref)
    if (asked === undefined) return false
    this.#soon.delete(ref)
    this.#asked.set(ref, asked)
    return true
  }

  /** One that is asked at once. Returns its number. */
  begin(asked: Asked): number {
    const ref = this.#nextRef++
    this.#asked.set(ref, asked)
    return ref
  }

  /** It is answered. */
  take(ref: number): Asked {
    const asked = this.#asked.get(ref)
    assert(asked !== undefined, 'the core answers each question once')
    this.#asked.delete(ref)
    return asked
  }

  /** The replica ends: those that the core never had, and those that it had. */
  takeAll(): { readonly soon: readonly Asked[]; readonly asked: readonly Asked[] } {
    const all = { soon: [...this.#soon.values()], asked: [...this.#asked.values()] }
    this.#soon.clear()
    this.#asked.clear()
    return all
  }
}
