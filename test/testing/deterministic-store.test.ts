// The store in one object against a node: the same calls end the same, with the same codes.

import test from 'brittle'
import fc from 'fast-check'
import { AspenError } from '../../lib/errors.ts'
import { MAX_KEY_SIZE, MAX_SETMULTI_KEYS, MAX_VALUE_SIZE } from '../../lib/limits.ts'
import { KeyValueStore } from '../../lib/service/key-value-store.ts'
import type { WriteCommand } from '../../lib/service/write-request.ts'
import { DeterministicKeyValueStore } from '../../lib/testing/deterministic-store.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'

type Store = Pick<KeyValueStore, 'write' | 'read' | 'delete' | 'scan'>
type Call = (store: Store) => Promise<unknown>

/** What a call is answered with, without the numbers of the log, which begins differently on a node. */
async function endOf(call: Call, store: Store): Promise<unknown> {
  try {
    return JSON.stringify(await call(store), withoutIndexes)
  } catch (error) {
    if (!(error instanceof AspenError)) throw error
    return error.code
  }
}

function withoutIndexes(name: string, value: unknown): unknown {
  const isIndex = /revision/i.test(name) || name === 'appliedIndex'
  return isIndex && typeof value === 'number' ? value > 0 : value
}

const write =
  (command: WriteCommand): Call =>
  (store) =>
    store.write({ command })

const CALLS: readonly Call[] = [
  (store) => store.read({ key: 'a' }),
  write({ Set: { key: 'a', value: '1' } }),
  (store) => store.read({ key: 'a' }),
  write({ Set: { key: 'a', value: '2', ifAbsent: true } }),
  write({ Set: { key: 'a', value: '2', ifRevision: 999_999 } }),
  write({
    SetMulti: {
      pairs: [
        ['b', '1'],
        ['c', '2']
      ]
    }
  }),
  (store) => store.scan({}),
  (store) => store.scan({ prefix: 'b', limit: 1 }),
  (store) => store.scan({ limit: 0 }),
  (store) => store.delete({ key: 'b' }),
  (store) => store.delete({ key: 'b' }),
  write({ DeleteMulti: { keys: ['a', 'nothing'] } }),
  write({
    SetMulti: { pairs: Array.from({ length: MAX_SETMULTI_KEYS + 1 }, (_, at) => [`${at}`, '']) }
  }),
  write({ DeleteMulti: { keys: ['a', 'a'] } }),
  write({ Set: { key: 'k'.repeat(MAX_KEY_SIZE), value: '' } }),
  write({ Set: { key: 'k'.repeat(MAX_KEY_SIZE + 1), value: '' } }),
  write({ Set: { key: 'v', value: new Uint8Array(MAX_VALUE_SIZE + 1) } }),
  write({ Batch: { operations: [{ Set: { key: 'x', value: '1' } }, { Delete: { key: 'c' } }] } }),
  (store) => store.scan({}),
  (store) => store.read({ key: new Uint8Array([255, 0]) })
]

test('each call ends as on a node', async (t) => {
  const cluster = new MemoryCluster({ seed: 1 })
  const node = await cluster.time.settled(cluster.create('a'), 60_000)
  const real = new KeyValueStore(node.assembly.service.kv)
  const double = new DeterministicKeyValueStore()
  for (const [at, call] of CALLS.entries()) {
    const expected = await cluster.time.settled(endOf(call, real), 60_000)
    t.is(await endOf(call, double), expected, `call ${at}`)
  }
  await cluster.close()
})

test('two stores that are asked the same answer the same, to the revision', async (t) => {
  const text = fc.string({ maxLength: 3 })
  const key = fc.string({ minLength: 1, maxLength: 3 })
  const calls = fc.array(fc.tuple(fc.constantFrom('set', 'delete'), key, text), { maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(calls, async (list) => {
      const stores = [new DeterministicKeyValueStore(), new DeterministicKeyValueStore()]
      const answers = stores.map(async (store) => {
        const asked = list.map(([kind, name, value]) =>
          kind === 'set'
            ? store.write({ command: { Set: { key: name, value } } })
            : store.delete({ key: name })
        )
        return JSON.stringify([await Promise.all(asked), await store.scan({})])
      })
      const [one, other] = await Promise.all(answers)
      if (one !== other) throw new Error(`${one} and ${other}`)
    }),
    { numRuns: 100 }
  )
  t.pass('100 lists of calls')
})
