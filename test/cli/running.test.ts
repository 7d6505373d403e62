// What a start waits for once its node answers: a leader, for a moment, and never for longer.

import { Readable } from 'node:stream'
import test from 'brittle'
import type { Assert } from 'brittle'
import { Flags } from '../../lib/cli/flags.ts'
import type { Invocation } from '../../lib/cli/invocation.ts'
import { Output } from '../../lib/cli/output.ts'
import { statusWithLeader } from '../../lib/cli/running.ts'
import type { Status } from '../../lib/service/documents.ts'
import { KeptStream, openNode } from './run-cli.ts'

/** A node that knows who leads from its `leaderFrom`th answer on, and a call about it. */
async function open(t: Assert, leaderFrom: number, tickMs = 0) {
  const { opened, dataDir } = await openNode(t)
  const answered: Status = opened.node.status()
  const started: Status = { ...answered, leader: null, uptime_ms: 1 }
  let nowMs = 0
  const world = { answerCount: 0, opened, answered, started }
  opened.node.status = () => {
    world.answerCount++
    return { ...answered, leader: world.answerCount >= leaderFrom ? 7 : null }
  }
  const stream = new KeptStream()
  const invocation: Invocation = {
    command: 'start',
    args: {},
    flags: new Flags({ dataDir }),
    host: {
      env: {},
      stdin: Readable.from([]),
      stdout: stream,
      stderr: stream,
      stdoutLost: new Promise(() => {}),
      nowMs: () => (nowMs += tickMs)
    },
    output: new Output({
      stdout: stream,
      stderr: stream,
      env: {},
      isJson: false,
      isQuiet: true,
      isColourWanted: false
    })
  }
  return { world, invocation }
}

test('a node that knows its leader is not asked again', async (t) => {
  const { world, invocation } = await open(t, 1)
  const known = { ...world.started, leader: 3 }
  t.is(await statusWithLeader(invocation, known), known)
  t.is(world.answerCount, 0)
})

test('the status is the first one with a leader', async (t) => {
  const { world, invocation } = await open(t, 3)
  const status = await statusWithLeader(invocation, world.started)
  t.alike(status, { ...world.answered, leader: 7 })
  t.is(world.answerCount, 3)
})

test('without a quorum it ends after a moment, with the newest status', async (t) => {
  // time passes with each look at the clock only
  const { world, invocation } = await open(t, Infinity, 150)
  const status = await statusWithLeader(invocation, world.started)
  t.alike(status, { ...world.answered, leader: null })
  t.ok(world.answerCount >= 2 && world.answerCount <= 10, `${world.answerCount} answers`)
})

test('a node that does not answer meanwhile keeps the status that it started with', async (t) => {
  const { world, invocation } = await open(t, 1, 400)
  await world.opened.server.close()
  t.is(await statusWithLeader(invocation, world.started), world.started)
  t.is(world.answerCount, 0)
})
