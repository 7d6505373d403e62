// The seed of a test file: printed, and taken from ASPEN_SEED when a run is to be repeated.

import { randomBelow, SeededRandom } from '../../lib/random.ts'
import type { Random } from '../../lib/random.ts'

export const IS_FULL = process.env['ASPEN_FULL'] === '1'

/** A random source whose seed is said in the test's output. */
export function seeded(t: { comment(message: string): void }): SeededRandom {
  const given = process.env['ASPEN_SEED']
  const seed = given === undefined ? Date.now() % 1_000_000 : Number(given)
  t.comment(`seed ${seed}: ASPEN_SEED=${seed} repeats it`)
  return new SeededRandom(seed)
}

/** So many of them, in order. */
export function drawn<Item>(items: readonly Item[], count: number, random: Random): Item[] {
  const left = [...items]
  while (left.length > count) left.splice(randomBelow(random, left.length), 1)
  return left
}
