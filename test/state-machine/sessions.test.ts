// The table of sessions by itself: what it remembers, what that costs, what it tells its store. What
// both state machines do with it: test/conformance/state-machine-sessions.test.ts.

import test from 'brittle'
import { encode } from '../../lib/encoding.ts'
import { MAX_SESSIONS, MAX_SESSION_TABLE_BYTES, SESSION_RESULT_OVERHEAD } from '../../lib/limits.ts'
import type { Index } from '../../lib/raft/entry.ts'
import type { RequestId } from '../../lib/state-machine/command.ts'
import { applyResultEncoding } from '../../lib/state-machine/encoding.ts'
import { SessionTable } from '../../lib/state-machine/sessions.ts'
import type { ApplyResult } from '../../lib/state-machine/state-machine.ts'
import { requestOf } from './samples.ts'

const DONE: ApplyResult = { kind: 'described' }

/** A result that costs exactly so many bytes. */
function resultOfCost(byteCount: number): ApplyResult {
  const error = { code: 'INVALID_REQUEST', message: 'x'.repeat(1_024) } as const
  const result: ApplyResult = { kind: 'refused', error }
  const excess =
    encode(applyResultEncoding, result).byteLength + SESSION_RESULT_OVERHEAD - byteCount
  const message = error.message.slice(excess)
  return { kind: 'refused', error: { ...error, message } }
}

class Table extends SessionTable {
  index: Index = 0

  /** One entry with the request; whether it was carried out. */
  next(request: RequestId, result: ApplyResult = DONE): boolean {
    this.index++
    const answer = this.begin(request, { index: this.index, timeMs: 0 })
    if (answer === null) this.end(result)
    return answer === null
  }
}

test('results cost their bytes and what keeping them costs; over the limit the oldest sessions go', (t) => {
  const table = new Table()
  const cost = 1_024
  const result = resultOfCost(cost)
  const fitting = MAX_SESSION_TABLE_BYTES / cost
  const perClient = fitting / 64
  for (let client = 1; client <= 64; client++) {
    for (let sequence = 1; sequence <= perClient; sequence++) {
      table.next(requestOf(client, sequence), result)
    }
  }
  t.is(table.forgottenIndex, 0, 'the limit itself fits')
  t.absent(table.next(requestOf(1, 1)), 'the first is used again')
  t.ok(table.next(requestOf(3, perClient + 1, { answeredBelow: 2 }), result), 'one for one')
  t.is(table.forgottenIndex, 0, 'what is answered costs nothing any more')
  t.ok(table.next(requestOf(64, perClient + 1)))
  t.is(table.forgottenIndex, perClient + 1, 'the second client is the least recently used')
  t.absent(table.next(requestOf(2, 1)))
  t.absent(table.next(requestOf(1, 1)))
  t.absent(table.next(requestOf(3, 2)))
  const { changed, gone } = table.takeChanges()
  t.alike(gone, [perClient + 1])
  t.is(changed.length, 63)
})

test('the youngest session that was forgotten counts, in whatever order they go', (t) => {
  const table = new Table()
  for (const client of [1, 2, 1]) table.next(requestOf(client, 1))
  for (let client = 3; client <= MAX_SESSIONS + 1; client++) table.next(requestOf(client, 1))
  t.is(table.forgottenIndex, 2)
  table.next(requestOf(9_000, 1, { since: 2 }))
  t.is(table.forgottenIndex, 2, 'the first was born before it')
  t.alike(table.takeChanges().gone, [2, 1])
  table.next(requestOf(9_001, 1, { since: 2 }))
  t.is(table.forgottenIndex, 4)
})

test('changes are told once: the sessions that took part, and those that are gone', (t) => {
  const table = new Table()
  table.next(requestOf(1, 1))
  table.next(requestOf(1, 2))
  table.next(requestOf(2, 1))
  const { changed, gone } = table.takeChanges()
  t.alike(
    changed.map(({ bornIndex, usedIndex, results }) => [bornIndex, usedIndex, results.size]),
    [
      [1, 2, 2],
      [3, 3, 1]
    ]
  )
  t.alike(gone, [])
  t.alike(table.takeChanges(), { changed: [], gone: [] })
  table.next(requestOf(1, 2))
  t.is(table.takeChanges().changed.length, 1, 'a repeat is a use')
})

test('a table that is made again from what was stored goes on as before', (t) => {
  const table = new Table()
  for (const client of [1, 2, 3, 1]) table.next(requestOf(client, 1))
  const { changed } = table.takeChanges()
  const again = new Table({ sessions: changed, forgottenIndex: 0 })
  again.index = table.index
  for (const one of [table, again]) {
    t.absent(one.next(requestOf(1, 1)))
    t.ok(one.next(requestOf(1, 2)))
    for (let client = 4; client <= MAX_SESSIONS + 1; client++) one.next(requestOf(client, 1))
    t.is(one.forgottenIndex, 2)
    t.is(one.takeChanges().changed.length, MAX_SESSIONS - 1)
  }
})
