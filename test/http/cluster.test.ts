// The API of the nodes of a cluster in memory: what a client may conclude when another node leads, when the
// leader is lost with a write under way, and when it asks again.

import test from 'brittle'
import { systemTimers } from '../../lib/clock.ts'
import type { App } from '../../lib/http/app.ts'
import { Exchanges } from '../../lib/http/exchanges.ts'
import { HTTP_LIMITS } from '../../lib/http/http-limits.ts'
import { buildApp } from '../../lib/http/http-server.ts'
import { InFlight } from '../../lib/http/in-flight.ts'
import type { Process } from '../../lib/testing/machine.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import { MemoryNode } from './memory-node.ts'
import { field } from './open-server.ts'

const LONG_MS = 120_000

/** Three voters, and the API of each. */
async function open() {
  const cluster = new MemoryCluster({ seed: 3 })
  await cluster.form(['a', 'b', 'c'])
  const apps = new Map<string, App>()
  for (const { name, assembly } of cluster.nodes()) {
    const parts = {
      guard: null,
      inFlight: new InFlight(HTTP_LIMITS, systemTimers),
      exchanges: new Exchanges(),
      limits: HTTP_LIMITS,
      log: { error: () => {} },
      isDraining: () => false,
      leader: () => assembly.service.cluster.getLeader()
    }
    const { app } = await buildApp({ api: assembly.service, admin: new MemoryNode().admin }, parts)
    apps.set(name, app)
  }
  return { cluster, apps, leader: leaderOf(cluster), follower: followerOf(cluster) }
}

type Opened = Awaited<ReturnType<typeof open>>

function leaderOf(cluster: MemoryCluster): Process {
  const leader = cluster.leader()
  if (leader === null) throw new Error('nobody leads')
  return leader
}

function followerOf(cluster: MemoryCluster): Process {
  const { name } = leaderOf(cluster)
  const other = cluster.nodes().find((node) => node.name !== name)
  if (other === undefined) throw new Error('nobody follows')
  return other
}

type Question = readonly [path: string, body: object]

/** The answer, while the cluster's time goes on. */
async function ask({ cluster, apps }: Opened, node: Process, [path, body]: Question) {
  const app = apps.get(node.name)
  if (app === undefined) throw new Error('no app')
  let isDone = false
  const answer = app
    .inject({ method: 'POST', url: path, payload: body })
    .then(({ statusCode, payload }) => ({
      status: statusCode,
      json: JSON.parse(payload) as unknown
    }))
    .finally(() => {
      isDone = true
    })
  while (!isDone) {
    await cluster.time.run(5)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return answer
}

const set = (key: string, value: string, more: object = {}): object => ({
  command: { Set: { key, value, ...more } }
})

const detail = (json: unknown, name: string): unknown => field(field(json, 'error'), name)

test(
  'HTTP-09: writes to a follower are carried out once each, in order, and read everywhere',
  { timeout: 120_000 },
  async (t) => {
    const opened = await open()
    const { follower, leader, cluster } = opened
    let revision = 0
    for (let count = 1; count <= 300; count++) {
      const { status, json } = await ask(opened, follower, ['/kv/write', set('k', String(count))])
      const next = Number(field(json, 'revision'))
      if (status !== 200 || next <= revision) return t.fail(`write ${count}: ${status}`)
      revision = next
    }
    for (const node of [leader, follower]) {
      const { json } = await ask(opened, node, ['/kv/read', { key: 'k' }])
      t.alike(
        [field(json, 'value'), field(json, 'version')],
        ['300', 300],
        'none lost, none double'
      )
    }
    await cluster.close()
  }
)

test(
  'HTTP-10: a write whose leader is cut off is unknown, was done once or never, and can be made sure of',
  { timeout: 120_000 },
  async (t) => {
    const opened = await open()
    const { leader, follower, cluster } = opened
    const ends = new Set<string>()
    for (let round = 0; round < 12; round++) {
      const key = `k${round}`
      const others = cluster.nodes().filter(({ name }) => name !== leader.name)
      // links are cut at another moment of the write each time
      const cut = cluster.time.start(round, () => {
        for (const { name } of others) cluster.cut(leader.name, name)
      })
      const body = { ...set(key, 'first'), timeout_ms: 300 }
      const { status, json } = await ask(opened, leader, ['/kv/write', body])
      cut.cancel()
      for (const { name } of others) cluster.heal(leader.name, name)
      ends.add(
        JSON.stringify([status, detail(json, 'code') ?? 'done', detail(json, 'applied') ?? null])
      )
      const leads = (): boolean =>
        cluster.nodes().every(({ assembly }) => assembly.replica.status.leader !== null)
      await cluster.time.runUntil(leads, LONG_MS)
      const sure = { ...set(key, 'again', { if_absent: true }), timeout_ms: 30_000 }
      const second = await ask(opened, follower, ['/kv/write', sure])
      const { json: read } = await ask(opened, leader, ['/kv/read', { key, timeout_ms: 30_000 }])
      const wasDone = second.status === 412
      t.is(field(read, 'version'), 1, 'once')
      t.is(field(read, 'value'), wasDone ? 'first' : 'again')
      if (status === 200) t.ok(wasDone, 'what was said to be done was done')
      if (status === 503) t.absent(wasDone, 'what was refused was not')
      // the same node may have to lead again for the next round
      await cluster.time.run(5_000)
    }
    t.comment([...ends].join(' · '))
    t.ok(
      [...ends].every((end) => /^\[(?:200,"done"|504,"\w+",null|503,"UNAVAILABLE",false)/.test(end))
    )
    t.ok(
      [...ends].some((end) => end.startsWith('[504')),
      'one was unknown'
    )
    await cluster.close()
  }
)

test(
  'HTTP-15: a node that is cut off answers stale reads with their age, until they are too old',
  { timeout: 120_000 },
  async (t) => {
    const opened = await open()
    const { leader, follower, cluster } = opened
    await ask(opened, leader, ['/kv/write', set('k', 'v')])
    await cluster.time.run(1_000)
    const read = (max?: number) =>
      ask(opened, follower, [
        '/kv/read',
        { key: 'k', consistency: 'stale', ...(max !== undefined && { max_age_ms: max }) }
      ])
    const near = await read(1_000)
    t.is(field(near.json, 'value'), 'v')
    const age = Number(field(near.json, 'leader_contact_ms'))
    t.ok(age >= 0 && age <= 300, `${age} ms`)
    for (const { name } of cluster.nodes())
      if (name !== follower.name) cluster.cut(follower.name, name)
    await cluster.time.run(10_000)
    const old = await read()
    t.is(field(old.json, 'value'), 'v', 'still answered')
    t.ok(Number(field(old.json, 'leader_contact_ms')) >= 9_000)
    const refused = await read(5_000)
    t.alike([refused.status, detail(refused.json, 'code')], [503, 'UNAVAILABLE'])
    t.ok(Number(field(detail(refused.json, 'fields'), 'leader_contact_ms')) >= 9_000)
    const other = await ask(opened, leader, [
      '/kv/read',
      {
        key: 'k',
        consistency: 'stale',
        max_age_ms: 1_000
      }
    ])
    t.is(other.status, 200, 'the leader hears a majority')
    await cluster.close()
  }
)

test('a refusal names the leader where one is known', async (t) => {
  const opened = await open()
  const { leader, follower, cluster } = opened
  const { json } = await ask(opened, follower, ['/kv/read', { key: 'nothing' }])
  t.is(detail(json, 'leader'), leader.assembly.service.status().node.id)
  await cluster.close()
})
