// Nodes that are started without a cluster, as scripts of the seed's kind do it: three processes, one request
// that founds a cluster of them, and one more that lets in a fourth.

import test from 'brittle'
import { recordOf } from './documents.ts'
import type { Place } from './http.ts'
import { ask, socketOf } from './http.ts'
import type { JsonObject } from './lab.ts'
import { Lab, waitFor } from './lab.ts'

const LIMIT = { timeout: 240_000 }
const TIMEOUT_MS = 30_000

const lab = await Lab.open()

/** Starts a node that waits, and tells who it is: as `--peers` takes it, and as a member of a request. */
async function waiting(name: string, peers: readonly string[] = []) {
  const flags = peers.map((peer) => `--peers=${peer}`)
  const document = await lab.json(name, [...START, '--name', name, ...flags])
  const node = recordOf(document['node'])
  const key = String(node['key'])
  const addresses = Array.isArray(node['addresses']) ? node['addresses'].map(String) : []
  return { document, key, peer: `${key}@${addresses[0]}` }
}

const START = ['start', '--uninitialized', '--timing', 'lan']

async function post(place: Place, path: string, body: object): Promise<JsonObject> {
  const { status, text } = await ask(place, { path, body: { ...body, timeout_ms: TIMEOUT_MS } })
  if (status !== 200) throw new Error(`${path} was answered with ${status}: ${text}`)
  return recordOf(JSON.parse(text))
}

test('three nodes wait, and one request makes a cluster of them', LIMIT, async (t) => {
  const alder = await waiting('alder')
  t.is(alder.document['initialized'], false)
  const birch = await waiting('birch', [alder.peer])
  const cedar = await waiting('cedar', [birch.peer, alder.peer])

  const place = socketOf(lab, 'alder')
  const ready = await ask(place, { path: '/readyz' })
  t.is(ready.status, 503)
  t.is((await ask(place, { path: '/livez' })).status, 200)
  t.is((await ask(place, { path: '/health' })).status, 200)
  t.is(JSON.parse((await ask(place, { path: '/node-info' })).text).key, alder.key)
  for (const path of ['/status', '/members', '/leader', '/raft-metrics', '/tickets']) {
    const refused = await ask(place, { path })
    t.alike([refused.status, refused.code], [412, 'NOT_INITIALIZED'], path)
  }
  const empty = await ask(place, { path: '/cluster/init', body: { initial_members: [] } })
  t.alike([empty.status, empty.code], [400, 'INVALID_REQUEST'])
  t.ok(empty.text.includes('initial_members must not be empty'))

  const initialMembers = [alder, birch, cedar].map(({ key }, at) => ({ key, id: at + 1 }))
  const startedMs = performance.now()
  const state = await post(place, '/cluster/init', { initial_members: initialMembers })
  t.comment(`three voters after ${(performance.now() - startedMs).toFixed(0)} ms`)
  t.alike(state['members'], [1, 2, 3])
  t.alike(state['learners'], [])
  await lab.put('cedar', 'k', 'v')
  t.is(await lab.run('birch', ['kv', 'get', 'k']), 'v')
  for (const name of ['alder', 'birch', 'cedar']) await lab.voters(name, 3)
  const again = await ask(place, { path: '/cluster/init', body: { initial_members: [alder] } })
  t.is(again.status, 400, 'a body that says more than it may')
  const body = { initial_members: [{ key: alder.key }] }
  const second = await ask(place, { path: '/cluster/init', body })
  t.alike([second.status, second.code], [409, 'ALREADY_INITIALIZED'])
})

test('a fourth is let in by a request to any member', LIMIT, async (t) => {
  const { key } = await lab.json('birch', ['status']).then((status) => recordOf(status['node']))
  const dogwood = await waiting('dogwood', [String(key)])
  t.is((await lab.aspen('dogwood', ['status'])).code, 1)
  const place = socketOf(lab, 'cedar')
  const learner = { key: dogwood.key }
  const state = await post(place, '/cluster/add-learner', { learner })
  t.alike(state['members'], [1, 2, 3])
  t.is(await lab.run('dogwood', ['kv', 'get', 'k']), 'v')
  t.is((await lab.status('dogwood')).node.id, 4)
})

test('a fifth follows, all five vote, and one alone goes on', LIMIT, async (t) => {
  const { key } = await lab.json('alder', ['status']).then((status) => recordOf(status['node']))
  const hazel = await waiting('hazel', [String(key)])
  const place = socketOf(lab, 'birch')
  await post(place, '/cluster/add-learner', { learner: { key: hazel.key } })
  const grown = await post(place, '/cluster/change-membership', { members: [1, 2, 3, 4, 5] })
  t.alike([grown['members'], grown['learners']], [[1, 2, 3, 4, 5], []])
  await lab.put('hazel', 'of', 'five')
  const shrunk = await post(place, '/cluster/change-membership', { members: [3] })
  t.alike(shrunk['members'], [3])
  await lab.put('alder', 'of', 'one')
  for (const name of ['alder', 'cedar', 'hazel']) {
    t.is(await lab.run(name, ['kv', 'get', 'of']), 'one')
    t.alike((await lab.status(name)).voters, [3])
  }
  const back = await post(place, '/cluster/change-membership', { members: [1, 2, 3] })
  t.alike(back['members'], [1, 2, 3])
})

test('all of them start again with the same command, and are who they were', LIMIT, async (t) => {
  const names = ['alder', 'birch', 'cedar', 'dogwood', 'hazel']
  for (const name of names) await lab.kill(name)
  await Promise.all(names.map((name) => lab.json(name, START)))
  await lab.put('alder', 'k', 'w')
  for (const [at, name] of names.entries()) {
    await waitFor(`the value on ${name}`, async () => {
      const { code, stdout } = await lab.aspen(name, ['kv', 'get', 'k'])
      return code === 0 && stdout === 'w'
    })
    t.is((await lab.status(name)).node.id, at + 1)
  }
})

test('a node that was killed while it waited waits on, with the same key', LIMIT, async (t) => {
  const elm = await waiting('elm')
  await lab.kill('elm')
  const again = await waiting('elm')
  t.is(again.key, elm.key)
  const created = await lab.aspen('elm', ['create', '--quiet'])
  t.is(created.code, 1)
  t.ok(/without a cluster runs/.test(created.stderr), created.stderr)
  await lab.run('elm', ['stop'])
  await lab.run('elm', ['create', '--quiet'])
  t.is((await lab.status('elm')).node.key, elm.key)
})

test(
  'in memory it waits again, as a new node; the seed’s request founds a cluster',
  LIMIT,
  async (t) => {
    const args = [...START, '--storage-backend', 'inmemory', '--name', 'fir']
    const keyOf = (document: JsonObject): unknown => recordOf(document['node'])['key']
    const first = await lab.json('fir', args)
    const member = { id: 1, addr: 'localhost:21001', raft_addr: 'localhost:26001' }
    const state = await post(socketOf(lab, 'fir'), '/init', { initial_members: [member] })
    t.alike(state['members'], [1])
    await lab.put('fir', 'k', 'v')
    t.is((await lab.status('fir')).storage.backend, 'inmemory')
    await lab.run('fir', ['stop'])
    const second = await lab.json('fir', args)
    t.is(second['initialized'], false)
    t.not(keyOf(second), keyOf(first))
    const onDisk = await lab.aspen('fir', ['create'])
    t.is(onDisk.code, 1, 'it runs')
    await lab.run('fir', ['stop'])
  }
)

test('the lab is gone', LIMIT, async (t) => {
  await lab.close()
  t.pass()
})
