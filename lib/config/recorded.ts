// What node.json has recorded, as a layer: read as it is, without opening the node or loading what that
// takes. The node itself reads the file strictly (membership.ts); what cannot be read here is left to it.

import { join } from 'node:path'
import { httpAddressOf } from './checks.ts'
import { put } from './layers.ts'
import type { Layer, LayerDraft, Origin } from './layers.ts'
import { isConfigKey, SETTINGS, STORAGE_KEYS } from './schema.ts'
import type { ConfigKey, Setting } from './schema.ts'
import { readJson } from './places.ts'
import { STORAGE_SETTING_NAMES, STORAGE_SETTINGS } from './storage-settings.ts'

const ORIGIN: Origin = { layer: 'recorded', where: 'node.json', line: null }

/** Empty where there is no node. */
export function recordedLayer(dataDir: string): Layer {
  const json = readJson(join(dataDir, 'node.json'))
  const layer: LayerDraft = {}
  if (!isObject(json)) return layer
  add(layer, 'name', json['name'])
  add(layer, 'bootstrap', json['bootstrap'])
  add(layer, 'timing', json['timing'])
  add(layer, 'port', json['udp_port'])
  add(layer, 'http_port', json['http_port'])
  const storage = isObject(json['storage']) ? json['storage'] : {}
  for (const name of STORAGE_SETTING_NAMES) {
    addNumber(layer, STORAGE_KEYS[name], storage[STORAGE_SETTINGS[name].name])
  }
  const settings = isObject(json['settings']) ? json['settings'] : {}
  for (const [key, value] of Object.entries(settings)) if (isConfigKey(key)) add(layer, key, value)
  const { http_addr: address, http_port: port } = layer
  if (address !== undefined && port !== undefined) {
    // the port that was recorded last may be another one than the address was given with
    const { host } = httpAddressOf(address.value)
    layer.http_addr = { ...address, value: `${host}:${port.value}` }
  }
  return layer
}

/** By the text that says the same: the value is of the kind or is left out. */
function add(layer: LayerDraft, key: ConfigKey, json: unknown): void {
  const text = Array.isArray(json) ? json.join(',') : json
  if (typeof text !== 'string' && typeof text !== 'number' && typeof text !== 'boolean') return
  const { kind }: Setting<unknown> = SETTINGS[key]
  const value = kind.fromText(String(text))
  if (value !== null) put(layer, key, { value, origin: ORIGIN })
}

/** A number of bytes or milliseconds, which text would need a unit for. */
function addNumber(
  layer: LayerDraft,
  key: (typeof STORAGE_KEYS)[keyof typeof STORAGE_KEYS],
  json: unknown
): void {
  if (typeof json === 'number') put(layer, key, { value: json, origin: ORIGIN })
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
