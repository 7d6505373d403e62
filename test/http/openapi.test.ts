// The description of the API: every route is in it and nothing else, and it is well-formed: all that a
// generator of clients relies on.

import test from 'brittle'
import { isRecord } from '../../lib/encoding.ts'
import { systemTimers } from '../../lib/clock.ts'
import { Exchanges } from '../../lib/http/exchanges.ts'
import { HTTP_LIMITS } from '../../lib/http/http-limits.ts'
import { buildApp } from '../../lib/http/http-server.ts'
import { InFlight } from '../../lib/http/in-flight.ts'
import { MemoryNode } from './memory-node.ts'
import { field, get, openServer, send } from './open-server.ts'

const opened = await (async () => {
  const node = new MemoryNode()
  const parts = {
    guard: null,
    inFlight: new InFlight(HTTP_LIMITS, systemTimers),
    exchanges: new Exchanges(),
    limits: HTTP_LIMITS,
    log: { error: () => {} },
    isDraining: () => false,
    leader: async () => null
  }
  return buildApp({ api: node, admin: node.admin }, parts)
})()

async function description(): Promise<Record<string, unknown>> {
  const reply = await opened.app.inject({ method: 'GET', url: '/openapi.json' })
  const value: unknown = JSON.parse(reply.payload)
  if (!isRecord(value)) throw new Error('no object')
  return value
}

interface Operation {
  readonly name: string
  readonly path: string
  readonly fields: Record<string, unknown>
}

async function operations(): Promise<readonly Operation[]> {
  const { paths } = await description()
  const items = Object.entries(isRecord(paths) ? paths : {})
  return items.flatMap(([path, item]) =>
    Object.entries(isRecord(item) ? item : {}).map(([method, fields]) => ({
      name: `${method.toUpperCase()} ${path}`,
      path,
      fields: isRecord(fields) ? fields : {}
    }))
  )
}

const openApiPath = (url: string): string => url.replaceAll(/:([a-z]+)/g, '{$1}')

test('every registered route is described, and nothing else is', async (t) => {
  const registered = [...opened.routes].flatMap(([url, methods]) =>
    methods.filter((method) => method !== 'HEAD').map((method) => `${method} ${openApiPath(url)}`)
  )
  const described = (await operations()).map(({ name }) => name)
  t.alike(described.toSorted(), registered.toSorted())
  t.ok(described.length > 30)
})

test('every operation has a summary, a tag of the list, answers and a refusal', async (t) => {
  const { tags } = await description()
  const known = Array.isArray(tags) ? tags.map((tag) => field(tag, 'name')) : []
  for (const { name, fields } of await operations()) {
    const { summary, tags: own, responses } = fields
    t.ok(typeof summary === 'string' && summary.length > 8, `${name} has a summary`)
    t.ok(Array.isArray(own) && own.length === 1 && known.includes(own[0]), `${name} has a tag`)
    const answers = Object.entries(isRecord(responses) ? responses : {})
    t.ok(
      answers.some(([status]) => /^[23]\d\d$/.test(status)),
      `${name} has an answer`
    )
    t.ok(answers.every(([, answer]) => typeof field(answer, 'description') === 'string'))
    const refusal = field(field(field(responses, 'default'), 'content'), 'application/json')
    t.alike(field(refusal, 'schema'), { $ref: '#/components/schemas/ErrorBody' }, name)
  }
})

test('the parameters of a path are declared, required, and named once', async (t) => {
  for (const { name, path, fields } of await operations()) {
    const { parameters = [] } = fields
    const list = Array.isArray(parameters) ? parameters : []
    const inPath = list.filter((one) => field(one, 'in') === 'path')
    t.alike(
      inPath.map((one) => [field(one, 'name'), field(one, 'required')]),
      [...path.matchAll(/\{([^}]*)\}/g)].map(([, parameter]) => [parameter, true]),
      name
    )
    const names = list.map((one) => JSON.stringify([field(one, 'in'), field(one, 'name')]))
    t.is(new Set(names).size, names.length)
    t.ok(list.every((one) => isRecord(field(one, 'schema'))))
  }
})

test('a token is asked for except where the guard asks for none', async (t) => {
  const document = await description()
  t.alike(document['security'], [{ token: [] }])
  const scheme = field(field(field(document, 'components'), 'securitySchemes'), 'token')
  t.alike(scheme, { type: 'http', scheme: 'bearer' })
  const open = (await operations()).filter(({ fields }) => fields['security'] !== undefined)
  t.alike(open.map(({ path }) => path).toSorted(), [
    '/health',
    '/livez',
    '/livez/{check}',
    '/metrics',
    '/openapi.json',
    '/readyz',
    '/readyz/{check}'
  ])
})

test('all references lead somewhere, and every schema is one of JSON Schema 2020-12', async (t) => {
  const document = await description()
  t.is(document['openapi'], '3.1.0')
  const schemas = field(field(document, 'components'), 'schemas')
  const wrong: string[] = []
  let count = 0
  const visit = (value: unknown, at: string): void => {
    if (Array.isArray(value)) return value.forEach((item, index) => visit(item, `${at}/${index}`))
    if (!isRecord(value)) return
    count++
    const { $ref, type, items, required, properties } = value
    if (typeof $ref === 'string') {
      const name = $ref.replace('#/components/schemas/', '')
      if (!isRecord(field(schemas, name))) wrong.push(`${at}: ${$ref}`)
    }
    if (Array.isArray(items)) wrong.push(`${at}: a tuple of an older draft`)
    if ('patternProperties' in value) wrong.push(`${at}: patternProperties`)
    if (type !== undefined && Array.isArray(required)) {
      const missing = required.filter((name) => field(properties, String(name)) === undefined)
      if (missing.length > 0) wrong.push(`${at}: required but unknown ${missing.join()}`)
    }
    for (const [key, part] of Object.entries(value)) visit(part, `${at}/${key}`)
  }
  visit(document, '')
  t.alike(wrong, [])
  t.ok(count > 500, `${count} objects`)
})

test('the seed’s paths are there and deprecated', async (t) => {
  const deprecated = (await operations()).filter(({ fields }) => fields['deprecated'] === true)
  t.alike(deprecated.map(({ name }) => name).toSorted(), [
    'POST /add-learner',
    'POST /admin/checkpoint-wal',
    'POST /change-membership',
    'POST /init',
    'POST /read',
    'POST /trigger-snapshot',
    'POST /write'
  ])
})

test('it is served on both listeners, without a token', async (t) => {
  const server = await openServer(t)
  const onSocket = await get(server, '/openapi.json')
  const onTcp = await send({ host: '127.0.0.1', port: server.port, path: '/openapi.json' })
  t.alike([onSocket.status, onTcp.status], [200, 200])
  t.alike(onSocket.json, onTcp.json)
  t.is((await get(server, '/openapi.json?a=1')).status, 400)
  await opened.app.close()
})
