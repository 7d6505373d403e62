// The configuration of a running node, read again at SIGHUP: what may change while it runs is applied, what
// needs a start is said in the log, and a file that is wrong changes nothing.

import { asAspenError } from '../errors.ts'
import { readConfig } from '../config/config.ts'
import { givenIn } from '../config/layers.ts'
import type { Layer } from '../config/layers.ts'
import { CONFIG_KEYS, DEFAULT_LOG_LEVEL, SETTINGS } from '../config/schema.ts'
import type { ConfigKey, Setting } from '../config/schema.ts'

import { setLogLevel } from '../config/log-level.ts'
import type { NodeOptions } from '../node/options.ts'
import type { Launch } from './launch.ts'
import type { Environment } from './style.ts'

export interface ReloadParts {
  readonly launch: Pick<Launch, 'typed' | 'configPath' | 'given' | 'target'>
  readonly env: Environment
  readonly logger: NodeOptions['logger']
}

export class Reloader {
  readonly #parts: ReloadParts
  /** what was given when it was read last */
  #given: Layer
  /** one after the other */
  #reading: Promise<void> = Promise.resolve()

  constructor(parts: ReloadParts) {
    this.#parts = parts
    this.#given = parts.launch.given
  }

  /** Resolves when what can be applied is applied; never fails. */
  reload(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#reload())
    return this.#reading
  }

  async #reload(): Promise<void> {
    const { logger } = this.#parts
    try {
      const { given, file } = await this.#read()
      const changed = CONFIG_KEYS.filter((key) => written(given, key) !== written(this.#given, key))
      this.#given = given
      setLogLevel(logger, givenIn(given, 'log_level') ?? DEFAULT_LOG_LEVEL)
      const fields = { event: 'config.reloaded', file: file?.path ?? null, changed }
      logger.info(fields, 'the configuration was read again')
      const later = changed.filter((key) => !SETTINGS[key].reloads)
      if (later.length === 0) return
      logger.warn(
        { event: 'config.restart_needed', settings: later },
        `from the next start on: ${later.join(', ')}`
      )
    } catch (error) {
      const err = asAspenError(error)
      logger.error({ err, event: 'config.refused' }, 'the configuration stays as it was')
    }
  }

  /** The same layers as at the start; the folder is the one that the node runs in. */
  async #read() {
    const { launch, env } = this.#parts
    const { typed, configPath, target } = launch
    const origin = { layer: 'flag', where: '--data-dir', line: null } as const
    const flags = { ...typed, data_dir: { value: target.dataDir, origin } }
    return await readConfig({ env, flags, named: await namedFile(configPath) })
  }
}

async function namedFile(path: string | null) {
  if (path === null) return null
  const { readConfigFile } = await import('../config/toml-file.ts')
  return readConfigFile(path)
}

function written(layer: Layer, key: ConfigKey): string | null {
  const { kind }: Setting<unknown> = SETTINGS[key]
  const value = givenIn(layer, key)
  return value === null || key === 'data_dir' ? null : kind.toText(value)
}
