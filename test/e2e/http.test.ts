// The HTTP API of real nodes, as strangers, web pages and programs meet it.

import { readFileSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import test from 'brittle'
import { MAX_HTTP_BODY_BYTES } from '../../lib/limits.ts'
import type { Place } from './http.ts'
import { ask, portOf, socketOf } from './http.ts'
import { freePorts } from '../ports.ts'
import { Lab } from './lab.ts'

const LIMIT = { timeout: 180_000 }
const ROUTES = [
  { path: '/kv/k', method: 'PUT' },
  { path: '/kv/k', method: 'DELETE' },
  { path: '/kv/k' },
  { path: '/kv?prefix=' },
  { path: '/leader' },
  { path: '/node-info' },
  { path: '/raft-metrics' },
  { path: '/cluster/state' },
  { path: '/cluster/init', body: { initial_members: [] } },
  { path: '/cluster/change-membership', body: { members: [1] } },
  { path: '/cluster/remove-member', body: { id: 2, force: true } },
  { path: '/cluster-ticket', body: {} },
  { path: '/admin/trigger-snapshot', body: {} },
  { path: '/admin/checkpoint', body: {} },
  { path: '/status' },
  { path: '/members' },
  { path: '/tickets' },
  { path: '/tickets', body: {} },
  { path: '/tickets/00000000', method: 'DELETE' },
  { path: '/kv/read', body: { key: 'k' } },
  { path: '/kv/scan', body: {} },
  { path: '/kv/write', body: { command: { Set: { key: 'k', value: 'changed' } } } },
  { path: '/kv/delete', body: { key: 'k' } }
] as const
const OPEN_ROUTES = ['/livez', '/readyz', '/health', '/metrics', '/openapi.json']

const lab = await Lab.open()
await lab.cluster(['alder', 'birch'])
await lab.run('alder', ['kv', 'put', 'k', 'v'])
const tcp = await portOf(lab, 'birch')
const withoutToken: Place = { host: '127.0.0.1', port: tcp.port }

test('over TCP everything but the probes needs the token', LIMIT, async (t) => {
  const { commit_index: before } = await lab.status('alder')
  for (const route of ROUTES) {
    const none = await ask(withoutToken, route)
    t.alike([none.status, none.code], [401, 'UNAUTHORIZED'], `${route.path} without`)
    const headers = { authorization: `Bearer ${'0'.repeat(64)}` }
    t.is(
      (await ask({ ...withoutToken, headers }, route)).status,
      401,
      `${route.path} with a wrong one`
    )
    t.is((await ask(withoutToken, { ...route, headers: { authorization: 'Basic x' } })).status, 401)
  }
  for (const path of OPEN_ROUTES) {
    const { status, text } = await ask(withoutToken, { path })
    t.is(status, 200, `${path}: ${text}`)
    t.absent(/aspen1|[0-9a-f]{64}/.test(text), 'and tells no key')
  }
  t.is((await ask(withoutToken, { path: '/kv/read?token=x', body: { key: 'k' } })).status, 401)
  t.is((await lab.status('alder')).commit_index, before, 'nothing was written')
  t.is((await ask(tcp, { path: '/status' })).status, 200)
  const read = await ask(tcp, { path: '/kv/read', body: { key: 'k' } })
  t.is(JSON.parse(read.text).value, 'v')
})

test('HTTP-01: a request that names another host is not for this node', LIMIT, async (t) => {
  const hosts = [
    'evil.example',
    `evil.example:${tcp.port}`,
    '127.0.0.1',
    `127.0.0.1:${tcp.port + 1}`
  ]
  for (const host of hosts) {
    for (const route of [...ROUTES, ...OPEN_ROUTES.map((path) => ({ path }))]) {
      const { status, code } = await ask(tcp, { ...route, headers: { host } })
      t.alike([status, code], [421, 'MISDIRECTED'], `${host} ${route.path}`)
    }
  }
  t.is(
    (await ask(tcp, { path: '/status', headers: { host: `localhost:${tcp.port}` } })).status,
    200
  )
  t.is(await lab.run('alder', ['kv', 'get', 'k']), 'v')
})

test(
  'HTTP-02, HTTP-03: pages of other sites can neither ask nor write, also with the token',
  LIMIT,
  async (t) => {
    for (const headers of [
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { origin: `http://evil.example:${tcp.port}` },
      { origin: `http://127.0.0.1:${tcp.port + 1}` },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' }
    ]) {
      for (const route of ROUTES) {
        const { status, code } = await ask(tcp, { ...route, headers })
        t.alike([status, code], [403, 'FORBIDDEN'], `${JSON.stringify(headers)} ${route.path}`)
      }
    }
    const own = { origin: `http://127.0.0.1:${tcp.port}`, 'sec-fetch-site': 'same-origin' }
    t.is((await ask(tcp, { path: '/status', headers: own })).status, 200)

    const text = JSON.stringify({ command: { Set: { key: 'k', value: 'changed' } } })
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x'
    ]) {
      const { status, code } = await ask(tcp, {
        path: '/kv/write',
        body: text,
        headers: { 'content-type': type }
      })
      t.alike([status, code], [415, 'UNSUPPORTED_MEDIA_TYPE'], type)
    }
    const preflight = { origin: own.origin, 'access-control-request-method': 'POST' }
    t.is((await ask(tcp, { path: '/kv/write', method: 'OPTIONS', headers: preflight })).status, 405)
    t.is(await lab.run('alder', ['kv', 'get', 'k']), 'v', 'nothing changed')
  }
)

test(
  'HTTP-05, HTTP-06: what makes no sense is refused as JSON with a code, never with a 5xx',
  LIMIT,
  async (t) => {
    const cases = [
      { ask: { path: '/nowhere' }, status: 404, code: 'ROUTE_NOT_FOUND' },
      { ask: { path: '/kv/../../etc/passwd' }, status: 404, code: 'NOT_FOUND' },
      { ask: { path: '/tickets/../../etc/passwd' }, status: 404, code: 'ROUTE_NOT_FOUND' },
      { ask: { path: '/status%00' }, status: 404, code: 'ROUTE_NOT_FOUND' },
      { ask: { path: '/kv/read' }, status: 405, code: 'METHOD_NOT_ALLOWED' },
      {
        ask: { path: '/status', method: 'DELETE' },
        status: 405,
        code: 'METHOD_NOT_ALLOWED'
      },
      { ask: { path: '/kv/read', body: '{"key":' }, status: 400, code: 'INVALID_REQUEST' },
      {
        ask: { path: '/kv/read', body: '{"key":"a","key":"b"}' },
        status: 400,
        code: 'INVALID_REQUEST'
      },
      {
        ask: { path: '/kv/read', body: '{"key":"a","__proto__":{}}' },
        status: 400,
        code: 'INVALID_REQUEST'
      },
      { ask: { path: '/kv/read', body: { key: 1 } }, status: 400, code: 'INVALID_REQUEST' },
      {
        ask: { path: '/kv/read', body: { key: 'k', nosuch: 1 } },
        status: 400,
        code: 'INVALID_REQUEST'
      },
      { ask: { path: '/kv/read', body: '[]' }, status: 400, code: 'INVALID_REQUEST' },
      { ask: { path: '/kv/scan', body: { limit: 2 ** 53 } }, status: 400, code: 'INVALID_REQUEST' },
      {
        ask: { path: '/kv/read', body: { key: 'k', timeout_ms: 0 } },
        status: 400,
        code: 'INVALID_REQUEST'
      },
      { ask: { path: '/kv/read', body: { key: 'nope' } }, status: 404, code: 'NOT_FOUND' },
      {
        ask: {
          path: '/kv/read',
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          announcedBytes: MAX_HTTP_BODY_BYTES + 1
        },
        status: 413,
        code: 'PAYLOAD_TOO_LARGE'
      }
    ] as const
    for (const place of [tcp, socketOf(lab, 'alder')]) {
      for (const expected of cases) {
        const { status, code } = await ask(place, expected.ask)
        t.alike([status, code], [expected.status, expected.code], expected.ask.path)
      }
    }
  }
)

test(
  'HTTP-14, HTTP-15: it listens on loopback only, and a stale answer says so',
  LIMIT,
  async (t) => {
    t.absent(await isListening('127.0.0.2', tcp.port), 'not even another loopback address')
    t.ok(await isListening('127.0.0.1', tcp.port))
    const stale = await ask(tcp, { path: '/kv/read', body: { key: 'k', consistency: 'stale' } })
    const { consistency, applied_index: applied } = JSON.parse(stale.text)
    t.is(consistency, 'stale')
    t.ok(Number.isInteger(applied))
  }
)

test('the token and the socket are their owner’s, and last', LIMIT, async (t) => {
  for (const file of ['api.token', 'aspen.sock', 'node.key', 'runtime.json']) {
    t.is(statSync(join(lab.dataDir('birch'), file)).mode & 0o777, 0o600, file)
  }
  const { headers } = tcp
  t.not(
    (await portOf(lab, 'alder')).headers?.['authorization'],
    headers?.['authorization'],
    'each its own'
  )
  await lab.run('birch', ['stop'])
  t.absent(await isAnswering(tcp))
  // a port of its own: those from 7070 on may be taken by another node meanwhile
  const [port = 0] = await freePorts(1)
  await lab.run('birch', ['start', '--http-port', String(port)])
  await lab.run('birch', ['stop'])
  await lab.run('birch', ['start'])
  t.alike(await portOf(lab, 'birch'), { ...tcp, port }, 'the same port and token after a restart')
  const log = readFileSync(join(lab.dataDir('birch'), 'aspen.log'), 'utf8')
  t.absent(log.includes(String(headers?.['authorization']).slice('Bearer '.length)))
  await lab.close()
})

/** Whether it is this node that answers, and nobody who has the port by now. */
async function isAnswering(place: Place): Promise<boolean> {
  const answer = await ask(place, { path: '/status' }).catch(() => null)
  return answer !== null && answer.status === 200
}

function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const end = (is: boolean): void => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })
}
