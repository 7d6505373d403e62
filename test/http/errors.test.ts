// Every error code crosses HTTP with its status and its one body shape.

import test from 'brittle'
import fc from 'fast-check'
import { connect } from 'node:net'
import { AspenError, CODES, isErrorCode, KeyValueStoreError } from '../../lib/errors.ts'
import {
  MAX_HTTP_BATCH_BODY_BYTES,
  MAX_HTTP_BODY_BYTES,
  MAX_HTTP_HEADER_BYTES
} from '../../lib/limits.ts'
import { codeOf, field, get, openServer, post, postRaw, send } from './open-server.ts'
import { routesOf } from './routes.ts'

/** More of them: ASPEN_FUZZ_RUNS. */
const RUNS = Number(process.env['ASPEN_FUZZ_RUNS'] ?? 2_000)

test('each code arrives with its status, and says what may be concluded', async (t) => {
  const opened = await openServer(t)
  for (const code of Object.keys(CODES).filter(isErrorCode)) {
    const message = `what happened: ${code}`
    opened.node.fail(
      new AspenError({ code, message, hint: 'try', fields: { leader: 3, revision: 7, max: 9 } })
    )
    const reply = await post(opened, '/kv/read', { key: 'a' })
    const row = CODES[code]
    t.is(reply.status, row.httpStatus, code)
    t.is(reply.headers['retry-after'], row.httpStatus === 503 ? '1' : undefined)
    t.alike(reply.json, {
      error: {
        code,
        message,
        hint: 'try',
        retryable: row.isRetryable,
        applied: row.outcome === 'refused' ? false : null,
        leader: 3,
        revision: 7,
        fields: { max: 9 }
      }
    })
  }
  t.alike(opened.logged, [], 'refusals are not defects')
})

test('any other error is 500, tells nothing, and is logged once', async (t) => {
  const opened = await openServer(t)
  for (const error of [new TypeError('secret in /home/me/lib/x.ts:3'), 'a text', null, { a: 1 }]) {
    opened.logged.length = 0
    opened.node.fail(error ?? undefined)
    const reply = await get(opened, '/status')
    t.is(reply.status, 500)
    t.is(codeOf(reply), 'FAILED')
    t.is(field(field(reply.json, 'error'), 'applied'), null)
    t.absent(/secret|home|\bat /.test(reply.text))
    t.is(opened.logged.length, 1)
  }
})

test('a route that is not there is 404, a method that is not there 405 with what is', async (t) => {
  const opened = await openServer(t)
  const { socketPath } = opened.server
  for (const path of ['/', '/kv/read/', '/KV/READ', '/kv/read/x', '//status', '/tickets/']) {
    const reply = await send({ socketPath, path })
    t.is(reply.status === 404 || reply.status === 405, true, `${path} → ${reply.status}`)
  }
  const table = [
    ['GET', '/kv/read', 'POST'],
    ['PUT', '/kv/write', 'POST'],
    ['DELETE', '/kv/delete', 'POST'],
    ['POST', '/status', 'GET, HEAD'],
    ['PATCH', '/health', 'GET, HEAD'],
    ['PUT', '/tickets', 'POST, GET, HEAD'],
    ['GET', '/tickets/1', 'DELETE'],
    ['OPTIONS', '/status', undefined]
  ] as const
  for (const [method, path, allow] of table) {
    const reply = await send({ socketPath, method, path })
    t.is(reply.status, 405, `${method} ${path}`)
    t.is(codeOf(reply), 'METHOD_NOT_ALLOWED')
    t.is(reply.headers.allow, allow)
  }
  t.is((await post(opened, '/status', { key: 'k' })).status, 405, 'also with a body')
})

test('HTTP-05: no method and path ends in a 5xx, and every refusal is an error body', async (t) => {
  const seed = Number(process.env['ASPEN_TEST_SEED'] ?? Date.now() % 1_000_000)
  t.comment(`seed ${seed}`)
  const opened = await openServer(t)
  const { socketPath } = opened.server
  const parts = ['..', '%2e%2e', '%00', '%', '%zz', '%c3', '%ff', 'kv', 'read', 'tickets', 'status']
  const ours = (await routesOf(opened)).flatMap((route) => route.path.split('/').slice(1))
  const odd = ['?', '#', '*', ';', 'é', '//', '\\', 'http:', '@', 'a'.repeat(2_000)]
  const part = fc.constantFrom(...parts, ...ours, ...odd)
  const method = fc.constantFrom(
    'GET',
    'POST',
    'DELETE',
    'PUT',
    'PATCH',
    'HEAD',
    'OPTIONS',
    'TRACE'
  )
  const headers = { 'content-type': 'application/json' }
  const property = fc.asyncProperty(
    method,
    fc.array(part, { maxLength: 5 }),
    async (verb, chosen) => {
      const path = encodeURI(`/${chosen.join('/')}`).replaceAll('%25', '%')
      const reply = await send({ socketPath, method: verb, path, headers })
      const isRefusal = verb === 'HEAD' || codeOf(reply) !== null
      const isFine =
        [200, 201].includes(reply.status) ||
        (reply.status >= 400 && reply.status < 500 && isRefusal)
      if (!isFine) throw new Error(`${verb} ${path} → ${reply.status} ${reply.text}`)
    }
  )
  await fc.assert(property, { seed, numRuns: RUNS })
  t.alike(opened.logged, [])
})

test('HTTP-06: random bodies end in a refusal or in an answer, never in a defect', async (t) => {
  const seed = Number(process.env['ASPEN_TEST_SEED'] ?? Date.now() % 1_000_000)
  t.comment(`seed ${seed}`)
  const opened = await openServer(t)
  const names = [
    'command',
    'Set',
    'SetMulti',
    'pairs',
    'key',
    'value',
    'key_b64',
    'prefix',
    'learner',
    'members',
    'initial_members',
    'learner_id',
    'id',
    'force',
    'level',
    '__proto__'
  ]
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 2 ** 53, 'a', '', 'YQ=='),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...names), tie('value'), { maxKeys: 3 })
    )
  })).value
  const routes = (await routesOf(opened)).filter(({ hasBody }) => hasBody)
  const path = fc.constantFrom(...routes.map((route) => route.path))
  const property = fc.asyncProperty(path, json, async (where, body) => {
    const reply = await postRaw(opened, where, JSON.stringify(body))
    const isFine = reply.status === 200 || (reply.status < 500 && codeOf(reply) !== null)
    if (!isFine) throw new Error(`${where} ${JSON.stringify(body)} → ${reply.status} ${reply.text}`)
  })
  await fc.assert(property, { seed, numRuns: RUNS })
  t.alike(opened.logged, [])
})

/** A body of exactly `size` bytes that /kv/read and /kv/write refuse for its field only. */
function bodyOf(size: number): Buffer {
  const body = Buffer.alloc(size, ' ')
  body.write('{"x":1}')
  return body
}

test('what does not fit the schema of a route is told with the field, and what it takes', async (t) => {
  const opened = await openServer(t)
  const message = (reply: { readonly json: unknown }) =>
    field(field(reply.json, 'error'), 'message')
  const write = (command: unknown) => post(opened, '/kv/write', { command })
  const asked: readonly (readonly [Promise<{ readonly json: unknown }>, string])[] = [
    [
      post(opened, '/kv/read', { key: 'a', consistency: 'eventual' }),
      'consistency takes one of: "linearizable", "stale"'
    ],
    [post(opened, '/kv/read', { kye: 'a' }), 'unknown field "kye": the body takes key, key_b64, '],
    [write({ Foo: {} }), 'unknown field "Foo": command takes Set, SetMulti, Delete, '],
    [write({}), 'command takes exactly one of Set, SetMulti, Delete, '],
    [write({ Set: { key: 'a', value: 1 } }), 'command.Set.value: expected string'],
    [
      write({ SetMulti: { pairs: [['a']] } }),
      'command.SetMulti.pairs.0 takes ["<key>", "<value>"]'
    ],
    [post(opened, '/cluster/init', {}), 'initial_members is missing'],
    [
      post(opened, '/cluster/add-learner', { learner: { key: 'zz' } }),
      'learner.key takes a public key: 64 hex digits'
    ],
    [post(opened, '/kv/scan', { limit: 0 }), 'limit: expected integer to be greater or equal to 1'],
    [get(opened, '/kv?prefx=a'), 'unknown parameter "prefx": the route takes '],
    [get(opened, '/status?a=1'), 'unknown parameter "a": the route takes none'],
    [get(opened, '/kv/a?timeout_ms=x'), 'timeout_ms takes a whole number'],
    [get(opened, '/kv/a?consistency=x'), 'consistency takes one of: "linearizable", "stale"'],
    [post(opened, '/kv/read', [1]), 'the body: expected object'],
    [post(opened, '/kv/read', { 'a/b~c': 1 }), 'unknown field "a/b~c": ']
  ]
  for (const [reply, says] of asked) {
    const told = String(message(await reply))
    t.ok(told.startsWith(says), told)
  }
})

test('bodies are taken up to the limit of their route and refused one byte above it', async (t) => {
  const opened = await openServer(t)
  for (const [path, limit] of [
    ['/kv/read', MAX_HTTP_BODY_BYTES],
    ['/tickets', MAX_HTTP_BODY_BYTES],
    ['/kv/write', MAX_HTTP_BATCH_BODY_BYTES]
  ] as const) {
    const fits = await postRaw(opened, path, bodyOf(limit))
    t.is(codeOf(fits), 'INVALID_REQUEST', `${path} with ${limit} bytes is read`)
    const over = await postRaw(opened, path, bodyOf(limit + 1))
    t.is(over.status, 413)
    t.is(codeOf(over), 'PAYLOAD_TOO_LARGE', `${path} with ${limit + 1} bytes is not`)
    const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }
    const { socketPath } = opened.server
    const chunked = await send({ socketPath, method: 'POST', path, headers }, bodyOf(limit + 1))
    t.is(codeOf(chunked), 'PAYLOAD_TOO_LARGE', 'without an announced length too')
  }
})

test('a batch of too many pairs is BATCH_TOO_LARGE, whoever counts', async (t) => {
  const opened = await openServer(t)
  for (const count of [101, 500_000]) {
    const pairs = Array.from({ length: count }, (_, index) => [`k${index}`, ''])
    const reply = await post(opened, '/kv/write', { command: { SetMulti: { pairs } } })
    t.is(codeOf(reply), 'BATCH_TOO_LARGE', `${count} pairs`)
  }
})

test('HTTP-08: what is no HTTP, or two things at once, or too much of it, gets an error body and a closed connection', async (t) => {
  const { server } = await openServer(t)
  const cases = [
    'nonsense\r\n\r\n',
    `GET /status HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(MAX_HTTP_HEADER_BYTES)}\r\n\r\n`,
    'POST /kv/read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
    'POST /kv/read HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n',
    'GET /status HTTP/1.1\r\n\r\n'
  ]
  for (const text of cases) {
    const answer = await speak(server.socketPath, text)
    t.ok(/^HTTP\/1.1 400 /.test(answer), JSON.stringify(text.slice(0, 60)))
    t.ok(/connection: close/i.test(answer))
  }
})

/** Sends raw text and reads until the other side closes. */
function speak(path: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path })
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
    socket.write(text)
  })
}

test('an error of a family keeps its message', async (t) => {
  const opened = await openServer(t)
  const message = 'key size 1025 exceeds maximum of 1024 bytes'
  opened.node.fail(new KeyValueStoreError({ code: 'KEY_TOO_LARGE', message }))
  const reply = await post(opened, '/kv/write', { command: { Delete: { key: 'a' } } })
  t.is(field(field(reply.json, 'error'), 'message'), message)
})
