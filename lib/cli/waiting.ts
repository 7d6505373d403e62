// What somebody at a terminal sees while the node has not answered yet: that the command waits, and for
// how long. The line is gone when the answer comes; pipes and logs never see it.

import type { Output } from './output.ts'
import { formatDuration } from './text.ts'

const QUIET_MS = 300
const REDRAW_MS = 100

export interface WaitingOptions {
  readonly output: Output
  readonly nowMs: () => number
  /** what is waited for */
  readonly text?: (() => string) | undefined
}

/** The answer, with a line about the wait after 300 ms. */
export async function showWaiting<T>(
  answer: Promise<T>,
  { output, nowMs, text = () => 'waiting for an answer' }: WaitingOptions
): Promise<T> {
  if (!output.errorStyle.isTerminal) return answer
  const startedMs = nowMs()
  let isShown = false
  const timer = setInterval(() => {
    const waitedMs = nowMs() - startedMs
    if (waitedMs < QUIET_MS) return
    isShown = true
    output.redraw(`  ${text()}  ${output.errorStyle.dim(formatDuration(waitedMs))}`)
  }, REDRAW_MS)
  try {
    return await answer
  } finally {
    clearInterval(timer)
    if (isShown) output.redraw('')
  }
}
