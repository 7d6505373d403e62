// Reads and writes over HTTP, in the shapes of the API.

import test from 'brittle'
import type { Assert } from 'brittle'
import { MAX_KEY_SIZE, MAX_SCAN_LIMIT, MAX_VALUE_SIZE } from '../../lib/limits.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { codeOf, field, get, openServer, post, postRaw, send } from './open-server.ts'
import type { Opened } from './open-server.ts'

test('a write is answered with its command as it was sent, its revision and what it replaced', async (t) => {
  const opened = await openServer(t)
  const command = { Set: { key: 'a', value: '1' } }
  const first = await post(opened, '/kv/write', { command })
  t.is(first.status, 200)
  t.is(first.headers['content-type'], 'application/json; charset=utf-8')
  t.alike(first.json, { command, revision: 11, changes: [{ previous_revision: 0 }] })
  const second = await post(opened, '/kv/write', { command, timeout_ms: 250 })
  t.alike(second.json, { command, revision: 12, changes: [{ previous_revision: 11 }] })
  t.alike(opened.node.lastOptions, { timeoutMs: 250 })
})

test('the echo of a command is the bytes that were sent', async (t) => {
  const opened = await openServer(t)
  const text = '{ "Set" : {"value":"\\u0061\\/" ,"key":"k"} }'
  const reply = await postRaw(opened, '/kv/write', `{"timeout_ms":5, "command": ${text} }\n`)
  t.is(reply.text, `{"command":${text},"revision":11,"changes":[{"previous_revision":0}]}`)
})

test('a read gives value, revisions and what the answer is worth', async (t) => {
  const opened = await openServer(t)
  await post(opened, '/kv/write', { command: { Set: { key: 'a', value: '1' } } })
  await post(opened, '/kv/write', { command: { Set: { key: 'a', value: '2' } } })
  await post(opened, '/kv/write', { command: { Set: { key: 'b', value: '3' } } })
  const reply = await post(opened, '/kv/read', { key: 'a' })
  t.is(reply.status, 200)
  t.alike(reply.json, {
    key: 'a',
    value: '2',
    revision: 12,
    create_revision: 11,
    version: 2,
    consistency: 'linearizable',
    applied_index: 13,
    leader_contact_ms: null
  })
  t.alike(opened.node.lastOptions, { consistency: 'linearizable', timeoutMs: 5_000 })
})

test('HTTP-15: a stale read says that it is one', async (t) => {
  const opened = await openServer(t)
  await post(opened, '/kv/write', { command: { Set: { key: 'a', value: '1' } } })
  const read = await post(opened, '/kv/read', { key: 'a', consistency: 'stale' })
  t.is(field(read.json, 'consistency'), 'stale')
  t.is(field(read.json, 'applied_index'), 11)
  const scan = await post(opened, '/kv/scan', { prefix: '', consistency: 'stale' })
  t.is(field(scan.json, 'consistency'), 'stale')
  t.is(field(scan.json, 'revision'), 11)
})

test('a missing key is 404 with the revision at which it was missing', async (t) => {
  const opened = await openServer(t)
  const reply = await post(opened, '/kv/read', { key: 'nope' })
  t.is(reply.status, 404)
  t.alike(reply.json, {
    error: {
      code: 'NOT_FOUND',
      message: "key 'nope' not found",
      hint: null,
      retryable: false,
      applied: false,
      leader: 1,
      revision: 10,
      fields: { key: 'nope' }
    }
  })
})

test('all commands of the seed become changes, in either spelling', async (t) => {
  const put = (key: string, value: string, condition: object | null = null): object => ({
    kind: 'put',
    key: bytesOf(key),
    value: bytesOf(value),
    condition
  })
  const del = (key: string, condition: object | null = null): object => ({
    kind: 'delete',
    key: bytesOf(key),
    condition
  })
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const cases: ReadonlyArray<readonly [object, readonly object[]]> = [
    [{ Set: { key: 'a', value: '' } }, [put('a', '')]],
    [{ Set: { key_b64: base64('a'), value_b64: base64('1') } }, [put('a', '1')]],
    [{ Set: { key: 'a', value: '1', if_absent: true } }, [put('a', '1', { kind: 'absent' })]],
    [{ Set: { key: 'a', value: '1', if_absent: false } }, [put('a', '1')]],
    [
      {
        SetMulti: {
          pairs: [
            ['a', '1'],
            ['b', '2']
          ]
        }
      },
      [put('a', '1'), put('b', '2')]
    ],
    [{ SetMulti: { pairs: [{ key: 'a', value_b64: base64('1') }] } }, [put('a', '1')]],
    [{ Delete: { key: 'a' } }, [del('a')]],
    [{ DeleteMulti: { keys: ['a', { key_b64: base64('b') }] } }, [del('a'), del('b')]],
    [
      { Batch: { operations: [{ Set: { key: 'a', value: '1' } }, { Delete: { key: 'b' } }] } },
      [put('a', '1'), del('b')]
    ]
  ]
  const opened = await openServer(t)
  for (const [command, changes] of cases) {
    const reply = await post(opened, '/kv/write', { command })
    t.is(reply.status, 200, JSON.stringify(command))
    t.alike(opened.node.lastCommand, { changes })
    await post(opened, '/kv/write', { command: { DeleteMulti: { keys: ['a', 'b'] } } })
  }
})

test('conditions are handed on and their failure is 412', async (t) => {
  const opened = await openServer(t)
  await post(opened, '/kv/write', { command: { Set: { key: 'a', value: '1' } } })
  const wrong = { Set: { key: 'a', value: '2', if_revision: 3 } }
  const refused = await post(opened, '/kv/write', { command: wrong })
  t.is(refused.status, 412)
  t.is(codeOf(refused), 'CONDITION_FAILED')
  t.is(field(field(refused.json, 'error'), 'revision'), 11)
  const right = { Delete: { key: 'a', if_revision: 11 } }
  t.is((await post(opened, '/kv/write', { command: right })).status, 200)
})

test('a delete says whether the key was there when it was applied', async (t) => {
  const opened = await openServer(t)
  await post(opened, '/kv/write', { command: { Set: { key: 'a', value: '1' } } })
  const wrong = await post(opened, '/kv/delete', { key: 'a', if_revision: 4 })
  t.is(wrong.status, 412)
  const first = await post(opened, '/kv/delete', { key: 'a', timeout_ms: 99 })
  t.alike(first.json, { key: 'a', deleted: true, revision: 12 })
  t.alike(opened.node.lastOptions, { timeoutMs: 99 })
  const second = await post(opened, '/kv/delete', { key: 'a' })
  t.alike(second.json, { key: 'a', deleted: false, revision: 13 })
})

test('a scan without a prefix is one of all keys, and needs no body', async (t) => {
  const opened = await openServer(t)
  for (const key of ['b', 'a']) {
    await post(opened, '/kv/write', { command: { Set: { key, value: '1' } } })
  }
  const { socketPath } = opened.server
  for (const reply of [
    await post(opened, '/kv/scan', {}),
    await post(opened, '/kv/scan', { limit: 9 }),
    await send({ socketPath, method: 'POST', path: '/kv/scan' })
  ]) {
    const items = field(reply.json, 'items')
    t.alike(Array.isArray(items) && items.map((item) => field(item, 'key')), ['a', 'b'])
  }
  const both = await post(opened, '/kv/scan', { prefix: 'a', prefix_b64: 'YQ==' })
  t.alike([both.status, codeOf(both)], [400, 'INVALID_REQUEST'])
})

test('a scan gives pages in byte order', async (t) => {
  const opened = await openServer(t)
  for (const key of ['app/b', 'app/a', 'other']) {
    await post(opened, '/kv/write', { command: { Set: { key, value: key } } })
  }
  const first = await post(opened, '/kv/scan', { prefix: 'app/', limit: 1 })
  t.alike(first.json, {
    items: [{ key: 'app/a', value: 'app/a', revision: 12, create_revision: 12, version: 1 }],
    has_more: true,
    revision: 13,
    consistency: 'linearizable',
    leader_contact_ms: null
  })
  const second = await post(opened, '/kv/scan', { prefix: 'app/', after: 'app/a' })
  t.alike(field(second.json, 'has_more'), false)
  t.alike(field(second.json, 'items'), [
    { key: 'app/b', value: 'app/b', revision: 11, create_revision: 11, version: 1 }
  ])
  const none = await post(opened, '/kv/scan', { prefix_b64: 'eg==' })
  t.alike(field(none.json, 'items'), [])
})

test('keys and values that are not UTF-8 come and go as base64', async (t) => {
  const opened = await openServer(t)
  const key_b64 = Buffer.of(0x61, 0xff).toString('base64')
  const value_b64 = Buffer.of(0, 0x80, 0xfe).toString('base64')
  await post(opened, '/kv/write', { command: { Set: { key_b64, value_b64 } } })
  const read = await post(opened, '/kv/read', { key_b64 })
  t.is(field(read.json, 'key_b64'), key_b64)
  t.is(field(read.json, 'value_b64'), value_b64)
  t.absent(field(read.json, 'key') ?? field(read.json, 'value'))
  const scan = await post(opened, '/kv/scan', { prefix: 'a' })
  t.alike(field(scan.json, 'items'), [
    { key_b64, value_b64, revision: 11, create_revision: 11, version: 1 }
  ])
  const deleted = await post(opened, '/kv/delete', { key_b64 })
  t.alike(deleted.json, { key_b64, deleted: true, revision: 12 })
})

test('text comes back exactly: NUL, quotes, a byte order mark, astral characters', async (t) => {
  const opened = await openServer(t)
  for (const value of ['\u0000', '"\\\n', '\ufeffx', '\u{1f332}', '\u2028', '']) {
    await post(opened, '/kv/write', { command: { Set: { key: 'k', value } } })
    const read = await post(opened, '/kv/read', { key: 'k' })
    t.is(field(read.json, 'value'), value, JSON.stringify(value))
    const scan = await post(opened, '/kv/scan', { prefix: 'k' })
    const items = field(scan.json, 'items')
    t.is(Array.isArray(items) && field(items[0], 'value'), value)
  }
})

test('HTTP-07: key and value limits are counted in bytes and exact', async (t) => {
  const opened = await openServer(t)
  const set = async (key: string, value: string): Promise<string> => {
    const reply = await post(opened, '/kv/write', { command: { Set: { key, value } } })
    return codeOf(reply) ?? String(reply.status)
  }
  const cases: ReadonlyArray<readonly [string, string, string]> = [
    ['k'.repeat(MAX_KEY_SIZE - 1), '', '200'],
    ['k'.repeat(MAX_KEY_SIZE), '', '200'],
    ['k'.repeat(MAX_KEY_SIZE + 1), '', 'KEY_TOO_LARGE'],
    ['é'.repeat(MAX_KEY_SIZE / 2), '', '200'],
    [`${'é'.repeat(MAX_KEY_SIZE / 2)}k`, '', 'KEY_TOO_LARGE'],
    ['', '', 'INVALID_REQUEST'],
    ['k', 'v'.repeat(MAX_VALUE_SIZE), '200'],
    ['k', 'v'.repeat(MAX_VALUE_SIZE + 1), 'VALUE_TOO_LARGE'],
    ['k', '€'.repeat(Math.floor(MAX_VALUE_SIZE / 3)), '200'],
    ['k', '€'.repeat(Math.ceil(MAX_VALUE_SIZE / 3)), 'VALUE_TOO_LARGE']
  ]
  for (const [key, value, expected] of cases) {
    t.is(await set(key, value), expected, `key ${key.length}, value ${value.length}`)
  }
})

test('HTTP-07: a full binary value comes and goes', async (t) => {
  const opened = await openServer(t)
  const value_b64 = Buffer.alloc(MAX_VALUE_SIZE, 0xff).toString('base64')
  const written = await post(opened, '/kv/write', { command: { Set: { key: 'k', value_b64 } } })
  t.is(written.status, 200)
  const read = await post(opened, '/kv/read', { key: 'k' })
  t.ok(field(read.json, 'value_b64') === value_b64)
})

test('HTTP-06: malformed requests are refused with 400, and the node is asked nothing', async (t) => {
  const opened = await openServer(t)
  for (const [path, bodies] of MALFORMED) {
    for (const body of bodies) await checkRefused(t, { opened, path, body })
  }
  t.is(opened.node.calls, 0)
})

const command = (text: string): string => `{"command":${text}}`
const MALFORMED: ReadonlyArray<readonly [string, readonly string[]]> = [
  [
    '/kv/write',
    [
      '',
      '{',
      'null',
      '[]',
      '"x"',
      '{}',
      command('{}'),
      command('null'),
      command('"Set"'),
      command('{"Put":{"key":"a","value":"1"}}'),
      command('{"Set":{"key":"a"}}'),
      command('{"Set":{"value":"a"}}'),
      command('{"Set":{"key":1,"value":"1"}}'),
      command('{"Set":{"key":"a","value":1}}'),
      command('{"Set":{"key":"a","value":null}}'),
      command('{"Set":{"key":"a","value":"1","extra":1}}'),
      command('{"Set":{"key":"a","value":"1","__proto__":{}}}'),
      command('{"Set":{"key":"a","key":"b","value":"1"}}'),
      command('{"Set":{"key":"a","key_b64":"YQ==","value":"1"}}'),
      command('{"Set":{"key_b64":"YQ","value":"1"}}'),
      command('{"Set":{"key_b64":"Y Q==","value":"1"}}'),
      command('{"Set":{"key_b64":"YR==","value":"1"}}'),
      command('{"Set":{"key":"\\ud800","value":"1"}}'),
      command('{"Set":{"key":"a","value":"1","if_revision":0}}'),
      command('{"Set":{"key":"a","value":"1","if_revision":1.5}}'),
      command('{"Set":{"key":"a","value":"1","if_revision":9007199254740993}}'),
      command('{"Set":{"key":"a","value":"1","if_revision":1e400}}'),
      command('{"Set":{"key":"a","value":"1","if_revision":NaN}}'),
      command('{"Set":{"key":"a","value":"1","if_revision":3,"if_absent":true}}'),
      command('{"Set":{"key":"a","value":"1"},"Delete":{"key":"a"}}'),
      command('{"SetMulti":{"pairs":[["a"]]}}'),
      command('{"SetMulti":{"pairs":[["a","b","c"]]}}'),
      command('{"SetMulti":{"pairs":{"a":"b"}}}'),
      command('{"DeleteMulti":{"keys":[1]}}'),
      command('{"DeleteMulti":{"keys":[{}]}}'),
      command('{"Batch":{"operations":[{}]}}'),
      `${command('{"Set":{"key":"a","value":"1"}}')}x`,
      `{"command":{"Set":{"key":"a","value":"1"}},"timeout_ms":0}`,
      `{"command":{"Set":{"key":"a","value":"1"}},"timeout_ms":"5"}`,
      `{"command":{"Set":{"key":"a","value":"1"}},"more":1}`,
      '['.repeat(100_000),
      '{"a":'.repeat(100_000),
      command(`[${'['.repeat(20)}${']'.repeat(20)}]`)
    ]
  ],
  ['/kv/read', ['{}', '{"key":"a","value":"b"}', '{"key":"a","consistency":"strong"}']],
  ['/kv/delete', ['{}', '{"key":"a","if_absent":true}', '{"key":"a","if_revision":-1}']],
  [
    '/kv/scan',
    [
      '{"prefix":"a","prefix_b64":"YQ=="}',
      '{"prefix":"a","limit":0}',
      `{"prefix":"a","limit":${MAX_SCAN_LIMIT + 1}}`,
      '{"prefix":"a","after":"b","after_b64":"YQ=="}'
    ]
  ],
  ['/tickets', ['{"role":"client"}', '{"uses":0}', '{"ttl_ms":0}', '{"x":1}']]
]

interface Refused {
  readonly opened: Opened
  readonly path: string
  readonly body: string
}

async function checkRefused(t: Assert, { opened, path, body }: Refused): Promise<void> {
  const reply = await postRaw(opened, path, body)
  const isRefused = reply.status === 400 && codeOf(reply) === 'INVALID_REQUEST'
  t.ok(isRefused, `${path} ${body.slice(0, 60)} → ${reply.status} ${reply.text.slice(0, 120)}`)
}

test('HTTP-06: bytes that are not UTF-8 are refused, not replaced', async (t) => {
  const opened = await openServer(t)
  const body = Buffer.concat([
    Buffer.from('{"command":{"Set":{"key":"a","value":"'),
    Buffer.of(0xc3, 0x28),
    Buffer.from('"}}}')
  ])
  const reply = await postRaw(opened, '/kv/write', body)
  t.is(codeOf(reply), 'INVALID_REQUEST')
  t.is(opened.node.calls, 0)
})

test('unknown query parameters and unwanted bodies are refused', async (t) => {
  const opened = await openServer(t)
  t.is(codeOf(await get(opened, '/status?verbose=1')), 'INVALID_REQUEST')
  t.is(codeOf(await get(opened, '/tickets?timeout_ms=0')), 'INVALID_REQUEST')
  t.is(codeOf(await get(opened, '/tickets?timeout_ms=1e3')), 'INVALID_REQUEST')
})
