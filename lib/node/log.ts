// The logger of a node: pino, with stable field names (`ts` in RFC 3339, `level` as a word, `msg`,
// `component`, `err` {code, msg}), and tickets replaced by their fingerprint in the finished line, so
// that no path into the log can carry one.

import { pino } from 'pino'
import type { Logger } from 'pino'
import { redactTickets } from '../../tickets/tickets.ts'
import { systemClock } from '../clock.ts'
import { AspenError } from '../errors.ts'
import type { LogLevel } from './log-level.ts'
import type { Paint } from './log-line.ts'
import { renderLogLine } from './log-line.ts'
import { stderrWriter } from './stderr-writer.ts'

export interface LoggerOptions {
  readonly level: LogLevel
  /** both go to stderr: lines for people, or one JSON object per line */
  readonly destination: 'stderr-pretty' | 'ndjson'
  /** colours of the lines for people; none when left out */
  readonly paint?: Paint
  /** where lines go instead of stderr, each with its line end */
  readonly write?: (line: string) => void
}

/** Lines are written at once: the last one before a crash is there. */
export function createLogger(options: LoggerOptions): Logger {
  const { level, destination } = options
  const paint = options.paint ?? ((_part, text) => text)
  const write = options.write ?? stderrWriter()
  const stream = {
    write(record: string) {
      const line = redactTickets(record.trimEnd())
      write(`${destination === 'ndjson' ? line : renderLogLine(line, paint)}\n`)
    }
  }
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'msg',
      errorKey: 'err',
      timestamp: () => `,"ts":"${new Date(systemClock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError }
    },
    stream
  )
  return logger
}

/** Operating errors explain themselves; only others come with the stack. */
function serializeError(error: unknown): Record<string, string> {
  if (error instanceof AspenError)
    return { code: error.code, msg: error.message, ...causeOf(error) }
  if (!(error instanceof Error)) return { msg: String(error) }
  return { msg: error.message, stack: error.stack ?? '' }
}

function causeOf(error: AspenError): Record<string, string> {
  return error.cause instanceof Error ? { cause: error.cause.message } : {}
}
