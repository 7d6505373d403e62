// The logger of a node: pino, with stable field names (`ts` in RFC 3339, `level` as a word, `msg`,
// `event`, `component`, `node`, `cluster`, `err` {code, msg}), and tickets replaced by their fingerprint in the
// finished line, so that no path into the log can carry one. README.md has all events. Lines that repeat are
// few in a minute (log-limit.ts).

import { pino } from 'pino'
import type { Logger } from 'pino'
import { redactTickets } from '../../tickets/tickets.ts'
import { systemClock } from '../clock.ts'
import { AspenError } from '../errors.ts'
import type { LogLevel } from '../config/log-level.ts'
import { LogLimit } from './log-limit.ts'
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
  const identity: Identity = { fields: {} }
  const limit = new LogLimit(systemClock)
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'msg',
      errorKey: 'err',
      timestamp: () => `,"ts":"${new Date(systemClock.wallMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }), log: withComponent },
      // a new object each time: pino writes into it
      mixin: () => ({ ...identity.fields }),
      hooks: {
        logMethod(values, method, severity) {
          const [fields] = values
          const leftOut = severity >= FATAL ? 0 : admitted(limit, eventOf(fields))
          if (leftOut === null) return
          const isRecord = typeof fields === 'object' && fields !== null
          if (leftOut > 0 && isRecord) values[0] = { ...fields, left_out: leftOut }
          method.apply(this, values)
        }
      },
      serializers: { err: serializeError }
    },
    stream
  )
  IDENTITIES.set(logger, identity)
  return logger
}

/** From now on each line of a logger of ours says which node of which cluster it is from. */
export function identify(
  logger: object,
  fields: { readonly node: number; readonly cluster: string }
): void {
  const identity = IDENTITIES.get(logger)
  if (identity !== undefined) identity.fields = fields
}

interface Identity {
  fields: object
}

/** What has no event is not told apart, and never left out. */
function admitted(limit: LogLimit, event: string): number | null {
  return event === '' ? 0 : limit.admit(event)
}

const IDENTITIES = new WeakMap<object, Identity>()
const FATAL = 60

/** `raft.status` is of the component `raft`. */
function withComponent(record: Record<string, unknown>): Record<string, unknown> {
  const [component, name] = eventOf(record).split('.')
  return name === undefined || 'component' in record ? record : { component, ...record }
}

/** Empty for a line without one: only lines of the program's own have it. */
function eventOf(fields: unknown): string {
  if (typeof fields !== 'object' || fields === null || !('event' in fields)) return ''
  return typeof fields.event === 'string' ? fields.event : ''
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
