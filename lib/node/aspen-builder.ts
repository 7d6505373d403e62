// A node inside a program, said piece by piece: what is not said has the default that the command line
// has. Nothing is looked at before `start`, which refuses what is wrong with its name.
//
//     const node = await new AspenBuilder('./data/node-1').withTicket(ticket).start()
//     await node.client().put('app/port', '8080')
//     await node.close()

import type { Logger } from 'pino'
import type { Address } from '../address.ts'
import { isPort, parseAddress } from '../address.ts'
import { ConfigError } from '../errors.ts'
import { TIMING } from '../raft/timing.ts'
import type { TimingProfile } from '../raft/timing.ts'
import { joinTicketOf } from './join-ticket.ts'
import { createLogger } from './log.ts'
import { AspenNode } from './node.ts'
import { DEFAULT_JOIN_TIMEOUT_MS } from './options.ts'
import type { Intent, NodeOptions } from './options.ts'
import { peersOf } from './peers.ts'
import { nameProblem } from './places.ts'
import { DEFAULT_STORAGE_BACKEND, storageBackendOf } from './storage-backend.ts'
import type { StorageBackend } from './storage-backend.ts'

/** Where the HTTP API listens on TCP, besides the Unix socket in the folder; false for no API at all. */
export type HttpSetting = { readonly port?: number } | false

export class AspenBuilder {
  readonly #dataDir: string
  #name: string | null = null
  #storage: StorageBackend = DEFAULT_STORAGE_BACKEND
  #ticket: string | null = null
  #peers: readonly string[] | null = null
  #gossip: boolean | null = null
  #bootstrap: readonly string[] | null = null
  #http: HttpSetting = {}
  #timing: TimingProfile | null = null
  #logger: Logger | null = null

  /** The node's folder: made where it is not there, and the node's own from then on. */
  constructor(dataDir: string) {
    this.#dataDir = dataDir
  }

  /** Shown to people; the host's name, or the one of the last start, when left out. */
  withName(name: string): this {
    this.#name = name
    return this
  }

  /**
   * `inmemory`: log, state and key are in memory only, for development and tests. Nothing is there at the next
   * start, which makes or joins a cluster as a new node; the cluster knows this one as lost.
   */
  withStorage(backend: StorageBackend): this {
    this.#storage = backend
    return this
  }

  /** An empty folder becomes a member of the ticket's cluster; a member of that cluster just starts. */
  withTicket(ticket: string): this {
    this.#ticket = ticket
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
   * Whether members are looked for under the cluster's topics on the DHT, and this node is announced there;
   * as recorded, else true, when left out. Without, members find each other by key and by the addresses that they know.
   */
  withGossip(isOn: boolean): this {
    this.#gossip = isOn
    return this
  }

  /** Bootstrap nodes of a private DHT as `host:port`; the public DHT, or those of the ticket, when left out. */
  withBootstrap(addresses: readonly string[]): this {
    this.#bootstrap = addresses
    return this
  }

  withHttp(setting: HttpSetting): this {
    this.#http = setting
    return this
  }

  /** Heartbeats and elections; all members should have the same. */
  withTiming(profile: TimingProfile): this {
    this.#timing = profile
    return this
  }

  /** A pino logger; nothing is logged when left out. `createLogger` makes one as the program has it. */
  withLogger(logger: Logger): this {
    this.#logger = logger
    return this
  }

  /**
   * Opens the node: an empty folder joins with the ticket, or makes a cluster of one, whose first ticket is in
   * `opened.ticket`; a member starts.
   * @throws ConfigError CONFIG_INVALID for a setting; and as `bootstrapNode` does
   */
  async start(): Promise<AspenNode> {
    return await AspenNode.open(this.#options())
  }

  #options(): NodeOptions {
    return {
      intent: intentOf(this.#ticket, this.#peers),
      dataDir: dataDirOf(this.#dataDir),
      storageBackend: storageBackendOf(this.#storage),
      name: nameOf(this.#name),
      bootstrap: this.#bootstrap?.map(bootstrapOf) ?? null,
      port: null,
      ...httpOf(this.#http),
      timing: timingOf(this.#timing),
      storage: null,
      settings: this.#gossip === null ? {} : { gossip: flagOf('withGossip', this.#gossip) },
      logger: this.#logger ?? createLogger({ level: 'silent', destination: 'ndjson' }),
      onProgress: () => {}
    }
  }
}

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

function flagOf(method: string, flag: boolean): boolean {
  if (typeof flag === 'boolean') return flag
  throw invalid(`${method}: true or false, not ${String(flag)}`)
}

function nameOf(name: string | null): string | null {
  const problem = name === null ? null : nameProblem(name)
  if (problem === null) return name
  throw invalid(`withName: '${name}' is no name: ${problem}`)
}

function bootstrapOf(text: string): Address {
  const address = parseAddress(text)
  if (address !== null) return address
  throw invalid(`withBootstrap: '${text}' is no IPv4 address and port`, '192.168.1.20:49737 is one')
}

function httpOf(setting: HttpSetting): Pick<NodeOptions, 'servesHttp' | 'httpPort'> {
  if (setting === false) return { servesHttp: false, httpPort: null }
  const { port = null } = setting
  if (port === null || isPort(port)) return { httpPort: port }
  throw invalid(`withHttp: a port is a whole number from 1 to 65535, not ${String(port)}`)
}

function timingOf(profile: TimingProfile | null): TimingProfile | null {
  if (profile === null || Object.hasOwn(TIMING, profile)) return profile
  const known = Object.keys(TIMING).join(', ')
  throw invalid(`withTiming: '${profile}' is no timing profile`, `one of ${known}`)
}

function invalid(message: string, hint?: string): ConfigError {
  return new ConfigError({ code: 'CONFIG_INVALID', message, ...(hint !== undefined && { hint }) })
}
