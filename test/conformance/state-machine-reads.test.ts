// What every state machine answers to reads, run over both.

import { present } from '../../lib/assert.ts'
import { MAX_KEY_SIZE, MAX_SCAN_BYTES, MAX_VALUE_SIZE } from '../../lib/limits.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import { all, check } from '../state-machine/implementations.ts'
import { LogMaker, applied, asBytes, put } from '../state-machine/samples.ts'

check(
  'values of 0 and of the largest size, and any bytes, come back as they are',
  async (t, machine) => {
    const log = new LogMaker()
    const big = new Uint8Array(MAX_VALUE_SIZE).map((_, at) => at % 251)
    const longKey = new Uint8Array(MAX_KEY_SIZE).fill(0xff)
    const oddKey = Uint8Array.of(0, 255, 0, 128)
    await applied(machine, [
      log.write(put('empty', '')),
      log.write(put(longKey, big)),
      log.write(put(oddKey, oddKey))
    ])
    t.is(machine.get(asBytes('empty'))?.value.byteLength, 0)
    t.ok(Buffer.from(big).equals(present(machine.get(longKey), 'the big row').value))
    t.alike(machine.get(oddKey)?.value, oddKey)
    t.alike(
      all(machine).items.map((item) => item.key),
      [oddKey, asBytes('empty'), longKey]
    )
  }
)

check('a scan is in byte order, within the prefix, after a key', async (t, machine) => {
  const log = new LogMaker()
  const keys = ['a', 'aa', 'ab', 'abc', 'b']
  const high = [Uint8Array.of(0xff), Uint8Array.of(0xff, 0xff), Uint8Array.of(0xff, 0xff, 1)]
  await applied(machine, [
    log.write(...keys.map((key) => put(key, key))),
    log.write(...high.map((key) => put(key, '')))
  ])
  const page = (prefix: string | Uint8Array, after: string | Uint8Array | null, limit = 100) => {
    const request = {
      prefix: asBytes(prefix),
      after: after === null ? null : asBytes(after),
      limit
    }
    const { items, hasMore } = machine.scan(request)
    return [...items.map((item) => Buffer.from(item.key).toString('latin1')), hasMore]
  }
  t.alike(page('a', null), ['a', 'aa', 'ab', 'abc', false])
  t.alike(page('a', 'aa'), ['ab', 'abc', false])
  t.alike(page('ab', 'a'), ['ab', 'abc', false], 'an `after` before the prefix')
  t.alike(page('ab', 'b'), [false], 'an `after` behind the prefix')
  t.alike(page('a', 'abb'), ['abc', false], 'an `after` that does not exist')
  t.alike(page('', null, 5), ['a', 'aa', 'ab', 'abc', 'b', true])
  t.alike(page('', 'b'), ['\xff', '\xff\xff', '\xff\xff\x01', false])
  t.alike(page(Uint8Array.of(0xff), null), ['\xff', '\xff\xff', '\xff\xff\x01', false])
  t.alike(page(Uint8Array.of(0xff, 0xff), null, 1), ['\xff\xff', true])
  t.alike(page('a', null, 4), ['a', 'aa', 'ab', 'abc', false], 'exactly as many as the limit')
  t.alike(page('a', null, 3), ['a', 'aa', 'ab', true])
  t.alike(page('x', null), [false])
})

check('a scan page ends at its bytes and says that there is more', async (t, machine) => {
  const log = new LogMaker()
  const size = MAX_SCAN_BYTES / 4 - 1
  for (const key of ['a', 'b', 'c', 'd', 'e'])
    await applied(machine, [log.write(put(key, new Uint8Array(size)))])
  t.is(all(machine).items.length, 4)
  t.is(all(machine).hasMore, true)
  await applied(machine, [log.write(put('d', new Uint8Array(size + 1)))])
  t.is(all(machine).items.length, 3, 'one byte more does not fit')
})

check('reads see whole entries while entries are applied', async (t, machine) => {
  const log = new LogMaker()
  const entries: Entry[] = []
  for (const value of ['1', '2', '3']) {
    const changes = Array.from({ length: 100 }, (_, at) =>
      put(`k${at}`, `${value}${' '.repeat(20_000)}`)
    )
    entries.push(log.write(...changes))
  }
  let looks = 0
  machine.apply(entries, () => {})
  while (machine.applied().index < 3) {
    const values = new Set(all(machine).items.map((item) => item.value[0]))
    t.ok(values.size <= 1, 'all values are of one entry')
    t.is(values.size === 0 ? 0 : 100, all(machine).items.length)
    t.is(
      machine.applied().index,
      (values.values().next().value ?? 48) - 48,
      'reads and applied() agree'
    )
    looks++
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok(looks > 0)
  t.is(machine.applied().index, 3)
})
