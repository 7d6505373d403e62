// The operations on a cluster and on a node: what reaches the controller, what comes back, under the paths of
// today and under the seed's.

import test from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import { codeOf, field, get, openServer, post, send } from './open-server.ts'
import type { Opened, Reply } from './open-server.ts'

const OWN_KEY = 'ab'.repeat(32)
const OTHER_KEY = 'cd'.repeat(32)
const FIRST = { id: 1, key: OWN_KEY, addresses: ['127.0.0.1:4000'] }
const SECOND = { id: 2, key: OTHER_KEY, addresses: ['10.0.0.2:4000', '10.0.0.2:80'] }

/** A POST without a body and without a content type, as `curl -X POST` sends it. */
function postNothing({ server }: Opened, path: string): Promise<Reply> {
  return send({ socketPath: server.socketPath, method: 'POST', path })
}

test('a learner is admitted by its key, with the seed’s names for addresses too', async (t) => {
  for (const path of ['/cluster/add-learner', '/add-learner']) {
    const opened = await openServer(t)
    const learner = { key: OTHER_KEY, addr: '10.0.0.2:80', raft_addr: '10.0.0.2:4000', id: 2 }
    const reply = await post(opened, path, { learner, timeout_ms: 1_234 })
    t.is(reply.status, 200, path)
    t.alike(reply.json, { nodes: [FIRST, SECOND], members: [1], learners: [SECOND] })
    t.alike(opened.node.cluster.lastRequest, {
      learner: { key: OTHER_KEY, addresses: ['10.0.0.2:4000', '10.0.0.2:80'], id: 2 }
    })
    t.alike(opened.node.lastOptions, { timeoutMs: 1_234 })
  }
})

test('a cluster is founded with this node, named by its key or not at all', async (t) => {
  for (const path of ['/cluster/init', '/init']) {
    const opened = await openServer(t)
    const seeds = { id: 1, addr: '127.0.0.1:21001', raft_addr: '127.0.0.1:26001' }
    const reply = await post(opened, path, { initial_members: [seeds, { key: OTHER_KEY }] })
    t.is(reply.status, 409, 'on a node that has a cluster')
    t.is(codeOf(reply), 'ALREADY_INITIALIZED')
    t.alike(opened.node.cluster.lastRequest, {
      initialMembers: [
        { key: OWN_KEY, addresses: ['127.0.0.1:26001', '127.0.0.1:21001'], id: 1 },
        { key: OTHER_KEY, addresses: [] }
      ]
    })
  }
})

test('voters are changed, promoted, removed; leadership is handed over', async (t) => {
  const opened = await openServer(t)
  await post(opened, '/cluster/add-learner', { learner: { key: OTHER_KEY } })
  const changed = await post(opened, '/change-membership', { members: [1, 2] })
  t.alike(field(changed.json, 'members'), [1, 2])
  const back = await post(opened, '/cluster/change-membership', { members: [1] })
  t.alike(field(back.json, 'members'), [1])
  const promoted = await post(opened, '/admin/promote-learner', {
    learner_id: 2,
    replace_node: 1,
    force: false
  })
  t.alike(promoted.json, {
    success: true,
    learner_id: 2,
    previous_voters: [1],
    new_voters: [2],
    timestamp: '2026-01-01T00:00:00.005Z',
    message: 'Learner 2 promoted to voter successfully'
  })
  t.alike(opened.node.cluster.lastRequest, { learnerId: 2, replaceNode: 1, force: false })
  const moved = await post(opened, '/cluster/transfer-leadership', { target: 2 })
  t.alike(moved.json, { leader: 2 })
  const removed = await post(opened, '/cluster/remove-member', { id: 1, force: true })
  t.alike(field(removed.json, 'revoked_tickets'), ['00000001'])
  t.alike(opened.node.cluster.lastRequest, { id: 1, force: true })
  const again = await post(opened, '/cluster/remove-member', { id: 1 })
  t.alike([again.status, codeOf(again)], [404, 'MEMBER_NOT_FOUND'])
})

test('what takes nothing may be asked without a body, and with an empty one', async (t) => {
  const opened = await openServer(t)
  for (const path of ['/admin/trigger-snapshot', '/trigger-snapshot']) {
    t.alike((await postNothing(opened, path)).json, { snapshot: { term: 1, index: 2 } }, path)
    t.is((await post(opened, path, {})).status, 200)
    t.is((await post(opened, path, { unknown: 1 })).status, 400)
  }
  for (const path of ['/admin/checkpoint', '/admin/checkpoint-wal']) {
    const reply = await postNothing(opened, path)
    t.is(reply.status, 200, path)
    t.alike([field(reply.json, 'status'), field(reply.json, 'pages_checkpointed')], ['success', 3])
  }
  t.alike((await postNothing(opened, '/cluster/transfer-leadership')).json, { leader: 1 })
  for (const path of ['/kv/read', '/tickets', '/cluster-ticket']) {
    t.is((await postNothing(opened, path)).status, 415, `${path} does not`)
  }
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const { socketPath } = opened.server
  const asForm = { socketPath, method: 'POST', path: '/trigger-snapshot', headers: form }
  t.is((await send(asForm, '')).status, 415, 'a form is not nothing')
})

test('views: the leader with its name, the state, the metrics, the node', async (t) => {
  const opened = await openServer(t)
  const leader = { leader: 1, key: OWN_KEY, name: 'alder', addresses: [] }
  t.alike((await get(opened, '/leader')).json, leader)
  t.alike((await get(opened, '/node-info')).json, FIRST)
  t.is(field((await get(opened, '/raft-metrics')).json, 'state'), 'Leader')
  const state = await get(opened, '/cluster/state?consistency=stale&timeout_ms=99')
  t.alike(state.json, { nodes: [FIRST], members: [1], learners: [] })
  t.alike(opened.node.lastOptions, { consistency: 'stale', timeoutMs: 99 })
  t.is((await get(opened, '/cluster/state?consistency=later')).status, 400)
  t.is((await get(opened, '/cluster/state?timeout_ms=0')).status, 400)
})

test('a ticket is made under the seed’s name, and never by GET', async (t) => {
  const opened = await openServer(t)
  const made = await post(opened, '/cluster-ticket', { role: 'learner', uses: 1 })
  t.is(made.status, 200)
  t.is(field(made.json, 'role'), 'learner')
  t.is(field(made.json, 'cluster_id'), 'cd'.repeat(16))
  t.is(field(made.json, 'endpoint_id'), OWN_KEY)
  const looked = await get(opened, '/cluster-ticket')
  t.alike([looked.status, codeOf(looked)], [405, 'METHOD_NOT_ALLOWED'])
  t.is(looked.headers.allow, 'POST')
  t.ok(String(field(field(looked.json, 'error'), 'hint')).includes('POST /cluster-ticket'))
})

test('the log level is set and the one before it is told', async (t) => {
  const opened = await openServer(t)
  const first = await post(opened, '/admin/log-level', { level: 'debug' })
  t.alike(first.json, { level: 'debug', previous: 'info' })
  t.is((await post(opened, '/admin/log-level', { level: 'loud' })).status, 400)
  t.is((await post(opened, '/admin/log-level', {})).status, 400)
})

test('what is no member, no set of voters or no such field is refused', async (t) => {
  const opened = await openServer(t)
  const refused: readonly (readonly [string, object])[] = [
    ['/cluster/add-learner', {}],
    ['/cluster/add-learner', { learner: { id: 4, addr: 'a:1', raft_addr: 'a:2' } }],
    ['/cluster/add-learner', { learner: { key: OTHER_KEY.toUpperCase() } }],
    ['/cluster/add-learner', { learner: { key: OTHER_KEY, role: 'voter' } }],
    ['/cluster/init', { initial_members: [{ id: 1 }, { id: 2 }] }],
    ['/cluster/init', { initial_members: 'all' }],
    ['/cluster/change-membership', { members: ['1'] }],
    ['/cluster/change-membership', { members: [0] }],
    ['/cluster/change-membership', { members: [1], force: true }],
    ['/admin/promote-learner', { learner_id: 1.5 }],
    ['/cluster/remove-member', {}],
    ['/cluster/transfer-leadership', { target: null }]
  ]
  for (const [path, body] of refused) {
    const reply = await post(opened, path, body)
    t.alike(
      [reply.status, codeOf(reply)],
      [400, 'INVALID_REQUEST'],
      `${path} ${JSON.stringify(body)}`
    )
  }
  t.is(opened.node.calls, 0)
})

test('refusals of the controller come with their status and their facts', async (t) => {
  const opened = await openServer(t)
  const fields = { lag: 812, leader: 2 }
  opened.node.fail(new AspenError({ code: 'UNAVAILABLE', message: 'behind', fields }))
  const reply = await post(opened, '/admin/promote-learner', { learner_id: 2 })
  t.is(reply.status, 503)
  t.is(field(field(reply.json, 'error'), 'leader'), 2)
  t.alike(field(field(reply.json, 'error'), 'fields'), { lag: 812 })
})
