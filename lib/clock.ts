// Time as an argument. Everything above the ports waits on these two and on nothing else, so that
// the simulator can run whole clusters on a virtual clock.

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; never goes back. */
  nowMs(): number
  /** Milliseconds since the Unix epoch as this machine believes; may jump. */
  wallMs(): number
}

/** A timer that was started; `cancel` may be called at any time, also twice. */
export interface Timer {
  cancel(): void
}

export interface Timers {
  /** Calls `fn` once, `delayMs` or more from now, unless cancelled. */
  start(delayMs: number, fn: () => void): Timer
  /** Calls `fn` once, after the present turn of the event loop and its microtasks. */
  soon(fn: () => void): void
}

/** `performance.now` and `Date.now`. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now()
}

/** The event loop's timers. They do not keep the process alive: sockets do. */
export const systemTimers: Timers = {
  start(delayMs, fn) {
    const handle = setTimeout(fn, Math.min(Math.max(0, delayMs), MAX_TIMER_MS))
    handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
  soon(fn) {
    setImmediate(fn)
  }
}

/** The longest delay that a Node timer takes; beyond it, setTimeout fires at once. */
const MAX_TIMER_MS = 0x7fff_ffff

/** Resolves `delayMs` or more from now. */
export function sleep(timers: Timers, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    timers.start(delayMs, resolve)
  })
}

/** Resolves with whether `condition` came true before `deadlineMs`; looks every `everyMs`. */
export async function until(
  time: { readonly clock: Clock; readonly timers: Timers },
  condition: () => boolean,
  { deadlineMs, everyMs }: { readonly deadlineMs: number; readonly everyMs: number }
): Promise<boolean> {
  while (!condition()) {
    if (time.clock.nowMs() >= deadlineMs) return false
    await sleep(time.timers, everyMs)
  }
  return true
}
