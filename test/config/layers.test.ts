// The layers of a configuration: every key in every layer, which of them counts, and what is refused where.

import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { flagLayer } from '../../lib/cli/config-flags.ts'
import { Flags } from '../../lib/cli/flags.ts'
import { AspenError } from '../../lib/errors.ts'
import { readConfig } from '../../lib/config/config.ts'
import type { Config } from '../../lib/config/config.ts'
import { readConfigFile } from '../../lib/config/toml-file.ts'
import { environmentLayer, givenIn, withoutSettings } from '../../lib/config/layers.ts'
import type { Layer } from '../../lib/config/layers.ts'
import { CONFIG_KEYS, environmentName, SETTINGS } from '../../lib/config/schema.ts'
import type { ConfigKey, Setting } from '../../lib/config/schema.ts'

const KEY = 'ab'.repeat(32)

/** Of each key two values, as in TOML and as text: the second is the default, where there is one. */
const VALUES: Readonly<Record<ConfigKey, readonly [toml: string, text: string][]>> = {
  data_dir: [['"/data/one"', '/data/one']],
  name: [['"alder"', 'alder']],
  storage_backend: [
    ['"inmemory"', 'inmemory'],
    ['"sqlite"', 'sqlite']
  ],
  host: [['"10.0.0.1"', '10.0.0.1']],
  port: [['4001', '4001']],
  bootstrap: [['["10.0.0.1:1", "dht.example:2"]', '10.0.0.1:1,dht.example:2']],
  peers: [[`["${KEY}", "${KEY}@10.0.0.1:1"]`, `${KEY},${KEY}@10.0.0.1:1`]],
  gossip: [
    ['false', 'false'],
    ['true', 'true']
  ],
  http_addr: [['"127.0.0.2:8080"', '127.0.0.2:8080']],
  http_port: [['8080', '8080']],
  http_public: [
    ['true', 'true'],
    ['false', 'false']
  ],
  timing: [
    ['"wan"', 'wan'],
    ['"default"', 'default']
  ],
  heartbeat_interval_ms: [['200', '200']],
  election_timeout_min_ms: [['2000', '2000']],
  election_timeout_max_ms: [['4000', '4000']],
  raft_mailbox_capacity: [
    ['10', '10'],
    ['1024', '1024']
  ],
  ticket_file: [['"/run/ticket"', '/run/ticket']],
  log_level: [
    ['"debug"', 'debug'],
    ['"info"', 'info']
  ],
  'storage.snapshot_entries': [
    ['500', '500'],
    ['10000', '10000']
  ],
  'storage.snapshot_bytes': [
    ['"1MiB"', '1MiB'],
    ['"64MiB"', '64MiB']
  ],
  'storage.snapshot_age': [
    ['"90min"', '90min'],
    ['"24h"', '24h']
  ],
  'storage.keep_entries': [
    ['0', '0'],
    ['5000', '5000']
  ],
  'storage.keep_revisions': [
    ['7', '7'],
    ['10000', '10000']
  ],
  'storage.keep_history': [
    ['"0ms"', '0ms'],
    ['"1h"', '1h']
  ],
  'storage.max_keys': [
    ['9', '9'],
    ['10000000', '10000000']
  ],
  'storage.max_bytes': [
    ['"1500B"', '1500B'],
    ['"4GiB"', '4GiB']
  ]
}

const STORAGE_WORDS: Readonly<Record<string, string>> = { 'storage.keep_history': 'keep-history' }

/** The text of one value of a layer, by its key. */
function textIn(layer: Layer, key: ConfigKey): string | null {
  const value = givenIn(layer, key)
  const { kind }: Setting<unknown> = SETTINGS[key]
  return value === null ? null : kind.toText(value)
}

/** What was typed, as paparam gives it. */
function typed(key: ConfigKey, text: string): Flags {
  const { flag } = SETTINGS[key]
  if (flag === null) {
    const word = STORAGE_WORDS[key] ?? key.slice('storage.'.length).replaceAll('_', '-')
    return new Flags({ storage: [`${word}=${text}`] })
  }
  const name = key.replaceAll(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase())
  if (key === 'bootstrap') return new Flags({ [name]: text.split(',') })
  return new Flags({ [name]: flag.includes(' ') ? text : text === 'true' })
}

async function fileOf(t: Assert, text: string): Promise<string> {
  const path = join(await t.tmp(), 'aspen.toml')
  writeFileSync(path, text)
  return path
}

test('every key is read from a file, from the environment and from what was typed', async (t) => {
  for (const key of CONFIG_KEYS) {
    for (const [toml, text] of VALUES[key]) {
      const path = await fileOf(t, `\n${key} = ${toml} # said here\n`)
      const file = readConfigFile(path).layer
      t.is(textIn(file, key), text, `${key} = ${toml}`)
      t.alike(file[key]?.origin, { layer: 'file', where: `line 2 of ${path}`, line: 2 })
      const name = environmentName(key)
      const environment = environmentLayer({ [name]: text })
      t.is(textIn(environment, key), text, `${name}=${text}`)
      t.alike(environment[key]?.origin, { layer: 'environment', where: name, line: null })
      const flags = flagLayer(typed(key, text))
      t.is(textIn(flags, key), text, `flag of ${key}`)
      t.is(flags[key]?.origin.layer, 'flag')
    }
  }
})

/** Layers by name; `dir` has what is recorded there. */
async function configOf(
  t: Assert,
  layers: {
    readonly recorded?: object
    readonly env?: Readonly<Record<string, string>>
    readonly toml?: string
    readonly flags?: Readonly<Record<string, unknown>>
  }
): Promise<Config> {
  const dir = await t.tmp()
  if (layers.recorded !== undefined) {
    writeFileSync(join(dir, 'node.json'), JSON.stringify(layers.recorded))
  }
  const { env = {}, toml, flags = {} } = layers
  const named = toml === undefined ? null : readConfigFile(await fileOf(t, toml))
  return readConfig({
    env: { ASPEN_DATA_DIR: dir, ...env },
    flags: flagLayer(new Flags(flags)),
    named
  })
}

test('a value in a higher layer counts, also where it equals the default', async (t) => {
  const levelOf = async (layers: Parameters<typeof configOf>[1]) => {
    const { known } = await configOf(t, layers)
    return [givenIn(known, 'timing'), known.timing?.origin.layer]
  }
  const recorded = { timing: 'wan' }
  t.alike(await levelOf({}), [null, undefined])
  t.alike(await levelOf({ recorded }), ['wan', 'recorded'])
  const env = { ASPEN_TIMING: 'default' }
  t.alike(await levelOf({ recorded, env }), ['default', 'environment'])
  const toml = 'timing = "lan"'
  t.alike(await levelOf({ recorded, env, toml }), ['lan', 'file'])
  const flags = { timing: 'default' }
  t.alike(await levelOf({ recorded, env, toml, flags }), ['default', 'flag'])
  t.alike(await levelOf({ recorded, flags }), ['default', 'flag'])
  t.alike(await levelOf({ env, toml: '' }), ['default', 'environment'])
  t.alike(
    await levelOf({ recorded, env: { ASPEN_TIMING: '' } }),
    ['wan', 'recorded'],
    'empty: unset'
  )
})

test('a switch that is typed off counts over a file that has it on', async (t) => {
  const toml = 'gossip = true\nhttp_public = true'
  const { given } = await configOf(t, { toml, flags: { gossip: false, httpPublic: false } })
  t.alike([givenIn(given, 'gossip'), givenIn(given, 'http_public')], [false, false])
  const typedOff = new Flags({ gossip: false, httpPublic: false }, (name) => name === 'gossip')
  t.alike(Object.keys(flagLayer(typedOff)), ['gossip'], 'a default of the parser is no value')
})

test('what is recorded is read as it was written down', async (t) => {
  const { known } = await configOf(t, {
    recorded: {
      name: 'oak',
      bootstrap: ['10.0.0.1:5'],
      timing: 'lan',
      udp_port: 5,
      http_port: 8081,
      storage: { 'snapshot-age': 7_200_000, 'snapshot-entries': 5 },
      settings: { host: '10.0.0.1', gossip: false, http_addr: '127.0.0.1:8080', unknown: 1 }
    }
  })
  const texts = Object.fromEntries(
    CONFIG_KEYS.map((key) => [key, textIn(known, key)] as const).filter(([, text]) => text !== null)
  )
  delete texts['data_dir']
  t.alike(texts, {
    name: 'oak',
    host: '10.0.0.1',
    port: '5',
    bootstrap: '10.0.0.1:5',
    gossip: 'false',
    http_addr: '127.0.0.1:8081',
    http_port: '8081',
    timing: 'lan',
    'storage.snapshot_entries': '5',
    'storage.snapshot_age': '2h'
  })
})

test('the file is the one that is named, else the one in the data directory', async (t) => {
  const dir = await t.tmp()
  const env = { ASPEN_DATA_DIR: dir }
  const none = await readConfig({ env, flags: {}, named: null })
  t.alike([none.file, none.dataDir], [null, dir])
  writeFileSync(join(dir, 'config.toml'), 'port = 4001')
  const own = await readConfig({ env, flags: {}, named: null })
  t.is(own.file?.path, join(dir, 'config.toml'))
  t.is(givenIn(own.given, 'port'), 4001)
  const other = join(await t.tmp(), 'x.toml')
  writeFileSync(other, `data_dir = "sub"`)
  const named = await readConfig({ env, flags: {}, named: readConfigFile(other) })
  t.is(named.dataDir, join(other, '..', 'sub'), 'from the folder of the file; over the environment')
  t.is(givenIn(named.given, 'port'), null, 'the other one is not read')
  writeFileSync(join(dir, 'config.toml'), `data_dir = "/elsewhere"`)
  await t.exception(
    () => readConfig({ env, flags: {}, named: null }),
    /data_dir in line 1 of .*config\.toml names another folder than the one that it is in/
  )
  writeFileSync(join(dir, 'config.toml'), `data_dir = "."\nname = "oak"`)
  t.is((await readConfig({ env, flags: {}, named: null })).dataDir, dir, 'its own folder')
  rmSync(join(dir, 'config.toml'))
  symlinkSync(join(dir, 'nowhere.toml'), join(dir, 'config.toml'))
  await t.exception(
    () => readConfig({ env, flags: {}, named: null }),
    /config\.toml cannot be read: it does not exist/
  )
})

test('a name that is typed names the folder; in lower layers it does where nothing else does', async (t) => {
  const home = { XDG_DATA_HOME: '/xdg' }
  const placeOf = async (env: Readonly<Record<string, string>>, flags = {}) => {
    const layer = flagLayer(new Flags(flags))
    return (await readConfig({ env: { ...home, ...env }, flags: layer, named: null })).dataDir
  }
  t.is(await placeOf({}), '/xdg/aspen/default')
  t.is(await placeOf({ ASPEN_NAME: 'oak' }), '/xdg/aspen/oak')
  t.is(await placeOf({ ASPEN_DATA_DIR: 'data' }), join(process.cwd(), 'data'))
  t.is(await placeOf({ ASPEN_NAME: 'oak', ASPEN_DATA_DIR: '/d' }), '/d')
  t.is(await placeOf({ ASPEN_DATA_DIR: '/d' }, { name: 'elm' }), '/xdg/aspen/elm')
  t.is(await placeOf({}, { name: 'elm', dataDir: '/e' }), '/e')
})

test('a process that is told everything has no settings in its environment', (t) => {
  const env = { ASPEN_PORT: '1', ASPEN_CONFIG: 'x', ASPEN_TICKET: 't', PATH: '/bin' }
  t.alike(withoutSettings(env), { ASPEN_TICKET: 't', PATH: '/bin' })
})

/** The text of the refusal, and what a program is told. */
function refusalOf(read: () => unknown): { readonly message: string; readonly fields: unknown } {
  try {
    read()
  } catch (error) {
    if (error instanceof AspenError && error.code === 'CONFIG_INVALID') {
      return { message: error.message, fields: error.detail.fields }
    }
    throw error
  }
  return { message: 'accepted', fields: null }
}

test('a variable that is none, or has no value of its kind, is refused by name', (t) => {
  const cases: readonly (readonly [name: string, text: string, message: string])[] = [
    ['ASPEN_PORT', 'x', "takes a whole number from 1 to 65535, not 'x'"],
    ['ASPEN_PORT', '0', "takes a whole number from 1 to 65535, not '0'"],
    ['ASPEN_PORT', '4001.5', "takes a whole number from 1 to 65535, not '4001.5'"],
    ['ASPEN_DATA_DIR', '/data/\ufffd', "takes a path, not '/data/\ufffd'"],
    ['ASPEN_GOSSIP', 'yes', "takes true or false, not 'yes'"],
    ['ASPEN_TIMING', 'moon', "takes one of: default, lan, wan, not 'moon'"],
    ['ASPEN_HOST', 'here', "takes an IPv4 address such as 192.168.1.20, not 'here'"],
    [
      'ASPEN_BOOTSTRAP',
      '1.2.3.4:1, five',
      "takes a host and a port such as 192.168.1.20:49737, not 'five'"
    ],
    [
      'ASPEN_STORAGE_SNAPSHOT_AGE',
      '1ms',
      "takes a time such as 24h, at least 1s and at most 4398046511104ms, not '1ms'"
    ],
    [
      'ASPEN_STORAGE_BACKEND',
      'redb',
      "is 'redb', which is no storage backend: the log is in lmdb, and the state in SQLite"
    ],
    ['ASPEN_PROT', '1', 'is no setting: did you mean ASPEN_PORT?'],
    ['ASPEN_WHATEVER_ELSE', '1', 'is no setting']
  ]
  for (const [name, text, message] of cases) {
    const refusal = refusalOf(() => environmentLayer({ [name]: text }))
    t.is(refusal.message, `the environment variable ${name} ${message}`)
  }
  t.is(
    refusalOf(() => environmentLayer({ ASPEN_SERVICE_PORT: '1' })).message,
    "the environment variable ASPEN_SERVICE_PORT is no setting: Kubernetes makes it for a service called 'aspen'"
  )
  t.alike(refusalOf(() => environmentLayer({ ASPEN_PORT: 'x' })).fields, {
    key: 'port',
    layer: 'environment',
    where: 'ASPEN_PORT'
  })
  t.alike(environmentLayer({ ASPEN_TICKET: 'x', ASPEN_BACKGROUND: 'detached', OTHER: '1' }), {})
})

test('settings of the seed without a meaning here are refused with the reason, in every layer', async (t) => {
  const retired = [
    ['node_id', 'ids are given by the cluster, when it admits a node'],
    ['cookie', 'nodes prove by keys that they belong to a cluster, and no password is shared'],
    ['redb_log_path', 'log and state have their places in the data directory'],
    ['redb_sm_path', 'log and state have their places in the data directory'],
    ['sqlite_log_path', 'log and state have their places in the data directory'],
    ['sqlite_sm_path', 'log and state have their places in the data directory'],
    ['control_backend', 'there is one way to control a cluster, and it works on every node'],
    ['ractor_port', 'members have one UDP port for everything'],
    ['iroh.secret_key', 'the key of a node is made by itself and stays in its data directory'],
    [
      'iroh.relay_url',
      'there is no relay server: members connect directly, through hole punching where it takes that'
    ],
    ['iroh.enable_gossip', 'members find each other over the Hyperswarm DHT'],
    ['iroh.gossip_ticket', 'a ticket is a secret, which configurations are not'],
    ['iroh.enable_mdns', 'members find each other over the Hyperswarm DHT'],
    ['iroh.enable_dns_discovery', 'members find each other over the Hyperswarm DHT'],
    ['iroh.dns_discovery_url', 'members find each other over the Hyperswarm DHT'],
    ['iroh.enable_pkarr', 'members find each other over the Hyperswarm DHT'],
    ['iroh.pkarr_relay_url', 'members find each other over the Hyperswarm DHT'],
    [
      'supervision_config.enable_auto_restart',
      'there is no supervisor of actors: a node that fails ends, with an exit code that says why'
    ]
  ] as const
  for (const [key, reason] of retired) {
    const name = environmentName(key)
    t.is(
      refusalOf(() => environmentLayer({ [name]: '1' })).message,
      `${name} is no setting: ${reason}`
    )
    const path = await fileOf(t, `${key} = 1`)
    const inFile = refusalOf(() => readConfigFile(path)).message
    t.is(inFile, `${key} is no setting (line 1 of ${path}): ${reason}`)
  }
})

test('a folder of another user, or a node.json that is none, is no reason to fail here', async (t) => {
  const dir = await t.tmp()
  mkdirSync(join(dir, 'node.json'))
  t.alike((await readConfig({ env: { ASPEN_DATA_DIR: dir }, flags: {}, named: null })).warnings, [])
})
