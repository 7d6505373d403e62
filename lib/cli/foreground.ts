// A node in this terminal: its log and its progress on stderr, its result on stdout, until Ctrl-C.

import { createLogger } from '../node/log.ts'
import type { LogPart } from '../node/log-line.ts'
import type { Ready } from './daemon-messages.ts'
import type { Launch } from './launch.ts'
import { logPaint } from './log-paint.ts'
import type { Output } from './output.ts'
import type { ProgressDisplay } from './progress.ts'
import { Reloader } from './reload.ts'
import { runNode } from './run-node.ts'

export interface TerminalOptions {
  readonly launch: Launch
  /** for a join */
  readonly ticket: string | null
  readonly output: Output
  readonly display: ProgressDisplay
  /** prints the result */
  readonly onReady: (ready: Ready) => void
}

/** Whether somebody sits there; a service manager sends SIGHUP for something else. */
function isAtTerminal(): boolean {
  return [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY)
}

/** Runs the node to its end. @returns the exit code of the process */
export function runInTerminal(options: TerminalOptions): Promise<number> {
  const { launch, ticket, output, display } = options
  const style = output.errorStyle
  const logger = createLogger({
    level: launch.logLevel,
    destination: style.isTerminal || !output.isJson ? 'stderr-pretty' : 'ndjson',
    paint: (part: LogPart, text: string) => logPaint(style, part, text)
  })
  const reloader = new Reloader({ launch, env: process.env, logger })
  return runNode({
    // of a terminal that goes away the node ends
    ...(isAtTerminal() ? {} : { onHangUp: () => void reloader.reload() }),
    launch,
    ticket,
    logger,
    reporter: {
      progress: (progress) => display.update(progress),
      ready: (ready) => {
        options.onReady(ready)
        output.note(style.dim('  Ctrl-C stops this node'))
      },
      closing: () => output.note('closing; Ctrl-C again ends it at once'),
      failed: (error) => {
        display.close('failure')
        output.failure(error)
        return Promise.resolve()
      }
    }
  })
}
