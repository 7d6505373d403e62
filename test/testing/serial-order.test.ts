// Revisions against real time: histories that break each rule, and twins that keep it.

import test from 'brittle'
import { checkSerials } from '../../lib/testing/serial-oracle.ts'
import { Builder, got, IF_ABSENT, put, written } from './history-builder.ts'

/** The name of the check that fails; null when none does. */
function checkOf(builder: Builder): string | null {
  return checkSerials(builder.history)?.check ?? null
}

test('what was told of before its call lies behind that', (t) => {
  const failed = (isEarly: boolean): Builder => {
    const builder = new Builder()
    const refusal = builder.call(put('a', 's1', IF_ABSENT))
    const end = (): void => refusal.conditionFailed({ key: 'a', revision: 2 })
    if (isEarly) end()
    const write = builder.call(put('a', 's2'))
    if (!isEarly) end()
    write.unknown()
    return builder.stale('a', 2, { value: 's2', at: 2 })
  }
  t.is(checkOf(failed(true)), 'write order')
  t.is(checkOf(failed(false)), null)
})

test('revisions of writes agree with real time, whatever the keys', (t) => {
  const two = (revision: number): Builder =>
    new Builder().done(5, 0, put('a', 's1')).done(revision, 0, put('b', 's2'))
  t.is(checkOf(two(4)), 'write order')
  t.is(checkOf(two(6)), null)
  const overlapping = new Builder()
  const first = overlapping.call(put('a', 's1'))
  overlapping.done(4, 0, put('b', 's2'))
  written(first, 3, 0)
  t.is(checkOf(overlapping), null)
})

test('a write called after a read, or after a refusal, lies behind what they told', (t) => {
  const afterRead = (revision: number): Builder =>
    new Builder().stale('b', 5, null).done(revision, 0, put('a', 's1'))
  t.is(checkOf(afterRead(5)), 'write order')
  t.is(checkOf(afterRead(6)), null)
  const afterRefusal = (revision: number): Builder => {
    const builder = new Builder()
    builder.call(put('a', 's1')).unknown()
    builder.call(put('a', 's2', IF_ABSENT)).conditionFailed({ key: 'a', revision: 5 })
    return builder.done(revision, 5, put('a', 's3'))
  }
  t.is(checkOf(afterRefusal(4)), 'write order')
  t.is(checkOf(afterRefusal(6)), null)
})

test('a linearizable read reflects all that was told before its call', (t) => {
  const read = (revision: number): Builder =>
    new Builder().done(5, 0, put('a', 's1')).get('b', revision, null)
  t.is(checkOf(read(4)), 'outdated read')
  t.is(checkOf(read(5)), null)
  const reads = (revision: number): Builder =>
    new Builder().get('a', 7, null).get('a', revision, null)
  t.is(checkOf(reads(6)), 'outdated read')
  t.is(checkOf(reads(7)), null)
})

test('a read does not show more than it says that it reflects', (t) => {
  const read = (revision: number): Builder => {
    const builder = new Builder()
    const call = builder.call(put('a', 's1'))
    builder.get('a', revision, { value: 's1', at: 3 })
    written(call, 3, 0)
    return builder
  }
  t.is(checkOf(read(2)), 'row newer than its read')
  t.is(checkOf(read(3)), null)
})

test('stale reads of one process never go back, those of two may', (t) => {
  const reads = (process: string): Builder => {
    const builder = new Builder().done(1, 0, put('a', 's1')).done(2, 1, put('a', 's2'))
    got(builder.callStale('a', 'a#1'), 2, { value: 's2', at: 2, createdAt: 1, version: 2 })
    got(builder.callStale('a', process), 1, { value: 's1', at: 1 })
    return builder
  }
  t.is(checkOf(reads('a#1')), 'stale read went back')
  t.is(checkOf(reads('a#2')), null)
})
