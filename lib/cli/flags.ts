// The flags that every command takes, once, and the reading of flag values: paparam gives strings,
// numbers and durations and addresses are checked here and refused with CONFIG_INVALID (exit 2).

import { ConfigError } from '../errors.ts'
import { unmark } from './argv.ts'
import { parseDuration } from '../config/units.ts'
import { formatDuration } from './text.ts'

/** A flag as paparam takes it. */
export interface FlagSpec {
  /** e.g. `--timeout <duration>` */
  readonly spec: string
  readonly about: string
  readonly choices?: readonly string[]
  readonly isRepeatable?: boolean
}

/** On every command. */
export const OUTPUT_FLAGS: readonly FlagSpec[] = [
  { spec: '--json', about: 'print one JSON object instead of text' },
  { spec: '--quiet|-q', about: 'print only the value that matters' },
  { spec: '--no-color', about: 'no colours (also NO_COLOR; FORCE_COLOR turns them on)' }
]

/** On the commands about a node of this machine: which one. */
export const PLACE_FLAGS: readonly FlagSpec[] = [
  { spec: '--data-dir <dir>', about: "the node's folder (default: ASPEN_DATA_DIR, or by name)" },
  { spec: '--name <name>', about: 'name of the node, and of its folder without --data-dir' },
  {
    spec: '--config <path>',
    about: 'a file with settings (default: ASPEN_CONFIG, or config.toml in the folder)'
  }
]

export const TIMEOUT_FLAG: FlagSpec = {
  spec: '--timeout <duration>',
  about: 'how long to wait at most: 300ms, 5s, 2m; a plain number is seconds'
}

export interface NumberRange {
  readonly min: number
  readonly max: number
}

/** The flags of one call, read with types. */
export class Flags {
  readonly #values: Readonly<Record<string, unknown>>
  readonly #isTyped: (name: string) => boolean

  /** `isTyped`: whether a flag that may have a default was there; each that has a value, when left out */
  constructor(
    values: Readonly<Record<string, unknown>>,
    isTyped: (name: string) => boolean = (name) => Object.hasOwn(values, name)
  ) {
    this.#values = values
    this.#isTyped = isTyped
  }

  isSet(name: string): boolean {
    return this.#values[name] === true
  }

  /** True for `--name`, false for `--no-name`, null for neither. */
  switched(name: string): boolean | null {
    const value = this.#values[name]
    return typeof value === 'boolean' && this.#isTyped(name) ? value : null
  }

  text(name: string): string | null {
    const value = this.#values[name]
    return typeof value === 'string' ? unmark(value) : null
  }

  /** A choice; paparam has refused all others. */
  choice<T extends string>(name: string, choices: readonly T[]): T | null {
    const text = this.text(name)
    return choices.find((choice) => choice === text) ?? null
  }

  list(name: string): readonly string[] {
    const value = this.#values[name]
    return Array.isArray(value) ? value.map((item) => unmark(String(item))) : []
  }

  /** @throws ConfigError CONFIG_INVALID */
  integer(name: string, range: NumberRange): number | null {
    const text = this.text(name)
    if (text === null) return null
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (value >= range.min && value <= range.max) return value
    throw invalid(`${flagName(name)} takes a whole number from ${range.min} to ${range.max}`, text)
  }

  /** Milliseconds. @throws ConfigError CONFIG_INVALID */
  duration(name: string, range: NumberRange): number | null {
    const text = this.text(name)
    if (text === null) return null
    const ms = parseDuration(text)
    if (ms === null)
      throw invalid(`${flagName(name)} takes a duration such as 300ms, 5s or 2h`, text)
    if (ms >= range.min && ms <= range.max) return ms
    throw invalid(
      `${flagName(name)} must be between ${formatDuration(range.min)} and ${formatDuration(range.max)}`,
      text
    )
  }

  /** @throws ConfigError CONFIG_INVALID */
  port(name: string): number | null {
    return this.integer(name, { min: 1, max: 65_535 })
  }
}

/** `dataDir` to `--data-dir`. */
export function flagName(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

function invalid(rule: string, text: string): ConfigError {
  return new ConfigError({ code: 'CONFIG_INVALID', message: `${rule}, not '${text}'` })
}
