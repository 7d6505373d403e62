// Settings of a node beside its name, bootstrap nodes, timing profile, storage and ports, by the names that
// they have in a configuration; node.json keeps them in one object. What was never given is not there.

import type { Timing, TimingProfile } from '../raft/timing.ts'
import { checkConfig, timingOf } from './checks.ts'
import { givenIn, readText } from './layers.ts'
import type { Layer, LayerDraft, Origin } from './layers.ts'
import { STORAGE_KEYS } from './schema.ts'
import type { ConfigKey, ConfigValues } from './schema.ts'
import { STORAGE_SETTING_NAMES } from './storage-settings.ts'
import type { StorageSettings } from './storage-settings.ts'

export const NODE_SETTING_KEYS = [
  'host',
  'gossip',
  'http_addr',
  'http_public',
  'heartbeat_interval_ms',
  'election_timeout_min_ms',
  'election_timeout_max_ms',
  'raft_mailbox_capacity'
] as const satisfies readonly ConfigKey[]

export type NodeSettingKey = (typeof NODE_SETTING_KEYS)[number]

/** e.g. `{ heartbeat_interval_ms: 50 }`; schema.ts says what each of them is. */
export type NodeSettings = { readonly [K in NodeSettingKey]?: ConfigValues[K] }

/** Those of them that the layer has. */
export function nodeSettingsOf(layer: Layer): NodeSettings {
  const settings: NodeSettings = {}
  for (const key of NODE_SETTING_KEYS) take(settings, layer, key)
  return settings
}

function take(settings: NodeSettings, layer: Layer, key: NodeSettingKey): void {
  const given = layer[key]
  if (given !== undefined) Object.assign(settings, { [key]: given.value })
}

/** How much is kept, as far as the layer says; null where it does not. */
export function storageOf(layer: Layer): Partial<StorageSettings> | null {
  const entries = STORAGE_SETTING_NAMES.flatMap((name) => {
    const value = givenIn(layer, STORAGE_KEYS[name])
    return value === null ? [] : [[name, value] as const]
  })
  return entries.length === 0 ? null : Object.fromEntries(entries)
}

/**
 * The timing of a node with these settings. Refuses settings that are none, or contradict each other: those
 * of a program, which no layer has checked.
 * @throws ConfigError CONFIG_INVALID
 */
export function checkedTiming(profile: TimingProfile, settings: NodeSettings): Timing {
  const layer: LayerDraft = { timing: { value: profile, origin: OF_OPTIONS } }
  for (const key of NODE_SETTING_KEYS) check(layer, settings, key)
  checkConfig(layer, layer)
  return timingOf(layer)
}

const OF_OPTIONS: Origin = { layer: 'default', where: 'the options of the node', line: null }

function check(layer: LayerDraft, settings: NodeSettings, key: NodeSettingKey): void {
  const value = settings[key]
  if (value === undefined) return
  readText(layer, key, { text: String(value), origin: OF_OPTIONS })
}
