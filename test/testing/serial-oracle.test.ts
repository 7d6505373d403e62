// Each check of the serial oracle with a history that breaks exactly this, and its twin that does not.

import test from 'brittle'
import type { History, HistoryRow } from '../../lib/testing/history.ts'
import { checkLinearizable } from '../../lib/testing/linearizability.ts'
import { checkSerials } from '../../lib/testing/serial-oracle.ts'
import {
  Builder,
  finalRow,
  ifAt,
  IF_ABSENT,
  itemOf,
  put,
  remove,
  written
} from './history-builder.ts'

/** The name of the check that fails; null when none does. */
function checkOf(builder: Builder, finalRows: readonly HistoryRow[] | null = null): string | null {
  return checkSerials(builder.history, finalRows)?.check ?? null
}

test('a value that nobody put there is a phantom', (t) => {
  const seen = (value: string): Builder =>
    new Builder().done(1, 0, put('a', 's1')).get('a', 1, { value, at: 1 })
  t.is(checkOf(seen('s2')), 'phantom value')
  t.is(checkOf(seen('s1')), null)
  const elsewhere = new Builder().done(1, 0, put('b', 's1'))
  t.is(checkOf(elsewhere.get('a', 1, { value: 's1', at: 1 })), 'phantom value')
  const otherRow = new Builder().done(1, 0, put('b', 's1'))
  t.is(checkOf(otherRow.get('a', 1, { key: 'b', value: 's1', at: 1 })), 'phantom value')
  const renamed = new Builder().done(1, 0, put('a', 's1'))
  t.is(checkOf(renamed.get('a', 1, { key: 'b', value: 's1', at: 1 })), 'phantom value')
  const last = new Builder().done(1, 0, put('a', 's1'))
  t.is(checkOf(last, [finalRow({ value: 's9', at: 1 })]), 'phantom value')
})

test('a read does not see what is written after it has returned', (t) => {
  const early = new Builder().get('a', 1, { value: 's1', at: 1 })
  early.call(put('a', 's1')).unknown()
  t.is(checkOf(early), 'value from the future')
  const late = new Builder()
  late.call(put('a', 's1')).unknown()
  t.is(checkOf(late.get('a', 1, { value: 's1', at: 1 })), null)
})

test('a write that was refused never shows up', (t) => {
  for (const end of ['refused', 'conditionFailed', 'unknown'] as const) {
    const builder = new Builder()
    const call = builder.call(put('a', 's1', IF_ABSENT))
    if (end === 'conditionFailed') call.conditionFailed(null)
    else call[end]()
    builder.get('a', 1, { value: 's1', at: 1 })
    t.is(checkOf(builder), end === 'unknown' ? null : 'refused write applied')
  }
})

test('a write has one revision', (t) => {
  const seen = (at: number): Builder =>
    new Builder().done(1, 0, put('a', 's1')).get('a', 3, { value: 's1', at })
  t.is(checkOf(seen(2)), 'write applied twice')
  t.is(checkOf(seen(1)), null)
})

test('a batch has one revision', (t) => {
  const torn = (at: number): Builder => {
    const builder = new Builder()
    builder.call(put('a', 's1'), put('b', 's2')).unknown()
    return builder.get('a', 1, { value: 's1', at: 1 }).get('b', 2, { key: 'b', value: 's2', at })
  }
  t.is(checkOf(torn(2)), 'write applied twice')
  t.is(checkOf(torn(1)), null)
})

test('a revision belongs to one write', (t) => {
  const two = (revision: number): Builder =>
    new Builder().done(1, 0, put('a', 's1')).done(revision, 0, put('b', 's2'))
  t.is(checkOf(two(1)), 'revision given twice')
  t.is(checkOf(two(2)), null)
})

test('an acknowledged write is there, for every kind of read', (t) => {
  const row = { value: 's1', at: 1 }
  const writes = (): Builder => new Builder().done(1, 0, put('a', 's1')).done(2, 1, put('a', 's2'))
  t.is(checkOf(writes().get('a', 2, row)), 'lost write')
  t.is(checkOf(writes().stale('a', 2, row)), 'lost write')
  t.is(checkOf(writes().stale('a', 1, row)), null)
  t.is(checkOf(writes().get('a', 2, { value: 's2', at: 2, createdAt: 1, version: 2 })), null)
})

test('a write finds the newest state before it', (t) => {
  const third = (previous: number): Builder =>
    new Builder()
      .done(1, 0, put('a', 's1'))
      .done(2, 1, put('a', 's2'))
      .done(3, previous, put('a', 's3'))
  t.is(checkOf(third(1)), 'lost write')
  t.is(checkOf(third(2)), null)
  t.is(checkOf(third(0)), 'unexplained absence')
  t.is(checkOf(third(3)), 'revision of nobody', 'it found itself')
})

test('a batch is there as a whole', (t) => {
  const batch = (row: { key: string; value: string; at: number } | null): Builder => {
    const builder = new Builder()
    builder.call(put('a', 's1'), put('b', 's2')).unknown()
    return builder.get('a', 4, { value: 's1', at: 4 }).get('b', 4, row)
  }
  t.is(checkOf(batch(null)), 'unexplained absence')
  t.is(checkOf(batch({ key: 'b', value: 's2', at: 4 })), null)
})

test('what was put is absent only when a delete can have done it', (t) => {
  const gone = (before: (builder: Builder) => void): Builder => {
    const builder = new Builder().done(1, 0, put('a', 's1'))
    before(builder)
    return builder.get('a', 2, null)
  }
  t.is(checkOf(gone(() => {})), 'unexplained absence')
  t.is(checkOf(gone((builder) => builder.call(remove('a')).refused())), 'unexplained absence')
  t.is(checkOf(gone((builder) => builder.call(remove('b')).unknown())), 'unexplained absence')
  t.is(checkOf(gone((builder) => builder.call(remove('a')).unknown())), null)
  t.is(checkOf(gone((builder) => builder.done(2, 1, remove('a')))), null)
  const late = gone(() => {})
  late.call(remove('a')).unknown()
  t.is(checkOf(late), 'unexplained absence', 'a delete called later has not done it')
})

test('a delete in doubt needs a revision of its own', (t) => {
  const gone = (revision: number): Builder => {
    const builder = new Builder()
    builder.call(remove('a')).unknown()
    return builder.done(1, 0, put('a', 's1')).get('a', revision, null)
  }
  t.is(checkOf(gone(1)), 'unexplained absence')
  t.is(checkOf(gone(2)), null)
})

test('one delete in doubt explains one absence', (t) => {
  const twice = (deleteCount: number): Builder => {
    const builder = new Builder()
    for (let count = 0; count < deleteCount; count++) builder.call(remove('a')).unknown()
    return builder
      .done(1, 0, put('a', 's1'))
      .get('a', 3, null)
      .done(4, 0, put('a', 's2'))
      .get('a', 6, null)
  }
  t.is(checkOf(twice(1)), 'unexplained absence')
  t.is(checkOf(twice(2)), null)
})

test('a key is only at revisions that a write gave it', (t) => {
  const found = (doubtCount: number): Builder => {
    const builder = new Builder().done(1, 0, put('a', 's1'))
    for (let count = 0; count < doubtCount; count++) builder.call(put('a', `d${count}`)).unknown()
    return builder.done(3, 2, put('a', 's2')).done(5, 4, put('a', 's3'))
  }
  t.is(checkOf(found(0)), 'revision of nobody')
  t.is(checkOf(found(1)), 'revision of nobody', 'one write explains one revision')
  t.is(checkOf(found(2)), null)
  const other = new Builder().done(1, 0, put('b', 's1'))
  other.call(put('a', 's2')).unknown()
  t.is(checkOf(other.done(3, 1, put('a', 's3'))), 'revision of nobody', 'it is of another key')
  const deleted = new Builder().done(1, 0, put('a', 's1')).done(2, 1, remove('a'))
  t.is(checkOf(deleted.done(3, 2, put('a', 's2'))), 'revision of nobody', 'it was a delete')
})

test('a write that is done had its conditions fulfilled', (t) => {
  const second = (condition: Parameters<typeof put>[2]): Builder =>
    new Builder().done(1, 0, put('a', 's1')).done(2, 1, put('a', 's2', condition ?? null))
  t.is(checkOf(second(ifAt(7))), 'condition ignored')
  t.is(checkOf(second(IF_ABSENT)), 'condition ignored')
  t.is(checkOf(second(ifAt(1))), null)
})

test('a write that took effect unacknowledged had its conditions fulfilled', (t) => {
  const second = (condition: Parameters<typeof put>[2]): Builder => {
    const builder = new Builder().done(1, 0, put('a', 's1'))
    builder.done(2, 1, put('a', 's2'))
    builder.call(put('a', 's3', condition ?? null)).unknown()
    return builder.get('a', 3, { value: 's3', at: 3, createdAt: 1, version: 3 })
  }
  t.is(checkOf(second(ifAt(1))), 'condition ignored')
  t.is(checkOf(second(IF_ABSENT)), 'condition ignored')
  t.is(checkOf(second(ifAt(2))), null)
})

test('a refusal that tells the revision it found is just', (t) => {
  const refused = (revision: number, expected: number): Builder => {
    const builder = new Builder().done(1, 0, put('a', 's1')).done(2, 1, put('a', 's2'))
    builder.call(put('a', 's3', ifAt(expected))).conditionFailed({ key: 'a', revision })
    return builder
  }
  t.is(checkOf(refused(2, 2)), 'unjust refusal', 'it found what it wanted')
  t.is(checkOf(refused(1, 2)), 'unjust refusal', 'it found what was no more')
  t.is(checkOf(refused(0, 2)), 'unjust refusal', 'it found nothing')
  t.is(checkOf(refused(2, 1)), null)
})

test('a refusal may find what happens meanwhile', (t) => {
  const builder = new Builder().done(1, 0, put('a', 's1'))
  const refused = builder.call(put('a', 's2', ifAt(1)))
  builder.done(2, 1, remove('a'))
  refused.conditionFailed({ key: 'a', revision: 0 })
  t.is(checkOf(builder), null)
  const doubtful = new Builder()
  doubtful.call(remove('a')).unknown()
  doubtful.done(1, 0, put('a', 's1'))
  const late = doubtful.call(put('a', 's3', ifAt(1)))
  doubtful.done(5, 1, put('a', 's2'))
  late.conditionFailed({ key: 'a', revision: 0 })
  t.is(checkOf(doubtful.get('a', 8, null)), null, 'one delete explains both')
})

test('a refusal lies before what is called after it', (t) => {
  const refused = (revision: number): Builder => {
    const builder = new Builder()
    const meanwhile = builder.call(put('a', 's1'))
    builder.call(put('a', 's2', IF_ABSENT)).conditionFailed(null)
    builder.done(3, 0, put('b', 's3'))
    written(meanwhile, revision, 0)
    return builder
  }
  t.is(checkOf(refused(4)), 'write order')
  t.is(checkOf(refused(2)), null)
  const read = new Builder()
  const meanwhile = read.call(put('a', 's1'))
  read.call(put('a', 's2', IF_ABSENT)).conditionFailed(null)
  read.get('b', 3, null)
  written(meanwhile, 4, 0)
  t.is(checkOf(read), 'outdated read')
})

test('a refusal that tells nothing is unjust when every condition must have held', (t) => {
  const refused = (meanwhile: (builder: Builder) => void, expected = 1): Builder => {
    const builder = new Builder().done(1, 0, put('a', 's1'))
    const call = builder.call(put('a', 's2', ifAt(expected)))
    meanwhile(builder)
    call.conditionFailed(null)
    return builder
  }
  t.is(checkOf(refused(() => {})), 'unjust refusal')
  t.is(checkOf(refused(() => {}, 9)), null)
  t.is(checkOf(refused((builder) => builder.done(2, 1, put('a', 's3')))), null)
  t.is(checkOf(refused((builder) => builder.call(put('a', 's3')).unknown())), null)
  const late = refused(() => {}).done(2, 1, put('a', 's3'))
  t.is(checkOf(late), 'write order', 'what came later has not done it')
  const unconditional = new Builder()
  unconditional.call(put('a', 's1')).conditionFailed(null)
  t.is(checkOf(unconditional), 'unjust refusal', 'it had no condition')
})

test('versions count the puts, each applied once', (t) => {
  const third = (version: number, doubtCount = 0): Builder => {
    const builder = new Builder()
    for (let count = 0; count < doubtCount; count++) builder.call(put('a', `d${count}`)).unknown()
    return builder
      .done(1, 0, put('a', 's1'))
      .done(5, 1, put('a', 's2'))
      .get('a', 5, { value: 's2', at: 5, createdAt: 1, version })
  }
  t.is(checkOf(third(3)), 'version count', 'something was applied twice')
  t.is(checkOf(third(1)), 'version count')
  t.is(checkOf(third(2)), null)
  t.is(checkOf(third(3, 1)), null, 'it may have been the one in doubt')
  t.is(checkOf(third(4, 1)), 'version count')
  const first = (row: { createdAt: number; version: number }): Builder => {
    const builder = new Builder()
    builder.call(put('a', 'd1')).unknown()
    const previous = row.createdAt === 5 ? 0 : row.createdAt
    return builder.done(5, previous, put('a', 's1')).get('a', 5, { value: 's1', at: 5, ...row })
  }
  t.is(checkOf(first({ createdAt: 3, version: 1 })), 'version count')
  t.is(checkOf(first({ createdAt: 5, version: 2 })), 'version count')
  t.is(checkOf(first({ createdAt: 3, version: 2 })), null)
  const later = new Builder()
  for (const change of [put('a', 'd1'), put('a', 'd2'), remove('a')]) later.call(change).unknown()
  later.done(5, 3, put('a', 's1')).get('a', 9, { value: 's1', at: 5, createdAt: 7, version: 2 })
  t.is(checkOf(later), 'version count', 'it was created after its last change')
})

test('a key begins anew after a delete', (t) => {
  const again = (row: { createdAt: number; version: number }): Builder =>
    new Builder()
      .done(1, 0, put('a', 's1'))
      .done(2, 1, remove('a'))
      .done(3, 0, put('a', 's2'))
      .get('a', 3, { value: 's2', at: 3, ...row })
  t.is(checkOf(again({ createdAt: 1, version: 2 })), 'version count')
  t.is(checkOf(again({ createdAt: 3, version: 2 })), 'version count')
  t.is(checkOf(again({ createdAt: 3, version: 1 })), null)
})

test('a key is created where it was absent', (t) => {
  const builder = new Builder()
    .done(1, 0, put('a', 's1'))
    .done(2, 1, put('a', 's2'))
    .get('a', 2, { value: 's2', at: 2 })
  t.is(checkOf(builder), 'version count')
})

test('a key is created by a put', (t) => {
  const created = (createdAt: number): Builder => {
    const builder = new Builder().done(1, 0, put('b', 's1'))
    builder.call(put('a', 's2')).unknown()
    const row = { value: 's3', at: 5, createdAt, version: 2 }
    return builder.done(5, 3, put('a', 's3')).get('a', 5, row)
  }
  t.is(checkOf(created(1)), 'revision of nobody')
  t.is(checkOf(created(3)), null)
  t.is(checkOf(created(0)), 'version count')
})

test('the last rows are the newest write of each key', (t) => {
  const builder = new Builder()
    .done(1, 0, put('a', 's1'))
    .done(2, 1, put('a', 's2'))
    .done(3, 0, put('b', 's3'))
    .done(4, 3, remove('b'))
  const last = { value: 's2', at: 2, createdAt: 1, version: 2 }
  t.is(checkOf(builder, [finalRow(last)]), null)
  t.is(checkOf(builder, [finalRow({ value: 's1', at: 1 })]), 'final state', 'an old one')
  t.is(checkOf(builder, []), 'final state', 'nothing')
  const undeleted = finalRow({ key: 'b', value: 's3', at: 3 })
  t.is(checkOf(builder, [finalRow(last), undeleted]), 'final state', 'a deleted one')
})

test('the last rows may hold what nobody knew', (t) => {
  const builder = new Builder().done(1, 0, put('a', 's1'))
  builder.call(put('a', 's2')).unknown()
  builder.call(put('b', 's3'))
  const rows = [
    finalRow({ value: 's2', at: 4, createdAt: 1, version: 2 }),
    finalRow({ key: 'b', value: 's3', at: 3 })
  ]
  t.is(checkOf(builder, rows), null)
  t.is(checkOf(builder, [finalRow({ value: 's1', at: 1 })]), null)
})

test('a scan reads every key of its page at one revision', (t) => {
  const scanned = (revision: number, found: readonly string[], hasMore = false): History => {
    const { history } = new Builder()
      .done(1, 0, put('k1', 's1'))
      .done(2, 0, put('k2', 's2'))
      .done(3, 2, remove('k2'))
      .done(4, 0, put('k3', 's4'))
    const call = history.callScan(
      { kind: 'scan', prefix: 'k', after: null, consistency: 'linearizable', process: 'a#1' },
      ['k1', 'k2', 'k3', 'x']
    )
    const rows = new Map([
      ['k1', { value: 's1', at: 1 }],
      ['k2', { value: 's2', at: 2 }],
      ['k3', { value: 's4', at: 4 }],
      ['x', { value: 's1', at: 1 }]
    ])
    const items = found.flatMap((key) => {
      const row = rows.get(key)
      return row === undefined ? [] : [itemOf({ ...row, key })]
    })
    call.done({ revision, items, hasMore })
    return history
  }
  const check = (history: History): string | null => checkSerials(history)?.check ?? null
  t.is(check(scanned(4, ['k1', 'k3'])), null)
  t.is(check(scanned(4, ['k1'], true)), null, 'the rest is on another page')
  t.is(check(scanned(4, ['k1'])), 'unexplained absence', 'one is missing')
  t.is(check(scanned(4, ['k3'], true)), 'unexplained absence', 'one is missing before the last')
  t.is(check(scanned(4, ['k1', 'k2', 'k3'])), 'lost write', 'one is gone')
  t.is(check(scanned(3, ['k1'])), 'outdated read', 'all that was known is there')
  t.is(checkLinearizable(scanned(4, ['k1', 'k3'])).kind, 'ok')
  t.is(checkLinearizable(scanned(4, ['k1', 'k2', 'k3'])).kind, 'illegal')
})
