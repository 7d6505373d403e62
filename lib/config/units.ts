// Times and sizes as people write them in a configuration: read, and written back so that reading gives
// the same number. Pure.

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: SECOND_MS,
  m: MINUTE_MS,
  min: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS
}

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `5s`, `300ms`, `1.5h`; a plain number is seconds. Null when it is no duration. */
export function parseDuration(text: string): number | null {
  const parts = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|min|h|d)?$/.exec(text)
  if (parts === null) return null
  const unitMs = UNITS_MS[parts[2] ?? 's'] ?? SECOND_MS
  return Math.round(Number(parts[1]) * unitMs)
}

/** `64MiB`, `1.5GiB`, `4096`: bytes, or in units of 1,024. Null when it is no size. */
export function parseSize(text: string): number | null {
  const parts = /^(\d{1,15}(?:\.\d{1,6})?)(B|KiB|MiB|GiB|TiB)?$/.exec(text)
  if (parts === null) return null
  const power = SIZES.findIndex((unit) => unit === (parts[2] ?? 'B'))
  return Math.round(Number(parts[1]) * 1_024 ** power)
}

/** In the largest unit in which it is a whole number: `24h`, `1500ms`. */
export function durationText(ms: number): string {
  const units = ['h', 'min', 's'] as const
  const unit = units.find((each) => ms > 0 && ms % (UNITS_MS[each] ?? 1) === 0)
  return unit === undefined ? `${ms}ms` : `${ms / (UNITS_MS[unit] ?? 1)}${unit}`
}

/** In the largest unit in which it is a whole number: `64MiB`, `1500B`. */
export function sizeText(byteCount: number): string {
  const power = SIZES.findLastIndex((_unit, at) => byteCount > 0 && byteCount % 1_024 ** at === 0)
  return `${byteCount / 1_024 ** Math.max(0, power)}${SIZES[Math.max(0, power)] ?? 'B'}`
}
