// Status, members, health, probes and tickets over HTTP.

import test from 'brittle'
import type { TSchema } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import * as documents from '../../lib/service/documents.ts'
import { codeOf, field, get, openServer, post, send } from './open-server.ts'
import type { Reply } from './open-server.ts'

function fits(schema: TSchema, { json }: Reply): boolean {
  return TypeCompiler.Compile(schema).Check(json)
}

test('status and members are the documents of the node', async (t) => {
  const opened = await openServer(t)
  const status = await get(opened, '/status')
  t.is(status.status, 200)
  t.alike(status.json, opened.node.status())
  t.ok(fits(documents.Status, status))
  const members = await get(opened, '/members')
  t.is(members.status, 200)
  t.ok(fits(documents.Members, members))
})

test('health is 503 exactly when the node is unhealthy', async (t) => {
  const opened = await openServer(t)
  for (const [status, expected] of [
    ['healthy', 200],
    ['degraded', 200],
    ['unhealthy', 503]
  ] as const) {
    opened.node.healthStatus = status
    const reply = await get(opened, '/health')
    t.is(reply.status, expected, status)
    t.ok(fits(documents.Health, reply))
  }
})

test('the probes are 503 when they are not ok, and name what is not', async (t) => {
  const opened = await openServer(t)
  for (const path of ['/livez', '/readyz']) {
    opened.node.isOk = true
    t.is((await get(opened, path)).status, 200)
    opened.node.isOk = false
    const reply = await get(opened, path)
    t.is(reply.status, 503)
    t.ok(fits(documents.Probe, reply))
    t.is(field(reply.json, 'ok'), false)
  }
})

test('each check of a probe answers by itself, and can be left out', async (t) => {
  const opened = await openServer(t)
  opened.node.isOk = false
  const statusOf = async (path: string): Promise<number> => (await get(opened, path)).status
  t.is(await statusOf('/readyz/leader_known'), 503)
  t.is(await statusOf('/readyz/not_draining'), 200)
  t.is(await statusOf('/readyz?exclude=leader_known'), 200)
  t.is(await statusOf('/readyz?exclude=not_draining&exclude=leader_known'), 200)
  t.is(await statusOf('/readyz?exclude=not_draining,leader_known'), 200)
  t.is(await statusOf('/livez/disk'), 200)
  t.is(await statusOf('/livez/loop'), 503)
  t.is(await statusOf('/livez?exclude=loop'), 200)
  t.alike((await get(opened, '/readyz/leader_known')).json, {
    ok: false,
    checks: { leader_known: false },
    reasons: { leader_known: 'No leader elected' }
  })
  t.is(codeOf(await get(opened, '/readyz/weather')), 'ROUTE_NOT_FOUND')
  t.is(codeOf(await get(opened, '/livez/weather')), 'ROUTE_NOT_FOUND')
  const unknown = await get(opened, '/readyz?exclude=weather')
  t.is(codeOf(unknown), 'INVALID_REQUEST', 'what is misspelt would be excluded in vain')
  t.ok(unknown.text.includes('linearizable_read'), 'with the names that there are')
})

test('verbose probes are lines for people', async (t) => {
  const opened = await openServer(t)
  const well = await get(opened, '/readyz?verbose')
  t.is(well.status, 200)
  t.is(well.headers['content-type'], 'text/plain; charset=utf-8')
  t.ok(well.text.startsWith('[+]leader_known ok\n'))
  t.ok(well.text.endsWith('readyz check passed\n'))
  opened.node.isOk = false
  const ill = await get(opened, '/livez?verbose=1')
  t.is(ill.status, 503)
  t.is(ill.text, '[-]loop failed: late\n[+]disk ok\nlivez check failed\n')
})

test('HEAD answers like GET, without a body', async (t) => {
  const { server } = await openServer(t)
  const reply = await send({ socketPath: server.socketPath, method: 'HEAD', path: '/health' })
  t.is(reply.status, 200)
  t.is(reply.text, '')
})

test('tickets are made, listed and revoked', async (t) => {
  const opened = await openServer(t)
  const made = await post(opened, '/tickets', { role: 'learner', ttl_ms: 60_000, uses: 2 })
  t.is(made.status, 200)
  t.ok(fits(documents.NewTicket, made))
  t.is(field(made.json, 'role'), 'learner')
  t.is(field(made.json, 'uses_left'), 2)
  t.is(field(made.json, 'expires_at'), '1970-01-01T00:01:00.000Z')
  const plain = await post(opened, '/tickets', {})
  t.is(field(plain.json, 'uses'), 16)
  const id = String(field(made.json, 'id'))
  const { socketPath } = opened.server
  const revoke = (what: string): Promise<Reply> =>
    send({ socketPath, method: 'DELETE', path: `/tickets/${what}?timeout_ms=777` })
  const revoked = await revoke(id)
  t.is(revoked.status, 200)
  t.alike(revoked.json, { revoked: true })
  t.alike(opened.node.lastOptions, { timeoutMs: 777 })
  const listed = await get(opened, '/tickets?timeout_ms=600000')
  t.ok(fits(documents.Tickets, listed))
  const rows = field(listed.json, 'tickets')
  t.alike(Array.isArray(rows) && rows.map((row) => field(row, 'state')), ['revoked', 'open'])
  t.is((await revoke(String(field(plain.json, 'ticket')))).status, 200, 'by its text')
  t.is(codeOf(await revoke('ffffffff')), 'TICKET_NOT_FOUND')
})

test('a ticket route never shows the text of a ticket again', async (t) => {
  const opened = await openServer(t)
  const made = await post(opened, '/tickets', {})
  const listed = await get(opened, '/tickets')
  t.absent(listed.text.includes(String(field(made.json, 'ticket'))))
})

test('the metrics are text, for anybody who reaches the port', async (t) => {
  const opened = await openServer(t)
  const over = [
    await get(opened, '/metrics'),
    await send({ port: opened.port, host: '127.0.0.1', path: '/metrics' })
  ]
  for (const { status, headers, text } of over) {
    t.is(status, 200)
    t.is(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
    t.is(text, 'aspen_raft_term 2\n')
  }
  const page = { port: opened.port, host: '127.0.0.1', path: '/metrics' }
  const foreign = await send({ ...page, headers: { origin: 'http://evil.example' } })
  t.is(foreign.status, 403, 'but no page of another origin')
})

test('requests are told by the template of their route, so that there are few', async (t) => {
  const told: string[] = []
  const routes = new Set<string>()
  const opened = await openServer(t, {
    observer: {
      onRoute: (route, method) => routes.add(`${method} ${route}`),
      onAnswered: ({ route, method, status, durationMs }) => {
        told.push(`${method} ${route} ${status}`)
        t.ok(durationMs >= 0)
      }
    }
  })
  t.ok(routes.has('GET /readyz/:check'))
  await get(opened, '/readyz/leader_known')
  await get(opened, '/readyz/not_draining?verbose')
  await get(opened, '/no/such/route')
  await send({ socketPath: opened.server.socketPath, method: 'DELETE', path: '/health' })
  await send({ host: '127.0.0.1', port: opened.port, path: '/status' })
  t.alike(told, [
    'GET /readyz/:check 200',
    'GET /readyz/:check 200',
    'GET none 404',
    'DELETE /health 405',
    'GET /status 401'
  ])
  t.is(opened.server.inFlightCount, 0)
})
