// The description of the API against a cluster that runs, in memory: every operation is asked, of the leader and of
// a follower, well and badly, and each answer must be one that is described: status, type, headers and body.

import test from 'brittle'
import { systemTimers } from '../../lib/clock.ts'
import { isRecord } from '../../lib/encoding.ts'
import { Exchanges } from '../../lib/http/exchanges.ts'
import { HTTP_LIMITS } from '../../lib/http/http-limits.ts'
import { buildApp } from '../../lib/http/http-server.ts'
import { InFlight } from '../../lib/http/in-flight.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import { MemoryNode } from './memory-node.ts'
import { field } from './open-server.ts'

interface Asked {
  readonly path?: string
  readonly body?: object | string
  readonly headers?: Readonly<Record<string, string>>
  /** what is expected */
  readonly status: number
}

type Table = Readonly<Record<string, readonly Asked[]>>

const KEY = 'ab'.repeat(32)
const set = { command: { Set: { key: 'a', value: '1' } } }
const probe = (path: string): readonly Asked[] => [
  { status: 200 },
  { path: `${path}?verbose`, status: 200 },
  { path: `${path}?exclude=x`, status: 400 }
]
const write: readonly Asked[] = [
  { body: set, status: 200 },
  { body: { command: { Delete: { key: 'a', if_revision: 999_999 } } }, status: 412 },
  { body: {}, status: 400 }
]
const read: readonly Asked[] = [
  { body: { key: 'a' }, status: 200 },
  { body: { key: 'a', consistency: 'stale' }, status: 200 },
  { body: { key: 'none' }, status: 404 }
]
const init = [{ body: { initial_members: [{ key: KEY }] }, status: 409 }]
const addLearner = [{ body: { learner: { key: 'zz' } }, status: 400 }]
const change = [
  { body: { members: [1, 2, 3] }, status: 200 },
  { body: { members: [99] }, status: 404 }
]
const timed = [{ status: 200 }, { body: { timeout_ms: 0 }, status: 400 }]

/** In an order in which each finds what it needs. */
const ASKED: Table = {
  'POST /kv/write': write,
  'POST /write': write,
  'POST /kv/read': read,
  'POST /read': read,
  'POST /kv/scan': [{ body: { prefix: '' }, status: 200 }],
  'PUT /kv/{key}': [
    { path: '/kv/a%ff', body: 'x', status: 201 },
    { path: '/kv/a%ff', body: 'x', status: 200 },
    { path: '/kv/a', body: 'x', headers: { 'if-none-match': '*' }, status: 412 }
  ],
  'GET /kv/{key}': [
    { path: '/kv/a', status: 200 },
    { path: '/kv/a?consistency=stale', status: 200 },
    { path: '/kv/a', headers: { 'if-none-match': '*' }, status: 304 },
    { path: '/kv/none', status: 404 }
  ],
  'GET /kv': [{ status: 200 }, { path: '/kv?consistency=stale&limit=1', status: 200 }],
  'DELETE /kv/{key}': [
    { path: '/kv/a%ff', status: 200 },
    { path: '/kv/a', headers: { 'if-match': '"999999"' }, status: 412 }
  ],
  'POST /kv/delete': [{ body: { key: 'a' }, status: 200 }],
  'POST /cluster/init': init,
  'POST /init': init,
  'POST /cluster/add-learner': addLearner,
  'POST /add-learner': addLearner,
  'POST /cluster/change-membership': change,
  'POST /change-membership': change,
  'POST /cluster/remove-member': [{ body: { id: 99 }, status: 404 }],
  'POST /admin/promote-learner': [{ body: { learner_id: 99 }, status: 400 }],
  'POST /cluster/transfer-leadership': [{ body: { target: 99 }, status: 404 }, { status: 200 }],
  'POST /admin/trigger-snapshot': timed,
  'POST /trigger-snapshot': timed,
  'POST /admin/checkpoint': timed,
  'POST /admin/checkpoint-wal': timed,
  'POST /admin/log-level': [{ body: { level: 'info' }, status: 200 }],
  'POST /tickets': [
    { body: {}, status: 200 },
    { body: { uses: 0 }, status: 400 }
  ],
  'POST /cluster-ticket': [{ body: {}, status: 200 }],
  'GET /tickets': [{ status: 200 }],
  'DELETE /tickets/{id}': [{ path: '/tickets/00000000', status: 404 }],
  'GET /cluster/state': [
    { status: 200 },
    { path: '/cluster/state?consistency=stale', status: 200 }
  ],
  'GET /leader': [{ status: 200 }],
  'GET /raft-metrics': [{ status: 200 }],
  'GET /node-info': [{ status: 200 }],
  'GET /status': [{ status: 200 }],
  'GET /members': [{ status: 200 }],
  'GET /health': [{ status: 200 }],
  'GET /metrics': [{ status: 200 }],
  'GET /openapi.json': [{ status: 200 }],
  'GET /livez': probe('/livez'),
  'GET /readyz': probe('/readyz'),
  'GET /livez/{check}': [{ path: '/livez/storage', status: 200 }],
  'GET /readyz/{check}': [{ path: '/readyz/leader_known', status: 200 }],
  'GET /admin/survey': [{ status: 200 }],
  // there are none of a cluster in memory
  'GET /admin/backup': [{ status: 400 }]
}

async function open() {
  const cluster = new MemoryCluster({ seed: 5 })
  await cluster.form(['a', 'b', 'c'])
  const leader = cluster.leader()?.name
  const nodes = cluster.nodes().toSorted((a) => (a.name === leader ? -1 : 1))
  const apps = await Promise.all(
    nodes.slice(0, 2).map(async ({ assembly }) => {
      const parts = {
        guard: null,
        inFlight: new InFlight(HTTP_LIMITS, systemTimers),
        exchanges: new Exchanges(),
        limits: HTTP_LIMITS,
        log: { error: (fields: object) => console.log('#', fields) },
        isDraining: () => false,
        leader: () => assembly.service.cluster.getLeader()
      }
      return buildApp({ api: assembly.service, admin: new MemoryNode().admin }, parts)
    })
  )
  return { cluster, apps: apps.map(({ app }) => app) }
}

/** The answer, while the cluster's time goes on. */
async function during<T>({ time }: MemoryCluster, waiting: Promise<T>): Promise<T> {
  let isDone = false
  const end = waiting.finally(() => (isDone = true))
  while (!isDone) {
    await time.run(5)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return end
}

test('every answer of a cluster is as the description says', { timeout: 120_000 }, async (t) => {
  const { cluster, apps } = await open()
  const [first] = apps
  const { payload } = (await first?.inject({ url: '/openapi.json' })) ?? { payload: '' }
  const description: unknown = JSON.parse(payload)
  const operations = new Map(
    Object.entries(recordOf(field(description, 'paths'))).flatMap(([path, item]) =>
      Object.entries(recordOf(item)).map(([method, one]) => [
        `${method.toUpperCase()} ${path}`,
        one
      ])
    )
  )
  t.alike([...operations.keys()].toSorted(), Object.keys(ASKED).toSorted(), 'all are asked')
  for (const app of apps) {
    for (const [name, asked] of Object.entries(ASKED)) {
      const [method = '', template = ''] = name.split(' ')
      for (const { path = template, body, headers = {}, status } of asked) {
        const what = `${method} ${path} ${JSON.stringify(body ?? '')}`
        const isMissing = method === 'POST' && body === undefined
        const request = field(operations.get(name), 'requestBody')
        t.ok(!isMissing || field(request, 'required') === false, `${what}: may lack its body`)
        const answer = await during(
          cluster,
          app.inject({
            method: method === 'PUT' || method === 'POST' || method === 'DELETE' ? method : 'GET',
            url: path,
            headers,
            ...(body !== undefined && { payload: body })
          })
        )
        t.is(answer.statusCode, status, what)
        const problem = problemOf(answer, operations.get(name), description)
        t.is(problem, null, what)
      }
    }
  }
  await cluster.close()
})

interface Answer {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly payload: string
}

/** Of HTTP itself, which nobody describes. */
const USUAL = [
  'cache-control',
  'connection',
  'content-length',
  'content-type',
  'date',
  'x-content-type-options'
]

function problemOf(answer: Answer, operation: unknown, description: unknown): string | null {
  const { statusCode, headers, payload } = answer
  const responses = field(operation, 'responses')
  const response =
    field(responses, String(statusCode)) ?? (statusCode >= 400 && field(responses, 'default'))
  if (!isRecord(response)) return `status ${statusCode} is not described: ${payload}`
  const described = Object.keys(recordOf(response['headers'])).map((one) => one.toLowerCase())
  const unknown = Object.keys(headers).find(
    (one) => !USUAL.includes(one) && !described.includes(one)
  )
  if (unknown !== undefined) return `the header ${unknown} is not described`
  const content = recordOf(response['content'])
  if (Object.keys(content).length === 0) return payload === '' ? null : 'a body is not described'
  const type = String(headers['content-type']).split(';')[0] ?? ''
  const schema = field(field(content, type), 'schema')
  if (schema === undefined) return `${type} is not described`
  return type === 'application/json'
    ? mismatch(JSON.parse(payload), schema, { description, at: '' })
    : null
}

function recordOf(value: unknown): Record<string, unknown> {
  return isRecord(value) ? value : {}
}

interface Place {
  readonly description: unknown
  /** path of the value */
  readonly at: string
}

/** Where a value is not what the schema says; null when it is. Knows what the description uses, and refuses the rest. */
function mismatch(value: unknown, schema: unknown, place: Place): string | null {
  const { description, at } = place
  const unknown = Object.keys(recordOf(schema)).find((name) => !KEYWORDS.has(name))
  if (unknown !== undefined) throw new Error(`${at}: the keyword ${unknown} is not known`)
  if (Object.keys(recordOf(schema)).length === 0) return null
  const wrong = `${at}: ${JSON.stringify(value)?.slice(0, 80)} is not ${JSON.stringify(schema).slice(0, 120)}`
  const { $ref, anyOf, type, const: only, pattern, minimum, maximum } = recordOf(schema)
  if (typeof $ref === 'string') {
    const named = field(
      field(field(description, 'components'), 'schemas'),
      $ref.split('/').at(-1) ?? ''
    )
    return named === undefined ? `${at}: ${$ref} is nowhere` : mismatch(value, named, place)
  }
  if (Array.isArray(anyOf)) {
    return anyOf.some((one) => mismatch(value, one, place) === null) ? null : wrong
  }
  if (only !== undefined && value !== only) return wrong
  if (typeof type === 'string' && !isOfType(value, type)) return wrong
  if (!isOfSize(value, recordOf(schema))) return wrong
  if (typeof pattern === 'string' && !new RegExp(pattern).test(String(value))) return wrong
  if (typeof minimum === 'number' && Number(value) < minimum) return wrong
  if (typeof maximum === 'number' && Number(value) > maximum) return wrong
  return mismatchWithin(value, recordOf(schema), (part, one, where) =>
    mismatch(part, one, { description, at: `${at}/${where}` })
  )
}

const KEYWORDS = new Set(
  '$ref anyOf type const minProperties maxProperties minItems maxItems minLength maxLength pattern minimum maximum properties required additionalProperties items prefixItems description'.split(
    ' '
  )
)

function mismatchWithin(
  value: unknown,
  schema: Record<string, unknown>,
  within: (part: unknown, schema: unknown, where: string) => string | null
): string | null {
  const { properties, required, additionalProperties, items, prefixItems } = schema
  if (Array.isArray(value)) {
    const first: unknown[] = Array.isArray(prefixItems) ? prefixItems : []
    return firstOf(
      value.map((part: unknown, at) => within(part, first[at] ?? items ?? {}, String(at)))
    )
  }
  if (!isRecord(value)) return null
  const missing = Array.isArray(required)
    ? required.find((name) => !(String(name) in value))
    : undefined
  if (missing !== undefined) return within({}, { const: String(missing) }, 'missing')
  const known = recordOf(properties)
  return firstOf(
    Object.entries(value).map(([name, part]) => {
      const own = known[name] ?? additionalProperties
      // an answer says nothing that is not described, also where more would be allowed
      return own === undefined || own === false
        ? `${name} is not described`
        : within(part, own, name)
    })
  )
}

function firstOf(problems: readonly (string | null)[]): string | null {
  return problems.find((problem) => problem !== null) ?? null
}

function isOfSize(value: unknown, schema: Record<string, unknown>): boolean {
  const isIn = (count: number, min: unknown, max: unknown): boolean =>
    !(Number(min ?? 0) > count) && !(Number(max ?? count) < count)
  const { minProperties, maxProperties, minItems, maxItems, minLength, maxLength } = schema
  if (typeof value === 'string') return isIn([...value].length, minLength, maxLength)
  if (Array.isArray(value)) return isIn(value.length, minItems, maxItems)
  return !isRecord(value) || isIn(Object.keys(value).length, minProperties, maxProperties)
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'object') return isRecord(value)
  return type === 'null' ? value === null : typeof value === type
}
