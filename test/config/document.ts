// lib/config/CONFIGURATION.md, from the table of settings. Written anew by
// `node --enable-source-maps dist/test/config/document.js > lib/config/CONFIGURATION.md`.

import { pathToFileURL } from 'node:url'
import { CONFIG_KEYS, environmentName, SETTINGS, STORAGE_KEYS } from '../../lib/config/schema.ts'
import type { ConfigKey, Setting } from '../../lib/config/schema.ts'
import { STORAGE_SETTING_NAMES, STORAGE_SETTINGS } from '../../lib/config/storage-settings.ts'

const HEAD = `# Settings of a node

A setting is given on the command line, in a TOML file or in the environment; the first of these that has it counts, whatever its
value is. Where none has it, the node goes by what it has recorded in \`node.json\` (settings that are marked so are given once), and
else by the default. \`aspen config show --origin\` says what counts and where it comes from, \`aspen config check\` whether a file is
right, \`aspen config template\` prints one to begin with.

- **The file** is the one that \`--config\` names, else \`ASPEN_CONFIG\`, else \`config.toml\` in the data directory. It is TOML 1.0 in
  UTF-8, at most 1 MiB. Relative paths in it begin at its folder.
- **In the environment** a variable that is empty is not there; lists are separated by commas. Every other variable that begins with
  \`ASPEN_\` is refused, but for \`ASPEN_CONFIG\` and \`ASPEN_TICKET\`.
- **On the command line** \`create\`, \`join\`, \`start\` and \`restore\` take all of it; \`--no-gossip\` and \`--no-http-public\` turn off.
- **While the node runs**, SIGHUP has the file read again. What may change then (marked "at once") is applied; what else has changed
  is said in the log and counts from the next start on. A file that is wrong changes nothing, and is logged. A node in a terminal
  ends by SIGHUP, as its terminal goes away with it.
- **Refused** is whatever is no setting, has another type, is out of its range or contradicts another one: exit code 2, with the key
  and the variable, the flag, or the line of the file.

`

export function configDocument(): string {
  const rows = [
    [
      'key in TOML',
      'environment, flag',
      'takes',
      'default',
      'what it is, and when you would want it',
      ''
    ],
    ...CONFIG_KEYS.map(rowOf)
  ]
  const widths = [0, 1, 2, 3, 4, 5].map((at) =>
    Math.max(...rows.map((row) => row[at]?.length ?? 0))
  )
  const lines = rows.map(
    (row) => `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`
  )
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`)
  return `${HEAD}${lines.join('\n')}\n`
}

function rowOf(key: ConfigKey): string[] {
  const {
    kind,
    fallback,
    otherwise = '',
    flag,
    about,
    when,
    isRecorded,
    reloads
  }: Setting<unknown> = SETTINGS[key]
  const word = flag ?? `--storage ${storageWord(key)}=…`
  return [
    `\`${key}\``,
    `\`${environmentName(key)}\`, \`${word}\``,
    kind.inToml,
    fallback === null ? otherwise : `\`${kind.toToml(fallback)}\``,
    `${about.charAt(0).toUpperCase()}${about.slice(1)}. ${when}`,
    [...(isRecorded ? ['recorded'] : []), ...(reloads ? ['at once'] : [])].join(', ')
  ]
}

function storageWord(key: ConfigKey): string {
  const name = STORAGE_SETTING_NAMES.find((each) => STORAGE_KEYS[each] === key)
  return name === undefined ? '' : STORAGE_SETTINGS[name].name
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.stdout.write(configDocument())
}
