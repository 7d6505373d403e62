// The store as programs use it: the same answers and the same errors inside a node's process and over
// HTTP, for the seed's commands and for what it adds to them.

import test from 'brittle'
import type { Assert } from 'brittle'
import { Client } from '../../lib/client/client.ts'
import { bytesOf, textOf } from '../../lib/encoding.ts'
import { AspenError, KeyValueStoreError } from '../../lib/errors.ts'
import { MAX_KEY_SIZE, MAX_SETMULTI_KEYS, MAX_VALUE_SIZE } from '../../lib/limits.ts'
import { KeyValueStore } from '../../lib/service/key-value-store.ts'
import type { Bytes, WriteCommand } from '../../lib/service/write-request.ts'
import { openServer } from '../http/open-server.ts'

type Step = (store: KeyValueStore) => Promise<unknown>

/** What the step comes to in process; it is a failure when it comes to something else over HTTP. */
async function both(t: Assert, steps: readonly Step[]): Promise<readonly unknown[]> {
  const here = await openServer(t)
  const there = await openServer(t)
  const client = Client.connect({ socketPath: there.server.socketPath })
  t.teardown(() => client.close(), { order: -1 })
  const local = new KeyValueStore(here.node.kv)
  const ends: unknown[] = []
  for (const [at, step] of steps.entries()) {
    const end = await endOf(step(local))
    t.alike(await endOf(step(client.kv)), end, `step ${at}`)
    ends.push(end)
  }
  return ends
}

async function endOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise
  } catch (error) {
    if (!(error instanceof AspenError)) throw error
    // over HTTP a refusal names the leader besides
    const { code, fields: { leader: _leader, ...fields } = {} } = error.detail
    return { error: code, family: error.name, fields }
  }
}

const write =
  (command: WriteCommand): Step =>
  (store) =>
    store.write({ command })

test('each command of the seed is written, echoed and read back', async (t) => {
  const set: WriteCommand = { Set: { key: 'a', value: '1' } }
  const setMulti: WriteCommand = {
    SetMulti: {
      pairs: [
        ['b', '2'],
        [bytesOf('c'), bytesOf('3')]
      ]
    }
  }
  const del: WriteCommand = { Delete: { key: 'a' } }
  const deleteMulti: WriteCommand = { DeleteMulti: { keys: ['b', 'gone'] } }
  const ends = await both(t, [
    write(set),
    (store) => store.read({ key: 'a' }),
    write(setMulti),
    write(del),
    (store) => store.delete({ key: 'a' }),
    (store) => store.delete({ key: 'c', ifRevision: 12 }),
    write(deleteMulti)
  ])
  t.alike(ends, [
    { command: set, revision: 11, changes: [{ previousRevision: 0 }] },
    {
      key: 'a',
      value: bytesOf('1'),
      revision: 11,
      createRevision: 11,
      version: 1,
      consistency: 'linearizable',
      appliedIndex: 11,
      leaderContactMs: null
    },
    {
      command: setMulti,
      revision: 12,
      changes: [{ previousRevision: 0 }, { previousRevision: 0 }]
    },
    { command: del, revision: 13, changes: [{ previousRevision: 11 }] },
    { key: 'a', deleted: false, revision: 14, previousRevision: 0 },
    { key: 'c', deleted: true, revision: 15, previousRevision: 12 },
    {
      command: deleteMulti,
      revision: 16,
      changes: [{ previousRevision: 12 }, { previousRevision: 0 }]
    }
  ])
})

test('a batch mixes writes and deletes, each with what it expects', async (t) => {
  const batch: WriteCommand = {
    Batch: {
      operations: [
        { Set: { key: 'a', value: '2', ifRevision: 11 } },
        { Set: { key: 'b', value: Uint8Array.of(0, 255), ifAbsent: true } },
        { Delete: { key: 'c' } }
      ]
    }
  }
  const [, done, again] = await both(t, [
    write({ Set: { key: 'a', value: '1', ifAbsent: true } }),
    write(batch),
    write(batch),
    (store) => store.read({ key: 'b' })
  ])
  const changes = [{ previousRevision: 11 }, { previousRevision: 0 }, { previousRevision: 0 }]
  t.alike(done, { command: batch, revision: 12, changes })
  t.alike(again, {
    error: 'CONDITION_FAILED',
    family: 'KeyValueStoreError',
    fields: { revision: 12 }
  })
})

test('a missing key is an error for read and null for get', async (t) => {
  const key = Uint8Array.of(0xff, 0)
  const ends = await both(t, [
    (store) => store.read({ key: 'nope' }),
    (store) => store.read({ key }, { consistency: 'stale' }),
    (store) => store.get('nope')
  ])
  const error = { error: 'NOT_FOUND', family: 'KeyValueStoreError' }
  t.alike(ends, [
    { ...error, fields: { key: 'nope', revision: 10 } },
    { ...error, fields: { key_b64: '/wA=', revision: 10, leader_contact_ms: 40 } },
    { item: null, revision: 10, consistency: 'linearizable', leaderContactMs: null }
  ])
})

test('a scan begins with a prefix, of text or bytes, and goes on behind a key', async (t) => {
  const put = (key: Bytes): Step => write({ Set: { key, value: 'v' } })
  const keysOf = async (page: Promise<{ items: readonly { key: Uint8Array }[] }>) =>
    (await page).items.map(({ key }) => textOf(key))
  const ends = await both(t, [
    put('b/1'),
    put('b/2'),
    put('a'),
    (store) => keysOf(store.scan({})),
    (store) => keysOf(store.scan({ prefix: 'b/', limit: 1 })),
    (store) => keysOf(store.scan({ prefix: bytesOf('b/'), after: 'b/1' }, { consistency: 'stale' }))
  ])
  t.alike(ends.slice(3), [['a', 'b/1', 'b/2'], ['b/1'], ['b/2']])
})

test('get and scan say of an item what a read says', async (t) => {
  const ends = await both(t, [
    write({ Set: { key: 'a', value: '1' } }),
    write({ Set: { key: 'a', value: '2' } }),
    async (store) => (await store.get('a')).item,
    async (store) => (await store.scan({})).items
  ])
  const item = {
    key: bytesOf('a'),
    value: bytesOf('2'),
    revision: 12,
    createRevision: 11,
    version: 2
  }
  t.alike(ends.slice(2), [item, [item]])
})

test('what is too large says its size and the limit, in bytes and not in characters', async (t) => {
  const pairs = Array.from({ length: MAX_SETMULTI_KEYS + 1 }, (_, at) => [`k${at}`, ''] as const)
  const three = 'é'.repeat(MAX_KEY_SIZE / 2)
  const ends = await both(t, [
    write({ Set: { key: three, value: '' } }),
    write({ Set: { key: `${three}é`, value: '' } }),
    write({ Set: { key: 'a', value: new Uint8Array(MAX_VALUE_SIZE) } }),
    write({ Set: { key: 'a', value: new Uint8Array(MAX_VALUE_SIZE + 1) } }),
    write({ SetMulti: { pairs } }),
    write({ SetMulti: { pairs: [] } }),
    write({ DeleteMulti: { keys: ['a', 'a'] } })
  ])
  t.alike(
    ends.map((end) =>
      typeof end === 'object' && end !== null && 'error' in end ? end.error : 'ok'
    ),
    [
      'ok',
      'KEY_TOO_LARGE',
      'ok',
      'VALUE_TOO_LARGE',
      'BATCH_TOO_LARGE',
      'INVALID_REQUEST',
      'DUPLICATE_KEY'
    ]
  )
})

test('the facts of an error are the same over HTTP', async (t) => {
  const { node, server } = await openServer(t)
  const client = Client.connect({ socketPath: server.socketPath })
  t.teardown(() => client.close(), { order: -1 })
  const details = [
    { code: 'KEY_TOO_LARGE', message: 'm', fields: { size: 1025, max: 1024 } },
    { code: 'TIMEOUT', message: 'm', hint: 'h', fields: { duration_ms: 500 } },
    {
      code: 'UNAVAILABLE',
      message: 'm',
      fields: { leader: 2, flag: true, nothing: null, text: 'x' }
    }
  ] as const
  for (const detail of details) {
    node.fail(new KeyValueStoreError(detail))
    const error: unknown = await client.kv.put('a', 'b').catch((reason: unknown) => reason)
    t.ok(error instanceof KeyValueStoreError && error.code === detail.code)
    // whom the node hears is added where the error names nobody
    const expected = { ...detail, fields: { leader: 1, ...detail.fields } }
    t.alike(error instanceof KeyValueStoreError && error.detail, expected)
  }
})

test('what is no command, no bytes or no Unicode is refused before it is sent', async (t) => {
  const { node } = await openServer(t)
  const store = new KeyValueStore(node.kv)
  // as a program without types would call it
  const commands: readonly unknown[] = [
    {},
    { Set: { key: 'a', value: 'b' }, Delete: { key: 'a' } },
    { Put: { key: 'a', value: 'b' } },
    { Batch: { operations: [{ SetMulti: { pairs: [] } }] } },
    { Set: { key: 'a', value: 1 } },
    { Set: { key: 'a' } },
    { Set: { key: '\ud800', value: '' } },
    { Set: { key: 'a', value: 'x\udc00' } },
    { Set: { key: 'a', value: '', ifRevision: 1, ifAbsent: true } }
  ]
  for (const command of commands) {
    const request: Parameters<KeyValueStore['write']>[0] = JSON.parse('{}')
    Object.assign(request, { command })
    const end = await endOf(store.write(request))
    const expected = { error: 'INVALID_REQUEST', family: 'KeyValueStoreError', fields: {} }
    t.alike(end, expected, JSON.stringify(command))
  }
  t.is(node.calls, 0)
})
