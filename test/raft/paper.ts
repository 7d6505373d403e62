// What the tests of the Raft paper share: one node of five, in the role that a sentence is about, and
// what the other four, for which the test speaks, would say to it.

import { present } from '../../lib/assert.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Effects } from '../../lib/raft/effects.ts'
import type { Entry, EntryId, Index, Term } from '../../lib/raft/entry.ts'
import type { Append, AppendAnswer, Heartbeat, Message, Vote } from '../../lib/raft/message.ts'
import { Cluster } from './cluster.ts'

export const VOTERS: readonly NodeId[] = [1, 2, 3, 4, 5]

/** Every voter but node 1, which is the one that exists. */
export const OTHERS: readonly NodeId[] = [2, 3, 4, 5]

/** Node 1 of five as its first tick leaves it. Its log: the configuration of term 1, then `terms`. */
export function follower(terms: readonly Term[] = []): Cluster {
  const cluster = Cluster.alone(1, VOTERS, { terms })
  cluster.tick(1)
  return cluster
}

/** The same, having heard nothing for its election timeout. */
export function preCandidate(terms: readonly Term[] = []): Cluster {
  const cluster = follower(terms)
  cluster.nowMs = cluster.node(1).deadlineMs
  cluster.tick(1)
  return cluster
}

/** The same, with the pre-votes of 2 and 3: it stands for election, and its vote is durable. */
export function candidate(terms: readonly Term[] = []): Cluster {
  const cluster = preCandidate(terms)
  cluster.network = []
  grantPreVotes(cluster)
  return cluster
}

/** The same, with the votes of 2 and 3. Its first entry is durable here and nowhere else. */
export function leader(terms: readonly Term[] = []): Cluster {
  const cluster = candidate(terms)
  const { term } = cluster.raft(1).status()
  for (const from of [2, 3]) cluster.message(1, from, voteAnswer(term))
  return cluster
}

/** 2 and 3 would vote for node 1; with that it campaigns. Returns the effects of the campaign. */
export function grantPreVotes(cluster: Cluster): Effects {
  const ownTerm = cluster.raft(1).status().term
  const answer = { kind: 'preVoteAnswer', term: ownTerm + 1, isGranted: true, ownTerm } as const
  cluster.message(1, 2, answer)
  return cluster.message(1, 3, answer)
}

export function voteAnswer(term: Term, isGranted = true): Message {
  return { kind: 'voteAnswer', term, isGranted }
}

/** A request by a candidate whose log ends with (lastIndex, lastTerm). */
export function vote(term: Term, lastIndex: Index, lastTerm: Term): Vote {
  return { kind: 'vote', term, lastIndex, lastTerm, isTransfer: false }
}

export function heartbeat(term: Term, round = 1, commitIndex: Index = 0): Heartbeat {
  return { kind: 'heartbeat', term, boot: 1, round, commitIndex }
}

export function appendAfter(
  previous: EntryId,
  rest: Partial<Append> & { readonly term: Term }
): Append {
  return {
    kind: 'append',
    session: 1,
    previousIndex: previous.index,
    previousTerm: previous.term,
    previousHash: previous.hash,
    entries: [],
    commitIndex: 0,
    ...rest
  }
}

export function matched(term: Term, matchIndex: Index, session = 1): AppendAnswer {
  return { kind: 'appendAnswer', term, session, result: { kind: 'matched', matchIndex } }
}

/** A refusal of (previousIndex, …) by a log that can agree at (hintIndex, hintTerm) at best. */
export function rejected(
  term: Term,
  [previousIndex, hintIndex, hintTerm]: readonly [Index, Index, Term],
  session = 1
): AppendAnswer {
  const result = { kind: 'rejected', previousIndex, hintIndex, hintTerm } as const
  return { kind: 'appendAnswer', term, session, result }
}

/** The entry at `index` on the disk of node `id`. */
export function stored(cluster: Cluster, index: Index, id: NodeId = 1): Entry {
  return present(cluster.node(id).disk.stored[index - 1], `entry ${index} of node ${id}`)
}

/** What the last step of node 1 returned. */
export function lastEffects(cluster: Cluster): Effects {
  return present(cluster.node(1).effects.at(-1), 'effects')
}

/** Everything that the core of node `id` has committed, in the pieces in which it hands it out. */
export function committed(cluster: Cluster, id: NodeId = 1): readonly Entry[] {
  const { raft } = cluster.node(id)
  const entries: Entry[] = []
  while (entries.length < raft.commitIndex) {
    entries.push(...raft.entries(entries.length + 1, raft.commitIndex + 1, 100))
  }
  return entries
}
