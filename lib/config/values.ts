// The kinds of values that a configuration has, each with how it is written in the two places where one
// may be: as a TOML value, and as text (environment, flags). Pure; no schema library, because every
// command loads the flags that are made of this.

import { isIpv4, isPort, parseAddress } from '../address.ts'
import { durationText, parseDuration, parseSize, sizeText } from './units.ts'
import { nameProblem } from './places.ts'

/** A value of TOML, as far as a configuration tells them apart. */
export type TomlValue =
  | { readonly type: 'string'; readonly value: string }
  /** `value` is not exact beyond 2^53 */
  | { readonly type: 'integer'; readonly value: number; readonly text: string }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'array'; readonly items: readonly TomlValue[] }
  /** what no setting takes; `text` says what it is */
  | { readonly type: 'other'; readonly text: string }

export interface ValueKind<T> {
  /** what it takes, for people: after `takes` */
  readonly expected: string
  /** what TOML has it as, where the text would be another type there */
  readonly inToml: string
  /** all of them, where they are few */
  readonly choices?: readonly string[]
  /** null when it is none, or out of its range */
  fromToml(value: TomlValue): T | null
  fromText(text: string): T | null
  /** of a text that is none, the part that is wrong; all of it where this is left out */
  wrongPart?(text: string): string
  /** as a value of TOML */
  toToml(value: T): string
  /** as text; `fromText` gives the value back */
  toText(value: T): string
}

/** Words of one form. */
export function textKind(expected: string, isOne: (text: string) => boolean): ValueKind<string> {
  const fromText = (text: string): string | null => (isOne(text) ? text : null)
  return {
    expected,
    inToml: `${expected}, in quotes`,
    fromText,
    fromToml: (value) => (value.type === 'string' ? fromText(value.value) : null),
    toText: (value) => value,
    toToml: quoted
  }
}

export function choiceKind<T extends string>(choices: readonly T[]): ValueKind<T> {
  const fromText = (text: string): T | null => choices.find((choice) => choice === text) ?? null
  return {
    expected: `one of: ${choices.join(', ')}`,
    inToml: `one of: ${choices.map(quoted).join(', ')}`,
    choices,
    fromText,
    fromToml: (value) => (value.type === 'string' ? fromText(value.value) : null),
    toText: (value) => value,
    toToml: quoted
  }
}

export interface Range {
  readonly min: number
  readonly max: number
}

/** `unit`, such as `milliseconds`, comes after the number for people. */
export function integerKind({ min, max }: Range, unit = ''): ValueKind<number> {
  const isIn = (value: number): boolean =>
    Number.isSafeInteger(value) && value >= min && value <= max
  const expected = `a whole number${unit === '' ? '' : ` of ${unit}`} from ${min} to ${max}`
  return {
    expected,
    inToml: `${expected}, without quotes`,
    fromText: (text) => (/^\d{1,16}$/.test(text) && isIn(Number(text)) ? Number(text) : null),
    fromToml: (value) => (value.type === 'integer' && isIn(value.value) ? value.value : null),
    toText: String,
    toToml: String
  }
}

/** Bytes: with a unit, or a number of them. */
export function sizeKind({ min, max }: Range): ValueKind<number> {
  const isIn = (value: number | null): value is number =>
    value !== null && value >= min && value <= max
  const fromText = (text: string): number | null => {
    const value = parseSize(text)
    return isIn(value) ? value : null
  }
  const expected = `a size such as 64MiB, at least ${sizeText(min)} and at most ${sizeText(max)}`
  return {
    expected,
    inToml: `${expected}, in quotes`,
    fromText,
    fromToml: (value) => (value.type === 'string' ? fromText(value.value) : null),
    toText: sizeText,
    toToml: (value) => quoted(sizeText(value))
  }
}

/** Milliseconds, written with a unit. */
export function durationKind({ min, max }: Range): ValueKind<number> {
  const fromText = (text: string): number | null => {
    const value = parseDuration(text)
    return value !== null && value >= min && value <= max ? value : null
  }
  const expected = `a time such as 24h, at least ${durationText(min)} and at most ${durationText(max)}`
  return {
    expected,
    inToml: `${expected}, in quotes`,
    fromText,
    fromToml: (value) => (value.type === 'string' ? fromText(value.value) : null),
    toText: durationText,
    toToml: (value) => quoted(durationText(value))
  }
}

export const BOOLEAN: ValueKind<boolean> = {
  expected: 'true or false',
  inToml: 'true or false, without quotes',
  fromText: (text) => (text === 'true' || text === 'false' ? text === 'true' : null),
  fromToml: (value) => (value.type === 'boolean' ? value.value : null),
  toText: String,
  toToml: String
}

/** One or more words of one form; as text they are separated by commas. */
export function listKind(
  { one, expected }: { readonly one: string; readonly expected: string },
  isOne: (text: string) => boolean
): ValueKind<readonly string[]> {
  const check = (items: readonly string[]): readonly string[] | null =>
    items.length > 0 && items.every(isOne) ? items : null
  return {
    expected,
    inToml: `a list of one or more: ["${one}"]`,
    fromText: (text) => check(wordsOf(text)),
    wrongPart: (text) => wordsOf(text).find((item) => !isOne(item)) ?? text,
    fromToml: (value) => {
      if (value.type !== 'array') return null
      const texts = value.items.flatMap((item) => (item.type === 'string' ? [item.value] : []))
      return texts.length === value.items.length ? check(texts) : null
    },
    toText: (value) => value.join(','),
    toToml: (value) => `[${value.map(quoted).join(', ')}]`
  }
}

function wordsOf(text: string): readonly string[] {
  const words = text.split(',').map((word) => word.trim())
  return words.filter((word) => word !== '')
}

export const PORT: ValueKind<number> = integerKind({ min: 1, max: 65_535 })

export const PATH: ValueKind<string> = textKind(
  'a path',
  // what was no UTF-8 has become U+FFFD by now, and would be another path
  (text) => text !== '' && !/[\0\ufffd]/.test(text)
)

export const NAME: ValueKind<string> = textKind(
  'a name: up to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit',
  (text) => nameProblem(text) === null
)

export const IPV4: ValueKind<string> = textKind('an IPv4 address such as 192.168.1.20', isIpv4)

/** Addresses of bootstrap nodes; names are resolved when a node is started. */
export const BOOTSTRAP: ValueKind<readonly string[]> = listKind(
  { one: '192.168.1.20:49737', expected: 'a host and a port such as 192.168.1.20:49737' },
  isHostAndPort
)

/** Nodes by their key, with where they are if that is known. */
export const PEERS: ValueKind<readonly string[]> = listKind(
  {
    one: `${'0123456789abcdef'.repeat(4)}@192.168.1.20:49737`,
    expected:
      'the key of a node, 64 hex digits, or KEY@HOST:PORT with its IPv4 address and UDP port'
  },
  isPeer
)

function isPeer(text: string): boolean {
  const parts = /^[0-9a-fA-F]{64}(?:@(.+))?$/.exec(text)
  const place = parts?.[1]
  return parts !== null && (place === undefined || parseAddress(place) !== null)
}

/** Where the HTTP API listens: an IPv4 address and a port. */
export const HTTP_ADDRESS: ValueKind<string> = textKind(
  'an IPv4 address and a port such as 127.0.0.1:7070',
  (text) => isHostAndPort(text) && isIpv4(text.slice(0, text.lastIndexOf(':')))
)

function isHostAndPort(text: string): boolean {
  const parts = /^([^\s:,]{1,253}):([1-9]\d{0,4})$/.exec(text)
  return parts !== null && isPort(Number(parts[2]))
}

/** As a basic string of TOML. */
function quoted(text: string): string {
  return JSON.stringify(text)
}

/** A value that was refused, for people. */
export function shownToml(value: TomlValue): string {
  switch (value.type) {
    case 'string':
      return quoted(value.value)
    case 'integer':
      return value.text
    case 'boolean':
      return String(value.value)
    case 'array':
      return `[${value.items.map(shownToml).join(', ')}]`
    case 'other':
      return value.text
  }
}
