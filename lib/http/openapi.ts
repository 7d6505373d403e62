// `GET /openapi.json`: the description of the API, generated from the schemas by which the routes check what
// they take. @fastify/swagger collects them; what is said once here is not said at each route: documents by
// name, the token, what a refusal looks like.

import { fastifySwagger } from '@fastify/swagger'
import { Type } from '@sinclair/typebox'
import { present } from '../assert.ts'
import { isRecord } from '../encoding.ts'
import * as documents from '../service/documents.ts'
import { VERSION } from '../version.ts'
import type { App } from './app.ts'
import { OPEN_ROUTES } from './guard.ts'
import { NoQuery } from './query.ts'
import { Slice } from './slice.ts'

const TAGS = [
  { name: 'kv', description: 'Reads and writes of keys and values; on any node' },
  { name: 'cluster', description: 'Who belongs to the cluster, votes and leads; on any node' },
  { name: 'tickets', description: 'Letting nodes join' },
  { name: 'node', description: 'What this node says of itself, most of it without asking anybody' },
  { name: 'admin', description: 'Upkeep' }
]

const DESCRIPTION =
  'The API of a node, on its Unix socket, where the permissions of the file decide who may ask, and on ' +
  '127.0.0.1 with a bearer token. Every refusal has the body ErrorBody: `applied` is false when nothing ' +
  'happened, and null when nobody can say.'

/** Paths of the routes whose body may be left out. */
const optionalBodies = new Set<string>()

/** Before all routes. */
export async function collectDescriptions(app: App): Promise<void> {
  app.addHook('onRoute', ({ url, config }) => {
    if (config?.mayLackBody === true) optionalBodies.add(url)
  })
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Aspen', version: VERSION, description: DESCRIPTION },
      servers: [{ url: '/', description: 'the node that is asked' }],
      tags: TAGS,
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }]
    },
    convertConstToEnum: false
  })
}

/** What the routes say of themselves, and the text that is made of it: the same for every listener of a process. */
let collected: Collected | null = null
let text: Promise<Buffer> | null = null

/** Once all routes are there and nothing runs yet: it takes 15 to 30 ms in one turn, the first time. */
export function finishDescriptions(app: App): void {
  collected ??= collectedOf(app)
}

type Collected = ReturnType<typeof collectedOf>

function collectedOf(app: App) {
  return app.swagger()
}

/** The text is made when it is first asked for. */
export function addOpenApiRoute(app: App): void {
  app.route({
    method: 'GET',
    url: '/openapi.json',
    schema: {
      summary: 'This description',
      tags: ['node'],
      querystring: NoQuery,
      response: { 200: Type.Unknown(), default: documents.ErrorBody }
    },
    config: { isFromMemory: true },
    handler: async (_request, reply) => {
      text ??= textOf(present(collected, 'what the routes say of themselves'))
      return reply.type('application/json; charset=utf-8').send(await text)
    }
  })
}

/** What stands in several answers, by its name. */
const NAMED = {
  ErrorBody: documents.ErrorBody,
  ClusterState: documents.ClusterState,
  Health: documents.Health,
  Members: documents.Members,
  NewTicket: documents.NewTicket,
  Probe: documents.Probe,
  RaftMetrics: documents.RaftMetrics,
  Status: documents.Status,
  Survey: documents.Survey,
  Tickets: documents.Tickets
}

/** In slices: all of it in one turn would take 20 ms more. */
async function textOf(description: Collected): Promise<Buffer> {
  const slice = new Slice()
  await slice.next()
  const { paths = {}, ...head } = description
  const schemas: Record<string, unknown> = {}
  const names = new Map<string, string>()
  for (const [name, schema] of Object.entries(NAMED)) {
    if (slice.isSpent()) await slice.next()
    schemas[name] = asOpenApi(schema)
    names.set(canonical(schemas[name]), name)
  }
  const items: Record<string, unknown> = {}
  for (const [path, described] of Object.entries(paths)) {
    await slice.next()
    const item = asOpenApi(described)
    items[path] = item
    for (const [method, operation] of Object.entries(isRecord(item) ? item : {})) {
      if (isRecord(operation)) describe({ path, method }, operation, names)
    }
  }
  const components = { ...('components' in head ? head.components : {}), schemas }
  await slice.next()
  return Buffer.from(JSON.stringify({ ...head, paths: items, components }))
}

/** What the collection does not know of JSON Schema as OpenAPI 3.1 has it. */
function asOpenApi(value: object): unknown {
  return JSON.parse(JSON.stringify(value), modern)
}

/** Tuples are called otherwise since JSON Schema 2020-12; of maps the collection keeps what their values are. */
function modern(_key: string, value: unknown): unknown {
  if (!isRecord(value)) return value
  const { items, additionalItems, patternProperties, ...rest } = value
  if (Array.isArray(items)) return { ...rest, prefixItems: items, items: additionalItems ?? false }
  if (!isRecord(patternProperties)) return value
  return { ...rest, additionalProperties: Object.values(patternProperties)[0] }
}

interface Named {
  readonly path: string
  readonly method: string
}

function describe(
  { path, method }: Named,
  operation: Record<string, unknown>,
  names: ReadonlyMap<string, string>
): void {
  if (OPEN_ROUTES.has(path.replace('{check}', ':check'))) operation['security'] = []
  const { responses, requestBody } = operation
  if (isRecord(requestBody) && optionalBodies.has(path)) requestBody['required'] = false
  if (!isRecord(responses)) return
  for (const [status, response] of Object.entries(responses)) {
    if (!isRecord(response)) continue
    response['description'] = DESCRIPTIONS.get(status) ?? 'An answer'
    const headers = status === 'default' ? OF_REFUSALS : OF_ANSWERS.get(`${method} ${path}`)
    if (headers !== undefined) response['headers'] = headersOf(headers)
    if (!isRecord(response['content'])) continue
    const contents = Object.entries(response['content'])
    // a refusal is JSON, also where answers are something else
    const [media] = contents.map(([type, content]) =>
      isRecord(content) ? { type, content } : null
    )
    if (media === null || media === undefined) continue
    const name = names.get(canonical(media.content['schema']))
    const schema = name === undefined ? media.content['schema'] : { $ref: REF + name }
    response['content'] = {
      [status === 'default' ? 'application/json' : media.type]: { schema },
      ...(status !== 'default' && PROBES.test(path) && AS_LINES)
    }
  }
}

/** With `verbose`. */
const AS_LINES = { 'text/plain': { schema: { type: 'string' } } }
const PROBES = /^\/(?:livez|readyz)/

function headersOf(names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    names.map((name) => [name, { description: HEADERS[name] ?? '', schema: { type: 'string' } }])
  )
}

const HEADERS: Readonly<Record<string, string>> = {
  ETag: 'the revision of the value, in quotes',
  'X-Aspen-Revision': 'of the last write of the key',
  'X-Aspen-Create-Revision': 'of the write that made the key',
  'X-Aspen-Version': '1 when the key was made, one more with each write',
  'X-Aspen-Consistency': 'linearizable or stale: what the answer is worth',
  'X-Aspen-Applied-Index': 'the last entry that the answer reflects',
  'X-Aspen-Leader-Contact-Ms': 'of a stale read: how long ago the node heard of the leader',
  'Retry-After': 'of 503: seconds',
  'WWW-Authenticate': 'of 401: Bearer',
  Allow: 'of 405: the methods that there are'
}

const OF_READS = ['X-Aspen-Consistency', 'X-Aspen-Applied-Index', 'X-Aspen-Leader-Contact-Ms']
const OF_REFUSALS = ['Retry-After', 'WWW-Authenticate', 'Allow', ...OF_READS]
const OF_ITEMS = ['ETag', 'X-Aspen-Revision', 'X-Aspen-Create-Revision', 'X-Aspen-Version']
const OF_ANSWERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['get /kv/{key}', [...OF_ITEMS, ...OF_READS]],
  ['put /kv/{key}', ['ETag', 'X-Aspen-Revision']],
  ['delete /kv/{key}', ['X-Aspen-Revision']],
  ['get /kv', OF_READS]
])

const REF = '#/components/schemas/'

/** The same text for the same schema, however its fields are ordered. */
function canonical(schema: unknown): string {
  return JSON.stringify(schema, (_key, value: unknown) =>
    isRecord(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value
  )
}

const DESCRIPTIONS: ReadonlyMap<string, string> = new Map([
  ['200', 'Done'],
  ['201', 'Done; the key is new'],
  ['304', 'Not modified'],
  ['503', 'Not well'],
  ['default', 'A refusal: the status of its code, README.md of lib/http has the table']
])
