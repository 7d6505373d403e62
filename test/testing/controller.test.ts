// What can be asked of a cluster about itself, on whole clusters in virtual time: on every node, after
// restarts and changes of leaders.

import test from 'brittle'
import type { DiskProbe } from '../../lib/cluster/disk-watch.ts'
import { hexOf } from '../../lib/encoding.ts'
import { MAX_MEMBER_OPERATIONS, MAX_MEMBERS, MAX_PENDING_OPERATIONS } from '../../lib/limits.ts'
import { MEMBERSHIP_COOLDOWN_MS } from '../../lib/limits.ts'
import { MemoryCluster } from '../../lib/testing/memory-cluster.ts'
import { Controlled, formed, LONG_MS } from './controlled-cluster.ts'

test('every node tells the same of who belongs, with keys and addresses', async (t) => {
  const it = await formed(['a', 'b', 'c', 'd'])
  for (const { name } of it.cluster.nodes()) {
    const state = await it.done(it.of(name).currentState())
    t.alike(state.members, [1, 2, 3], name)
    t.alike(
      state.nodes.map(({ id }) => id),
      [1, 2, 3, 4]
    )
    t.is(state.nodes[3]?.key, hexOf(it.cluster.node('d').machine.keyPair.publicKey))
    t.alike(state.learners, [{ id: 4, key: state.nodes[3]?.key, addresses: ['10.0.0.4:49737'] }])
    t.alike(await it.done(it.of(name).currentState({ consistency: 'stale' })), state)
    t.is(await it.of(name).getLeader(), it.leader.machine.id)
    t.is(await it.code(it.of(name).init({ initialMembers: [] })), 'ALREADY_INITIALIZED')
  }
  await it.cluster.close()
})

test('a promotion asked of a follower replaces a voter that is gone, which becomes a learner', async (t) => {
  const it = await formed(['a', 'b', 'c', 'd'])
  const gone = it.follower.name
  const asked = it.cluster.nodes().find(({ name }) => name !== gone && name !== it.leader.name)
  const goneId = it.idOf(gone)
  it.cluster.crash(gone)
  await it.cluster.time.run(3_000)
  const promotion = await it.done(
    it.of(asked?.name ?? '').promoteLearner({ learnerId: 4, replaceNode: goneId })
  )
  t.alike(promotion.previousVoters, [1, 2, 3])
  t.alike(
    promotion.newVoters,
    [1, 2, 3, 4].filter((id) => id !== goneId)
  )
  t.is(promotion.learnerId, 4)
  t.ok(Math.abs(Date.parse(promotion.timestamp) - it.cluster.time.wallMs()) < 5_000)
  const state = await it.done(it.of('d').currentState())
  t.alike(state.members, promotion.newVoters)
  t.alike(
    state.learners.map(({ id }) => id),
    [goneId]
  )
  await it.done(it.cluster.restart(gone))
  await it.cluster.time.run(LONG_MS)
  t.alike(
    it.votersSeenBy(gone),
    promotion.newVoters,
    'it is not promoted by itself when it is back'
  )
  await it.cluster.close()
})

test('after a change of the voters there is a pause, on every node and after restarts, unless forced', async (t) => {
  const it = await formed(['a', 'b', 'c', 'd', 'e'])
  await it.done(it.of('b').promoteLearner({ learnerId: 4 }))
  const refusal = await it.refusal(it.of('c').promoteLearner({ learnerId: 5 }))
  t.is(refusal?.code, 'MEMBERSHIP_CHANGE_TOO_RECENT')
  const remainingMs = Number(refusal?.fields?.['remaining_ms'])
  t.ok(remainingMs > MEMBERSHIP_COOLDOWN_MS - 5_000 && remainingMs <= MEMBERSHIP_COOLDOWN_MS)
  for (const { name } of it.cluster.nodes()) it.cluster.crash(name)
  for (const name of ['a', 'b', 'c', 'd', 'e']) await it.done(it.cluster.restart(name))
  await it.cluster.time.run(10_000)
  t.is(await it.code(it.of('e').promoteLearner({ learnerId: 5 })), 'MEMBERSHIP_CHANGE_TOO_RECENT')
  // nothing is written meanwhile: the pause ends all the same
  await it.cluster.time.run(MEMBERSHIP_COOLDOWN_MS - 9_000)
  t.alike((await it.done(it.of('e').promoteLearner({ learnerId: 5 }))).newVoters, [1, 2, 3, 4, 5])
  await it.cluster.close()
})

test('the new set of voters may be any members, also without the leader; it is done when all of it is', async (t) => {
  const it = await formed(['a', 'b', 'c', 'd', 'e'])
  const leader = it.leader.machine.id
  const members = [1, 2, 3, 4, 5].filter((id) => id !== leader).slice(0, 3)
  const state = await it.done(it.of('e').changeMembership({ members }))
  t.alike(state.members, members)
  t.alike(await it.done(it.of('e').currentState()), state)
  await it.cluster.time.run(LONG_MS)
  t.alike((await it.done(it.of('d').currentState())).members, members, 'and it stays so')
  t.alike(await it.done(it.of('d').changeMembership({ members })), state, 'again is nothing')
  const stale = { members: [1], expected: [leader] }
  t.is(await it.code(it.of('d').changeMembership(stale)), 'CONDITION_FAILED')
  t.is(await it.code(it.of('d').changeMembership({ members: [] })), 'INVALID_REQUEST')
  t.is(await it.code(it.of('d').changeMembership({ members: [1, 9] })), 'MEMBER_NOT_FOUND')
  t.is(await it.code(it.of('d').changeMembership({ members: [1.5] })), 'INVALID_REQUEST')
  await it.cluster.close()
})

test('of two changes at once one is refused, and says that the other is in progress', async (t) => {
  const it = await formed(['a', 'b', 'c', 'd', 'e'])
  const both = ['b', 'c'].map((name, at) =>
    it.code(it.of(name).changeMembership({ members: [1, 2, 3, 4 + at] }))
  )
  t.alike(new Set(await it.done(Promise.all(both))), new Set(['CHANGE_IN_PROGRESS', null]))
  await it.cluster.close()
})

test('leadership goes to whom it is asked to go, from any node, and who may not lead is refused', async (t) => {
  const it = await formed(['a', 'b', 'c', 'd'])
  const target = it.follower.machine.id
  t.alike(await it.done(it.of('d').transferLeadership({ target })), { leader: target })
  t.is(it.leader.machine.id, target)
  t.alike(await it.done(it.of('d').transferLeadership({ target })), { leader: target }, 'it has it')
  const { leader } = await it.done(it.of('d').transferLeadership())
  t.not(leader, target)
  const code = (id: number) => it.refusal(it.of('d').transferLeadership({ target: id }))
  t.is((await code(4))?.message, 'node 4 is a learner, and only a voter can lead')
  t.is((await code(9))?.code, 'MEMBER_NOT_FOUND')
  const gone = it.follower
  it.cluster.crash(gone.name)
  await it.cluster.time.run(3_000)
  t.is(
    (await code(gone.machine.id))?.message,
    `node ${gone.machine.id} is not in reach of the leader`
  )
  await it.cluster.close()
})

test('a snapshot by command is made at one new entry, also on the node that was asked', async (t) => {
  const it = await formed(['a', 'b', 'c'])
  const { name, stateMachine } = it.follower
  const first = await it.done(it.of(name).triggerSnapshot())
  t.is(stateMachine.snapshots.list()[0]?.index, first.index)
  t.is((await it.of(name).getMetrics()).snapshot?.index, first.index)
  await it.cluster.time.run(1_000)
  for (const node of it.cluster.nodes()) {
    t.is(node.stateMachine.snapshots.list()[0]?.index, first.index, node.name)
  }
  t.alike(await it.done(it.of(name).triggerSnapshot()), first, 'nothing has happened since')
  await it.done(it.of(name).transferLeadership())
  const second = await it.done(it.of(name).triggerSnapshot())
  t.ok(second.index > first.index && second.term > first.term)
  await it.cluster.close()
})

test('an operation whose leader is lost in the middle has an unknown outcome, and says so', async (t) => {
  for (const timeoutMs of [1_000, 5_000]) {
    const it = await formed(['a', 'b', 'c', 'd'])
    const { leader, follower } = it
    const asked = it.of(follower.name).promoteLearner({ learnerId: 4 }, { timeoutMs })
    const ended = it.refusal(asked)
    await it.cluster.time.run(1.5)
    it.cluster.crash(leader.name)
    const refusal = await it.done(ended)
    t.is(refusal?.code, timeoutMs === 1_000 ? 'TIMEOUT' : 'OUTCOME_UNKNOWN')
    if (timeoutMs === 1_000) t.alike(refusal?.fields, { timeout_ms: 1_000 })
    await it.cluster.close()
  }
})

test('an operation waits for a leader while there is none, and after its time nothing has happened', async (t) => {
  const it = await formed(['a', 'b', 'c', 'd'])
  const { leader, follower } = it
  it.cluster.crash(leader.name)
  const { cluster, replica } = { cluster: it.of(follower.name), replica: follower.assembly.replica }
  t.ok(await it.cluster.time.runUntil(() => replica.status.leader === null, LONG_MS))
  const order = { learnerId: 4, replaceNode: leader.machine.id }
  const { newVoters } = await it.done(cluster.promoteLearner(order))
  t.alike(
    newVoters,
    [1, 2, 3, 4].filter((id) => id !== leader.machine.id)
  )
  for (const { name } of it.cluster.nodes()) if (name !== follower.name) it.cluster.crash(name)
  t.ok(await it.cluster.time.runUntil(() => replica.status.leader === null, LONG_MS))
  const refusal = await it.refusal(cluster.changeMembership({ members: [1] }))
  t.is(refusal?.code, 'UNAVAILABLE')
  t.is(refusal?.message, 'not carried out within 5 s: no leader is known')
  t.is(await it.code(cluster.triggerSnapshot()), 'UNAVAILABLE')
  t.is(await it.code(cluster.currentState()), 'UNAVAILABLE')
  t.is((await it.done(cluster.currentState({ consistency: 'stale' }))).members.length, 3)
  t.is(await cluster.getLeader(), null)
  await it.cluster.close()
})

test('more operations than a leader carries out at once are refused; no member takes all of its places', async (t) => {
  const it = await formed(['a', 'b', 'c'])
  const machine = it.cluster.addMachine('d')
  const key = hexOf(machine.keyPair.publicKey)
  const add = (name: string, count: number): Promise<string | null>[] =>
    Array.from({ length: count }, () => it.code(it.of(name).addLearner({ learner: { key } })))
  const [one = '', other = ''] = ['a', 'b', 'c'].filter((name) => name !== it.leader.name)
  const room = MAX_PENDING_OPERATIONS - MAX_MEMBER_OPERATIONS
  const asked = [add(one, MAX_MEMBER_OPERATIONS + 1), add(it.leader.name, room - 1)]
  await it.cluster.time.run(1_000)
  t.alike((await it.done(it.of(other).changeMembership({ members: [1, 2, 3] }))).members, [1, 2, 3])
  const late = [...add(it.leader.name, 1), ...add(other, 1)]
  const codes = await it.done(Promise.all([...asked, late].map((each) => Promise.all(each))))
  const counts = codes.map((each) => each.filter((code) => code === 'OVERLOADED').length)
  t.alike(counts, [1, 0, 1])
  t.is(codes.flat().filter((code) => code === 'TIMEOUT').length, MAX_PENDING_OPERATIONS)
  await it.cluster.close()
})

test('a set of voters that is longer than any cluster is refused where it is asked', async (t) => {
  const it = await formed(['a', 'b'])
  const members = Array.from({ length: MAX_MEMBERS + 1 }, (_, at) => at + 1)
  for (const name of ['a', 'b']) {
    t.is(await it.code(it.of(name).changeMembership({ members })), 'MAX_VOTERS_EXCEEDED')
  }
  await it.cluster.close()
})

test('a transfer is not called refused while the voter may still take over', async (t) => {
  const it = await formed(['a', 'b', 'c'])
  const { leader, follower } = it
  for (const { name } of it.cluster.nodes())
    if (name !== follower.name) it.cluster.cut(follower.name, name)
  const target = follower.machine.id
  const refusal = await it.refusal(it.of(leader.name).transferLeadership({ target }))
  t.is(refusal?.code, 'TRANSFER_REFUSED')
  t.is(leader.assembly.replica.status.transferTarget, null)
  await it.cluster.close()
})

test('a voter whose disk is nearly full does not get the leadership, neither by name nor by choice', async (t) => {
  const full = new Set<string>()
  const diskProbe = (name: string): DiskProbe => {
    const free = (): number => (full.has(name) ? 100 : 9_000)
    return (onStats) => {
      const stats = { bsize: 2 ** 20, blocks: 10_000, bfree: free(), bavail: free() }
      it.cluster.time.start(1, () => onStats(stats))
    }
  }
  const cluster = new MemoryCluster({ seed: 1, diskProbe })
  const it = new Controlled(cluster)
  await cluster.form(['a', 'b', 'c'])
  const [one, other] = cluster.nodes().filter((node) => node !== it.leader)
  full.add(one?.name ?? '')
  await cluster.time.run(12_000)
  const target = one?.machine.id ?? 0
  const refusal = await it.refusal(it.of(other?.name ?? '').transferLeadership({ target }))
  t.is(refusal?.code, 'TRANSFER_REFUSED')
  t.is(refusal?.message, `node ${target} is not fit: its disk is nearly full`)
  const { leader } = await it.done(it.of(one?.name ?? '').transferLeadership())
  t.is(leader, other?.machine.id)
  await cluster.close()
})
