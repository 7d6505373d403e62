// What a node does with the messages of its leader: appends and heartbeats of the present term.

import b4a from 'b4a'
import { assert, unreachable } from '../assert.ts'

import type { NodeId } from '../node-id.ts'
import type { Core } from './core.ts'
import { campaignForTransfer } from './election.ts'
import type { Entry, EntryId, Index } from './entry.ts'
import type { Append, Heartbeat } from './message.ts'

/** Where an append and our log part. */
type Comparison =
  /** our log holds what precedes; these entries are new; the first may replace a conflicting one */
  | {
      readonly kind: 'follows'
      readonly fresh: readonly Entry[]
      readonly truncateFrom: Index | null
    }
  /** our log ends before, or has another term at, previousIndex */
  | { readonly kind: 'rejected' }
  /** equal index and term, or committed here, and yet different */
  | { readonly kind: 'diverged'; readonly index: Index }

export function onAppend(core: Core, from: NodeId, message: Append): void {
  core.hearClaim(from)
  if (!maybeHearLeader(core, from)) return
  const comparison = compare(core, message)
  switch (comparison.kind) {
    case 'follows':
      return accept(core, from, { message, ...comparison })
    case 'rejected':
      return reject(core, from, message)
    case 'diverged':
      return core.outbox.diverge(from, comparison.index)
    default:
      return unreachable(comparison)
  }
}

export function onHeartbeat(core: Core, from: NodeId, message: Heartbeat): void {
  core.hearClaim(from)
  if (message.round < core.heardRound || !maybeHearLeader(core, from)) return
  core.heardRound = message.round
  // only what this leader has proved to be ours too (R10, B31)
  maybeCommit(core, Math.min(message.commitIndex, core.provenIndex))
  const { boot, round } = message
  const { wallMs } = core.now
  core.send(from, { kind: 'heartbeatAnswer', term: core.term, boot, round, wallMs })
}

/** The leader asks for an election: only the leader that this node follows may (B12). */
export function onTimeoutNow(core: Core, from: NodeId): void {
  if (core.role.kind === 'follower' && core.role.leader?.id === from) campaignForTransfer(core)
}

/**
 * A message of the present term came from its leader. A term has one leader (R1): whoever else says
 * that it leads is broken or lies. It is reported and, as long as the first one is heard, not believed;
 * nothing that a member says may end this node.
 */
function maybeHearLeader(core: Core, from: NodeId): boolean {
  const { role } = core
  if (role.kind === 'leader') return false
  if (role.kind !== 'follower' || role.leader === null) {
    core.becomeFollower(from)
    return true
  }
  if (role.leader.id !== from) return false
  role.leader.heardMs = core.now.nowMs
  core.leaderHeardMs = core.now.nowMs
  role.electionDeadlineMs = core.drawElection()
  return true
}

function compare(core: Core, message: Append): Comparison {
  const { log } = core
  const previous = log.idAt(message.previousIndex)
  if (previous === 'missing') return { kind: 'rejected' }
  if (previous === 'compacted') return compareEntries(core, message.entries)
  if (previous.term !== message.previousTerm) {
    const isCommitted = message.previousIndex <= core.commitIndex
    return isCommitted ? { kind: 'diverged', index: message.previousIndex } : { kind: 'rejected' }
  }
  if (!b4a.equals(previous.hash, message.previousHash)) {
    return { kind: 'diverged', index: message.previousIndex }
  }
  return compareEntries(core, message.entries)
}

/** Finds the first entry that is not ours yet; what we hold already is never touched (R3, B30). */
function compareEntries(core: Core, entries: readonly Entry[]): Comparison {
  for (const [at, entry] of entries.entries()) {
    const own = core.log.idAt(entry.index)
    if (own === 'compacted') continue
    if (own === 'missing') return { kind: 'follows', fresh: entries.slice(at), truncateFrom: null }
    if (own.term !== entry.term) return conflict(core, own, entries.slice(at))
    if (!b4a.equals(own.hash, entry.hash)) return { kind: 'diverged', index: entry.index }
  }
  return { kind: 'follows', fresh: [], truncateFrom: null }
}

function conflict(core: Core, own: EntryId, fresh: readonly Entry[]): Comparison {
  if (own.index <= core.commitIndex) return { kind: 'diverged', index: own.index }
  return { kind: 'follows', fresh, truncateFrom: own.index }
}

interface Accepted {
  readonly message: Append
  readonly fresh: readonly Entry[]
  readonly truncateFrom: Index | null
}

function accept(core: Core, from: NodeId, { message, fresh, truncateFrom }: Accepted): void {
  if (truncateFrom !== null) core.truncateFrom(truncateFrom)
  core.append(fresh)
  const sentIndex = message.previousIndex + message.entries.length
  // what is compacted here is committed, so the leader holds it (R14)
  const matchIndex = Math.max(sentIndex, core.log.base.index)
  assert(matchIndex <= core.log.last.index, 'what is acknowledged is in the log')
  core.provenIndex = Math.max(core.provenIndex, matchIndex)
  maybeCommit(core, Math.min(message.commitIndex, sentIndex))
  const { session } = message
  const result = { kind: 'matched', matchIndex } as const
  core.send(from, { kind: 'appendAnswer', term: core.term, session, result }, { logTo: matchIndex })
}

/** Says where our log can agree at best, so that the leader need not try each index. */
function reject(core: Core, from: NodeId, message: Append): void {
  const { session, previousIndex, previousTerm } = message
  const found = core.log.findAtMost(previousIndex, previousTerm)
  const hint = found === 'compacted' ? core.log.base : found
  const result = {
    kind: 'rejected',
    previousIndex,
    hintIndex: hint.index,
    hintTerm: hint.term
  } as const
  core.send(from, { kind: 'appendAnswer', term: core.term, session, result })
}

function maybeCommit(core: Core, index: Index): void {
  if (index > core.commitIndex) core.commitTo(index)
}
