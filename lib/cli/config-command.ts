// `aspen config show`, `check`, `template`: what counts of all that was said to a node, and whether it is
// right. None of them starts or asks a node.

import { EXIT } from '../errors.ts'
import { readConfig } from '../config/config.ts'
import type { Config } from '../config/config.ts'
import { effectiveSettings } from '../config/effective.ts'
import type { EffectiveSetting } from '../config/effective.ts'
import type { Origin } from '../config/layers.ts'
import { configTemplate } from '../config/template.ts'
import { flagLayer } from './config-flags.ts'
import type { Invocation } from './invocation.ts'
import { shortPath } from './invocation.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'
import { plural, printable } from './text.ts'

export async function showConfig(invocation: Invocation): Promise<number> {
  const { flags, output } = invocation
  const config = await configOf(invocation)
  const settings = effectiveSettings(config)
  output.result({
    human: (style) => [
      style.dim(headLine(config)),
      ...settingLines(settings, { style, hasOrigin: flags.isSet('origin') })
    ],
    json: () => ({
      data_dir: config.dataDir,
      file: config.file?.path ?? null,
      warnings: config.warnings,
      settings: Object.fromEntries(settings.map((setting) => [setting.key, documentOf(setting)]))
    }),
    quiet: () =>
      settings.flatMap(({ key, toml }) => (toml === null ? [] : [`${key} = ${toml}`])).join('\n')
  })
  return EXIT.ok
}

export async function checkConfigFile(invocation: Invocation): Promise<number> {
  const { args, output } = invocation
  const path = args['file'] ?? null
  const config = await configOf(await withFile(invocation, path))
  const { file, given } = config
  const count = file === null ? 0 : Object.keys(file.layer).length
  output.result({
    human: (style) => [
      file === null
        ? `${style.symbol('ok')} there is no file; what the environment says is right`
        : `${style.symbol('ok')} ${shortPath(file.path)} is right: ${plural(count, 'setting')}`
    ],
    json: () => ({
      file: file?.path ?? null,
      settings: Object.keys(given),
      warnings: config.warnings
    }),
    quiet: () => 'ok'
  })
  return EXIT.ok
}

export function printTemplate({ output }: Invocation): Promise<number> {
  const template = configTemplate()
  output.result({
    human: () => [template.trimEnd()],
    json: () => ({ template }),
    quiet: () => template.trimEnd()
  })
  return Promise.resolve(EXIT.ok)
}

/** As a start would read it. Warnings are told. */
async function configOf({ flags, host, named = null, output }: Invocation): Promise<Config> {
  const config = await readConfig({ env: host.env, flags: flagLayer(flags), named })
  for (const warning of config.warnings) {
    output.note(`${output.errorStyle.symbol('warning')} ${warning}`)
  }
  return config
}

/** An operand names the file as `--config` would. */
async function withFile(invocation: Invocation, path: string | null): Promise<Invocation> {
  if (path === null) return invocation
  const { namedPath } = await import('../config/place.ts')
  const { readConfigFile } = await import('../config/toml-file.ts')
  const place = namedPath(path, invocation.host.env)
  return place === null ? invocation : { ...invocation, named: readConfigFile(place) }
}

function headLine({ dataDir, file }: Config): string {
  const from = file === null ? 'no file' : shortPath(file.path)
  return `a node in ${shortPath(dataDir)}; ${from}`
}

interface Shown {
  readonly style: Style
  readonly hasOrigin: boolean
}

function settingLines(
  settings: readonly EffectiveSetting[],
  { style, hasOrigin }: Shown
): readonly string[] {
  const columns = [
    { title: 'KEY' },
    { title: 'VALUE' },
    ...(hasOrigin ? [{ title: 'ORIGIN' }] : [])
  ]
  const rows = settings.map((setting) => [
    setting.key,
    setting.toml === null ? '-' : printable(setting.toml),
    ...(hasOrigin ? [originText(setting)] : [])
  ])
  return renderTable(columns, rows, style)
}

function originText({ origin, toml, otherwise }: EffectiveSetting): string {
  if (toml === null && otherwise !== null) return `default: ${otherwise}`
  return LAYER_WORDS[origin.layer](origin)
}

const LAYER_WORDS: Readonly<Record<Origin['layer'], (origin: Origin) => string>> = {
  default: ({ where }) => (where === 'default' ? where : `default of ${where}`),
  recorded: () => 'recorded (node.json)',
  environment: ({ where }) => `environment (${where})`,
  file: ({ where }) => `file (${printable(where)})`,
  flag: ({ where }) => `command line (${where})`
}

function documentOf({ value, toml, origin, otherwise }: EffectiveSetting): object {
  const { layer, where, line } = origin
  return {
    value,
    toml,
    origin: layer,
    where: where === 'default' ? (toml === null ? otherwise : null) : where,
    line
  }
}
