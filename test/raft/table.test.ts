// The total table role × message of the README, cell by cell, for messages of an earlier, the
// present and a later term. The types demand every cell.

import test from 'brittle'
import { unreachable } from '../../lib/assert.ts'
import type { Role } from '../../lib/raft/effects.ts'
import type { Message } from '../../lib/raft/message.ts'
import { Cluster } from './cluster.ts'
import { GENESIS, timing } from './fixtures.ts'

type Kind = Message['kind']

/** What happens at [an earlier, the present, a later] term. */
type Cell = readonly [string, string, string]

/**
 * Node 1 of three is in `role` in term 2 and hears from node 2, which is the leader where there is
 * one. An outcome is: the role and term afterwards if they change, then what is sent.
 */
const TABLE: Readonly<Record<Role, Readonly<Record<Kind, Cell>>>> = {
  follower: {
    preVote: ['preVoteAnswer no', 'preVoteAnswer no', 'preVoteAnswer yes'],
    preVoteAnswer: ['nothing', 'nothing', 'term 3'],
    vote: ['voteAnswer no', 'voteAnswer no', 'term 3, voteAnswer yes'],
    voteAnswer: ['nothing', 'nothing', 'term 3'],
    append: ['rejected', 'matched', 'term 3, matched'],
    appendAnswer: ['nothing', 'nothing', 'term 3'],
    heartbeat: ['heartbeatAnswer', 'heartbeatAnswer', 'term 3, heartbeatAnswer'],
    heartbeatAnswer: ['nothing', 'nothing', 'term 3'],
    timeoutNow: ['nothing', 'candidate, term 3, vote, vote', 'term 3']
  },
  preCandidate: {
    preVote: ['preVoteAnswer no', 'preVoteAnswer no', 'preVoteAnswer yes'],
    preVoteAnswer: ['nothing', 'candidate, term 3, vote, vote', 'follower, term 3'],
    vote: ['voteAnswer no', 'follower, voteAnswer yes', 'follower, term 3, voteAnswer yes'],
    voteAnswer: ['nothing', 'nothing', 'follower, term 3'],
    append: ['rejected', 'follower, matched', 'follower, term 3, matched'],
    appendAnswer: ['nothing', 'nothing', 'follower, term 3'],
    heartbeat: [
      'heartbeatAnswer',
      'follower, heartbeatAnswer',
      'follower, term 3, heartbeatAnswer'
    ],
    heartbeatAnswer: ['nothing', 'nothing', 'follower, term 3'],
    timeoutNow: ['nothing', 'nothing', 'follower, term 3']
  },
  candidate: {
    preVote: ['preVoteAnswer no', 'preVoteAnswer no', 'preVoteAnswer yes'],
    preVoteAnswer: ['nothing', 'nothing', 'follower, term 3'],
    vote: ['voteAnswer no', 'voteAnswer no', 'follower, term 3, voteAnswer yes'],
    voteAnswer: ['nothing', 'leader, append, append, heartbeat, heartbeat', 'follower, term 3'],
    append: ['rejected', 'follower, matched', 'follower, term 3, matched'],
    appendAnswer: ['nothing', 'nothing', 'follower, term 3'],
    heartbeat: [
      'heartbeatAnswer',
      'follower, heartbeatAnswer',
      'follower, term 3, heartbeatAnswer'
    ],
    heartbeatAnswer: ['nothing', 'nothing', 'follower, term 3'],
    timeoutNow: ['nothing', 'nothing', 'follower, term 3']
  },
  leader: {
    preVote: ['preVoteAnswer no', 'preVoteAnswer no', 'preVoteAnswer no'],
    preVoteAnswer: ['nothing', 'nothing', 'follower, term 3'],
    vote: ['voteAnswer no', 'voteAnswer no', 'nothing'],
    voteAnswer: ['nothing', 'nothing', 'follower, term 3'],
    append: ['rejected', 'nothing', 'follower, term 3, matched'],
    appendAnswer: ['nothing', 'append', 'follower, term 3'],
    heartbeat: ['heartbeatAnswer', 'nothing', 'follower, term 3, heartbeatAnswer'],
    heartbeatAnswer: ['nothing', 'nothing', 'follower, term 3'],
    timeoutNow: ['nothing', 'nothing', 'follower, term 3']
  }
}

const PRESENT = 2

function inRole(role: Role): Cluster {
  const cluster = Cluster.alone(1, [1, 2, 3])
  cluster.tick(1)
  if (role === 'leader') cluster.lead(1, [3])
  if (role === 'follower' || role === 'preCandidate') {
    cluster.message(1, 2, { kind: 'heartbeat', term: PRESENT, boot: 1, round: 1, commitIndex: 0 })
  }
  if (role === 'preCandidate' || role === 'candidate') {
    cluster.nowMs += timing.electionMaxMs
    cluster.tick(1)
  }
  if (role === 'candidate') {
    cluster.message(1, 3, { kind: 'preVoteAnswer', term: PRESENT, isGranted: true, ownTerm: 1 })
  }
  cluster.network = []
  return cluster
}

function messageOf(kind: Kind, term: number): Message {
  switch (kind) {
    case 'preVote':
      return { kind, term, lastIndex: 9, lastTerm: 2 }
    case 'preVoteAnswer':
      return { kind, term: term + 1, isGranted: true, ownTerm: term }
    case 'vote':
      return { kind, term, lastIndex: 9, lastTerm: 2, isTransfer: false }
    case 'voteAnswer':
      return { kind, term, isGranted: true }
    case 'append': {
      const previous = { previousIndex: 0, previousTerm: 0, previousHash: GENESIS.hash }
      return { kind, term, session: 1, ...previous, entries: [], commitIndex: 0 }
    }
    case 'appendAnswer':
      return { kind, term, session: 1, result: { kind: 'matched', matchIndex: 1 } }
    case 'heartbeat':
      return { kind, term, boot: 1, round: 1, commitIndex: 0 }
    case 'heartbeatAnswer':
      return { kind, term, boot: 1, round: 1, wallMs: 0 }
    case 'timeoutNow':
      return { kind, term }
    default:
      return unreachable(kind)
  }
}

function outcome(role: Role, message: Message): string {
  const cluster = inRole(role)
  const { raft } = cluster.node(1)
  if (raft.status().role !== role || raft.status().term !== PRESENT)
    return 'the role is not reached'
  cluster.isDiskFast = false
  cluster.message(1, 2, message)
  cluster.isDiskFast = true
  const after = raft.status()
  // what waited for the step's write has left now
  const { write } = cluster.node(1).effects.at(-1) ?? { write: null }
  if (write !== null) cluster.completeWrite(1)
  const becomes = after.role === role ? [] : [after.role]
  const term = after.term === PRESENT ? [] : [`term ${after.term}`]
  const sent = cluster.network.map((transit) => said(transit.message))
  return [...becomes, ...term, ...sent].join(', ') || 'nothing'
}

function said(message: Message): string {
  if ('isGranted' in message) return `${message.kind} ${message.isGranted ? 'yes' : 'no'}`
  return message.kind === 'appendAnswer' ? message.result.kind : message.kind
}

test('every role answers every message of every term as the table says', (t) => {
  const terms = [PRESENT - 1, PRESENT, PRESENT + 1]
  for (const [role, row] of entriesOf(TABLE)) {
    for (const [kind, cell] of entriesOf(row)) {
      const found = terms.map((term) => outcome(role, messageOf(kind, term)))
      t.alike(found, [...cell], `${role}, ${kind}`)
    }
  }
})

function entriesOf<K extends string, V>(
  record: Readonly<Record<K, V>>
): readonly (readonly [K, V])[] {
  return keysOf(record).map((key) => [key, record[key]] as const)
}

function keysOf<K extends string>(record: Readonly<Record<K, unknown>>): readonly K[] {
  const isKey = (key: string): key is K => Object.hasOwn(record, key)
  return Object.keys(record).filter(isKey)
}
