// How much a node logs, in the words of pino, and the one way to change it while the node runs.

import type { Logger } from 'pino'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** From the next line on. */
export function setLogLevel(
  logger: Pick<Logger, 'level' | 'info'>,
  level: LogLevel
): { readonly level: LogLevel; readonly previous: LogLevel } {
  const previous = LOG_LEVELS.find((each) => each === logger.level) ?? 'info'
  logger.level = level
  logger.info({ event: 'log.level', level, previous }, 'the log level was set')
  return { level, previous }
}
