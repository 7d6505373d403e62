// How a leader goes: it stops taking proposals, lets those in progress be answered, and only then asks
// a caught-up voter to lead. A change of leaders leaves in doubt whatever is on its way to the old one,
// so there should be nothing.

import type { Clock, Timers } from '../clock.ts'
import { sleep, until } from '../clock.ts'
import type { NodeId } from '../node-id.ts'
import { votersOf } from '../raft/configuration.ts'
import type { Status } from '../raft/effects.ts'
import type { Replica } from '../replica/replica.ts'
import type { LinkStatus } from '../transport/transport.ts'

export interface HandOverParts {
  readonly replica: Pick<Replica, 'status' | 'transfer' | 'pauseProposals' | 'pendingProposalCount'>
  readonly links: () => readonly LinkStatus[]
  readonly clock: Clock
  readonly timers: Timers
  readonly onBegin: (target: NodeId) => void
  /** who of the voters in reach may be asked to lead */
  readonly mayTake: (id: NodeId) => boolean
}

/** If this node leads and another voter is in reach, hands leadership over; at most HAND_OVER_MS. */
export async function handOver(parts: HandOverParts): Promise<void> {
  const { replica, links, clock, timers, onBegin, mayTake } = parts
  const { role, configuration } = replica.status
  if (role !== 'leader' || votersOf(configuration).length < 2) return
  const isLinked = (id: NodeId): boolean => links().some((link) => link.id === id)
  const target = targetOf(replica.status, (id) => isLinked(id) && mayTake(id))
  if (target === null) return
  onBegin(target)
  const deadlineMs = clock.nowMs() + HAND_OVER_MS
  replica.pauseProposals(true)
  await sleep(timers, noticeMs(links()))
  const isSettled = (): boolean => replica.pendingProposalCount === 0
  await until(parts, isSettled, { deadlineMs: deadlineMs - HAND_OVER_MS / 2, everyMs: 1 })
  let isRefused = false
  replica.transfer(target, (reason) => {
    isRefused = reason !== null
  })
  const isOver = (): boolean => isRefused || replica.status.role !== 'leader'
  await until(parts, isOver, { deadlineMs, everyMs: 5 })
  replica.pauseProposals(false)
}

/** The voter that may take over and holds most of the log, one with a wrong clock last; null when there is none. */
function targetOf(
  { progress, configuration, wrongClocks }: Status,
  mayTake: (id: NodeId) => boolean
): NodeId | null {
  const candidates = votersOf(configuration)
    .filter((id) => progress.has(id) && mayTake(id))
    .map((id) => ({
      id,
      matchIndex: progress.get(id)?.matchIndex ?? 0,
      wrongCount: wrongClocks.includes(id) ? 1 : 0
    }))
    .toSorted((a, b) => a.wrongCount - b.wrongCount || b.matchIndex - a.matchIndex)
  return candidates[0]?.id ?? null
}

/** A transfer takes two messages and a write; a second is plenty, and the caller ends anyway. */
const HAND_OVER_MS = 1_000

/** What it takes until everybody has been refused something, and has stopped asking. */
function noticeMs(links: readonly LinkStatus[]): number {
  const rtts = links.map((link) => link.rttMs ?? 0)
  return Math.min(HAND_OVER_MS / 4, 5 + 2 * Math.max(0, ...rtts))
}
