// One NDJSON line of a node's log as a line for people. Used by nodes in the foreground and by
// `aspen logs`, so it does not load the logger.

/** Colours one part of a line; the identity where there are no colours. */
export type Paint = (part: LogPart, text: string) => string
export type LogPart = 'time' | 'info' | 'warn' | 'error' | 'component' | 'fields'

/** Fields that have their own place in the line, or that are the same in every line. */
const PLACED = new Set(['ts', 'level', 'msg', 'component', 'err', 'node', 'cluster'])
const LEVEL_COLUMNS = 5

/**
 * `12:04:31.123 info  replica: became leader term=7`, in local time. A line that is not a record
 * (what the runtime prints when it crashes) stays as it is, apart from control characters.
 */
export function renderLogLine(line: string, paint: Paint): string {
  const record = parseRecord(line)
  if (record === null) return clean(line)
  const level = textField(record, 'level') ?? 'info'
  const component = textField(record, 'component')
  const parts = [
    paint('time', timeOf(record)),
    paint(partOf(level), level.padEnd(LEVEL_COLUMNS)),
    ...(component === null ? [] : [paint('component', `${clean(component)}:`)]),
    clean(textField(record, 'msg') ?? ''),
    ...errorText(record['err']),
    paint('fields', fieldsText(record))
  ]
  return parts.filter((part) => part !== '').join(' ')
}

function parseRecord(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null
  try {
    const value: unknown = JSON.parse(line)
    return isRecord(value) && typeof value['level'] === 'string' ? value : null
  } catch {
    return null
  }
}

function timeOf(record: Record<string, unknown>): string {
  const time = new Date(textField(record, 'ts') ?? Number.NaN)
  if (Number.isNaN(time.getTime())) return '--:--:--.---'
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(twoDigits).join(':')
  return `${clock}.${String(time.getMilliseconds()).padStart(3, '0')}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}

function partOf(level: string): LogPart {
  if (level === 'warn') return 'warn'
  return level === 'error' || level === 'fatal' ? 'error' : 'info'
}

function errorText(error: unknown): string[] {
  if (!isRecord(error)) return []
  const code = textField(error, 'code')
  const message = textField(error, 'msg') ?? ''
  return [clean(`(${code === null ? '' : `${code}: `}${message})`)]
}

function fieldsText(record: Record<string, unknown>): string {
  return Object.entries(record)
    .filter(([name]) => !PLACED.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .map(clean)
    .join(' ')
}

function textField(record: Record<string, unknown>, name: string): string | null {
  const value = record[name]
  return typeof value === 'string' ? value : null
}

function clean(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (character) =>
    character === '\t'
      ? ' '
      : String.raw`\u` + character.charCodeAt(0).toString(16).padStart(4, '0')
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
