// What a node does about full disks while it leads. Its own: it asks the other voters, and hands
// leadership over to one that has space; where nobody has, or nobody answers, it stays leader and takes
// no writes that need room. Those of so many voters that the others are no majority: likewise, for what
// a majority cannot write is never committed.

import type { Clock, Timers } from '../clock.ts'
import { sleep } from '../clock.ts'
import type { DiskProbe, DiskState } from '../cluster/disk-watch.ts'
import { DiskWatch } from '../cluster/disk-watch.ts'
import { DISK_ANSWER_MS, DISK_ASK_MS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import { votersOf } from '../raft/configuration.ts'
import type { Status } from '../raft/effects.ts'
import { WriteGate } from '../service/write-gate.ts'
import type { AssemblyParts, EventLog } from './assembly-parts.ts'

export interface DiskDutyParts {
  readonly id: NodeId
  readonly clock: Clock
  readonly timers: Timers
  readonly probe: DiskProbe
  readonly status: () => Status
  /** null: no answer to be had */
  readonly ask: (id: NodeId, onAnswer: (hasSpace: boolean | null) => void) => void
  /** tries to give the leadership to one of these; resolves when it is tried */
  readonly handOver: (mayTake: (id: NodeId) => boolean) => Promise<void>
  readonly events: EventLog
}

interface Answer {
  readonly hasSpace: boolean
  readonly atMs: number
}

export class DiskDuty {
  readonly #parts: DiskDutyParts
  readonly #watch: DiskWatch
  /** of voters, as they said it last */
  readonly #answers = new Map<NodeId, Answer>()
  #askedMs = -Infinity
  /** runs from the moment at which a leader finds its disk full until it has tried to hand over */
  #isHandingOver = false
  /** a leader with a full disk has tried: from now on it refuses */
  #hasTried = false
  #wasFull = false

  constructor(parts: DiskDutyParts) {
    this.#parts = parts
    const { timers, probe } = parts
    this.#watch = new DiskWatch({ timers, probe, onLook: () => this.#onLook() })
  }

  start(): void {
    this.#watch.start()
  }

  get state(): DiskState | null {
    return this.#watch.state
  }

  get hasSpace(): boolean {
    return !this.#watch.isFull
  }

  /** Whether this node, as the leader, proposes nothing that needs room. */
  get shouldRefuse(): boolean {
    if (this.#watch.isFull && (this.#hasTried || !this.#hasOthers())) return true
    return this.#isMajorityFull()
  }

  /** Whether the voter's disk is full, as it said itself not long ago. */
  isKnownFull(id: NodeId): boolean {
    return id === this.#parts.id ? this.#watch.isFull : this.#saidOf(id)?.hasSpace === false
  }

  onWritten(payloadBytes: number): void {
    this.#watch.onWritten(payloadBytes)
  }

  close(): void {
    this.#watch.close()
  }

  #onLook(): void {
    this.#tell()
    if (!this.#watch.isFull) this.#hasTried = false
    if (this.#parts.status().role !== 'leader') {
      this.#answers.clear()
      this.#askedMs = -Infinity
      this.#hasTried = false
      return
    }
    if (this.#parts.clock.nowMs() - this.#askedMs >= DISK_ASK_MS) this.#askAll()
    if (this.#watch.isFull && !this.#isHandingOver) void this.#maybeHandOver()
  }

  #askAll(): void {
    const { clock, ask } = this.#parts
    this.#askedMs = clock.nowMs()
    for (const id of this.#others()) {
      ask(id, (hasSpace) => {
        if (hasSpace === null) this.#answers.delete(id)
        else this.#answers.set(id, { hasSpace, atMs: clock.nowMs() })
      })
    }
  }

  /** Never rejects: what fails is tried again after the next look. */
  async #maybeHandOver(): Promise<void> {
    const { timers, handOver } = this.#parts
    this.#isHandingOver = true
    if (this.#hasOthers()) await sleep(timers, ANSWER_WAIT_MS)
    const mayTake = (id: NodeId): boolean => this.#saidOf(id)?.hasSpace === true
    if (this.#watch.isFull && this.#others().some(mayTake)) await handOver(mayTake)
    this.#hasTried = this.#watch.isFull && this.#parts.status().role === 'leader'
    this.#isHandingOver = false
  }

  #tell(): void {
    const { state } = this.#watch
    if (state === null || state.isFull === this.#wasFull) return
    this.#wasFull = state.isFull
    const fields = { event: 'disk.usage', percent: Math.round(state.percent * 10) / 10 }
    if (state.isFull) this.#parts.events.warn(fields, 'the disk is nearly full')
    else this.#parts.events.info(fields, 'the disk has space again')
  }

  #isMajorityFull(): boolean {
    const voters = votersOf(this.#parts.status().configuration)
    const fullCount = voters.filter((id) => this.isKnownFull(id)).length
    return fullCount > 0 && (voters.length - fullCount) * 2 <= voters.length
  }

  #saidOf(id: NodeId): Answer | null {
    const answer = this.#answers.get(id)
    if (answer === undefined) return null
    return this.#parts.clock.nowMs() - answer.atMs < DISK_ANSWER_MS ? answer : null
  }

  #others(): readonly NodeId[] {
    const { id: own, status } = this.#parts
    return votersOf(status().configuration).filter((id) => id !== own)
  }

  #hasOthers(): boolean {
    return this.#others().length > 0
  }
}

/** What the forwarder must know of it; `disk`: null where nobody knows how full it is. */
export function roomOf(
  disk: DiskDuty | null,
  { maxState, stateMachine }: Pick<AssemblyParts, 'maxState' | 'stateMachine'>
): { readonly gate: WriteGate; readonly hasSpace: () => boolean } {
  const gate = new WriteGate({
    isDiskFull: () => disk?.shouldRefuse ?? false,
    stateSize: () => {
      const { liveCount, liveBytes } = stateMachine.applied()
      return { entryCount: liveCount, byteCount: liveBytes }
    },
    maxState,
    onPassed: (payloadBytes) => disk?.onWritten(payloadBytes)
  })
  return { gate, hasSpace: () => disk?.hasSpace ?? true }
}

/** What the answers of voters that can be reached may take; the others could not take over either. */
const ANSWER_WAIT_MS = 500
