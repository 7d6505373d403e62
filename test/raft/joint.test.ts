// Membership: joint consensus through changes of leader, rollback, learners, removal of the leader.

import test from 'brittle'
import type { NodeId } from '../../lib/node-id.ts'
import type { ConfigurationChange } from '../../lib/raft/configuration.ts'
import { isJoint, learnersOf, votersOf } from '../../lib/raft/configuration.ts'
import type { Event } from '../../lib/raft/effects.ts'
import { Cluster } from './cluster.ts'
import { configurationEntry, configurationOf, member, timing } from './fixtures.ts'

const none: ConfigurationChange = { add: [], promote: [], demote: [], remove: [] }

function asking(change: Partial<ConfigurationChange>, ref = 1): Event {
  return { kind: 'change', ref, change: { ...none, ...change } }
}

/** Voters and outgoing voters as a node sees them. */
function sets(cluster: Cluster, id: NodeId): readonly (readonly NodeId[])[] {
  const { configuration } = cluster.raft(id).status()
  return [votersOf(configuration), configuration.outgoing]
}

test('from one voter to three: joint, then final, each once, and all three hold it', (t) => {
  const cluster = Cluster.of([1], { learners: [2, 3] })
  cluster.elect(1)
  const effects = cluster.step(1, asking({ promote: [2, 3] }))
  t.alike(effects.proposed, [{ ref: 1, term: 2, from: 3, to: 4 }])
  t.alike(sets(cluster, 1), [[1, 2, 3], [1]])
  t.is(cluster.raft(1).commitIndex, 2, 'the old voter alone commits nothing now')
  cluster.settle()
  t.alike(sets(cluster, 1), [[1, 2, 3], []])
  cluster.run(timing.heartbeatMs)
  for (const id of [1, 2, 3]) {
    t.alike(sets(cluster, id), [[1, 2, 3], []])
    t.is(cluster.raft(id).commitIndex, 4, 'one joint entry and one final')
  }
})

test('a change of learners alone needs no joint phase', (t) => {
  const cluster = Cluster.of([1], { learners: [2] })
  cluster.elect(1)
  cluster.step(1, asking({ add: [member(3, 'learner')], remove: [2] }))
  t.alike(sets(cluster, 1), [[1], []])
  t.alike(learnersOf(cluster.raft(1).status().configuration), [3])
  t.is(cluster.raft(1).commitIndex, 3)
})

test('a new leader finishes the joint change of the one that is gone', (t) => {
  const cluster = Cluster.of([1, 2, 3], { learners: [4, 5] })
  cluster.elect(1)
  // everybody gets the joint entry; nobody's answer arrives, then the leader dies
  cluster.isLost = ({ message }) => message.kind === 'appendAnswer'
  cluster.step(1, asking({ promote: [4, 5], demote: [2, 3] }))
  cluster.settle()
  for (const id of [1, 2, 3, 4, 5])
    t.alike(sets(cluster, id), [
      [1, 4, 5],
      [1, 2, 3]
    ])
  cluster.crash(1)
  cluster.isLost = () => false
  cluster.elect(4)
  cluster.run(timing.heartbeatMs)
  for (const id of [2, 3, 4, 5]) t.alike(sets(cluster, id), [[1, 4, 5], []])
  t.is(cluster.raft(4).status().role, 'leader')
})

test('the final entry survives on nodes that it leaves without a vote: one of them finishes it', (t) => {
  const cluster = Cluster.of([1, 2, 3])
  cluster.elect(1)
  // 3 is to be the only voter, and gets the joint entry but not the final one
  cluster.isLost = ({ to, message }) =>
    to === 3 && message.kind === 'append' && message.entries.some(({ index }) => index > 3)
  cluster.step(1, asking({ demote: [1, 2] }))
  cluster.settle()
  t.alike(sets(cluster, 2), [[3], []])
  t.alike(sets(cluster, 3), [[3], [1, 2, 3]])
  cluster.crash(1, Infinity)
  cluster.restart(1)
  cluster.isLost = () => false
  cluster.run(4 * timing.electionMaxMs)
  for (const id of [1, 2, 3]) t.alike(sets(cluster, id), [[3], []])
  t.is(cluster.raft(3).status().role, 'leader', 'it leads in the end')
})

test('a new leader leaves a committed joint configuration only after a commit of its own term', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  const { disk } = cluster.node(1)
  const { members } = configurationOf([1, 2], [3])
  disk.stored.push(configurationEntry(disk.last, { members, outgoing: [1, 2, 3] }))
  disk.hardState = { term: 1, votedFor: null, commitIndex: 2 }
  cluster.node(1).raft = cluster.node(1).boots()
  cluster.lead(1, [2])
  cluster.tick(1)
  t.alike(sets(cluster, 1), [
    [1, 2],
    [1, 2, 3]
  ])
  cluster.acknowledge(1, 2, 3)
  t.alike(sets(cluster, 1), [[1, 2], []])
})

test('in the joint phase a majority of one set alone neither elects nor commits', (t) => {
  const cluster = Cluster.of([1, 2, 3], { learners: [4, 5] })
  cluster.elect(1)
  const committed = cluster.raft(1).commitIndex
  // 2 and 3 hear nothing: of the outgoing voters only 1 is left
  cluster.isLost = ({ from, to }) => [2, 3].includes(from) || [2, 3].includes(to)
  cluster.step(1, asking({ promote: [4, 5] }))
  cluster.settle()
  t.is(cluster.raft(1).commitIndex, committed)
  cluster.run(timing.electionMinMs + timing.heartbeatMs)
  t.alike(cluster.leaders(), [], 'CheckQuorum needs both sets too')
  cluster.run(timing.electionMaxMs * 3)
  t.alike(cluster.leaders(), [])
  t.is(cluster.raft(4).status().term, 2, 'and pre-votes raise no term')
})

test('a truncated joint configuration is rolled back to the one before', (t) => {
  const cluster = Cluster.of([1, 2, 3], { learners: [4] })
  cluster.elect(1)
  cluster.isLost = ({ from, to }) => from === 1 || to === 1
  cluster.step(1, asking({ promote: [4], demote: [2] }))
  t.ok(isJoint(cluster.raft(1).status().configuration))
  cluster.elect(2)
  cluster.propose(2, 'a')
  cluster.settle()
  cluster.isLost = () => false
  cluster.linkUp(1)
  cluster.run(timing.heartbeatMs * 2)
  t.alike(cluster.raft(1).status().configuration, configurationOf([1, 2, 3], [4]))
  t.is(cluster.raft(1).status().configurationIndex, 1)
  t.alike(cluster.node(1).disk.stored, cluster.node(2).disk.stored)
})

test('one change at a time', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { learners: [4] })
  cluster.lead(1, [2])
  cluster.acknowledge(1, 2, 2)
  t.is(cluster.step(1, asking({ promote: [4] })).proposed.length, 1)
  const refused = [{ ref: 2, reason: 'changeInProgress' as const }]
  t.alike(cluster.step(1, asking({ demote: [3] }, 2)).refused, refused, 'joint, not committed')
  cluster.acknowledge(1, 2, 3)
  cluster.acknowledge(1, 4, 3)
  t.alike(sets(cluster, 1), [[1, 2, 3, 4], []])
  t.alike(cluster.step(1, asking({ demote: [3] }, 2)).refused, refused, 'final, not committed')
  cluster.acknowledge(1, 2, 4)
  cluster.acknowledge(1, 4, 4)
  t.is(cluster.step(1, asking({ demote: [3] }, 3)).proposed.length, 1)
})

test('changes that make no sense are refused and change nothing', (t) => {
  const cluster = Cluster.of([1], { learners: [2] })
  cluster.elect(1)
  const wrong: readonly [string, Partial<ConfigurationChange>][] = [
    ['empty', {}],
    ['add a member', { add: [member(2, 'learner')] }],
    ['add a voter', { add: [member(3)] }],
    ['add a known key', { add: [{ ...member(3, 'learner'), publicKey: member(1).publicKey }] }],
    ['promote a voter', { promote: [1] }],
    ['promote a stranger', { promote: [9] }],
    ['demote a learner', { demote: [2] }],
    ['demote the last voter', { demote: [1] }],
    ['remove the last voter', { remove: [1] }],
    ['remove a stranger', { remove: [9] }],
    ['name one twice', { promote: [2], remove: [2] }]
  ]
  for (const [what, change] of wrong) {
    const effects = cluster.step(1, asking(change))
    t.alike([effects.refused, effects.write], [[{ ref: 1, reason: 'invalidChange' }], null], what)
  }
})

test('a learner counts for nothing: no vote, no commit, no reads, no CheckQuorum', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3], { learners: [4, 5] })
  cluster.tick(1)
  cluster.nowMs += timing.electionMaxMs
  cluster.tick(1)
  t.alike(
    cluster.sent(1, 'preVote').map(({ to }) => to),
    [2, 3],
    'learners are not asked'
  )
  for (const from of [4, 5]) {
    cluster.message(1, from, { kind: 'preVoteAnswer', term: 2, isGranted: true, ownTerm: 1 })
  }
  t.is(cluster.raft(1).status().role, 'preCandidate')
  cluster.lead(1, [2])
  for (const from of [4, 5]) cluster.acknowledge(1, from, 2)
  t.is(cluster.raft(1).commitIndex, 0)
  cluster.acknowledge(1, 2, 2)
  cluster.step(1, { kind: 'read', ref: 1 })
  const answer = { kind: 'heartbeatAnswer', term: 2, boot: 1, round: 2, wallMs: 0 } as const
  for (const from of [4, 5]) t.alike(cluster.message(1, from, answer).reads, [])
  cluster.nowMs += timing.electionMinMs
  for (const from of [4, 5]) cluster.acknowledge(1, from, 2)
  cluster.tick(1)
  t.is(cluster.raft(1).status().role, 'follower')
})

test('a learner never campaigns, and forgets a leader that is gone', (t) => {
  const cluster = Cluster.of([1], { learners: [2] })
  cluster.elect(1)
  t.is(cluster.raft(2).status().leader, 1)
  cluster.crash(1)
  cluster.run(timing.electionMaxMs * 3)
  const { role, leader, term } = cluster.raft(2).status()
  t.alike([role, leader, term], ['follower', null, 2])
})

test('a voter that believes to be a learner, or to be nobody, votes all the same (B22)', (t) => {
  const request = { kind: 'vote', term: 5, lastIndex: 9, lastTerm: 4, isTransfer: false } as const
  const learner = Cluster.alone(4, [1, 2, 3], { learners: [4] })
  const empty = new Cluster()
  empty.add(4)
  for (const cluster of [learner, empty]) {
    cluster.message(4, 2, request)
    t.alike(cluster.network[0]?.message, { kind: 'voteAnswer', term: 5, isGranted: true })
  }
})

test('a leader that removes itself commits that without counting itself, and hands over (B24, B25)', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.lead(1, [2, 3])
  for (const from of [2, 3]) cluster.acknowledge(1, from, 2)
  cluster.step(1, asking({ remove: [1] }))
  t.alike(sets(cluster, 1), [
    [2, 3],
    [1, 2, 3]
  ])
  for (const from of [2, 3]) cluster.acknowledge(1, from, 3)
  t.alike(sets(cluster, 1), [[2, 3], []])
  t.alike(cluster.propose(1, 'late', 9).refused, [{ ref: 9, reason: 'transferring' }])
  t.is(cluster.acknowledge(1, 2, 4).commitIndex, 3, 'one of two, and its own entry, are no quorum')
  const effects = cluster.acknowledge(1, 3, 4)
  t.is(effects.commitIndex, 4)
  t.is(cluster.raft(1).status().role, 'follower')
  t.alike(effects.messages, [{ to: 2, message: { kind: 'timeoutNow', term: 2 } }])
})

test('a whole cluster replaces its leader and goes on', (t) => {
  const cluster = Cluster.of([1, 2, 3], { learners: [4] })
  cluster.elect(1)
  cluster.step(1, asking({ remove: [1], promote: [4] }))
  cluster.settle()
  cluster.run(timing.heartbeatMs)
  const [leader] = cluster.leaders()
  t.ok(leader !== undefined && leader.id !== 1)
  for (const id of [2, 3, 4]) t.alike(sets(cluster, id), [[2, 3, 4], []])
  const term = leader?.raft.status().term
  cluster.run(timing.electionMaxMs * 4)
  t.is(cluster.leaders()[0]?.raft.status().term, term, 'the removed one disturbs nobody (B10)')
})
