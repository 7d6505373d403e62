// What counts of all settings in the end, each with where it comes from: for people who ask why a node does
// what it does.

import type { Config } from './config.ts'
import { httpOf, timingOf } from './checks.ts'
import { givenIn, rankOf } from './layers.ts'
import type { Given, Layer, Origin } from './layers.ts'
import { CONFIG_KEYS, DEFAULT_TIMING, SETTINGS } from './schema.ts'
import type { ConfigKey, Setting } from './schema.ts'

export interface EffectiveSetting {
  readonly key: ConfigKey
  /** null: worked out when the node runs, as `otherwise` says */
  readonly value: unknown
  /** the value as in TOML; null as well */
  readonly toml: string | null
  readonly origin: Origin
  readonly otherwise: string | null
}

/** Of all settings, in the order of the table. */
export function effectiveSettings(config: Config): readonly EffectiveSetting[] {
  return CONFIG_KEYS.map((key) => effectiveSetting(config, key))
}

function effectiveSetting(config: Config, key: ConfigKey): EffectiveSetting {
  const { kind, otherwise: derivation }: Setting<unknown> = SETTINGS[key]
  const otherwise = derivation ?? null
  const found = effective(config, key)
  if (found === null) return { key, value: null, toml: null, origin: DEFAULT, otherwise }
  return { key, ...found, toml: kind.toToml(found.value), otherwise }
}

const DEFAULT: Origin = { layer: 'default', where: 'default', line: null }

function effective({ known, dataDir }: Config, key: ConfigKey): Given<unknown> | null {
  const derived = derivedIn(known)[key] ?? known[key] ?? null
  if (key === 'data_dir') return { value: dataDir, origin: placeOrigin(known) }
  if (derived !== null) return derived
  const { fallback }: Setting<unknown> = SETTINGS[key]
  return fallback === null ? null : { value: fallback, origin: DEFAULT }
}

/** What follows from several settings. */
function derivedIn(known: Layer): { readonly [K in ConfigKey]?: Given<unknown> } {
  const { heartbeatMs, electionMinMs, electionMaxMs } = timingOf(known)
  const profile = givenIn(known, 'timing') ?? DEFAULT_TIMING
  const ofProfile: Origin = { layer: 'default', where: `timing = ${profile}`, line: null }
  const timed = (key: ConfigKey, value: number) => ({
    value,
    origin: known[key]?.origin ?? ofProfile
  })
  return {
    ...httpIn(known),
    heartbeat_interval_ms: timed('heartbeat_interval_ms', heartbeatMs),
    election_timeout_min_ms: timed('election_timeout_min_ms', electionMinMs),
    election_timeout_max_ms: timed('election_timeout_max_ms', electionMaxMs)
  }
}

/** Each of the two says a port: the higher one does. */
function httpIn(known: Layer): { readonly [K in ConfigKey]?: Given<unknown> } {
  const { http_addr: address, http_port: port } = known
  const { host, port: counts } = httpOf(known)
  if (counts === null) return {}
  const isOfAddress =
    address !== undefined && (port === undefined || rankOf(port) < rankOf(address))
  const portOrigin = (isOfAddress ? address : port)?.origin ?? DEFAULT
  return {
    http_addr: { value: `${host ?? LOOPBACK}:${counts}`, origin: address?.origin ?? portOrigin },
    http_port: { value: counts, origin: portOrigin }
  }
}

const LOOPBACK = '127.0.0.1'

/** The folder may follow from the name. */
function placeOrigin({ data_dir: dataDir, name }: Layer): Origin {
  const isByName = name?.origin.layer === 'flag' && dataDir?.origin.layer !== 'flag'
  if (dataDir !== undefined && !isByName) return dataDir.origin
  return name === undefined || name.origin.layer === 'recorded' ? DEFAULT : name.origin
}
