// Randomness as an argument: the operating system's for programs, a seeded generator for tests and
// the simulator.

import { randomFillSync } from 'node:crypto'
import { assert } from './assert.ts'

export interface Random {
  /** Fills `target` and returns it. */
  fill(target: Uint8Array): Uint8Array
}

/** The operating system's generator; for keys and secrets. */
export const systemRandom: Random = {
  fill: (target) => randomFillSync(target)
}

export function randomBytes(random: Random, byteCount: number): Uint8Array {
  return random.fill(new Uint8Array(byteCount))
}

/** A uniform integer in [0, limit); limit at most 2^32. */
export function randomBelow(random: Random, limit: number): number {
  assert(Number.isInteger(limit) && limit > 0 && limit <= 2 ** 32, 'limit is in 1 to 2^32')
  const bytes = randomBytes(random, 4)
  const value = new DataView(bytes.buffer).getUint32(0)
  return Math.floor((value / 2 ** 32) * limit)
}

/**
 * A reproducible generator: xoshiro128** (Blackman and Vigna, 2018), seeded by splitmix32. 32-bit
 * integer arithmetic only, so the sequence is the same on every machine. Not for secrets.
 */
export class SeededRandom implements Random {
  readonly #state: Uint32Array

  constructor(seed: number) {
    let mix = seed >>> 0
    this.#state = Uint32Array.from({ length: 4 }, () => {
      mix = (mix + 0x9e37_79b9) >>> 0
      let z = mix
      z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35)
      return (z ^ (z >>> 16)) >>> 0
    })
  }

  uint32(): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#state
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0
    const next: [number, number, number, number] = [a, b, c ^ a, d ^ b]
    next[1] ^= next[2]
    next[0] ^= next[3]
    next[2] ^= b << 9
    next[3] = rotateLeft(next[3], 11)
    this.#state.set(next)
    return result
  }

  fill(target: Uint8Array): Uint8Array {
    let word = 0
    for (let index = 0; index < target.length; index++) {
      if (index % 4 === 0) word = this.uint32()
      target[index] = (word >>> (24 - 8 * (index % 4))) & 0xff
    }
    return target
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}
