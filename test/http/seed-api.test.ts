// The seed's HTTP API as its users know it: each request as it was written down then, and of each answer what was
// written down of it. Answers may hold more. And the statuses of its errors.

import test from 'brittle'
import { isRecord } from '../../lib/encoding.ts'
import { AspenError, CODES } from '../../lib/errors.ts'
import type { ErrorCode } from '../../lib/errors.ts'
import { codeOf, get, openServer, post, send } from './open-server.ts'
import type { Opened, Reply } from './open-server.ts'

const KEY = 'cd'.repeat(32)
const SOME = Symbol('anything')

type Step = readonly [request: string, body: unknown, answer: unknown]

/** In order, on a node of one. */
const STEPS: readonly Step[] = [
  [
    'POST /write',
    { command: { Set: { key: 'a', value: '1' } } },
    { command: { Set: { key: 'a', value: '1' } } }
  ],
  ['POST /read', { key: 'a' }, { key: 'a', value: '1' }],
  [
    'POST /write',
    {
      command: {
        SetMulti: {
          pairs: [
            ['a', '1'],
            ['b', '2']
          ]
        }
      }
    },
    {
      command: {
        SetMulti: {
          pairs: [
            ['a', '1'],
            ['b', '2']
          ]
        }
      }
    }
  ],
  ['POST /kv/read', { key: 'b' }, { key: 'b', value: '2' }],
  ['POST /write', { command: { Delete: { key: 'a' } } }, { command: { Delete: { key: 'a' } } }],
  ['POST /kv/delete', { key: 'a' }, { key: 'a', deleted: false }],
  ['POST /kv/delete', { key: 'b' }, { key: 'b', deleted: true }],
  [
    'POST /kv/write',
    { command: { DeleteMulti: { keys: ['a', 'b'] } } },
    { command: { DeleteMulti: { keys: ['a', 'b'] } } }
  ],
  ['GET /leader', null, { leader: 1 }],
  ['GET /node-info', null, { id: 1, addresses: SOME }],
  [
    'GET /raft-metrics',
    null,
    {
      node_id: 1,
      state: 'Leader',
      current_leader: 1,
      current_term: SOME,
      last_log_index: SOME,
      last_applied: { term: SOME, index: SOME },
      snapshot: null,
      replication: SOME,
      millis_since_quorum_ack: SOME
    }
  ],
  ['GET /health', null, { status: 'healthy', checks: SOME, node_id: 1, uptime_seconds: SOME }],
  ['POST /cluster-ticket', {}, { ticket: SOME, cluster_id: SOME, endpoint_id: SOME }],
  [
    'POST /add-learner',
    { learner: { id: 2, key: KEY, addr: '127.0.0.1:21002', raft_addr: '127.0.0.1:26002' } },
    { nodes: SOME, members: [1], learners: SOME }
  ],
  [
    'POST /admin/promote-learner',
    { learner_id: 2, replace_node: 1, force: false },
    {
      success: true,
      learner_id: 2,
      previous_voters: [1],
      new_voters: [2],
      message: 'Learner 2 promoted to voter successfully'
    }
  ],
  ['POST /change-membership', { members: [1, 2] }, { members: [1, 2] }],
  ['POST /trigger-snapshot', null, { snapshot: { term: SOME, index: SOME } }],
  [
    'POST /admin/checkpoint-wal',
    null,
    {
      status: 'success',
      pages_checkpointed: SOME,
      wal_size_before_bytes: SOME,
      wal_size_after_bytes: SOME
    }
  ]
]

/** Whether all of `expected` is in `actual`. */
function holds(actual: unknown, expected: unknown): boolean {
  if (expected === SOME) return actual !== undefined
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) return false
    return expected.every((part, at) => holds(actual[at], part))
  }
  if (!isRecord(expected)) return Object.is(actual, expected)
  return (
    isRecord(actual) && Object.entries(expected).every(([name, part]) => holds(actual[name], part))
  )
}

function ask(opened: Opened, request: string, body: unknown): Promise<Reply> {
  const [method = '', path = ''] = request.split(' ')
  if (body !== null) return post(opened, path, body)
  if (method === 'GET') return get(opened, path)
  return send({ socketPath: opened.server.socketPath, method, path })
}

test('every request of the seed is taken, and answered with what it had', async (t) => {
  const opened = await openServer(t)
  for (const [request, body, expected] of STEPS) {
    const { status, json, text } = await ask(opened, request, body)
    t.is(status, 200, `${request} ${JSON.stringify(body)}`)
    t.ok(holds(json, expected), text.slice(0, 200))
  }
  t.absent(holds({ a: [1] }, { a: [2] }), 'the comparison can fail')
  t.absent(holds({}, { a: SOME }))
})

test('its errors have the statuses that it gave them, or those that the documentation names instead', async (t) => {
  const statuses: Readonly<Partial<Record<ErrorCode, number>>> = {
    INVALID_REQUEST: 400,
    KEY_TOO_LARGE: 400,
    VALUE_TOO_LARGE: 400,
    BATCH_TOO_LARGE: 400,
    BATCH_BYTES_TOO_LARGE: 400,
    NOT_FOUND: 404,
    NOT_INITIALIZED: 412,
    CONDITION_FAILED: 412,
    FAILED: 502,
    OVERLOADED: 503,
    UNAVAILABLE: 503,
    TIMEOUT: 504,
    OUTCOME_UNKNOWN: 504,
    DISK_SPACE_INSUFFICIENT: 507,
    NO_SPACE: 507,
    STORE_FULL: 507,
    MEMBERSHIP_CHANGE_TOO_RECENT: 400,
    NOT_A_LEARNER: 400,
    LEARNER_NOT_FOUND: 400,
    LEARNER_UNHEALTHY: 400,
    LEARNER_LAGGING: 400,
    NO_QUORUM_WITHOUT_FAILED_NODE: 400,
    MAX_VOTERS_EXCEEDED: 400
  }
  const opened = await openServer(t)
  for (const [code, row] of Object.entries(CODES)) {
    const status = Object.entries(statuses).find(([name]) => name === code)?.[1]
    if (status !== undefined) t.is(row.httpStatus, status, code)
  }
  opened.node.fail(new AspenError({ code: 'NOT_INITIALIZED', message: 'no cluster' }))
  const reply = await post(opened, '/write', { command: { Set: { key: 'a', value: '' } } })
  t.alike([reply.status, codeOf(reply)], [412, 'NOT_INITIALIZED'])
})
