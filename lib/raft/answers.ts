// What a leader does with the answers of its followers.

import { assert } from '../assert.ts'
import { MAX_TIME_MS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Core } from './core.ts'
import { maybeAdvanceCommit, maybeHandOver, maybeTellCommit, serveReads } from './leader.ts'
import type { AppendAnswer, HeartbeatAnswer } from './message.ts'
import type { Progress } from './progress.ts'
import { recover, replicateTo } from './replication.ts'

type Rejected = Extract<AppendAnswer['result'], { kind: 'rejected' }>

export function onAppendAnswer(core: Core, from: NodeId, message: AppendAnswer): void {
  assert(message.term === core.term, 'the term was settled before')
  const { role } = core
  if (role.kind !== 'leader') return
  const progress = role.progress.get(from)
  // an answer of an earlier session says nothing of this one (R15, B32)
  if (progress === undefined || progress.session !== message.session) return
  if (message.result.kind === 'rejected') {
    onRejected(core, from, { progress, result: message.result })
    return
  }
  const { matchIndex } = message.result
  if (matchIndex > core.log.last.index) return
  progress.heardMs = core.now.nowMs
  const isNews = progress.matched(matchIndex, core.now.nowMs)
  if (isNews) maybeAdvanceCommit(core, role)
  if (core.role !== role) return
  replicateTo(core, from, progress)
  if (isNews) maybeTellCommit(core, role, progress)
  if (isNews && role.transfer?.target === from) maybeHandOver(core, role)
}

export function onHeartbeatAnswer(core: Core, from: NodeId, message: HeartbeatAnswer): void {
  assert(message.term === core.term, 'the term was settled before')
  const { role } = core
  if (role.kind !== 'leader' || message.boot !== core.boot || message.round > role.round) return
  const progress = role.progress.get(from)
  if (progress === undefined || message.round <= progress.answeredRound) return
  progress.answeredRound = message.round
  progress.heardMs = core.now.nowMs
  if (message.wallMs <= MAX_TIME_MS) role.clock.hear(from, message.wallMs, core.now)
  recover(core, from, progress)
  serveReads(core, role)
}

interface Rejection {
  readonly progress: Progress
  readonly result: Rejected
}

/** Both sides skip whole terms: theirs is in the hint, ours is looked up here. */
function onRejected(core: Core, from: NodeId, { progress, result }: Rejection): void {
  if (!progress.isRejectionNews(result.previousIndex)) return
  progress.heardMs = core.now.nowMs
  const { hintIndex, hintTerm, previousIndex } = result
  const found = core.log.findAtMost(Math.min(hintIndex, previousIndex), hintTerm)
  const agreed = found === 'compacted' ? core.log.base.index - 1 : found.index
  progress.rejected(Math.max(1, Math.min(previousIndex, agreed + 1)))
  replicateTo(core, from, progress)
}
