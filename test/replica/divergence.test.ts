// What a log must hold of what its node has applied.

import test from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import type { EntryId } from '../../lib/raft/entry.ts'
import { genesis } from '../../lib/raft/entry.ts'
import { checkBacked } from '../../lib/replica/divergence.ts'
import { chainAfter } from './replicas.ts'

const GENESIS = genesis(new Uint8Array(16))
const ENTRIES = chainAfter(GENESIS, 1, 5)

/** A log of the first `count` entries. */
function logOf(count: number): Parameters<typeof checkBacked>[0] {
  const ids: readonly EntryId[] = [GENESIS, ...ENTRIES.slice(0, count)]
  const last = ids.at(-1) ?? GENESIS
  return { last, idAt: (index) => ids[index] ?? 'missing' }
}

function codeOf(count: number, applied: EntryId): string {
  try {
    checkBacked(logOf(count), applied)
    return 'fine'
  } catch (error) {
    return error instanceof AspenError ? `${error.code}: ${error.message}` : 'another error'
  }
}

test('a log holds the entry that was applied last, as it was', (t) => {
  const [, , third = GENESIS] = ENTRIES
  t.is(codeOf(5, third), 'fine')
  t.is(codeOf(3, third), 'fine')
  t.is(codeOf(0, GENESIS), 'fine', 'nothing is applied')
  t.ok(codeOf(2, third).startsWith('DATA_LOST: '), codeOf(2, third))
  t.ok(codeOf(2, third).includes('ends at entry 2'), codeOf(2, third))
})

test('another entry in its place, of another term or of the same, is another log', (t) => {
  const [, , other = GENESIS] = chainAfter(GENESIS, 2, 3)
  t.ok(codeOf(5, other).includes('has another entry 3'), codeOf(5, other))
  t.ok(
    codeOf(5, { ...other, term: 1 }).includes('has another entry 3'),
    'it is the hash that counts'
  )
})
