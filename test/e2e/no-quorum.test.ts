// Two of three voters are gone: what needs a quorum fails within its deadline and says so, what does
// not goes on, and nothing that was acknowledged is lost when one of them comes back.

import test from 'brittle'
import type { Assert } from 'brittle'
import { ask, socketOf } from './http.ts'
import { Lab, waitFor } from './lab.ts'
import { refused } from './refusal.ts'
import type { Refusal } from './refusal.ts'

const LIMIT = { timeout: 240_000 }
const NAMES = ['alder', 'birch', 'cedar']
/** For the start of two processes on a busy machine. */
const MARGIN_MS = 8_000
/** A start that waited for the others would take its whole timeout, which is half a minute. */
const START_LIMIT_MS = 20_000

const lab = await Lab.open()
const ticket = await lab.cluster(NAMES)
await lab.voters('alder', 3)
await lab.run('alder', ['kv', 'put', 'kept', 'yes'])
const survivor = await lab.leader(NAMES)
const others = NAMES.filter((name) => name !== survivor)

test(
  'a write to a leader that lost its followers fails in time: refused, or unknown, and says which',
  LIMIT,
  async (t) => {
    await waitFor('the value everywhere', async () => {
      const values = NAMES.map((name) => lab.run(name, ['kv', 'get', 'kept', '--stale']))
      return (await Promise.all(values)).every((value) => value === 'yes')
    })
    await Promise.all(others.map((name) => lab.kill(name)))
    const ended = await lab.aspen(survivor, [
      'kv',
      'put',
      'doubtful',
      'x',
      '--timeout',
      '1s',
      '--json'
    ])
    const { error } = JSON.parse(ended.stdout)
    t.comment(`${error.code}: ${error.message}`)
    t.ok(ended.tookMs < 1_000 + MARGIN_MS, `${ended.tookMs.toFixed(0)} ms`)
    if (ended.code === 6) t.is(error.applied, null, 'nobody can say')
    else t.alike([ended.code, error.applied], [5, false], 'certainly not')
  }
)

test(
  'without quorum writes and linearizable reads fail within their deadline',
  LIMIT,
  async (t) => {
    await waitFor(
      'the loss to be seen',
      async () => (await lab.status(survivor)).state === 'no_quorum'
    )
    const timeout = ['--timeout', '1s']
    const commands = [
      ['kv', 'put', 'lost', 'x'],
      ['kv', 'del', 'kept'],
      ['kv', 'get', 'kept'],
      ['kv', 'scan'],
      ['ticket', 'create'],
      ['ticket', 'list']
    ]
    const refusals = await Promise.all(
      commands.map((args) => refused(survivor, [...args, ...timeout], { lab }))
    )
    for (const [at, refusal] of refusals.entries()) {
      isUnavailable(t, refusal)
      const ms = refusal.tookMs.toFixed(0)
      t.ok(refusal.tookMs < 1_000 + MARGIN_MS, `${commands[at]?.join(' ')}: ${ms} ms`)
    }
  }
)

test(
  'stale reads, status, members and the probes that are about this node go on',
  LIMIT,
  async (t) => {
    t.is(await lab.run(survivor, ['kv', 'get', 'kept', '--stale']), 'yes')
    const json = await lab.json(survivor, ['kv', 'get', 'kept', '--stale'])
    t.is(json['consistency'], 'stale', 'and it says so')
    const scanned = await lab.aspen(survivor, ['kv', 'scan', '--stale'])
    t.ok(/kept/.test(scanned.stdout) && /\(stale\)/.test(scanned.stderr), scanned.stderr)

    const status = await lab.aspen(survivor, ['status'])
    t.is(status.code, 5)
    t.ok(/no quorum: .*stale reads work/.test(status.stdout), status.stdout)
    const document = JSON.parse((await lab.aspen(survivor, ['status', '--json'])).stdout)
    t.alike([document.state, document.leader, document.failure_tolerance], ['no_quorum', null, 0])
    t.is(document.voters.length, 3)
    const members = await lab.aspen(survivor, ['members'])
    t.is(members.code, 0)
    t.is(members.stdout.match(/no link/g)?.length, 2, members.stdout)

    const socket = socketOf(lab, survivor)
    t.is((await ask(socket, { path: '/livez' })).status, 200, 'restarting it would not help')
    t.is((await ask(socket, { path: '/readyz' })).status, 503)
    const health = await ask(socket, { path: '/health' })
    t.alike(
      [health.status, JSON.parse(health.text).status],
      [200, 'degraded'],
      'as the seed has it'
    )
    t.is((await ask(socket, { path: '/status' })).status, 200)
  }
)

test(
  'a join to a cluster without quorum ends in time and says where it stands',
  LIMIT,
  async (t) => {
    const refusal = await refused('dogwood', ['join', ticket, '--timeout', '3s'], { lab })
    t.alike([refusal.exitCode, refusal.code], [5, 'NO_PEER_FOUND'])
    t.ok(refusal.isRetryable)
    t.ok(/whether the cluster has a leader|member is running/.test(refusal.line), refusal.line)
    t.absent(/was reached.*no member .* answered/.test(refusal.line), refusal.line)
    t.alike(await lab.settled(0, 'dogwood'), [])
  }
)

test('the last node stops and starts without waiting for the others', LIMIT, async (t) => {
  const stopped = await lab.aspen(survivor, ['stop'])
  t.is(stopped.code, 0, stopped.stderr)
  const started = await lab.aspen(survivor, ['start'])
  t.is(started.code, 0, started.stderr)
  t.ok(started.tookMs < START_LIMIT_MS, `${started.tookMs.toFixed(0)} ms`)
  t.is(await lab.run(survivor, ['kv', 'get', 'kept', '--stale']), 'yes')
  isUnavailable(t, await refused(survivor, ['kv', 'get', 'kept', '--timeout', '1s'], { lab }))
})

test(
  'with one of them back everything goes on, and what was refused never happened',
  LIMIT,
  async (t) => {
    const [back = 'birch'] = others
    await lab.run(back, ['start'])
    t.is(await lab.run(survivor, ['kv', 'get', 'kept', '--timeout', '30s']), 'yes')
    await lab.run(back, ['kv', 'put', 'again', 'works', '--timeout', '30s'])
    t.is(await lab.run(survivor, ['kv', 'get', 'again']), 'works')
    t.is((await lab.aspen(back, ['kv', 'get', 'lost'])).code, 3)
    t.is((await lab.json(survivor, ['status']))['state'], 'degraded')
    t.is((await lab.aspen(survivor, ['status', '--strict'])).code, 10)
    await waitFor('the health of the rest', async () => {
      await Promise.all(others.map((name) => lab.run(name, ['start'])))
      return (await lab.status(survivor)).state === 'healthy'
    })
    const doubtful = await Promise.all(
      NAMES.map(async (name) => (await lab.aspen(name, ['kv', 'get', 'doubtful'])).stdout)
    )
    t.is(
      new Set(doubtful).size,
      1,
      `the write of unknown outcome has one outcome: '${doubtful[0]}'`
    )
    await lab.run('dogwood', ['join', ticket])
    t.pass('and the machine that could not join joins')
    await lab.close()
  }
)

function isUnavailable(t: Assert, refusal: Refusal): void {
  t.is(refusal.exitCode, 5, refusal.line)
  t.is(refusal.code, 'UNAVAILABLE', refusal.line)
  t.is(refusal.applied, false, 'certainly not applied')
  t.ok(refusal.isRetryable)
  t.ok(/quorum|leader/.test(refusal.line), refusal.line)
}
