// Chance for the simulator: one stream of random numbers for each axis of faults, all from one seed,
// so that a new fault, or one that is turned off, does not shift what the others draw.

import { assert, present } from '../assert.ts'
import { SeededRandom } from '../random.ts'

export class Dice {
  /** the same stream, for what takes a `Random` */
  readonly random: SeededRandom

  private constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  /** The stream of one axis; `seed` is a safe integer of at least 0. */
  static of(seed: number, axis: string): Dice {
    assert(Number.isSafeInteger(seed) && seed >= 0, 'a seed is a whole number')
    let mixed = Math.imul((seed % 2 ** 32) ^ Math.floor(seed / 2 ** 32), 0x9e37_79b1) ^ 0x811c_9dc5
    for (let at = 0; at < axis.length; at++) {
      mixed = Math.imul(mixed ^ axis.charCodeAt(at), 0x0100_0193)
      mixed ^= mixed >>> 15
    }
    return new Dice(mixed >>> 0)
  }

  /** Uniform in [0, 1). */
  unit(): number {
    return this.random.uint32() / 2 ** 32
  }

  /** A uniform integer of [0, limit). */
  below(limit: number): number {
    return Math.floor(this.unit() * limit)
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + this.unit() * (to - from)
  }

  /** Between two positive numbers, each factor as likely as any other. */
  scale(from: number, to: number): number {
    return from * (to / from) ** this.unit()
  }

  /** Exponentially distributed: the time to the next of events that come once in `mean`. */
  exponential(mean: number): number {
    return -Math.log(1 - this.unit()) * mean
  }

  chance(probability: number): boolean {
    return this.unit() < probability
  }

  /** One of a list that is not empty. */
  pick<T>(items: readonly T[]): T {
    return present(items[this.below(items.length)], 'one of a list')
  }

  /** All of a list in random order. */
  shuffle<T>(items: readonly T[]): T[] {
    const left = [...items]
    const shuffled: T[] = []
    while (left.length > 0) shuffled.push(...left.splice(this.below(left.length), 1))
    return shuffled
  }
}
