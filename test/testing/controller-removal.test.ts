// Members that are added by key and removed by command, on whole clusters in virtual time.

import test from 'brittle'
import { hexOf } from '../../lib/encoding.ts'
import { inviteIdOf } from '../../tickets/tickets.ts'
import { formed, LONG_MS } from './controlled-cluster.ts'

test('a learner takes the place of a voter that is removed, in one change, and tickets are revoked', async (t) => {
  const it = await formed(['a', 'b', 'c', 'd'])
  const gone = it.follower
  const asked = it.cluster.nodes().find((node) => node !== gone && node.name !== 'd')
  const [invite] = gone.stateMachine.trust().invites
  const removal = await it.done(it.of(asked?.name ?? '').removeMember({ id: gone.machine.id }))
  t.alike(
    removal.members,
    [1, 2, 3, 4].filter((id) => id !== gone.machine.id)
  )
  t.alike(removal.learners, [])
  t.alike(removal.revokedTickets, [inviteIdOf(invite?.publicKey ?? new Uint8Array(32))])
  await it.cluster.time.run(5_000)
  t.is(gone.failure?.code, 'MEMBER_REMOVED')
  gone.machine.forget()
  const again = it.of('d').removeMember({ id: gone.machine.id })
  t.is(await it.code(again), 'MEMBER_NOT_FOUND')
  const { key } = { key: hexOf(gone.machine.keyPair.publicKey) }
  t.is(await it.code(it.of('d').addLearner({ learner: { key } })), 'MEMBER_REMOVED')
  await it.cluster.close()
})

test('a leader that is to be removed hands over first, and the next one removes it', async (t) => {
  for (const isAskedItself of [true, false]) {
    const it = await formed(['a', 'b', 'c'])
    const { leader, follower } = it
    const asked = isAskedItself ? leader : follower
    const { members } = await it.done(it.of(asked.name).removeMember({ id: leader.machine.id }))
    t.alike(
      members,
      [1, 2, 3].filter((id) => id !== leader.machine.id)
    )
    await it.cluster.time.run(5_000)
    t.is(leader.failure?.code, 'MEMBER_REMOVED')
    leader.machine.forget()
    t.alike((await it.done(it.of(follower.name).currentState())).members, members)
    await it.cluster.close()
  }
})

test('the only voter is removed once a learner has taken its place', async (t) => {
  const it = await formed(['a', 'b'])
  t.alike(it.votersSeenBy('b'), [1])
  t.alike((await it.done(it.of('a').removeMember({ id: 1 }))).members, [2])
  await it.cluster.time.run(5_000)
  it.cluster.node('a').machine.forget()
  t.is(await it.code(it.of('b').removeMember({ id: 2 })), 'LAST_VOTER')
  await it.cluster.close()
})

test('who asks for its own removal hears that it is done, before it ends: a voter and a learner', async (t) => {
  const it = await formed(['a', 'b', 'c', 'd', 'e'])
  for (const node of [it.cluster.node('e'), it.follower]) {
    const { id } = node.machine
    const state = await it.done(it.of(node.name).removeMember({ id }))
    t.absent(state.nodes.some((one) => one.id === id))
    await it.cluster.time.run(5_000)
    t.is(node.failure?.code, 'MEMBER_REMOVED')
    node.machine.forget()
  }
  await it.cluster.close()
})

test('a removal that would leave no majority in sight is refused; a dead voter can be removed', async (t) => {
  const it = await formed(['a', 'b', 'c'])
  const [dead, alive] = it.cluster.nodes().filter((node) => node !== it.leader)
  it.cluster.crash(dead?.name ?? '')
  await it.cluster.time.run(3_000)
  const aliveId = alive?.machine.id ?? 0
  const cluster = it.of(alive?.name ?? '')
  const refusal = await it.refusal(cluster.removeMember({ id: aliveId }))
  t.is(refusal?.code, 'QUORUM_WOULD_BE_LOST')
  t.is(
    await it.code(cluster.changeMembership({ members: [dead?.machine.id ?? 0] })),
    'QUORUM_WOULD_BE_LOST'
  )
  const { members } = await it.done(cluster.removeMember({ id: dead?.machine.id ?? 0 }))
  t.alike(
    members,
    [it.leader.machine.id, aliveId].toSorted((a, b) => a - b)
  )
  await it.cluster.close()
})

test('a forced removal goes on when the voters are back, and until then its outcome is unknown', async (t) => {
  const it = await formed(['a', 'b', 'c'])
  const [dead, alive] = it.cluster.nodes().filter((node) => node !== it.leader)
  const ids = { dead: dead?.machine.id ?? 0, alive: alive?.machine.id ?? 0 }
  it.cluster.crash(dead?.name ?? '')
  await it.cluster.time.run(3_000)
  const forced = it.of(it.leader.name).removeMember({ id: ids.alive, force: true })
  const refusal = await it.refusal(forced)
  t.is(refusal?.code, 'TIMEOUT')
  t.alike(refusal?.fields, { timeout_ms: 5_000 })
  await it.done(it.cluster.restart(dead?.name ?? ''))
  await it.cluster.time.run(LONG_MS)
  t.is(alive?.failure?.code, 'MEMBER_REMOVED')
  alive?.machine.forget()
  const state = await it.done(it.of(it.leader.name).currentState())
  t.absent(state.members.includes(ids.alive))
  await it.cluster.close()
})

test('a node is added by its key on any node, before it runs, and stays a learner', async (t) => {
  const it = await formed(['a', 'b', 'c'])
  const machine = it.cluster.addMachine('d')
  const key = hexOf(machine.keyPair.publicKey)
  const { follower } = it
  const learner = { key, addresses: ['10.0.0.4:49737'] }
  const early = await it.refusal(it.of(follower.name).addLearner({ learner }, { timeoutMs: 2_000 }))
  t.is(early?.code, 'TIMEOUT')
  t.ok(early?.message.includes('node 4 is admitted and has not connected yet'), early?.message)
  t.alike(early?.fields, { timeout_ms: 2_000 })
  const wrongId = it.of('b').addLearner({ learner: { ...learner, id: 9 } })
  t.is(await it.code(wrongId), 'INVALID_REQUEST')
  const added = it
    .of(follower.name)
    .addLearner({ learner: { ...learner, id: 4 } }, { timeoutMs: LONG_MS })
  t.ok(await it.done(machine.askWelcome(follower.machine)))
  await it.done(machine.startJoined())
  const state = await it.done(added)
  t.alike(state.members, [1, 2, 3])
  t.alike(state.learners, [{ id: 4, key, addresses: ['10.0.0.4:49737'] }])
  t.alike((await it.done(it.of('a').addLearner({ learner }))).learners, state.learners, 'again')
  await it.cluster.time.run(LONG_MS)
  t.alike((await it.done(it.of('d').changeMembership({ members: [1, 2, 4] }))).members, [1, 2, 4])
  await it.cluster.close()
})

test('who waits for a node that is removed meanwhile hears that at once', async (t) => {
  const it = await formed(['a', 'b'])
  const machine = it.cluster.addMachine('c')
  const key = hexOf(machine.keyPair.publicKey)
  const startMs = it.cluster.time.nowMs()
  const added = it.refusal(it.of('b').addLearner({ learner: { key } }))
  await it.cluster.time.run(500)
  const id =
    it.cluster
      .node('a')
      .stateMachine.trust()
      .nodes.find((node) => hexOf(node.publicKey) === key)?.id ?? 0
  await it.done(it.of('a').removeMember({ id }))
  const refusal = await it.done(added)
  t.is(refusal?.code, 'MEMBER_REMOVED')
  t.alike(refusal?.fields, { id })
  t.ok(it.cluster.time.nowMs() - startMs < 2_000, 'not at its deadline')
  await it.cluster.close()
})

test('what is said of a node to add is checked before anything happens', async (t) => {
  const it = await formed(['a'])
  const key = 'ab'.repeat(32)
  for (const learner of [
    { key: 'ab' },
    { key: 'zz'.repeat(32) },
    { key, addresses: ['example.org:80'] },
    { key, addresses: Array.from({ length: 9 }, () => '10.0.0.1:1') },
    { key, id: 0 },
    { key, name: 'x'.repeat(64) }
  ]) {
    t.is(
      await it.code(it.of('a').addLearner({ learner })),
      'INVALID_REQUEST',
      JSON.stringify(learner)
    )
  }
  t.is(it.cluster.node('a').stateMachine.trust().nodes.length, 1)
  await it.cluster.close()
})
