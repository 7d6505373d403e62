// Whether this node is fit to lead: its disk has space (disk-duty.ts), and its clock is not one that a majority
// of the voters contradicts. A leader with a wrong clock takes no writes (raft/log-time.ts), so it hands leadership
// over to a voter whose clock is right; where none can be reached it stays and refuses.

import type { NodeId } from '../node-id.ts'
import type { Timer } from '../clock.ts'
import { CLOCK_LOOK_MS } from '../limits.ts'
import type { Status } from '../raft/effects.ts'
import { askDisk } from '../service/ask-member.ts'
import type { Transport } from '../transport/transport.ts'
import type { AssemblyParts } from './assembly-parts.ts'
import { DiskDuty } from './disk-duty.ts'

export interface FitnessParts extends Pick<
  AssemblyParts,
  'id' | 'clock' | 'timers' | 'diskProbe' | 'events'
> {
  readonly status: () => Status
  readonly request: Transport['request']
  /** tries to give the leadership to one of these; resolves when it is tried, never rejects */
  readonly handOver: (mayTake: (id: NodeId) => boolean) => Promise<void>
}

export class Fitness {
  /** null where nobody knows how full the disk is */
  readonly disk: DiskDuty | null
  readonly #parts: FitnessParts
  #timer: Timer | null = null
  #isClosed = false
  /** in a row, that found the own clock wrong */
  #wrongLooks = 0

  constructor(parts: FitnessParts) {
    this.#parts = parts
    const { diskProbe: probe, request } = parts
    const ask = (to: NodeId, onAnswer: (hasSpace: boolean | null) => void): void =>
      askDisk(request, to, onAnswer)
    this.disk = probe === null ? null : new DiskDuty({ ...parts, probe, ask })
  }

  /** What keeps another voter from leading well, as far as this leader knows; null for nothing. */
  whyUnfit(id: NodeId): string | null {
    if (this.#parts.status().wrongClocks.includes(id)) return 'its clock is wrong'
    return this.disk?.isKnownFull(id) === true ? 'its disk is nearly full' : null
  }

  start(): void {
    this.disk?.start()
    this.#lookAtClock()
  }

  close(): void {
    this.#isClosed = true
    this.disk?.close()
    this.#timer?.cancel()
  }

  #lookAtClock(): void {
    if (this.#isClosed) return
    const { id, timers, status, events, handOver } = this.#parts
    const { wrongClocks } = status()
    this.#wrongLooks = wrongClocks.includes(id) ? this.#wrongLooks + 1 : 0
    // the others' clocks are those of their last answers: where all were set together, one look is not enough
    if (this.#wrongLooks === 2) {
      const fields = { event: 'clock.wrong' }
      events.warn(fields, 'most voters say that the clock of this machine is wrong: set it')
    }
    if (this.#wrongLooks > 0 && this.#wrongLooks % 2 === 0) {
      void handOver((other) => !wrongClocks.includes(other)) // it never rejects
    }
    this.#timer = timers.start(CLOCK_LOOK_MS, () => this.#lookAtClock())
  }
}
