// What a node under test has promised: which value of each key it has acknowledged last, which puts may
// have happened after that, and what its state amounted to at each index.

import { bytesOf, textOf } from '../../lib/encoding.ts'

/** Some values fill a part of a page, some several pages. */
const PADDING_BYTES = [20, 900, 3_000, 9_000] as const

/** The value of a put: its serial, then padding. */
export function valueOf(serial: number): Uint8Array {
  const padding = PADDING_BYTES[serial % PADDING_BYTES.length] ?? 0
  return bytesOf(`${serial}:${'abcdefgh'.repeat(padding / 8)}`)
}

/** The serial of a value that `valueOf` made; null when it is none, or not whole. */
export function serialOf(value: Uint8Array): number | null {
  const serial = Number(/^(\d+):/.exec(textOf(value) ?? '')?.[1] ?? Number.NaN)
  if (!Number.isInteger(serial)) return null
  return textOf(valueOf(serial)) === textOf(value) ? serial : null
}

export class Promises {
  /** key → serial and revision of the last acknowledged put */
  readonly acknowledged = new Map<string, { readonly serial: number; readonly revision: number }>()
  /** key → serials begun after it */
  readonly open = new Map<string, Set<number>>()
  /** index → state hash */
  readonly hashes = new Map<number, string>()
  acknowledgedCount = 0
  /** id and cluster id, when it is known */
  identity: string | null = null
  lastRevision = 0

  /** Takes one note of recorded-process.ts. */
  add(line: string): void {
    const [what = '', first = '', second = '', third = ''] = line.split(' ')
    if (what === 'is') this.identity = `${first} ${second}`
    if (what === 'at') this.hashes.set(Number(first), second)
    if (what === 'try') this.#openOf(second).add(Number(first))
    if (what !== 'put') return
    this.acknowledged.set(second, { serial: Number(first), revision: Number(third) })
    this.#openOf(second).delete(Number(first))
    this.lastRevision = Number(third)
    this.acknowledgedCount++
  }

  /** What is wrong with the value found for the key; null when nothing is. */
  complaint(key: string, value: Uint8Array | null): string | null {
    const promised = this.acknowledged.get(key)
    const found = value === null ? null : serialOf(value)
    if (value !== null && found === null) return `${key} holds what nobody put`
    if (found === (promised?.serial ?? null)) return null
    if (found !== null && this.open.get(key)?.has(found) === true) return null
    return `${key} holds ${found ?? 'nothing'} in place of ${promised?.serial ?? 'nothing'}`
  }

  #openOf(key: string): Set<number> {
    const found = this.open.get(key) ?? new Set()
    this.open.set(key, found)
    return found
  }
}
