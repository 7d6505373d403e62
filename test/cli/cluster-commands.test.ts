// The commands about the whole cluster, against a node in memory: what they ask, print and end with.

import test from 'brittle'
import { CODES, ControlPlaneError, EXIT } from '../../lib/errors.ts'
import { openNode } from './run-cli.ts'

const KEY = 'cd'.repeat(32)

test('a node is added by its key, and the text says what that means', async (t) => {
  const { opened, run } = await openNode(t)
  const { code, stdout } = await run([
    'members',
    'add',
    KEY.toUpperCase(),
    '--address',
    '10.0.0.2:1'
  ])
  t.is(code, EXIT.ok)
  t.alike(stdout.trimEnd().split('\n'), [
    '✓ node 2 belongs to the cluster, and has caught up',
    '! 1 voter, 1 learner; tolerates 0 failures: with two more it would be 1',
    "  'aspen members promote 2' makes it a voter"
  ])
  t.alike(opened.node.cluster.lastRequest, { learner: { key: KEY, addresses: ['10.0.0.2:1'] } })
  t.alike(opened.node.lastOptions, { timeoutMs: 60_000 })
  const again = await run(['members', 'add', KEY, '--timeout', '2s', '--json'])
  t.is(JSON.parse(again.stdout).id, 2)
  t.alike(opened.node.lastOptions, { timeoutMs: 2_000 })
  t.is((await run(['members', 'add', 'nonsense'])).code, EXIT.usage)
})

test('a promotion says who votes now, and takes names and force', async (t) => {
  const { opened, run } = await openNode(t)
  await run(['members', 'add', KEY])
  const { stdout } = await run(['members', 'promote', '2', '--replace', 'alder', '--force'])
  t.ok(stdout.startsWith('✓ node 2 is a voter, node 1 a learner\n'), stdout)
  t.alike(opened.node.cluster.lastRequest, {}, 'the state was looked at last')
  const { code, stderr } = await run(['members', 'promote', '2'])
  t.is(code, CODES.NOT_A_LEARNER.exitCode, stderr)
  t.alike(JSON.parse((await run(['members', 'promote', '1', '--json'])).stdout), {
    learner_id: 1,
    previous_voters: [2],
    new_voters: [1, 2],
    timestamp: '2026-01-01T00:00:00.004Z'
  })
  t.is((await run(['members', 'promote', 'nobody'])).code, EXIT.notFound)
})

test('a refused promotion says why, with its fields for programs', async (t) => {
  const { opened, run } = await openNode(t)
  const error = new ControlPlaneError({
    code: 'MEMBERSHIP_CHANGE_TOO_RECENT',
    message: 'Membership was changed recently (wait 240 s)',
    hint: '--force does not wait',
    fields: { remaining_ms: 239_500 }
  })
  const promoted = opened.node.cluster.promoteLearner.bind(opened.node.cluster)
  opened.node.cluster.promoteLearner = (...asked) => {
    opened.node.fail(error)
    return promoted(...asked)
  }
  const { code, stderr } = await run(['members', 'promote', '2'])
  t.is(code, CODES.MEMBERSHIP_CHANGE_TOO_RECENT.exitCode)
  t.is(stderr, '✗ Membership was changed recently (wait 240 s): --force does not wait\n')
  const { stdout } = await run(['members', 'promote', '2', '--json'])
  t.alike(JSON.parse(stdout).error.fields, { remaining_ms: 239_500 })
})

test('a voter becomes a learner, and one that is one stays it', async (t) => {
  const { opened, run } = await openNode(t)
  await run(['members', 'add', KEY])
  await run(['members', 'promote', '2'])
  const { stdout } = await run(['members', 'demote', 'alder'])
  t.ok(stdout.startsWith('✓ node 1 is a learner\n! 1 voter, 1 learner;'), stdout)
  t.alike(opened.node.cluster.lastRequest, { members: [2], expected: [1, 2] })
  t.is((await run(['members', 'demote', '1', '--quiet'])).stdout, '2\n')
  t.alike(opened.node.cluster.lastRequest, {}, 'nothing was changed')
  t.is((await run(['members', 'demote', '7'])).code, EXIT.notFound)
})

test('nobody is removed without being asked for, and tickets that went with it are named', async (t) => {
  const { opened, run } = await openNode(t)
  await run(['members', 'add', KEY])
  const refused = await run(['members', 'remove', '2'])
  t.is(refused.code, EXIT.usage)
  t.is(
    refused.stderr,
    '✗ node 2 would be removed for good, and nobody can be asked here: --yes removes it without asking\n'
  )
  const { code, stdout } = await run(['members', 'remove', '2', '--yes', '--force'])
  t.is(code, EXIT.ok)
  t.alike(stdout.trimEnd().split('\n'), [
    '✓ node 2 is removed for good',
    '! 1 voter; tolerates 0 failures: with two more it would be 1',
    "  1 ticket revoked with it: 00000001; 'aspen ticket create' makes another"
  ])
  t.alike(opened.node.cluster.lastRequest, { id: 2, force: true })
  t.is((await run(['members', 'remove', '2', '-y'])).code, EXIT.notFound)
})

test('somebody at a terminal is asked first, and only a yes removes', async (t) => {
  const { run } = await openNode(t)
  await run(['members', 'add', KEY])
  for (const [answer, code] of [
    ['n\n', EXIT.failed],
    ['', EXIT.failed],
    ['yes\n', EXIT.ok]
  ] as const) {
    const ran = await run(['members', 'remove', '2'], { stdin: answer, isInputTerminal: true })
    t.is(ran.code, code, JSON.stringify(answer))
    t.ok(
      ran.stderr.includes('node 2 is removed for good: its key is never let in again. Go on? (y/N)')
    )
  }
})

test('who leads is said, and handed over', async (t) => {
  const { opened, run } = await openNode(t)
  t.is((await run(['leader'])).stdout, 'node 1 alder, this node, leads term 2\n')
  t.is((await run(['leader', '--quiet'])).stdout, '1\n')
  t.alike(JSON.parse((await run(['leader', '--json'])).stdout), {
    leader: 1,
    name: 'alder',
    key: 'ab'.repeat(32),
    term: 2
  })
  await run(['members', 'add', KEY])
  await run(['members', 'promote', '2'])
  t.is((await run(['leader', 'transfer'])).stdout, '✓ node 2 leads\n')
  t.is((await run(['leader', 'transfer', 'alder', '--json'])).stdout, '{"leader":1}\n')
  t.alike(opened.node.cluster.lastRequest, { target: 1 })
})

test('a snapshot says of which entry it is', async (t) => {
  const { run } = await openNode(t)
  t.is(
    (await run(['snapshot'])).stdout,
    '✓ this node has a snapshot as of entry 2, and every member makes its own\n'
  )
  t.is((await run(['snapshot', '--json'])).stdout, '{"snapshot":{"term":1,"index":2}}\n')
})

test('the list of members is still what `members` prints, with its flags', async (t) => {
  const { run } = await openNode(t)
  t.is((await run(['members', '--quiet'])).stdout, '1\n')
  t.is(JSON.parse((await run(['members', '--json'])).stdout).members.length, 1)
})
