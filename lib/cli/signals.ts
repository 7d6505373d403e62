// Ctrl-C and friends for a command that stays: the first asks it to end, the second ends it.

import { EXIT } from '../errors.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export class StopSignals {
  /** Resolves at the first signal. */
  readonly first: Promise<NodeJS.Signals>
  readonly #onSignal: (signal: NodeJS.Signals) => void
  #resolveFirst: (signal: NodeJS.Signals) => void = () => {}
  #count = 0
  readonly #onHangUp: (() => void) | null

  /** `onHangUp`: what SIGHUP brings about; left out, it asks to end like the others */
  constructor(onHangUp: (() => void) | null = null) {
    this.#onHangUp = onHangUp
    this.first = new Promise((resolve) => {
      this.#resolveFirst = resolve
    })
    this.#onSignal = (signal) => {
      if (signal === 'SIGHUP' && this.#onHangUp !== null) {
        this.#onHangUp()
        return
      }
      this.#count++
      if (this.#count > 1) process.exit(EXIT.interrupted)
      this.#resolveFirst(signal)
    }
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
  }

  /** Gives the signals their usual meaning back. */
  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
  }
}

/** Something that keeps the event loop alive must not keep an ended command alive. */
export function exitSoon(exitCode: number): void {
  setTimeout(() => process.exit(exitCode), EXIT_GRACE_MS).unref()
}

const EXIT_GRACE_MS = 3_000
