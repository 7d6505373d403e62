// A client's limits, at n and at n + 1.

import test from 'brittle'
import {
  MAX_BATCH_BYTES,
  MAX_INDEX,
  MAX_KEY_SIZE,
  MAX_SETMULTI_KEYS,
  MAX_VALUE_SIZE
} from '../../lib/limits.ts'
import { checkKey, checkWrite } from '../../lib/state-machine/check-write.ts'
import type { Change } from '../../lib/state-machine/command.ts'
import { del, put } from './samples.ts'

function codeOf(...changes: readonly Change[]): string | null {
  return checkWrite({ changes })?.code ?? null
}

test('keys have 1 to MAX_KEY_SIZE bytes', (t) => {
  t.is(codeOf(put(new Uint8Array(MAX_KEY_SIZE), '')), null)
  t.is(codeOf(del(new Uint8Array(MAX_KEY_SIZE + 1))), 'KEY_TOO_LARGE')
  t.is(codeOf(put('', 'x')), 'INVALID_REQUEST')
  t.is(checkKey(new Uint8Array(1)), null)
  t.is(checkKey(new Uint8Array(0))?.code, 'INVALID_REQUEST')
  const refusal = checkKey(new Uint8Array(MAX_KEY_SIZE + 1))
  t.alike(refusal?.detail.fields, { size: MAX_KEY_SIZE + 1, max: MAX_KEY_SIZE })
})

test('values have 0 to MAX_VALUE_SIZE bytes', (t) => {
  t.is(codeOf(put('a', '')), null)
  t.is(codeOf(put('a', new Uint8Array(MAX_VALUE_SIZE))), null)
  const refusal = checkWrite({ changes: [put('a', new Uint8Array(MAX_VALUE_SIZE + 1))] })
  t.is(refusal?.code, 'VALUE_TOO_LARGE')
  t.alike(refusal?.detail.fields, { size: MAX_VALUE_SIZE + 1, max: MAX_VALUE_SIZE })
})

test('a write has 1 to MAX_SETMULTI_KEYS changes', (t) => {
  const changes = Array.from({ length: MAX_SETMULTI_KEYS }, (_, at) => put(`k${at}`, ''))
  t.is(codeOf(...changes), null)
  t.is(codeOf(...changes, del('one more')), 'BATCH_TOO_LARGE')
  t.is(codeOf(), 'INVALID_REQUEST')
})

test('a write has at most MAX_BATCH_BYTES bytes of keys and values', (t) => {
  // seven of 1 MiB and an eighth that leaves room for the keys
  const changes = Array.from({ length: 7 }, (_, at) => put(`${at}`, new Uint8Array(MAX_VALUE_SIZE)))
  const fits = new Uint8Array(MAX_VALUE_SIZE - 8)
  t.is(codeOf(...changes, put('7', fits)), null)
  t.is(codeOf(...changes, put('77', fits)), 'BATCH_BYTES_TOO_LARGE', 'one more byte of a key')
  t.is(
    codeOf(...changes, put('7', fits), del('8')),
    'BATCH_BYTES_TOO_LARGE',
    'keys of deletes count'
  )
  const refusal = checkWrite({ changes: [...changes, put('77', fits)] })
  t.alike(refusal?.detail.fields, { size: MAX_BATCH_BYTES + 1, max: MAX_BATCH_BYTES })
})

test('a key occurs once', (t) => {
  t.is(codeOf(put('a', '1'), put('b', '1'), del('a')), 'DUPLICATE_KEY')
  t.is(
    codeOf(put(Uint8Array.of(0xff), '1'), put(Uint8Array.of(0xfe), '1')),
    null,
    'bytes that are no text'
  )
})

test('an expected revision is an index that can be', (t) => {
  for (const revision of [0, -1, 1.5, Number.NaN, MAX_INDEX + 1]) {
    t.is(codeOf(put('a', '', { kind: 'revision', revision })), 'INVALID_REQUEST', String(revision))
  }
  t.is(codeOf(put('a', '', { kind: 'revision', revision: MAX_INDEX })), null)
  t.is(codeOf(del('a', { kind: 'absent' })), null)
})
