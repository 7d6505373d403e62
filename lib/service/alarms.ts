// What is wrong with a node so that a person should do something, by name: shown in `/health`, in the
// metrics, and, where reads may be wrong, by `/readyz`. An alarm is on while what it names is true.

import type { Clock } from '../clock.ts'
import type { Status as CoreStatus } from '../raft/effects.ts'
import type { Alarm } from './documents.ts'
import { ALARMS } from './documents.ts'

export interface AlarmsParts {
  readonly clock: Clock
  /** whether what needs room may be written here */
  readonly hasRoom: () => boolean
  readonly status: () => Pick<CoreStatus, 'wrongClocks'>
}

export class Alarms {
  readonly #parts: AlarmsParts
  #isCorrupt = false
  #overloadedMs = -Infinity

  constructor(parts: AlarmsParts) {
    this.#parts = parts
  }

  /** Damage was found that stays. */
  onCorrupt(): void {
    this.#isCorrupt = true
  }

  /** A request was refused because too many are under way. */
  onOverloaded(): void {
    this.#overloadedMs = this.#parts.clock.nowMs()
  }

  isOn(alarm: Alarm): boolean {
    const { clock, hasRoom, status } = this.#parts
    if (alarm === 'nospace') return !hasRoom()
    if (alarm === 'corrupt') return this.#isCorrupt
    if (alarm === 'clock_skew') return status().wrongClocks.length > 0
    return clock.nowMs() - this.#overloadedMs < OVERLOADED_MS
  }

  list(): Alarm[] {
    return ALARMS.filter((alarm) => this.isOn(alarm))
  }
}

/** How long a refusal for overload is news. */
const OVERLOADED_MS = 10_000
