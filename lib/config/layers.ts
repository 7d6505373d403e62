// The layers of a configuration: what each of them gives, with where exactly it was given, and which of
// them counts. By presence: a value in a higher layer counts also where it equals the default.

import { ConfigError } from '../errors.ts'
import { closest } from './closest.ts'
import { refuseRetiredValue, retiredError } from './refusals.ts'
import { CONFIG_KEYS, environmentName, SETTINGS } from './schema.ts'
import type { ConfigKey, ConfigValues, Setting } from './schema.ts'
import type { Environment } from './places.ts'

/** From the lowest to the highest. */
const LAYERS = ['default', 'recorded', 'environment', 'file', 'flag'] as const
export type LayerName = (typeof LAYERS)[number]

/** Where a value was given. */
export interface Origin {
  readonly layer: LayerName
  /** for people: `ASPEN_PORT`, `line 3 of /etc/aspen.toml`, `--port`, `node.json`, `default` */
  readonly where: string
  /** of the file */
  readonly line: number | null
}

export interface Given<T> {
  readonly value: T
  readonly origin: Origin
}

/** What one layer gives, or several together. */
export type Layer = { readonly [K in ConfigKey]?: Given<ConfigValues[K]> }

/** A layer while it is being read. */
export type LayerDraft = { [K in ConfigKey]?: Given<ConfigValues[K]> }

/** Later layers before earlier ones, key by key. */
export function merged(layers: readonly Layer[]): Layer {
  const all: LayerDraft = {}
  for (const layer of layers) Object.assign(all, layer)
  return all
}

/** The value that was given, or null. */
export function givenIn<K extends ConfigKey>(layer: Layer, key: K): ConfigValues[K] | null {
  return layer[key]?.value ?? null
}

/** How high the layer is that gave it. */
export function rankOf({ origin }: Given<unknown>): number {
  return LAYERS.indexOf(origin.layer)
}

/**
 * What the environment gives. An empty variable counts as not there.
 * @throws ConfigError CONFIG_INVALID for a variable that begins with ASPEN_ and is none, and for a value that is none
 */
export function environmentLayer(env: Environment): Layer {
  const layer: LayerDraft = {}
  const keys = new Map(CONFIG_KEYS.map((key) => [environmentName(key), key]))
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || text === undefined || text === '') continue
    if (OTHER_VARIABLES.has(name)) continue
    const key = keys.get(name)
    if (key === undefined) throw unknownVariable(name, [...keys.keys()])
    readText(layer, key, { text, origin: { layer: 'environment', where: name, line: null } })
  }
  return layer
}

/** What the environment says about where the node lives, and nothing else. @throws ConfigError CONFIG_INVALID */
export function environmentPlace(env: Environment): Layer {
  const layer: LayerDraft = {}
  for (const key of ['data_dir', 'name'] as const) {
    const name = environmentName(key)
    const text = env[name] ?? ''
    if (text === '') continue
    readText(layer, key, { text, origin: { layer: 'environment', where: name, line: null } })
  }
  return layer
}

/** The environment without its settings, for a process that has the layers above only. */
export function withoutSettings(env: Environment): Record<string, string | undefined> {
  const isSetting = (name: string): boolean =>
    name === CONFIG_VARIABLE || CONFIG_KEYS.some((key) => environmentName(key) === name)
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isSetting(name)))
}

/** Adds a value that was given as text. @throws ConfigError CONFIG_INVALID */
export function readText(
  layer: LayerDraft,
  key: ConfigKey,
  { text, origin }: { readonly text: string; readonly origin: Origin }
): void {
  const { kind }: Setting<unknown> = SETTINGS[key]
  const value = kind.fromText(text)
  if (value === null) {
    refuseRetiredValue(key, text, placeOf(key, origin))
    const got = `'${kind.wrongPart?.(text) ?? text}'`
    throw invalidValue(key, origin, { expected: kind.expected, got })
  }
  put(layer, key, { value, origin })
}

/** Adds a value that the kind of the key has given. */
export function put(layer: LayerDraft, key: ConfigKey, given: Given<unknown>): void {
  Object.assign(layer, { [key]: given })
}

/** `port in line 3 of /etc/aspen.toml takes a whole number from 1 to 65535, not "x"`. */
export function invalidValue(
  key: ConfigKey,
  origin: Origin,
  { expected, got }: { readonly expected: string; readonly got: string }
): ConfigError {
  return new ConfigError({
    code: 'CONFIG_INVALID',
    message: `${placeOf(key, origin)} takes ${expected}, not ${shortened(got)}`,
    fields: fieldsOf(key, origin)
  })
}

/** What was given, in a message: of a megabyte the beginning is enough. */
export function shortened(text: string): string {
  return text.length <= MAX_SHOWN_LENGTH ? text : `${text.slice(0, MAX_SHOWN_LENGTH)}…`
}

const MAX_SHOWN_LENGTH = 200

/** A key at the place where it was given, for people. */
export function placeOf(key: string, { layer, where }: Origin): string {
  if (layer === 'flag') return where
  if (layer === 'environment') return `the environment variable ${where}`
  return layer === 'default' ? key : `${key} in ${where}`
}

/** What a program is told about a setting that was refused. */
export function fieldsOf(key: string, { layer, where, line }: Origin) {
  return { key, layer, where, ...(line === null ? {} : { line }) }
}

const PREFIX = 'ASPEN_'
/** Names the file. */
export const CONFIG_VARIABLE = 'ASPEN_CONFIG'

/** Variables of that form which are no settings of a node. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set([
  CONFIG_VARIABLE,
  // a secret, read by `join` and never kept
  'ASPEN_TICKET',
  // between a command and the process that it starts
  'ASPEN_BACKGROUND',
  // of Aspen's own tests, which start nodes
  'ASPEN_FULL',
  'ASPEN_SEED',
  'ASPEN_TEST_SEED',
  'ASPEN_FAULTS_TALLY'
])

function unknownVariable(name: string, known: readonly string[]): ConfigError {
  const retired = retiredError('environment', name)
  if (retired !== null) return retired
  const like = closest(name, [...known, ...OTHER_VARIABLES])
  return new ConfigError({
    code: 'CONFIG_INVALID',
    message: `the environment variable ${name} is no setting${like === null ? '' : `: did you mean ${like}?`}`,
    hint: "'aspen help start' lists the settings",
    fields: { layer: 'environment', where: name }
  })
}
