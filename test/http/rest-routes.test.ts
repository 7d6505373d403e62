// `/kv/{key}` and `GET /kv`: any bytes as keys and values, revisions as ETags, conditions as RFC 9110 has them.

import test from 'brittle'
import { request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import fc from 'fast-check'
import { MAX_KEY_SIZE, MAX_VALUE_SIZE } from '../../lib/limits.ts'
import { codeOf, field, get, openServer, post, send, TOKEN } from './open-server.ts'
import type { Opened, Reply } from './open-server.ts'

const SEED = Number(process.env['ASPEN_TEST_SEED'] ?? Date.now() % 1_000_000)

function ask(
  { server }: Opened,
  [method, path]: readonly [string, string],
  { headers = {}, body }: { headers?: OutgoingHttpHeaders; body?: string | Uint8Array } = {}
): Promise<Reply> {
  const sent = typeof body === 'string' || body === undefined ? body : Buffer.from(body)
  return send({ socketPath: server.socketPath, method, path, headers }, sent)
}

/** The body as the bytes that came. */
function bytesAt(
  { server }: Opened,
  path: string
): Promise<{ headers: IncomingHttpHeaders; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { socketPath: server.socketPath, path, agent: false },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({ headers: response.headers, bytes: Buffer.concat(chunks) })
        )
      }
    )
    request.on('error', reject).end()
  })
}

const encoded = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')

test('a value is put, read, looked at and deleted', async (t) => {
  const opened = await openServer(t)
  const made = await ask(opened, ['PUT', '/kv/app/port'], { body: '8080' })
  t.is(made.status, 201)
  t.alike(made.json, { key: 'app/port', revision: 11, previous_revision: 0 })
  t.is(made.headers.etag, '"11"')
  const again = await ask(opened, ['PUT', '/kv/app/port'], { body: '8081' })
  t.alike([again.status, field(again.json, 'previous_revision')], [200, 11])
  const got = await get(opened, '/kv/app/port')
  t.alike([got.status, got.text], [200, '8081'])
  const { headers } = got
  t.alike(
    ['etag', 'x-aspen-revision', 'x-aspen-create-revision', 'x-aspen-version'].map(
      (name) => headers[name]
    ),
    ['"12"', '12', '11', '2']
  )
  t.alike(
    [headers['x-aspen-consistency'], headers['x-aspen-applied-index']],
    ['linearizable', '12']
  )
  t.is(headers['x-aspen-leader-contact-ms'], undefined)
  t.is(headers['content-type'], 'application/octet-stream')
  t.is(headers['x-content-type-options'], 'nosniff')
  const looked = await ask(opened, ['HEAD', '/kv/app/port'])
  t.alike([looked.status, looked.text, looked.headers['content-length']], [200, '', '4'])
  t.is(looked.headers.etag, '"12"')
  const gone = await ask(opened, ['DELETE', '/kv/app/port'])
  t.alike(gone.json, { key: 'app/port', deleted: true, revision: 13 })
  t.alike((await ask(opened, ['DELETE', '/kv/app/port'])).json, {
    key: 'app/port',
    deleted: false,
    revision: 14
  })
  const missing = await get(opened, '/kv/app/port')
  t.alike([missing.status, codeOf(missing)], [404, 'NOT_FOUND'])
  t.is(missing.headers['x-aspen-applied-index'], '14')
})

test('a key is any bytes, percent-encoded', async (t) => {
  const opened = await openServer(t)
  const keys: readonly (readonly [string, Uint8Array])[] = [
    ['/kv/a%2Fb', Buffer.from('a/b')],
    ['/kv/a/b/', Buffer.from('a/b/')],
    ['/kv//', Buffer.from('/')],
    ['/kv/%00', Uint8Array.of(0)],
    ['/kv/%ff%FE', Uint8Array.of(255, 254)],
    ['/kv/%3F%23%25', Buffer.from('?#%')],
    ['/kv/a+b', Buffer.from('a+b')],
    ['/kv/caf%C3%A9', Buffer.from('café')],
    ['/kv/../../etc', Buffer.from('../../etc')],
    ['/kv/%72ead', Buffer.from('read')],
    ['/kv/reads', Buffer.from('reads')],
    ['/kv/%7Bkey%7D', Buffer.from('{key}')],
    ['/kv/__proto__', Buffer.from('__proto__')]
  ]
  for (const [path, key] of keys) {
    t.is((await ask(opened, ['PUT', path], { body: 'v' })).status, 201, path)
    const [change] = opened.node.lastCommand?.changes ?? []
    t.ok(Buffer.compare(change?.key ?? Buffer.alloc(0), key) === 0, 'as meant')
    t.is((await get(opened, path)).text, 'v')
  }
  const read = await post(opened, '/kv/read', { key: 'a/b' })
  t.is(field(read.json, 'value'), 'v', 'the same key as in JSON')
})

test('any key and any value come back as they were', async (t) => {
  t.comment(`seed ${SEED}`)
  const opened = await openServer(t)
  const key = fc.uint8Array({ minLength: 1, maxLength: 20 })
  const property = fc.asyncProperty(key, fc.uint8Array({ maxLength: 40 }), async (name, value) => {
    const path = `/kv/${encoded(name)}`
    const { status } = await ask(opened, ['PUT', path], { body: value })
    const { bytes } = await bytesAt(opened, path)
    if (status > 201 || Buffer.compare(bytes, value) !== 0) throw new Error(`${path} ${status}`)
  })
  await fc.assert(property, { seed: SEED, numRuns: 300 })
  t.pass('300 of them')
})

test('HTTP-07: keys and values at the limits, in bytes', async (t) => {
  const opened = await openServer(t)
  const statusOf = async (key: string, value: Uint8Array): Promise<readonly unknown[]> => {
    const reply = await ask(opened, ['PUT', `/kv/${key}`], { body: value })
    return [reply.status, codeOf(reply)]
  }
  const one = Uint8Array.of(1)
  t.alike(await statusOf('%c3%a9'.repeat(MAX_KEY_SIZE / 2), one), [201, null])
  t.alike(await statusOf(`${'%c3%a9'.repeat(MAX_KEY_SIZE / 2)}x`, one), [400, 'KEY_TOO_LARGE'])
  t.alike(await statusOf('', one), [400, 'INVALID_REQUEST'])
  t.alike(await statusOf('v', new Uint8Array(0)), [201, null])
  t.alike(await statusOf('v', new Uint8Array(MAX_VALUE_SIZE).fill(255)), [200, null])
  t.alike(await statusOf('v', new Uint8Array(MAX_VALUE_SIZE + 1)), [400, 'VALUE_TOO_LARGE'])
  t.alike(await statusOf('v', new Uint8Array(2 * MAX_VALUE_SIZE)), [413, 'PAYLOAD_TOO_LARGE'])
  t.is((await bytesAt(opened, '/kv/v')).bytes.byteLength, MAX_VALUE_SIZE)
})

test('conditions are decided by the write, and what cannot be is refused', async (t) => {
  const opened = await openServer(t)
  const put = async (headers: OutgoingHttpHeaders): Promise<readonly unknown[]> => {
    const reply = await ask(opened, ['PUT', '/kv/a'], { headers, body: 'x' })
    return [reply.status, codeOf(reply), field(field(reply.json, 'error'), 'revision') ?? null]
  }
  t.alike(await put({ 'if-match': '"10"' }), [412, 'CONDITION_FAILED', 0])
  t.alike(await put({ 'if-none-match': '*' }), [201, null, null])
  t.alike(await put({ 'if-none-match': '*' }), [412, 'CONDITION_FAILED', 11])
  t.alike(await put({ 'if-match': '"10"' }), [412, 'CONDITION_FAILED', 11])
  t.alike(await put({ 'if-match': '"11"' }), [200, null, null])
  const wrong: readonly OutgoingHttpHeaders[] = [
    { 'if-match': '*' },
    { 'if-match': '12' },
    { 'if-match': 'W/"12"' },
    { 'if-match': '"12", "13"' },
    { 'if-match': '"0"' },
    { 'if-match': '"99999999999999999999"' },
    { 'if-match': '' },
    { 'if-none-match': '"12"' },
    { 'if-match': '"12"', 'if-none-match': '*' }
  ]
  for (const headers of wrong) {
    t.alike(await put(headers), [400, 'INVALID_REQUEST', null], JSON.stringify(headers))
  }
  const late = await ask(opened, ['DELETE', '/kv/a'], { headers: { 'if-match': '"11"' } })
  t.alike([late.status, field(field(late.json, 'error'), 'revision')], [412, 12])
  const gone = await ask(opened, ['DELETE', '/kv/a'], { headers: { 'if-match': '"12"' } })
  t.is(field(gone.json, 'deleted'), true)
})

test('a value that is known already is not sent again', async (t) => {
  const opened = await openServer(t)
  await ask(opened, ['PUT', '/kv/a'], { body: 'x' })
  for (const tag of ['"11"', 'W/"11"', '"7", "11"', '*']) {
    const reply = await ask(opened, ['GET', '/kv/a'], { headers: { 'if-none-match': tag } })
    t.alike([reply.status, reply.text, reply.headers.etag], [304, '', '"11"'], tag)
    t.is(
      reply.headers['content-type'],
      'application/octet-stream',
      'what a cache takes over is right'
    )
    t.is(reply.headers['content-length'], undefined)
  }
  for (const tag of ['"12"', '11', '""']) {
    const reply = await ask(opened, ['GET', '/kv/a'], { headers: { 'if-none-match': tag } })
    t.alike([reply.status, reply.text], [200, 'x'], tag)
  }
})

test('HTTP-15: a stale value says the last entry it reflects and when the leader was heard', async (t) => {
  const opened = await openServer(t)
  await ask(opened, ['PUT', '/kv/a'], { body: 'x' })
  const reply = await get(opened, '/kv/a?consistency=stale&max_age_ms=40&timeout_ms=99')
  t.alike(opened.node.lastOptions, { consistency: 'stale', maxAgeMs: 40, timeoutMs: 99 })
  const { headers } = reply
  t.alike(
    ['x-aspen-consistency', 'x-aspen-applied-index', 'x-aspen-leader-contact-ms'].map(
      (name) => headers[name]
    ),
    ['stale', '11', '40']
  )
  const old = await get(opened, '/kv/a?consistency=stale&max_age_ms=39')
  t.alike([old.status, codeOf(old)], [503, 'UNAVAILABLE'])
  const json = await post(opened, '/kv/read', { key: 'a', consistency: 'stale', max_age_ms: 40 })
  t.alike([field(json.json, 'leader_contact_ms'), field(json.json, 'applied_index')], [40, 11])
  const page = await post(opened, '/kv/scan', { prefix: '', consistency: 'stale' })
  t.is(field(page.json, 'leader_contact_ms'), 40)
  for (const query of [
    'max_age_ms=-1',
    'max_age_ms=x',
    'consistency=never',
    'revision=1',
    'timeout_ms='
  ]) {
    t.is((await get(opened, `/kv/a?${query}`)).status, 400, query)
  }
})

test('a page of keys and values is a GET too', async (t) => {
  const opened = await openServer(t)
  for (const key of ['b/1', 'b/2', 'c']) await ask(opened, ['PUT', `/kv/${key}`], { body: key })
  const keysOf = async (query: string): Promise<unknown> => {
    const items = field((await get(opened, `/kv${query}`)).json, 'items')
    return Array.isArray(items) ? items.map((item) => field(item, 'key')) : items
  }
  t.alike(await keysOf(''), ['b/1', 'b/2', 'c'])
  t.alike(await keysOf('?prefix=b/'), ['b/1', 'b/2'])
  t.alike(await keysOf('?prefix=b%2F&limit=1'), ['b/1'])
  t.alike(await keysOf('?prefix=b/&after=b/1&consistency=stale'), ['b/2'])
  t.alike(await keysOf(`?prefix_b64=${encodeURIComponent(Buffer.from('c').toString('base64'))}`), [
    'c'
  ])
  for (const query of [
    '?limit=0',
    '?limit=1e3',
    '?prefix=a&prefix_b64=YQ%3D%3D',
    '?prefix=a&prefix=b',
    '?x=1'
  ]) {
    t.is((await get(opened, `/kv${query}`)).status, 400, query)
  }
})

test('what is no key, no value as it comes, or no method of a key is refused', async (t) => {
  const opened = await openServer(t)
  const refused: readonly (readonly [string, string, OutgoingHttpHeaders, number])[] = [
    ['GET', '/kv/%', {}, 400],
    ['GET', '/kv/%zz', {}, 400],
    ['GET', '/kv/a%2', {}, 400],
    ['GET', '/kv/', {}, 400],
    ['PUT', '/kv/?prefix=a', {}, 400],
    ['PUT', '/kv/a', { 'content-encoding': 'gzip' }, 415],
    ['PUT', '/kv/a', { 'content-range': 'bytes 0-1/4' }, 400],
    ['PATCH', '/kv/a', {}, 405],
    ['POST', '/kv/a', {}, 405],
    ['PUT', '/KV/a', {}, 404],
    ['DELETE', '/kv/a', { 'if-none-match': '*' }, 400],
    ['GET', '/kv?prefix=%ff', {}, 400],
    ['GET', '/kv?prefix=%', {}, 400],
    ['GET', '/kv?%zz=1', {}, 400],
    ['PUT', '/kv/a?timeout_ms=%ff', {}, 400],
    ['PUT', '/kv', {}, 405],
    ['PUT', '/kv/write', {}, 405],
    ['GET', '/kv/read', {}, 405],
    ['PUT', '/%6bv/a', {}, 404]
  ]
  for (const [method, path, headers, status] of refused) {
    const reply = await ask(opened, [method, path], { headers })
    t.is(reply.status, status, `${method} ${path} ${JSON.stringify(headers)}`)
    t.ok(codeOf(reply) !== null)
    t.is(opened.node.calls, 0)
  }
  const headers = { 'content-length': 1 }
  const body = await ask(opened, ['DELETE', '/kv/a'], { headers, body: 'x' })
  t.alike([body.status, codeOf(body)], [400, 'INVALID_REQUEST'])
  t.is(opened.node.calls, 0)
})

test('HTTP-01, HTTP-02: over TCP a key is guarded like everything else', async (t) => {
  const opened = await openServer(t)
  const host = `127.0.0.1:${opened.port}`
  const authorization = `Bearer ${TOKEN}`
  const cases: readonly (readonly [OutgoingHttpHeaders, string, number])[] = [
    [{ host, authorization }, '/kv/a', 201],
    [{ host, authorization }, `http://${host}/kv/b`, 201],
    [{ host }, '/kv/a', 401],
    [{ host: 'evil.example', authorization }, '/kv/a', 421],
    [{ host, authorization }, 'http://evil.example/kv/a', 421],
    [{ host, authorization, origin: 'http://evil.example' }, '/kv/a', 403],
    [{ host, authorization, 'sec-fetch-site': 'cross-site' }, '/kv/a', 403]
  ]
  for (const [headers, path, status] of cases) {
    const to = {
      host: '127.0.0.1',
      port: opened.port,
      method: 'PUT',
      path,
      headers,
      setHost: false
    }
    t.is((await send(to, 'x')).status, status, `${path} ${JSON.stringify(headers)}`)
  }
  t.is(opened.node.calls, 2)
})
