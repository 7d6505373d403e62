// R1 broken by others: a term has one leader, and whoever is shown a second one names both. It goes on:
// one of the two may lie, and no member's word may end a node. What two leaders wrote, the log proves.

import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { Cluster } from './cluster.ts'
import { entriesAfter, GENESIS, nothing, timing } from './fixtures.ts'

test('a second leader of a term is reported with both names, once, by whoever hears it', (t) => {
  const heartbeat = { kind: 'heartbeat', term: 2, boot: 1, round: 9, commitIndex: 0 } as const
  const previous = { previousIndex: 0, previousTerm: 0, previousHash: GENESIS.hash }
  const append = { kind: 'append', term: 2, session: 1, ...previous, entries: [] } as const
  const claims = [heartbeat, { ...heartbeat, round: 1 }, { ...append, commitIndex: 0 }] as const
  for (const [position, claim] of claims.entries()) {
    const follower = Cluster.alone(1, [1, 2, 3])
    follower.message(1, 2, { ...heartbeat, round: 5 })
    const { deadlineMs } = follower.node(1)
    const secondLeader = { term: 2, leader: 2, claimant: 3 }
    const effects = follower.message(1, 3, claim)
    t.alike(effects, { ...nothing(0, deadlineMs), secondLeader }, `a follower, claim ${position}`)
    t.alike(follower.message(1, 3, claim), nothing(0, deadlineMs), 'once')

    const leader = Cluster.alone(1, [1, 2, 3])
    leader.lead(1, [2])
    const before = leader.raft(1).status()
    const dueMs = leader.node(1).deadlineMs
    const found = { term: 2, leader: 1, claimant: 3 }
    t.alike(leader.message(1, 3, claim), { ...nothing(0, dueMs), secondLeader: found }, 'a leader')
    t.alike(leader.raft(1).status(), before, 'it goes on leading')
  }
})

test('who led the term is remembered when it is not heard any more, and forgotten with the term', (t) => {
  const heartbeat = { kind: 'heartbeat', boot: 1, round: 9, commitIndex: 0 } as const
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.message(1, 2, { ...heartbeat, term: 2 })
  cluster.step(1, { kind: 'leaderLinkLost', id: 2 })
  const next = cluster.message(1, 3, { ...heartbeat, term: 2 })
  t.alike(next.secondLeader, { term: 2, leader: 2, claimant: 3 })
  t.is(cluster.raft(1).status().leader, 3, 'it is followed: the first one may have been the liar')
  const back = cluster.message(1, 2, { ...heartbeat, term: 2 })
  t.alike(back.secondLeader, { term: 2, leader: 3, claimant: 2 })
  t.is(cluster.message(1, 2, { ...heartbeat, term: 3 }).secondLeader, null, 'a term of its own')
  const again = cluster.message(1, 3, { ...heartbeat, term: 3 })
  t.alike(again.secondLeader, { term: 3, leader: 2, claimant: 3 }, 'each term anew')

  const former = Cluster.alone(1, [1, 2, 3])
  former.lead(1, [2])
  former.nowMs += timing.electionMaxMs
  former.tick(1)
  t.is(former.raft(1).status().role, 'follower', 'no quorum answered')
  const other = former.message(1, 3, { ...heartbeat, term: 2 })
  t.alike(other.secondLeader, { term: 2, leader: 1, claimant: 3 })
})

test('two leaders of a term that wrote are found out by the log: the second entry of one place', (t) => {
  const cluster = Cluster.alone(1, [1, 2, 3])
  const first = present(cluster.node(1).disk.stored[0], 'an entry')
  const previous = { previousIndex: 1, previousTerm: 1, previousHash: first.hash }
  const append = { kind: 'append', term: 2, session: 1, ...previous, commitIndex: 0 } as const
  cluster.message(1, 2, { ...append, entries: entriesAfter(first, [2], 'two') })
  const entries = entriesAfter(first, [2], 'three')
  const unheard = cluster.message(1, 3, { ...append, entries })
  t.is(unheard.diverged, null, 'its word alone ends nobody')
  cluster.step(1, { kind: 'leaderLinkLost', id: 2 })
  t.alike(cluster.message(1, 3, { ...append, entries }).diverged, { leader: 3, index: 2 })
})
