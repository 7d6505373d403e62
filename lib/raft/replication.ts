// How a leader sends its log: one append at a time while it looks for the place where a follower's
// log agrees, then as many as the window holds. Appends may leave before the leader's own write;
// its own entries count only when they are durable (R8).

import { assert, unreachable } from '../assert.ts'
import { MAX_APPENDS_PER_STEP } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Core } from './core.ts'
import type { Entry } from './entry.ts'
import { entryBytes } from './log.ts'

import { Progress } from './progress.ts'
import type { LeaderState } from './roles.ts'

/** Follows every other member; forgets those that are gone, once that is committed. */
export function syncProgress(core: Core, role: LeaderState): void {
  const { current, index } = core.configurations
  const ids = new Set(current.members.map((member) => member.id))
  for (const id of ids) {
    if (id === core.id || role.progress.has(id)) continue
    role.progress.set(id, new Progress(core.log.last.index + 1, core.nextSession(), core.limits))
  }
  if (index > core.commitIndex) return
  for (const id of role.progress.keys()) {
    if (!ids.has(id)) role.progress.delete(id)
  }
}

export function replicateToAll(core: Core, role: LeaderState): void {
  for (const [id, progress] of role.progress) replicateTo(core, id, progress)
}

/** Sends what may be sent to one follower now. */
export function replicateTo(core: Core, id: NodeId, progress: Progress): void {
  for (let count = 0; count < MAX_APPENDS_PER_STEP; count++) {
    if (!maybeSend(core, id, progress)) return
  }
}

/**
 * The follower answers heartbeats. What it should have answered besides may be lost: a probe is
 * repeated (B39), a window without advance is asked about, a missing snapshot is named again (B37).
 */
export function recover(core: Core, id: NodeId, progress: Progress): void {
  const { state } = progress
  switch (state.kind) {
    case 'probe':
      if (state.sentMs === null) replicateTo(core, id, progress)
      else if (core.now.nowMs - state.sentMs >= core.timing.heartbeatMs) {
        state.sentMs = core.now.nowMs
        sendAppend(core, id, { progress, entries: [] })
      }
      return
    case 'replicate': {
      const isStuck = core.now.nowMs - state.sinceMs >= core.timing.electionMinMs / 2
      if (state.window.count > 0 && isStuck) {
        state.sinceMs = core.now.nowMs
        sendAppend(core, id, { progress, entries: [] })
      }
      replicateTo(core, id, progress)
      return
    }
    case 'snapshot':
      core.outbox.needSnapshot(id)
      progress.nextIndex = Math.max(progress.matchIndex, core.log.base.index) + 1
      sendAppend(core, id, { progress, entries: [] })
      return
    default:
      unreachable(state)
  }
}

/** Returns whether more may be sent. */
function maybeSend(core: Core, id: NodeId, progress: Progress): boolean {
  const { state } = progress
  switch (state.kind) {
    case 'snapshot':
      return false
    case 'probe':
      if (state.sentMs !== null) return false
      state.sentMs = core.now.nowMs
      sendAppend(core, id, {
        progress,
        entries: state.isEmpty ? [] : nextEntries(core, progress, core.limits.appendBytes)
      })
      return false
    case 'replicate':
      return maybeSendNext(core, id, progress)
    default:
      return unreachable(state)
  }
}

function maybeSendNext(core: Core, id: NodeId, progress: Progress): boolean {
  if (progress.state.kind !== 'replicate') return false
  const { window } = progress.state
  const room = window.roomBytes
  if (room === 0 || progress.nextIndex > core.log.last.index) return false
  const entries = nextEntries(core, progress, Math.min(room, core.limits.appendBytes))
  const bytes = entries.reduce((sum, entry) => sum + entryBytes(entry), 0)
  // an entry larger than the whole window travels alone
  if (window.count > 0 && bytes > room) return false
  if (!sendAppend(core, id, { progress, entries })) return false
  if (window.count === 0) progress.state.sinceMs = core.now.nowMs
  progress.nextIndex += entries.length
  window.add(progress.nextIndex - 1, bytes)
  return true
}

function nextEntries(core: Core, progress: Progress, maxBytes: number): readonly Entry[] {
  const from = progress.nextIndex
  if (from <= core.log.base.index) return []
  const to = Math.min(core.log.last.index + 1, from + core.limits.appendEntries)
  return core.log.entries(from, to, maxBytes)
}

interface Sending {
  readonly progress: Progress
  readonly entries: readonly Entry[]
}

/** Returns false, and asks for a snapshot, if what precedes is compacted away. */
function sendAppend(core: Core, to: NodeId, { progress, entries }: Sending): boolean {
  const previous = core.log.idAt(progress.nextIndex - 1)
  assert(previous !== 'missing', 'the next entry is at most one beyond the log')
  if (previous === 'compacted') {
    progress.needSnapshot()
    core.outbox.needSnapshot(to)
    return false
  }
  assert(entries[0] === undefined || entries[0].index === previous.index + 1, 'no gap (B34)')
  const sentIndex = previous.index + entries.length
  progress.toldCommitIndex = Math.max(
    progress.toldCommitIndex,
    Math.min(core.commitIndex, sentIndex)
  )
  core.send(to, {
    kind: 'append',
    term: core.term,
    session: progress.session,
    previousIndex: previous.index,
    previousTerm: previous.term,
    previousHash: previous.hash,
    entries,
    commitIndex: core.commitIndex
  })
  return true
}
