// A configuration file to begin with: every setting with what it is, all of them commented out.

import { CONFIG_KEYS, environmentName, SETTINGS } from './schema.ts'
import type { ConfigKey, Setting } from './schema.ts'

/** Of settings that have no default, a value that shows the form. */
const EXAMPLES: { readonly [K in ConfigKey]?: string } = {
  data_dir: '"/var/lib/aspen"',
  name: '"alder"',
  host: '"192.168.1.20"',
  port: '49700',
  bootstrap: '["192.168.1.20:49737"]',
  peers: `["${'0123456789abcdef'.repeat(4)}@192.168.1.20:49737"]`,
  http_addr: '"127.0.0.1:7070"',
  http_port: '7070',
  heartbeat_interval_ms: '150',
  election_timeout_min_ms: '1500',
  election_timeout_max_ms: '3000',
  ticket_file: '"ticket.txt"'
}

export function configTemplate(): string {
  const storage = CONFIG_KEYS.filter((key) => key.startsWith(STORAGE))
  const others = CONFIG_KEYS.filter((key) => !key.startsWith(STORAGE))
  return [
    ...HEAD,
    ...others.flatMap((key) => ['', ...linesOf(key, key)]),
    '',
    '[storage]',
    ...storage.flatMap((key) => ['', ...linesOf(key, key.slice(STORAGE.length))]),
    ''
  ].join('\n')
}

const STORAGE = 'storage.'

const HEAD = [
  '# Settings of an Aspen node. Each line that is commented out shows the default, or an example.',
  '# The command line counts over this file, and this file over the environment.',
  "# 'aspen config check' says whether it is right, 'aspen config show' what counts in the end."
]

function linesOf(key: ConfigKey, name: string): readonly string[] {
  const { kind, fallback, otherwise, about, when }: Setting<unknown> = SETTINGS[key]
  const value = fallback === null ? EXAMPLES[key] : kind.toToml(fallback)
  const isDefault = otherwise === undefined ? '' : ` Default: ${otherwise}.`
  return [
    `# ${sentence(about)}${isDefault}`,
    `# ${when}`,
    `# ${environmentName(key)}`,
    `#${name} = ${value ?? '""'}`
  ]
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}
