// Leading: from the election to the end of the leadership. Heartbeat rounds, commit, what a commit
// brings about, and the reasons to step down.

import { assert } from '../assert.ts'
import type { NodeId } from '../node-id.ts'
import type { Core } from './core.ts'
import { encodeConfiguration } from './encoding.ts'
import type { Entry, Index } from './entry.ts'
import { chained, ENTRY_KIND } from './entry.ts'
import { LogClock } from './log-time.ts'
import { leftJoint } from './membership.ts'
import type { Progress } from './progress.ts'
import { quorumValue } from './quorum.ts'
import { PendingReads } from './reads.ts'
import { replicateToAll, syncProgress } from './replication.ts'
import type { LeaderState } from './roles.ts'

/** An entry before it has a place. */
export interface Proposal {
  readonly kind: number
  readonly payload: Uint8Array
}

export function becomeLeader(core: Core): void {
  assert(core.role.kind === 'candidate', 'only a candidate wins')
  assert(core.durability.isVoteDurable, 'a leader is durably in its term (R6)')
  assert(core.configurations.mayCampaign(core.id), 'only a voter leads, of now or of before')
  const role = newLeaderState(core)
  core.role = role
  core.leaderOfTerm = core.id
  core.provenIndex = core.log.last.index
  syncProgress(core, role)
  // it commits what earlier terms left, and tells the followers the term (R8, B45)
  appendProposals(core, role, [{ kind: ENTRY_KIND.empty, payload: new Uint8Array(0) }])
  broadcastHeartbeat(core, role)
}

export function onLeaderTick(core: Core, role: LeaderState): void {
  if (maybeStepDown(core, role)) return
  const { nowMs } = core.now
  if (role.transfer !== null && nowMs >= role.transfer.deadlineMs) role.transfer = null
  maybeLeaveJoint(core, role)
  if (role.noticeDueMs !== null && nowMs >= role.noticeDueMs) tellCommit(core, role)
  if (nowMs < role.heartbeatDueMs) return
  broadcastHeartbeat(core, role)
  maybeHandOver(core, role)
}

/** Appends entries of this term and sends them. Returns the first index. */
export function appendProposals(
  core: Core,
  role: LeaderState,
  proposals: readonly Proposal[]
): Index {
  const entries: Entry[] = []
  let previous = core.log.last
  for (const { kind, payload } of proposals) {
    const timeMs = role.clock.stamp(core.configurations.voters.incoming, core.now)
    const entry = chained(previous, { term: core.term, kind, timeMs, payload })
    entries.push(entry)
    previous = entry
  }
  const from = core.log.last.index + 1
  core.append(entries)
  syncProgress(core, role)
  replicateToAll(core, role)
  return from
}

/** A round of heartbeats: keeps followers, counts who answers, confirms reads. */
export function broadcastHeartbeat(core: Core, role: LeaderState): void {
  role.round = core.nextRound()
  role.heartbeatDueMs = core.now.nowMs + core.timing.heartbeatMs
  role.noticeDueMs = null
  if (hasCommittedInTerm(core, role)) role.reads.start(role.round, core.commitIndex)
  for (const [id, progress] of role.progress) sendHeartbeat(core, role, { id, progress })
}

interface Follower {
  readonly id: NodeId
  readonly progress: Progress
}

function sendHeartbeat(core: Core, role: LeaderState, { id, progress }: Follower): void {
  const { term, boot } = core
  const commitIndex = Math.min(core.commitIndex, progress.matchIndex)
  progress.toldCommitIndex = Math.max(progress.toldCommitIndex, commitIndex)
  core.send(id, { kind: 'heartbeat', term, boot, round: role.round, commitIndex })
}

/**
 * A follower that has everything hears of a commit soon, by the present round once more, and not only
 * with the next round: what it answers from its own state is as old as that. Under load the next append
 * comes first and tells it; a read that another member confirms begins a round, which tells it too.
 */
export function maybeTellCommit(core: Core, role: LeaderState, progress: Progress): void {
  if (needsNotice(core, progress)) role.noticeDueMs ??= core.now.nowMs + COMMIT_NOTICE_MS
}

function tellCommit(core: Core, role: LeaderState): void {
  role.noticeDueMs = null
  for (const [id, progress] of role.progress) {
    if (needsNotice(core, progress)) sendHeartbeat(core, role, { id, progress })
  }
}

/** With appends on the way a follower hears from those. */
function needsNotice(core: Core, { matchIndex, toldCommitIndex }: Progress): boolean {
  return matchIndex === core.log.last.index && toldCommitIndex < core.commitIndex
}

/** Whether the term's first entry is committed: before, no reads (B50) and no changes (B18). */
export function hasCommittedInTerm(core: Core, role: LeaderState): boolean {
  return core.commitIndex >= role.firstIndex
}

/** Commits what a quorum of each active set holds durably, and acts on it. May end the leadership. */
export function maybeAdvanceCommit(core: Core, role: LeaderState): void {
  const index = quorumValue(core.configurations.voters, role.matchOf)
  // only entries of this term are committed by counting (R8, B1)
  if (index < role.firstIndex || index <= core.commitIndex) return
  core.commitTo(index)
  if (core.configurations.index <= core.commitIndex) {
    syncProgress(core, role)
    if (!core.configurations.isVoter(core.id)) {
      resign(core, role)
      return
    }
    maybeLeaveJoint(core, role)
  }
  serveReads(core, role)
  for (const progress of role.progress.values()) maybeTellCommit(core, role, progress)
}

/** Starts a round for waiting reads, and answers those whose round a quorum has answered. */
export function serveReads(core: Core, role: LeaderState): void {
  if (!hasCommittedInTerm(core, role)) return
  const { configurations } = core
  if (role.reads.hasWaiting && configurations.isSoleVoter(core.id)) {
    role.round = core.nextRound()
    role.reads.start(role.round, core.commitIndex)
  }
  if (role.reads.hasStarted) {
    const confirmed = quorumValue(configurations.voters, role.roundOf)
    core.outbox.answerReads(role.reads.confirm(confirmed))
  }
  if (role.reads.hasWaiting && !role.reads.hasStarted) broadcastHeartbeat(core, role)
}

/** Asks the target of a transfer to campaign, once it holds the whole log (B55). */
export function maybeHandOver(core: Core, role: LeaderState): void {
  if (role.transfer === null) return
  const { target } = role.transfer
  if (role.progress.get(target)?.matchIndex !== core.log.last.index) return
  core.send(target, { kind: 'timeoutNow', term: core.term })
}

/** The joint configuration is committed: the final one follows, once per joint one (R9, B23). */
function maybeLeaveJoint(core: Core, role: LeaderState): void {
  const { configurations } = core
  if (!configurations.isJoint || configurations.index > core.commitIndex) return
  if (!hasCommittedInTerm(core, role) || role.transfer !== null) return
  const payload = encodeConfiguration(leftJoint(configurations.current))
  appendProposals(core, role, [{ kind: ENTRY_KIND.configuration, payload }])
  assert(!configurations.isJoint, 'the final configuration is in use')
}

/** The configuration without this node as a voter is committed: it has nothing to lead (B24). */
function resign(core: Core, role: LeaderState): void {
  const lastIndex = core.log.last.index
  const heir = core.configurations.voters.incoming.find(
    (id) => role.progress.get(id)?.matchIndex === lastIndex
  )
  if (heir !== undefined) core.send(heir, { kind: 'timeoutNow', term: core.term })
  core.becomeFollower(null)
}

/**
 * CheckQuorum: without answers from a quorum for an election timeout there is no leadership, and
 * neither with a disk of its own that has not answered for as long (B15, B16).
 */
function maybeStepDown(core: Core, role: LeaderState): boolean {
  const { configurations, durability, now, timing } = core
  if (configurations.isSoleVoter(core.id)) return false
  const isHeard =
    quorumValue(configurations.voters, role.heardOf) > now.nowMs - timing.electionMinMs
  if (isHeard && !durability.isStalled(now.nowMs, timing.electionMinMs)) return false
  core.becomeFollower(null)
  return true
}

function newLeaderState(core: Core): LeaderState {
  const { id, log } = core
  const sinceMs = core.now.nowMs
  const progress: LeaderState['progress'] = new Map()
  const ofFollower = (other: NodeId): ReturnType<typeof progress.get> => progress.get(other)
  const role: LeaderState = {
    kind: 'leader',
    sinceMs,
    firstIndex: log.last.index + 1,
    progress,
    reads: new PendingReads(),
    clock: new LogClock(id, log.lastTimeMs),
    round: 0,
    heartbeatDueMs: sinceMs,
    noticeDueMs: null,
    transfer: null,
    matchOf: (other) =>
      other === id ? core.durability.durableIndex : (ofFollower(other)?.matchIndex ?? 0),
    roundOf: (other) => (other === id ? role.round : (ofFollower(other)?.answeredRound ?? 0)),
    heardOf: (other) => (other === id ? core.now.nowMs : (ofFollower(other)?.heardMs ?? sinceMs))
  }
  return role
}

/** How long a follower that holds the whole log waits to hear of a commit, unless an append comes first. */
const COMMIT_NOTICE_MS = 10
