// The configuration of a node, put together: which file is read, where the node lives, what is recorded
// there, and what counts in the end.

import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '../errors.ts'
import { checkConfig } from './checks.ts'
import type { ConfigFile } from './toml-file.ts'
import { environmentLayer, givenIn, merged } from './layers.ts'
import type { Layer } from './layers.ts'
import { CONFIG_FILE, dataDirOf } from './place.ts'
import { recordedLayer } from './recorded.ts'
import type { Environment } from './places.ts'

/** Where a configuration comes from. */
export interface ConfigSources {
  readonly env: Environment
  /** what was typed */
  readonly flags: Layer
  /** the file that was named, with `--config` or ASPEN_CONFIG; null for none */
  readonly named: ConfigFile | null
}

export interface Config {
  readonly dataDir: string
  /** the file that was read; null for none */
  readonly file: ConfigFile | null
  /** environment, file and flags */
  readonly given: Layer
  /** these over what the node has recorded */
  readonly known: Layer
  /** what is allowed but seldom meant, for people */
  readonly warnings: readonly string[]
}

/** @throws ConfigError CONFIG_INVALID */
export async function readConfig(sources: ConfigSources): Promise<Config> {
  const { env, flags, named } = sources
  const environment = environmentLayer(env)
  const place = [environment, named?.layer ?? {}, flags]
  const dataDir = dataDirOf(place, env)
  const file = named ?? (await fileIn(dataDir))
  const given = merged([environment, file?.layer ?? {}, flags])
  const known = merged([recordedLayer(dataDir), given])
  return { dataDir, file, given, known, warnings: checkConfig(given, known) }
}

/** The file of a data directory. One that says where that is would be read too late. */
async function fileIn(dataDir: string): Promise<ConfigFile | null> {
  const path = join(dataDir, CONFIG_FILE)
  if (!isThere(path)) return null
  // loaded only where there is a file
  const { readConfigFile } = await import('./toml-file.ts')
  const file = readConfigFile(path)
  const said = givenIn(file.layer, 'data_dir')
  if (said === null || said === dataDir) return file
  const where = file.layer.data_dir?.origin.where ?? path
  throw new ConfigError({
    code: 'CONFIG_INVALID',
    message: `data_dir in ${where} names another folder than the one that it is in`,
    hint: `leave it out, or name the file: --config ${path}`
  })
}

/** Also a link that leads nowhere, which is a file that was meant. Of a folder that may not be entered nobody knows. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  } catch {
    return false
  }
}
