// Elections: pre-vote, vote, and who refuses them. PreVote, CheckQuorum and the refusal of votes
// while a leader is heard are always on, all three: each alone has a known livelock (B14).
//
// A vote and a request for one are promises: both wait until term, vote and the log that they name
// are durable (R6, B61). A pre-vote changes no state anywhere (R13).

import { assert } from '../assert.ts'
import type { NodeId } from '../node-id.ts'
import type { Core } from './core.ts'
import { becomeLeader } from './leader.ts'
import type { PreVote, PreVoteAnswer, Vote, VoteAnswer } from './message.ts'
import { allVoters, quorumValue } from './quorum.ts'
import type { CandidateState, PreCandidateState } from './roles.ts'

/** Nothing was heard for an election timeout: campaign, if this node may. */
export function onElectionTimeout(core: Core): void {
  assert(core.role.kind !== 'leader', 'a leader has no election timeout')
  const isStalled = core.durability.isStalled(core.now.nowMs, core.timing.electionMinMs)
  if (core.configurations.mayCampaign(core.id) && !isStalled) {
    becomePreCandidate(core)
    return
  }
  core.role = { kind: 'follower', electionDeadlineMs: core.drawElection(), leader: null }
}

/** The leader handed over: campaign at once, without asking first (thesis 3.10). */
export function campaignForTransfer(core: Core): void {
  if (!core.configurations.mayCampaign(core.id)) return
  if (core.durability.isStalled(core.now.nowMs, core.timing.electionMinMs)) return
  becomeCandidate(core, true)
}

export function onPreVote(core: Core, from: NodeId, message: PreVote): void {
  const isGranted =
    message.term > core.term && !hearsLeader(core, from) && isUpToDate(core, message)
  const { term } = message
  core.send(from, { kind: 'preVoteAnswer', term, isGranted, ownTerm: core.term })
}

export function onPreVoteAnswer(core: Core, from: NodeId, message: PreVoteAnswer): void {
  const { role } = core
  if (role.kind !== 'preCandidate') return
  if (!message.isGranted || message.term !== core.term + 1) return
  role.granted.add(from)
  maybeCampaign(core, role)
}

/** A request of the present term; later terms were adopted before, earlier ones refused. */
export function onVote(core: Core, from: NodeId, message: Vote): void {
  assert(message.term === core.term, 'the term was settled before')
  const isRepeated = core.votedFor === from
  const isFree = core.votedFor === null && !hearsLeader(core, null)
  const isGranted = isRepeated || (isFree && isUpToDate(core, message))
  if (isGranted && !isRepeated) {
    assert(core.role.kind !== 'leader' && core.role.kind !== 'candidate', 'those voted already')
    core.vote(core.term, from)
    core.role = { kind: 'follower', electionDeadlineMs: core.drawElection(), leader: null }
  }
  core.send(from, { kind: 'voteAnswer', term: core.term, isGranted }, isGranted ? 'vote' : 'term')
}

export function onVoteAnswer(core: Core, from: NodeId, message: VoteAnswer): void {
  const { role } = core
  if (role.kind !== 'candidate' || message.term !== core.term || !message.isGranted) return
  role.granted.add(from)
  maybeWin(core, role)
}

/** A candidate counts itself as soon as its own vote is durable. */
export function onVoteDurable(core: Core): void {
  const { role } = core
  if (role.kind !== 'candidate' || !core.durability.isVoteDurable) return
  assert(core.votedFor === core.id, 'a candidate votes for itself')
  role.granted.add(core.id)
  maybeWin(core, role)
}

/**
 * Whether votes are refused because a leader is heard (thesis 4.2.3). A leader that itself asks for
 * votes of a later term does not lead any more; `asking` names it, so that it is not refused.
 */
export function hearsLeader(core: Core, asking: NodeId | null): boolean {
  const { role } = core
  const since = core.now.nowMs - core.timing.electionMinMs
  if (role.kind === 'follower') {
    return role.leader !== null && role.leader.id !== asking && role.leader.heardMs > since
  }
  return role.kind === 'leader' && quorumValue(core.configurations.voters, role.heardOf) > since
}

/** A link to `id` opened: what it should have been asked is asked again. */
export function repeatRequest(core: Core, id: NodeId): void {
  const { role } = core
  if (role.kind === 'preCandidate') requestPreVote(core, id)
  if (role.kind === 'candidate') requestVote(core, role, id)
}

function becomePreCandidate(core: Core): void {
  const granted = new Set([core.id])
  const role: PreCandidateState = {
    kind: 'preCandidate',
    electionDeadlineMs: core.drawElection(),
    granted
  }
  core.role = role
  for (const id of allVoters(core.configurations.voters)) requestPreVote(core, id)
  maybeCampaign(core, role)
}

function becomeCandidate(core: Core, isTransfer: boolean): void {
  core.vote(core.term + 1, core.id)
  const electionDeadlineMs = core.drawElection()
  const role: CandidateState = {
    kind: 'candidate',
    electionDeadlineMs,
    granted: new Set(),
    isTransfer
  }
  core.role = role
  for (const id of allVoters(core.configurations.voters)) requestVote(core, role, id)
}

function requestPreVote(core: Core, id: NodeId): void {
  if (id === core.id || !core.configurations.isVoter(id)) return
  const { index, term } = core.log.last
  core.send(id, { kind: 'preVote', term: core.term + 1, lastIndex: index, lastTerm: term })
}

function requestVote(core: Core, role: CandidateState, id: NodeId): void {
  if (id === core.id || !core.configurations.isVoter(id)) return
  const { index, term } = core.log.last
  const { isTransfer } = role
  core.send(
    id,
    { kind: 'vote', term: core.term, lastIndex: index, lastTerm: term, isTransfer },
    'vote'
  )
}

function maybeCampaign(core: Core, role: PreCandidateState): void {
  if (hasQuorum(core, role.granted)) becomeCandidate(core, false)
}

/** Not before the own vote is durable, though somebody answers what was not asked yet (R6). */
function maybeWin(core: Core, role: CandidateState): void {
  if (core.durability.isVoteDurable && hasQuorum(core, role.granted)) becomeLeader(core)
}

/** The granted set is a set of ids: repeated answers count once (B6). */
function hasQuorum(core: Core, granted: ReadonlySet<NodeId>): boolean {
  return quorumValue(core.configurations.voters, (id) => (granted.has(id) ? 1 : 0)) === 1
}

/** Whether the asking log is at least as new as ours: by term first, then by index (B5). */
function isUpToDate(core: Core, asked: PreVote | Vote): boolean {
  const { index, term } = core.log.last
  return asked.lastTerm > term || (asked.lastTerm === term && asked.lastIndex >= index)
}
