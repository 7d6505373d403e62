// How much a node logs, in the words of pino, and the one way to change it while the node runs.

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** A pino logger. */
interface Levelled {
  level: string
  info(fields: object, message: string): void
}

/** From the next line on. */
export function setLogLevel(
  logger: Levelled,
  level: LogLevel
): { readonly level: LogLevel; readonly previous: LogLevel } {
  const previous = LOG_LEVELS.find((each) => each === logger.level) ?? 'info'
  logger.level = level
  logger.info({ event: 'log.level', level, previous }, 'the log level was set')
  return { level, previous }
}
