// What a command waits for, with the elapsed time, on stderr. Quick commands say nothing: the first
// line comes after 300 ms. A terminal sees one line redrawn; anything else gets a line per phase.

import type { Progress } from '../node/options.ts'
import type { Output } from './output.ts'
import { formatDuration, printable } from './text.ts'

const QUIET_MS = 300
const REDRAW_MS = 100

/** The numbered phases of a join: a member is found by its address or over the DHT. */
const JOIN_STEPS: Readonly<Partial<Record<Progress['phase'], number>>> = {
  lookup: 1,
  connect: 1,
  admission: 2,
  catchup: 3
}
const JOIN_STEP_COUNT = 3

export interface ProgressOptions {
  readonly output: Output
  readonly nowMs: () => number
  /** whether the phases are those of a join */
  readonly hasSteps: boolean
  /** false writes a line per phase also to a terminal, where a log is written beside it */
  readonly canRedraw: boolean
}

export class ProgressDisplay {
  readonly #options: ProgressOptions
  readonly #isRedrawn: boolean
  readonly #timer: NodeJS.Timeout
  readonly #startedMs: number
  #current: { readonly progress: Progress; readonly startedMs: number; isShown: boolean } | null =
    null
  #isSpeaking = false

  constructor(options: ProgressOptions) {
    this.#options = options
    this.#isRedrawn = options.canRedraw && options.output.errorStyle.isTerminal
    this.#startedMs = options.nowMs()
    this.#timer = setInterval(() => this.#tick(), REDRAW_MS)
    this.#timer.unref()
  }

  /** A phase begins, or says something new. */
  update(progress: Progress): void {
    if (this.#current?.progress.text === progress.text) return
    if (this.#current?.progress.phase === progress.phase) {
      this.#current = { ...this.#current, progress, isShown: false }
    } else {
      this.#endPhase('ok')
      this.#current = { progress, startedMs: this.#options.nowMs(), isShown: false }
    }
    this.#tick()
  }

  /** Ends the display; may be called twice. */
  close(outcome: 'ok' | 'failure'): void {
    clearInterval(this.#timer)
    this.#endPhase(outcome)
    this.#current = null
  }

  #tick(): void {
    if (this.#options.nowMs() - this.#startedMs < QUIET_MS) return
    this.#isSpeaking = true
    const current = this.#current
    if (current === null) return
    const { output } = this.#options
    const elapsed = output.errorStyle.dim(this.#elapsedText())
    if (this.#isRedrawn) output.redraw(`  ${this.#phaseText(current.progress)}  ${elapsed}`)
    else if (!current.isShown) output.note(`  ${this.#phaseText(current.progress)}  ${elapsed}`)
    current.isShown = true
  }

  #endPhase(outcome: 'ok' | 'failure'): void {
    const current = this.#current
    if (current === null || !this.#isSpeaking || !this.#isRedrawn || !current.isShown) return
    const { output, nowMs } = this.#options
    const took = output.errorStyle.dim(formatDuration(nowMs() - current.startedMs))
    output.redraw(
      `${output.errorStyle.symbol(outcome)} ${this.#phaseText(current.progress)}  ${took}\n`
    )
  }

  #phaseText({ phase, text }: Progress): string {
    const step = JOIN_STEPS[phase]
    const shown = printable(text)
    return this.#options.hasSteps && step !== undefined
      ? `[${step}/${JOIN_STEP_COUNT}] ${shown}`
      : shown
  }

  #elapsedText(): string {
    return formatDuration(this.#options.nowMs() - this.#startedMs)
  }
}
