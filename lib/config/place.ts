// Which file a configuration is in, and which folder is the node's: what every command about a node of this
// machine works out first. Light.

import { resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import { CONFIG_VARIABLE, merged } from './layers.ts'
import type { Layer } from './layers.ts'
import { defaultDataDir } from './places.ts'
import type { Environment } from './places.ts'

/** What a node that is not told another file reads, in its data directory. */
export const CONFIG_FILE = 'config.toml'

/** The file that was named, with `--config` or ASPEN_CONFIG, as an absolute path; null for none. @throws ConfigError CONFIG_INVALID */
export function namedPath(flag: string | null, env: Environment): string | null {
  if (flag === '') {
    throw new ConfigError({ code: 'CONFIG_INVALID', message: "--config takes a path, not ''" })
  }
  const path = flag ?? env[CONFIG_VARIABLE] ?? ''
  return path === '' ? null : resolve(path)
}

/**
 * Where the node lives, from the layers that may say it, lowest first. A `--name` that is typed also names the
 * folder, over a data directory of the layers below; any other name does where no layer has a data directory.
 */
export function dataDirOf(layers: readonly Layer[], env: Environment): string {
  const { data_dir: dataDir, name } = merged(layers)
  const isByName = name?.origin.layer === 'flag' && dataDir?.origin.layer !== 'flag'
  if (dataDir !== undefined && !isByName) return resolve(dataDir.value)
  return defaultDataDir(name?.value ?? null, env)
}
