// A snapshot by command: the leader proposes the entry at which every member snapshots, and this node waits for
// its own one there. One that was older is never the answer. Where this node has one of the very last entry
// already, another one would hold the same, and that one is the answer.

import type { Clock, Timers } from '../clock.ts'
import { until } from '../clock.ts'
import { ControlPlaneError } from '../errors.ts'
import type { Index } from '../raft/entry.ts'
import type { SnapshotInfo } from '../state-machine/state-machine.ts'
import type { SnapshotPlace } from './cluster-controller.ts'
import { operationTimeout } from './control-errors.ts'
import type { OperationLane } from './operation-lane.ts'

export interface SnapshotMakerParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly lane: Pick<OperationLane, 'ask'>
  /** of this node, newest first */
  readonly list: () => readonly SnapshotInfo[]
  /** how many this node was to make and could not */
  readonly failedCount: () => number
  readonly appliedIndex: () => Index
  /** this node has not ended */
  readonly isOpen: () => boolean
}

export class SnapshotMaker {
  readonly #parts: SnapshotMakerParts

  constructor(parts: SnapshotMakerParts) {
    this.#parts = parts
  }

  /** @throws ControlPlaneError TIMEOUT, FAILED, and what the way to the leader throws */
  async make(timeoutMs: number): Promise<SnapshotPlace> {
    const { clock } = this.#parts
    const deadlineMs = clock.nowMs() + timeoutMs
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const made = await this.#made(deadlineMs, timeoutMs)
      if (made !== null) return { term: made.term, index: made.index }
    }
    throw new ControlPlaneError({
      code: 'FAILED',
      message:
        'operation failed: this node could not make its snapshot; others may have made theirs',
      hint: "'aspen logs' of this node says why"
    })
  }

  /** Null: this node could not make it, maybe because it was making another one. */
  async #made(deadlineMs: number, timeoutMs: number): Promise<SnapshotInfo | null> {
    const { clock, lane, list, failedCount, appliedIndex, isOpen } = this.#parts
    const newest = list()[0]?.index ?? 0
    const failedBefore = failedCount()
    const leftMs = Math.max(1, deadlineMs - clock.nowMs())
    const { index } = await lane.ask({ kind: 'snapshot', newest }, leftMs)
    const found = (): SnapshotInfo | undefined => list().findLast((one) => one.index >= index)
    const hasFailed = (): boolean => appliedIndex() >= index && failedCount() > failedBefore
    const isOver = (): boolean => found() !== undefined || hasFailed() || !isOpen()
    await until(this.#parts, isOver, { deadlineMs, everyMs: LOOK_MS })
    const made = found()
    if (made !== undefined) return made
    if (hasFailed()) return null
    const state = `entry ${index} asks every member for a snapshot, and this node has not made its own yet`
    throw operationTimeout(timeoutMs, state)
  }
}

/** One may meet another one that is being made; then the next is as good. */
const MAX_TRIES = 3
const LOOK_MS = 10
