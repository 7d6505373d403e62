// A node inside a program, said piece by piece, over the same table of settings that the command line, the
// environment and files have (config/schema.ts): what is not said is as recorded in the folder, or has the
// default of the table. Nothing is looked at before `start`, which refuses what is wrong with its name.
//
//     const node = await new AspenBuilder('./data/node-1').withTicket(ticket).start()
//     await node.client().put('app/port', '8080')
//     await node.close()

import type { Logger } from 'pino'
import { ConfigError } from '../errors.ts'
import type { Timing, TimingProfile } from '../raft/timing.ts'
import type { NewTicket } from '../service/documents.ts'
import { checkConfig, httpOf } from '../config/checks.ts'
import { givenIn, merged, readText } from '../config/layers.ts'
import type { Layer, LayerDraft } from '../config/layers.ts'
import { recordedLayer } from '../config/recorded.ts'
import { isConfigKey, STORAGE_KEYS } from '../config/schema.ts'
import type { ConfigKey, ConfigValues } from '../config/schema.ts'
import { joinTicketOf } from './join-ticket.ts'
import { createLogger } from './log.ts'
import { AspenNode } from './node.ts'
import { nodeSettingsOf, storageOf } from '../config/node-settings.ts'
import { DEFAULT_JOIN_TIMEOUT_MS } from './options.ts'
import type { Intent, NodeOptions } from './options.ts'
import { peersOf } from './peers.ts'
import { resolveBootstrap } from '../config/resolve-bootstrap.ts'
import { DEFAULT_STORAGE_BACKEND } from '../config/storage-backends.ts'
import type { StorageBackend } from '../config/storage-backends.ts'
import { STORAGE_SETTING_NAMES, STORAGE_SETTINGS } from '../config/storage-settings.ts'

/** Where the HTTP API listens on TCP, besides the Unix socket in the folder; false for no API at all. */
export type HttpSetting =
  | {
      /** IPv4; goes with a port. Anything but loopback is refused without `isPublic`: the API is not encrypted. */
      readonly host?: string
      /** the recorded one, or the first free one from 7070 on, when left out */
      readonly port?: number
      readonly isPublic?: boolean
    }
  | false

/** Heartbeats and elections: a profile, or single times in place of those of the profile. */
export type TimingSetting =
  TimingProfile | Partial<Pick<Timing, 'heartbeatMs' | 'electionMinMs' | 'electionMaxMs'>>

/** The settings that a program may give; the others are about commands. */
export type BuilderSetting = Exclude<ConfigKey, 'data_dir' | 'ticket_file' | 'log_level' | 'peers'>

export class AspenBuilder {
  readonly #dataDir: string
  /** by its key: what was said last, and with what */
  readonly #given = new Map<string, Said>()
  #ticket: string | null = null
  #peers: readonly string[] | null = null
  #servesHttp = true
  #logger: Logger | null = null

  /** The node's folder: made where it is not there, and the node's own from then on. */
  constructor(dataDir: string) {
    this.#dataDir = dataDir
  }

  /** Shown to people; the host's name, or the one of the last start, when left out. */
  withName(name: string): this {
    return this.#give('withName', { name })
  }

  /**
   * `inmemory`: log, state and key are in memory only, for development and tests. Nothing is there at the next
   * start, which makes or joins a cluster as a new node; the cluster knows this one as lost.
   */
  withStorage(backend: StorageBackend): this {
    return this.#give('withStorage', { storage_backend: backend })
  }

  /** An empty folder becomes a member of the ticket's cluster; a member of that cluster just starts. */
  withTicket(ticket: string | Pick<NewTicket, 'ticket'>): this {
    const text: unknown = typeof ticket === 'object' ? ticket?.ticket : ticket
    if (typeof text !== 'string') throw invalid('withTicket takes a ticket, or its text')
    this.#ticket = text
    return this
  }

  /**
   * An empty folder belongs to no cluster at first: `cluster.init` founds one on it, or one of these members lets
   * it in once `cluster.addLearner` was asked for its key there. `KEY` or `KEY@HOST:PORT`; none is a node that
   * only waits for `init`. A folder that belongs to a cluster by now just starts.
   */
  withPeers(peers: readonly string[]): this {
    this.#peers = peers
    return this
  }

  /**
   * Whether members are looked for under the cluster's topics on the DHT, and this node is announced there.
   * Without, members find each other by key and by the addresses that they know.
   */
  withGossip(isOn: boolean): this {
    return this.#give('withGossip', { gossip: isOn })
  }

  /** Bootstrap nodes of a private DHT as `host:port`; the public DHT, or those of the ticket, when left out. */
  withBootstrap(addresses: readonly string[]): this {
    return this.#give('withBootstrap', { bootstrap: addresses })
  }

  withHttp(setting: HttpSetting): this {
    this.#servesHttp = setting !== false
    for (const key of ['http_addr', 'http_port', 'http_public'] as const) this.#given.delete(key)
    if (setting === false) return this
    const { host, port, isPublic } = setting
    const place = host === undefined ? { http_port: port } : { http_addr: `${host}:${port ?? ''}` }
    return this.#give('withHttp', { ...place, http_public: isPublic })
  }

  /** All members should have the same. */
  withTiming(setting: TimingSetting): this {
    if (typeof setting !== 'object') return this.#give('withTiming', { timing: setting })
    return this.#give('withTiming', {
      heartbeat_interval_ms: setting.heartbeatMs,
      election_timeout_min_ms: setting.electionMinMs,
      election_timeout_max_ms: setting.electionMaxMs
    })
  }

  withHeartbeatIntervalMs(heartbeatMs: number): this {
    return this.#give('withHeartbeatIntervalMs', { heartbeat_interval_ms: heartbeatMs })
  }

  /** A node that hears no leader stands for election after a time that is drawn from [min, max). */
  withElectionTimeoutMs(minMs: number, maxMs: number): this {
    return this.#give('withElectionTimeoutMs', {
      election_timeout_min_ms: minMs,
      election_timeout_max_ms: maxMs
    })
  }

  /** Any other setting, by its name in a file; sizes are in bytes, times in milliseconds. */
  withSetting<K extends BuilderSetting>(key: K, value: ConfigValues[K]): this {
    return this.#give(`withSetting('${key}')`, { [key]: value })
  }

  /** A pino logger; nothing is logged when left out. `createLogger` makes one as the program has it. */
  withLogger(logger: Logger): this {
    this.#logger = logger
    return this
  }

  /**
   * Opens the node: an empty folder joins with the ticket, waits with peers, or makes a cluster of one, whose first
   * ticket is in `opened.ticket`; a member starts.
   * @throws ConfigError CONFIG_INVALID for a setting; and as `bootstrapNode` does
   */
  async start(): Promise<AspenNode> {
    return await AspenNode.open(await this.#options())
  }

  async #options(): Promise<NodeOptions> {
    const intent = intentOf(this.#ticket, this.#peers)
    const dataDir = dataDirOf(this.#dataDir)
    const layer = this.#layer()
    checkConfig(layer, merged([recordedLayer(dataDir), layer]))
    const { bootstrap } = layer
    return {
      intent,
      dataDir,
      storageBackend: givenIn(layer, 'storage_backend') ?? DEFAULT_STORAGE_BACKEND,
      servesHttp: this.#servesHttp,
      name: givenIn(layer, 'name'),
      bootstrap: bootstrap === undefined ? null : await resolveBootstrap(bootstrap.value),
      port: givenIn(layer, 'port'),
      httpPort: httpOf(layer).port,
      timing: givenIn(layer, 'timing'),
      storage: storageOf(layer),
      settings: nodeSettingsOf(layer),
      logger: this.#logger ?? createLogger({ level: 'silent', destination: 'ndjson' }),
      onProgress: () => {}
    }
  }

  /** What was said, read as a flag of the command line would be. */
  #layer(): Layer {
    const layer: LayerDraft = {}
    for (const [key, { value, where }] of this.#given) {
      if (!isBuilderSetting(key)) throw invalid(`${where}: there is no such setting of a node`)
      const origin = { layer: 'flag', where, line: null } as const
      // none at all is a network without a DHT, which no command line can say
      if (key === 'bootstrap' && Array.isArray(value) && value.length === 0) {
        layer.bootstrap = { value: [], origin }
      } else readText(layer, key, { text: textOf(key, value), origin })
    }
    return layer
  }

  #give(where: string, values: Readonly<Record<string, unknown>>): this {
    for (const [key, value] of Object.entries(values)) {
      if (value !== undefined) this.#given.set(key, { value, where })
    }
    return this
  }
}

/** A value as it came, and with what. */
interface Said {
  readonly value: unknown
  readonly where: string
}

function isBuilderSetting(key: string): key is BuilderSetting {
  return isConfigKey(key) && !OF_COMMANDS.has(key)
}

const OF_COMMANDS: ReadonlySet<ConfigKey> = new Set([
  'data_dir',
  'ticket_file',
  'log_level',
  'peers'
])

/** As the table reads it. A program may have no types: what is none of the kind is shown when it is refused. */
function textOf(key: ConfigKey, value: unknown): string {
  if (Array.isArray(value)) return value.map(String).join(',')
  const isTime = typeof value === 'number' && TIMES.has(key)
  return `${String(value)}${isTime ? 'ms' : ''}`
}

const TIMES: ReadonlySet<ConfigKey> = new Set(
  STORAGE_SETTING_NAMES.filter((name) => STORAGE_SETTINGS[name].unit === 'ms').map(
    (name) => STORAGE_KEYS[name]
  )
)

/** @throws ConfigError CONFIG_INVALID; TicketError */
function intentOf(ticket: string | null, peers: readonly string[] | null): Intent {
  if (ticket !== null) joinTicketOf(ticket)
  if (peers === null) return { kind: 'open', ticket, timeoutMs: DEFAULT_JOIN_TIMEOUT_MS }
  if (ticket === null) return { kind: 'wait', peers: peersOf(peers) }
  throw invalid(
    'withTicket and withPeers exclude each other: a ticket says how to join, peers are waited for'
  )
}

function dataDirOf(dataDir: string): string {
  if (typeof dataDir === 'string' && dataDir !== '') return dataDir
  throw invalid('a node needs a folder for its data')
}

function invalid(message: string): ConfigError {
  return new ConfigError({ code: 'CONFIG_INVALID', message })
}
