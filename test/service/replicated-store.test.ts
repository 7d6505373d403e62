// Limits at n and n + 1, before anything is sent; and what an answer is worth.

import test from 'brittle'
import { genesis } from '../../lib/raft/entry.ts'
import type { AspenError } from '../../lib/errors.ts'
import { MAX_BATCH_BYTES, MAX_KEY_SIZE, MAX_REQUEST_TIMEOUT_MS } from '../../lib/limits.ts'
import { MAX_SCAN_LIMIT, MAX_SETMULTI_KEYS, MAX_VALUE_SIZE } from '../../lib/limits.ts'
import { ReplicatedStore } from '../../lib/service/replicated-store.ts'
import type { Change } from '../../lib/state-machine/command.ts'
import { MemoryStateMachine } from '../../lib/state-machine/memory-state-machine.ts'
import type { ApplyResult } from '../../lib/state-machine/state-machine.ts'
import { Desk, fateOf } from './leader.ts'

function open(soon?: (fn: () => void) => void) {
  const desk = new Desk()
  desk.follow(2, 3)
  const stateMachine = MemoryStateMachine.open({
    genesis: genesis(new Uint8Array(16)),
    defer: (fn) => desk.time.soon(fn),
    onFailed: (error: AspenError) => {
      throw error
    }
  })
  const age: { ms: number | null } = { ms: 40 }
  const kv = new ReplicatedStore({
    forwarder: desk.forwarder,
    stateMachine,
    timers: {
      start: (delayMs, fn) => desk.time.start(delayMs, fn),
      soon: soon ?? ((fn) => desk.time.soon(fn))
    },
    leaderAgeMs: () => age.ms
  })
  let sentCount = 0
  /** The code of its refusal, or 'sent'. */
  const endOf = async (promise: Promise<unknown>): Promise<string> => {
    const fate = fateOf(promise)
    await desk.time.run(0)
    const before = sentCount
    sentCount = desk.replica.proposed.length + desk.replica.reads.length
    return sentCount > before ? 'sent' : (fate.code ?? 'answered')
  }
  return { desk, kv, endOf, age }
}

const bytes = (size: number, fill = 1): Uint8Array => new Uint8Array(size).fill(fill)
const put = (key: Uint8Array, value: Uint8Array): Change => ({
  kind: 'put',
  key,
  value,
  condition: null
})
const keyOf = (number: number): Uint8Array => Uint8Array.of(number >> 8, number & 0xff)

test('keys, values, batches and their bytes at n and n + 1', async (t) => {
  const { kv, endOf } = open()
  const write = (...changes: readonly Change[]): Promise<string> => endOf(kv.write({ changes }))
  t.is(await write(put(bytes(MAX_KEY_SIZE), bytes(0))), 'sent')
  t.is(await write(put(bytes(MAX_KEY_SIZE + 1), bytes(0))), 'KEY_TOO_LARGE')
  t.is(await write(put(bytes(0), bytes(0))), 'INVALID_REQUEST')
  t.is(await write(put(bytes(1), bytes(MAX_VALUE_SIZE))), 'sent')
  t.is(await write(put(bytes(1), bytes(MAX_VALUE_SIZE + 1))), 'VALUE_TOO_LARGE')
  const many = Array.from({ length: MAX_SETMULTI_KEYS + 1 }, (_, at) => put(keyOf(at), bytes(1)))
  t.is(await write(...many.slice(1)), 'sent')
  t.is(await write(...many), 'BATCH_TOO_LARGE')
  t.is(await write(), 'INVALID_REQUEST')
  t.is(await write(put(keyOf(1), bytes(1)), put(keyOf(1), bytes(2))), 'DUPLICATE_KEY')
  const whole = MAX_BATCH_BYTES / MAX_VALUE_SIZE
  const large = Array.from({ length: whole }, (_, at) => put(keyOf(at), bytes(MAX_VALUE_SIZE - 2)))
  t.is(await write(...large), 'sent', 'keys count too')
  t.is(await write(...large, put(bytes(1), bytes(0))), 'BATCH_BYTES_TOO_LARGE')
})

test('reads and scans at n and n + 1', async (t) => {
  const { kv, endOf } = open()
  t.is(await endOf(kv.get(bytes(MAX_KEY_SIZE))), 'sent')
  t.is(await endOf(kv.get(bytes(MAX_KEY_SIZE + 1))), 'KEY_TOO_LARGE')
  t.is(await endOf(kv.get(bytes(0))), 'INVALID_REQUEST')
  const scan = (request: Parameters<ReplicatedStore['scan']>[0]): Promise<string> =>
    endOf(kv.scan(request))
  const prefix = bytes(0)
  t.is(await scan({ prefix }), 'sent')
  t.is(await scan({ prefix: bytes(MAX_KEY_SIZE), after: bytes(MAX_KEY_SIZE) }), 'sent')
  t.is(await scan({ prefix: bytes(MAX_KEY_SIZE + 1) }), 'KEY_TOO_LARGE')
  t.is(await scan({ prefix, after: bytes(MAX_KEY_SIZE + 1) }), 'KEY_TOO_LARGE')
  t.is(await scan({ prefix, limit: MAX_SCAN_LIMIT }), 'sent')
  for (const limit of [0, -1, 1.5, Number.NaN, MAX_SCAN_LIMIT + 1]) {
    t.is(await scan({ prefix, limit }), 'INVALID_REQUEST', `${limit}`)
  }
})

test('pages are read one to a turn of the event loop; none on a node that has closed meanwhile', async (t) => {
  const turns: (() => void)[] = []
  const { desk, kv } = open((fn) => void turns.push(fn))
  const fates = [1, 2, 3, 4].map(() =>
    fateOf(kv.scan({ prefix: bytes(1) }, { consistency: 'stale' }))
  )
  const readCount = (): number => fates.filter(({ value }) => value !== null).length
  await desk.time.run(0)
  t.is(readCount(), 1)
  turns.shift()?.()
  await desk.time.run(0)
  t.is(readCount(), 2)
  desk.forwarder.close()
  turns.shift()?.()
  await desk.time.run(0)
  turns.shift()?.()
  await desk.time.run(0)
  t.is(readCount(), 2)
  t.alike(
    fates.map(({ code }) => code),
    [null, null, 'UNAVAILABLE', 'UNAVAILABLE']
  )
})

test('a timeout is positive and bounded, also of a stale read', async (t) => {
  const { kv, endOf } = open()
  const key = bytes(1)
  t.is(await endOf(kv.get(key, { timeoutMs: MAX_REQUEST_TIMEOUT_MS })), 'sent')
  for (const timeoutMs of [0, -1, Number.NaN, MAX_REQUEST_TIMEOUT_MS + 1, Infinity]) {
    t.is(await endOf(kv.get(key, { timeoutMs })), 'INVALID_REQUEST', `${timeoutMs}`)
    const changes = [put(key, key)]
    t.is(await endOf(kv.write({ changes }, { timeoutMs })), 'INVALID_REQUEST')
    const stale = { timeoutMs, consistency: 'stale' } as const
    t.is(await endOf(kv.get(key, stale)), 'INVALID_REQUEST')
  }
})

test('what was applied is what is answered: written, refused, or a defect', async (t) => {
  const { desk, kv } = open()
  const endWith = async (result: ApplyResult) => {
    const fate = fateOf(kv.write({ changes: [put(bytes(1), bytes(1))] }))
    desk.replica.proposed.at(-1)?.onOutcome({ kind: 'done', index: 8, result })
    await desk.time.run(0)
    return fate
  }
  const changes = [{ previousRevision: 3 }]
  const written = await endWith({ kind: 'written', revision: 8, changes })
  t.alike(written.value, { revision: 8, changes })
  const error = { code: 'CONDITION_FAILED', message: 'planted' } as const
  t.is((await endWith({ kind: 'refused', error })).code, 'CONDITION_FAILED')
  t.is((await endWith({ kind: 'none' })).code, 'FAILED')
})

test('a stale read asks nobody and says what it is worth; none is answered after the end', async (t) => {
  const { desk, kv } = open()
  desk.follow(null, 3)
  const stale = { consistency: 'stale' } as const
  const fate = fateOf(kv.get(bytes(1), stale))
  await desk.time.run(0)
  t.alike(fate.value, { revision: 0, consistency: 'stale', leaderContactMs: 40, item: null })
  desk.forwarder.close()
  const late = [fateOf(kv.get(bytes(1), stale)), fateOf(kv.scan({ prefix: bytes(0) }, stale))]
  await desk.time.run(0)
  t.alike(
    late.map(({ code }) => code),
    ['UNAVAILABLE', 'UNAVAILABLE']
  )
})

test('HTTP-15: a stale read says how long ago the leader was heard, and may be refused for it', async (t) => {
  const { kv, endOf, age } = open()
  const read = (maxAgeMs?: number) =>
    kv.get(bytes(1), { consistency: 'stale', ...(maxAgeMs !== undefined && { maxAgeMs }) })
  t.is((await read()).leaderContactMs, 40)
  t.is((await read(40)).consistency, 'stale')
  t.is(await endOf(read(39)), 'UNAVAILABLE')
  t.is((await kv.scan({ prefix: bytes(1) }, { consistency: 'stale' })).leaderContactMs, 40)
  age.ms = null
  t.is((await read()).leaderContactMs, null, 'nobody was heard yet')
  t.is(await endOf(read(1_000_000)), 'UNAVAILABLE')
  t.is(await endOf(read(-1)), 'INVALID_REQUEST')
  t.is(await endOf(read(Number.NaN)), 'INVALID_REQUEST')
  t.is(await endOf(kv.get(bytes(1), { maxAgeMs: 5 })), 'INVALID_REQUEST', 'of no other read')
})
