// What the TCP side turns away: hosts, origins, tokens, content types, sizes (HTTP-01 to HTTP-15).

import { connect } from 'node:net'
import test from 'brittle'
import type { OutgoingHttpHeaders } from 'node:http'
import { ownHosts } from '../../lib/http/guard.ts'
import { codeOf, field, openServer, send, TOKEN } from './open-server.ts'
import type { Opened, Reply } from './open-server.ts'
import { routesOf } from './routes.ts'

/** Of the routes that take more than `{}`. */
const BODIES: Readonly<Record<string, string>> = {
  '/kv/read': '{"key":"a"}',
  '/kv/write': '{"command":{"Set":{"key":"a","value":"1"}}}',
  '/kv/delete': '{"key":"a"}',
  '/kv/scan': '{"prefix":""}'
}
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` }

/** A request over TCP that would be fine but for `headers`; undefined leaves a header out. */
function sendTcp(
  { port }: Opened,
  [method, path]: readonly [string, string],
  headers: OutgoingHttpHeaders
): Promise<Reply> {
  const body = method === 'POST' ? (BODIES[path] ?? '{}') : undefined
  const all = {
    host: `127.0.0.1:${port}`,
    ...AUTHORIZED,
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...headers
  }
  const defined = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  return send({ host: '127.0.0.1', port, method, path, headers: defined, setHost: false }, body)
}

async function routePairs(opened: Opened): Promise<ReadonlyArray<readonly [string, string]>> {
  return (await routesOf(opened)).map(({ method, path }) => [method, path] as const)
}

const NOWHERE = { method: 'GET', path: '/nowhere', isOpen: false }

function isErrorBody({ json, text }: Reply): boolean {
  const error = field(json, 'error')
  return typeof field(error, 'code') === 'string' && !/\bat .*:\d+|node_modules|\/lib\//.test(text)
}

test('HTTP-01: a foreign Host is refused with 421 on all routes', async (t) => {
  const opened = await openServer(t)
  const hosts = [
    'evil.example',
    `evil.example:${opened.port}`,
    '127.0.0.1',
    `127.0.0.1:${opened.port + 1}`,
    `127.0.0.1.evil.example:${opened.port}`,
    `127.0.0.2:${opened.port}`,
    ''
  ]
  for (const route of await routePairs(opened)) {
    for (const host of hosts) {
      const reply = await sendTcp(opened, route, { host })
      t.is(reply.status, 421, `${route.join(' ')} with Host ${JSON.stringify(host)}`)
      t.is(codeOf(reply), 'MISDIRECTED')
    }
  }
  t.is(opened.node.calls, 0, 'the node was asked nothing')
})

test('HTTP-01: its own names are taken', async (t) => {
  const opened = await openServer(t)
  for (const name of ['127.0.0.1', 'localhost', '[::1]']) {
    const reply = await sendTcp(opened, ['GET', '/status'], { host: `${name}:${opened.port}` })
    t.is(reply.status, 200, name)
  }
})

test('HTTP-01: only where the port is 80 a Host may lack it', (t) => {
  t.ok(ownHosts('127.0.0.1', 80).includes('localhost'))
  t.ok(ownHosts('10.0.0.7', 80).includes('10.0.0.7'))
  t.ok(ownHosts('10.0.0.7', 80).includes('10.0.0.7:80'))
  t.absent(ownHosts('127.0.0.1', 7_070).includes('localhost'))
})

test('HTTP-01: a path that cannot be read is guarded like any other', async (t) => {
  const opened = await openServer(t)
  const statusWith = async (headers: OutgoingHttpHeaders): Promise<number> =>
    (await sendTcp(opened, ['GET', '/tickets/%zz'], headers)).status
  t.is(await statusWith({ host: 'evil.example' }), 421)
  t.is(await statusWith({ origin: 'http://evil.example' }), 403)
  t.is(await statusWith({ authorization: undefined }), 401)
  t.is(await statusWith({}), 400)
})

test('who may not ask is not told who leads', async (t) => {
  const opened = await openServer(t)
  const leaderFor = async (headers: OutgoingHttpHeaders): Promise<unknown> =>
    field(field((await sendTcp(opened, ['GET', '/nowhere'], headers)).json, 'error'), 'leader')
  t.is(await leaderFor({}), 1)
  t.is(await leaderFor({ host: 'evil.example' }), null)
  t.is(await leaderFor({ origin: 'http://evil.example' }), null)
  t.is(await leaderFor({ authorization: undefined }), null)
})

test('HTTP-01: one name is asked for, wherever a request may carry names', async (t) => {
  const { port } = await openServer(t)
  const own = `127.0.0.1:${port}`
  const statusOf = (target: string, ...hosts: string[]): Promise<string> =>
    statusOfRaw(
      port,
      `GET ${target} HTTP/1.1\r\n${hosts.map((host) => `Host: ${host}\r\n`).join('')}`
    )
  t.is(await statusOf('/livez', own), '200')
  t.is(await statusOf(`http://${own}/livez`, own), '200')
  t.is(await statusOf('http://evil.example/livez', own), '421')
  t.is(await statusOf(`http://evil@${own}/livez`, own), '421')
  t.is(await statusOf('/livez', own, 'evil.example'), '421')
  t.is(await statusOf('/livez', own, own), '421')
  t.is(await statusOf('//livez', own), '401', 'only the routes themselves are open')
  t.is(await statusOf('/livez/../v1/nodes', own), '401')
})

test('HTTP-02: what a foreign page can send without asking is refused on all routes', async (t) => {
  const opened = await openServer(t)
  const origin = 'http://evil.example'
  const cases: ReadonlyArray<readonly [OutgoingHttpHeaders, number]> = [
    [{ origin, 'content-type': 'text/plain' }, 403],
    [{ origin, 'content-type': 'application/x-www-form-urlencoded' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: `http://127.0.0.1:${opened.port + 1}` }, 403],
    [{ origin: `https://127.0.0.1:${opened.port}` }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ 'sec-fetch-site': '' }, 403]
  ]
  for (const route of await routePairs(opened)) {
    for (const [headers, status] of cases) {
      const reply = await sendTcp(opened, route, headers)
      t.is(reply.status, status, `${route.join(' ')} ${JSON.stringify(headers)}`)
    }
  }
  t.is(opened.node.calls, 0, 'the node was asked nothing')
})

test('HTTP-02: a body of another type is refused with 415 on all routes that take one', async (t) => {
  const opened = await openServer(t)
  const types = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain; application/json',
    'application/jsonp',
    '',
    undefined
  ]
  for (const route of (await routePairs(opened)).filter(([method]) => method === 'POST')) {
    for (const type of types) {
      const reply = await sendTcp(opened, route, { 'content-type': type })
      t.is(reply.status, 415, `${route.join(' ')} as ${type}`)
      t.is(codeOf(reply), 'UNSUPPORTED_MEDIA_TYPE')
    }
  }
  t.is(opened.node.calls, 0, 'the node was asked nothing')
})

test('HTTP-02: a POST without body and type makes no ticket', async (t) => {
  const { node, port } = await openServer(t)
  const headers = { host: `127.0.0.1:${port}`, ...AUTHORIZED }
  const reply = await send({ host: '127.0.0.1', port, method: 'POST', path: '/tickets', headers })
  t.is(reply.status, 415)
  t.is(node.calls, 0)
})

test('requests of its own origin and without a page are taken', async (t) => {
  const opened = await openServer(t)
  const own = `http://localhost:${opened.port}`
  for (const headers of [
    { origin: own, 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
    { 'content-type': 'application/json; charset=utf-8' }
  ]) {
    const reply = await sendTcp(opened, ['POST', '/kv/write'], headers)
    t.is(reply.status, 200, JSON.stringify(headers))
  }
})

test('HTTP-03: a preflight gets 405 and no permission on all routes', async (t) => {
  const opened = await openServer(t)
  for (const [, path] of [...(await routePairs(opened)), ['', '/nowhere'], ['', '*']] as const) {
    const reply = await sendTcp(opened, ['OPTIONS', path], {
      origin: 'http://evil.example',
      'access-control-request-method': 'POST'
    })
    t.is(reply.status, 405, path)
    const granted = Object.keys(reply.headers).filter((name) => name.startsWith('access-control'))
    t.alike(granted, [])
  }
})

test('HTTP-04: without the right token everything but the probes is refused with 401', async (t) => {
  const opened = await openServer(t)
  const wrong = [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    TOKEN,
    `Basic ${TOKEN}`,
    `Bearer ${TOKEN}0`,
    `Bearer ${TOKEN.slice(1)}`,
    `Bearer ${TOKEN.slice(0, -1)}1`,
    `Bearer ${TOKEN} ${TOKEN}`
  ]
  for (const { method, path, isOpen } of [...(await routesOf(opened)), NOWHERE]) {
    // which of the probes' checks there are is for them to say
    if (path.endsWith('z/00000001')) continue
    const route = [method, path] as const
    for (const authorization of wrong) {
      const { calls } = opened.node
      const reply = await sendTcp(opened, route, { authorization })
      t.is(reply.status, isOpen ? 200 : 401, `${route.join(' ')} with ${authorization}`)
      if (isOpen) continue
      t.is(reply.headers['www-authenticate'], 'Bearer')
      t.is(opened.node.calls, calls, 'the node was asked nothing')
    }
  }
})

test('HTTP-04: a thousand guesses are all refused', async (t) => {
  const opened = await openServer(t)
  let refused = 0
  for (let guess = 0; guess < 1_000; guess++) {
    const authorization = `Bearer ${guess.toString(16).padStart(TOKEN.length, '0')}`
    const reply = await sendTcp(opened, ['GET', '/status'], { authorization })
    if (reply.status === 401) refused++
  }
  t.is(refused, 1_000)
})

test('on the Unix socket neither Host nor token is asked for', async (t) => {
  const { server } = await openServer(t)
  const headers = { host: 'whatever' }
  const reply = await send({ socketPath: server.socketPath, path: '/status', headers })
  t.is(reply.status, 200)
})

test('every refusal of the guard is an error body without stack or path', async (t) => {
  const opened = await openServer(t)
  const replies = [
    await sendTcp(opened, ['GET', '/status'], { host: 'evil.example' }),
    await sendTcp(opened, ['GET', '/status'], { origin: 'http://evil.example' }),
    await sendTcp(opened, ['OPTIONS', '/status'], {}),
    await sendTcp(opened, ['GET', '/status'], { authorization: 'no' }),
    await sendTcp(opened, ['POST', '/kv/read'], { 'content-type': 'text/plain' }),
    await sendTcp(opened, ['GET', '/nowhere'], {})
  ]
  t.alike(
    replies.map((reply) => [reply.status, isErrorBody(reply)]),
    [421, 403, 405, 401, 415, 404].map((status) => [status, true])
  )
})

/** The status that answers a request that no client library would send. */
function statusOfRaw(port: number, head: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('error', reject)
    socket.once('data', (bytes) => {
      resolve(bytes.toString().split(' ')[1] ?? '')
      socket.destroy()
    })
    socket.write(`${head}\r\n`)
  })
}
