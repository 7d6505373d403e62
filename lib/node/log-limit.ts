// A fault that comes back again and again does not fill the log: of each event a few lines in a minute, and with
// the first of the next minute how many were left out.

import type { Clock } from '../clock.ts'

const WINDOW_MS = 60_000
/** Lines of one event within a minute: enough for what happens to every member at once. */
export const MAX_LINES_PER_EVENT = 30
/** Events that are told apart; beyond it, the oldest is forgotten. */
const MAX_EVENTS = 200

interface Window {
  sinceMs: number
  lineCount: number
}

export class LogLimit {
  readonly #clock: Clock
  readonly #windows = new Map<string, Window>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Null: leave this line out. Else how many were left out before it. */
  admit(event: string): number | null {
    const nowMs = this.#clock.nowMs()
    const window = this.#windows.get(event)
    if (window === undefined || nowMs - window.sinceMs >= WINDOW_MS) {
      if (this.#windows.size >= MAX_EVENTS) this.#forgetOldest()
      this.#windows.delete(event)
      this.#windows.set(event, { sinceMs: nowMs, lineCount: 1 })
      return Math.max(0, (window?.lineCount ?? 0) - MAX_LINES_PER_EVENT)
    }
    window.lineCount++
    return window.lineCount > MAX_LINES_PER_EVENT ? null : 0
  }

  #forgetOldest(): void {
    const [oldest] = this.#windows.keys()
    if (oldest !== undefined) this.#windows.delete(oldest)
  }
}
