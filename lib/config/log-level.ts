// How much a node logs, in the words of pino, and the one way to change it while the node runs.

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** A pino logger. */
interface Levelled {
  level: string
  info(fields: object, message: string): void
}

/** From the next line on. It is said where that is heard: before the level changes, or behind it. */
export function setLogLevel(
  logger: Levelled,
  level: LogLevel
): { readonly level: LogLevel; readonly previous: LogLevel } {
  const previous = LOG_LEVELS.find((each) => each === logger.level) ?? 'info'
  if (level === previous) return { level, previous }
  // `level` is the name of a field of every line
  const say = () =>
    logger.info({ event: 'log.level', set: level, previous }, `the log level is ${level} now`)
  const isHeard = LOG_LEVELS.indexOf(previous) <= LOG_LEVELS.indexOf('info')
  if (isHeard) say()
  logger.level = level
  if (!isHeard) say()
  return { level, previous }
}
