// A mutant as its file says it: one place of the real code, what stands there instead, and who has to
// notice.

import { isRecord } from '../../lib/encoding.ts'

export interface Mutant {
  readonly name: string
  /** what is wrong with it */
  readonly about: string
  /** a source file, from the root */
  readonly target: string
  /** stands exactly once in the target */
  readonly old: string
  readonly new: string
  readonly killedBy: Killer
}

export type Killer =
  /**
   * A run of the simulator fails by one of these: the number of an invariant, or `assert` and the
   * beginning of what the code itself asserts.
   */
  | { readonly kind: 'oracle'; readonly oracles: readonly string[] }
  /** the named test of a file fails */
  | { readonly kind: 'test'; readonly file: string; readonly test: string }

/** @throws Error for what is no mutant */
export function parseMutant(name: string, text: string): Mutant {
  const value: unknown = JSON.parse(text)
  if (!isRecord(value)) throw new Error(`${name}: not an object`)
  const { about, target, old, new: replacement, killedBy } = value
  const killer = parseKiller(killedBy)
  const isText = [about, target, old, replacement].every((field) => typeof field === 'string')
  if (!isText || killer === null) throw new Error(`${name}: not a mutant`)
  return {
    name,
    about: String(about),
    target: String(target),
    old: String(old),
    new: String(replacement),
    killedBy: killer
  }
}

function parseKiller(value: unknown): Killer | null {
  if (!isRecord(value)) return null
  const { oracle, file, test } = value
  if (Array.isArray(oracle) && oracle.length > 0) {
    return { kind: 'oracle', oracles: oracle.map(String) }
  }
  if (typeof file === 'string' && typeof test === 'string') return { kind: 'test', file, test }
  return null
}
