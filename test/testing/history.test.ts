// The record of a history: how calls end, and how they are put in words.

import test from 'brittle'
import { bytesOf } from '../../lib/encoding.ts'
import { KeyValueStoreError } from '../../lib/errors.ts'
import { commandOf, History, rowOf } from '../../lib/testing/history.ts'
import { checkSerials } from '../../lib/testing/serial-oracle.ts'
import { got, ifAt, IF_ABSENT, put, remove, written } from './history-builder.ts'

test('a violation names what it concerns, in one line', (t) => {
  const time = { nowMs: () => 12.6 }
  const history = new History(time)
  const change = put('a', 's1', IF_ABSENT)
  written(history.call({ kind: 'write', changes: [change], process: 'x#1' }), 5, 0)
  const read = { kind: 'get', key: 'a', consistency: 'stale', process: 'y#2' } as const
  got(history.call(read), 6, null)
  const violation = checkSerials(history)
  t.is(violation?.invariant, 'E2')
  t.alike(violation?.operations, [...history.records])
  t.is(
    violation?.message,
    'unexplained absence: a is said to be absent as of revision 6, but was put at revision 5 and nobody deleted it: ' +
      '#1 put a = s1 if absent via x#1 [0-1, 13-13 ms]: revision 5 after 0; ' +
      '#2 stale get a via y#2 [2-3, 13-13 ms]: absent, read at revision 6'
  )
})

test('calls end by the errors that the store gives', async (t) => {
  const history = new History()
  const write = { kind: 'write', changes: [put('a', 's1', IF_ABSENT)], process: 'a#1' } as const
  const fail = (code: 'CONDITION_FAILED' | 'TIMEOUT' | 'OVERLOADED', fields = {}): unknown => {
    history
      .call(write)
      .failed(new KeyValueStoreError({ code, message: 'as the store says it', fields }))
    const record = history.records.at(-1)
    return [record?.outcome, record?.returnedAt === null]
  }
  const found = { key: 'a', revision: 7 }
  t.alike(fail('CONDITION_FAILED', found), [{ kind: 'conditionFailed', found }, false])
  t.alike(fail('CONDITION_FAILED'), [{ kind: 'conditionFailed', found: null }, false])
  t.alike(fail('TIMEOUT'), [{ kind: 'unknown' }, true])
  t.alike(fail('OVERLOADED'), [{ kind: 'refused' }, false])
  await t.exception(() => history.call(write).failed(new Error('else')), /else/)
  const call = history.call(write)
  call.unknown()
  await t.exception(() => call.refused(), /ends once/)
})

test('a write is the command that it stands for, and a row is text', (t) => {
  const changes = [put('a', 's1', IF_ABSENT), remove('b', ifAt(3))]
  t.alike(commandOf({ kind: 'write', changes, process: 'a#1' }), {
    changes: [
      { kind: 'put', key: bytesOf('a'), value: bytesOf('s1'), condition: IF_ABSENT },
      { kind: 'delete', key: bytesOf('b'), condition: ifAt(3) }
    ]
  })
  const counts = { createRevision: 1, modRevision: 2, version: 2 }
  const row = rowOf({ key: bytesOf('a'), value: new Uint8Array([0xff, 1]), ...counts })
  t.alike(row, { key: 'a', value: '0xff01', ...counts })
})

test('serials are never given twice, and operations are numbered in order of their calls', (t) => {
  const history = new History()
  t.not(history.serial(), history.serial())
  const read = { kind: 'get', key: 'a', consistency: 'linearizable', process: 'a#1' } as const
  const first = history.call(read)
  history.call(read).refused()
  got(first, 1, null)
  const spans = history.records.map(({ id, calledAt, returnedAt }) => [id, calledAt, returnedAt])
  t.alike(spans, [
    [1, 0, 3],
    [2, 1, 2]
  ])
})
