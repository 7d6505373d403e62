// Small forms of text: times and sizes for people, durations that people type, and bytes that came
// from other machines made harmless for a terminal.

import { textOf } from '../encoding.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** `450 ms`, `1.2 s`, `45 s`, `3 min`, `2 h`, `5 d`: one number, rounded above ten seconds. */
export function formatDuration(ms: number): string {
  if (ms < SECOND_MS) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 10 * SECOND_MS) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`
  if (ms < 2 * MINUTE_MS) return `${Math.round(ms / SECOND_MS)} s`
  if (ms < 2 * HOUR_MS) return `${Math.round(ms / MINUTE_MS)} min`
  if (ms < 2 * DAY_MS) return `${Math.round(ms / HOUR_MS)} h`
  return `${Math.round(ms / DAY_MS)} d`
}

/** `in 3 h` or `2 h ago`, seen from `nowMs`. */
export function formatRelative(atMs: number, nowMs: number): string {
  const distanceMs = atMs - nowMs
  return distanceMs >= 0 ? `in ${formatDuration(distanceMs)}` : `${formatDuration(-distanceMs)} ago`
}

/** `812 B`, `2.1 KiB`, `1.0 MiB`, `4.0 GiB`. */
export function formatSize(byteCount: number): string {
  if (byteCount < 1024) return `${byteCount} B`
  if (byteCount < 1024 * 1024) return `${(byteCount / 1024).toFixed(1)} KiB`
  if (byteCount < 1024 ** 3) return `${(byteCount / 1024 ** 2).toFixed(1)} MiB`
  return `${(byteCount / 1024 ** 3).toFixed(1)} GiB`
}

/**
 * The text with everything that could move a cursor or hide something spelled out: control
 * characters, line and paragraph separators, and characters that change the direction of writing.
 */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) => {
    const short = SHORT_ESCAPES[character]
    if (short !== undefined) return short
    const code = character.codePointAt(0) ?? 0
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u{${code.toString(16).padStart(4, '0')}}`
  })
}

/**
 * The text without the tickets in it. Errors repeat what was typed; a ticket among it would end up
 * wherever their output goes.
 */
export function withoutTickets(text: string): string {
  return text.replaceAll(TICKET, 'aspen1…')
}

/** Bytes for a cell of a table: printable text, or how many they are. */
export function displayBytes(bytes: Uint8Array): string {
  const text = textOf(bytes)
  return text === null ? `<binary ${formatSize(bytes.byteLength)}>` : printable(text)
}

/**
 * A value for a terminal, or null when it is fine as it is: text, with lines and tabs, but nothing
 * else that a terminal would obey.
 */
export function spelledOut(bytes: Uint8Array): string | null {
  const text = textOf(bytes)
  if (text === null) return displayBytes(bytes)
  const shown = text
    .split(/(\n|\r\n|\t)/)
    .map((part, at) => (at % 2 === 1 ? part : printable(part)))
    .join('')
  return shown === text ? null : shown
}

/** How many columns of a terminal the text takes. */
export function displayWidth(text: string): number {
  let width = 0
  for (const character of text.replaceAll(COLOUR_SEQUENCE, '')) {
    if (ZERO_WIDTH.test(character)) continue
    width += DOUBLE_WIDTH.test(character) ? 2 : 1
  }
  return width
}

/** The start of the text that fits `columns`, ended by `ellipsis` when something was cut. */
export function truncate(text: string, columns: number, ellipsis: string): string {
  if (displayWidth(text) <= columns) return text
  let kept = ''
  let width = displayWidth(ellipsis)
  for (const character of text) {
    width += displayWidth(character)
    if (width > columns) break
    kept += character
  }
  return `${kept}${ellipsis}`
}

/** `1 voter`, `2 voters`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

const TICKET = /aspen1[0-9a-z]{8,}/gi
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu
const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }
const ESCAPE = '\u001b'
const COLOUR_SEQUENCE = new RegExp(`${ESCAPE}\\[[0-9;]*m`, 'g')
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u
const DOUBLE_WIDTH =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f9ff}\u{20000}-\u{3fffd}]$/u
