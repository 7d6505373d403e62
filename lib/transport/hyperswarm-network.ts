// The network port on Hyperswarm and HyperDHT. Hyperswarm announces topics and finds who else does;
// everything else is decided here: who is let in and where connections go (guarded-dht.ts), how a key
// is dialled (hyper-dial.ts), how a stream ends (hyper-connection.ts).

import { networkInterfaces } from 'node:os'
import Hyperswarm from 'hyperswarm'
import type { PeerDiscoverySession } from 'hyperswarm'
import type { Address } from '../address.ts'
import { formatAddress, isLoopback } from '../address.ts'
import { assert, present } from '../assert.ts'
import type { KeyPair } from '../crypto.ts'
import { hexOf } from '../encoding.ts'
import { ConfigError, TransportError } from '../errors.ts'
import type { AspenError } from '../errors.ts'
import { CLOSE_DEADLINE_MS, MAX_MEMBER_ADDRESSES } from '../limits.ts'
import type { Timing } from '../raft/timing.ts'
import { CappedStream, GuardedDHT } from './guarded-dht.ts'
import { adopt, closeSoon, HyperConnection } from './hyper-connection.ts'
import { HyperDial } from './hyper-dial.ts'
import type {
  Dial,
  DialResult,
  DialTarget,
  Discovery,
  Network,
  NetworkHandlers
} from './network.ts'

/** Bytes of the sockets' buffers: at the default of 208 KiB the kernel drops bulk (stack-facts 0.8). */
const SOCKET_BUFFER_BYTES = 4 << 20
/** Stands for all addresses of the machine. */
const ALL_ADDRESSES = '0.0.0.0'
/** Hyperswarm's own retries of keys found under topics; milliseconds. Ours come sooner (dialer.ts). */
const BACKOFFS_MS: [number, number, number, number] = [1_000, 5_000, 15_000, 600_000]

export interface HyperswarmNetworkOptions {
  /** the node's key */
  readonly keyPair: KeyPair
  /** nodes of a private DHT; null: the public one; empty: none, only addresses are dialled */
  readonly bootstrap: readonly Address[] | null
  /** IPv4 address of this machine to bind on, 0.0.0.0 for all; null: loopback where all bootstrap nodes are on it, else all */
  readonly host?: string | null
  /** UDP port that the user named: taken, or PORT_IN_USE; null for any */
  readonly port: number | null
  /** UDP port of the last run: taken if it is free */
  readonly preferredPort: number | null
  readonly timing: Timing
  /** whether topics are announced and looked up; true when left out, else members are known by address or by key only */
  readonly usesTopics?: boolean
}

export class HyperswarmNetwork implements Network {
  readonly publicKey: Uint8Array
  readonly #options: HyperswarmNetworkOptions
  #opening: Promise<void> | null = null
  #closing: Promise<void> | null = null
  #dht: GuardedDHT | null = null
  #swarm: Hyperswarm | null = null
  #handlers: NetworkHandlers | null = null
  readonly #dials = new Set<HyperDial>()
  readonly #sessions = new Map<string, PeerDiscoverySession>()
  readonly #announced = new Set<string>()

  constructor(options: HyperswarmNetworkOptions) {
    this.publicKey = options.keyPair.publicKey
    this.#options = options
  }

  /** @throws TransportError PORT_IN_USE; ConfigError CONFIG_INVALID for a host that is not this machine's */
  open(): Promise<void> {
    this.#opening ??= this.#open()
    return this.#opening
  }

  async #open(): Promise<void> {
    const { keyPair, bootstrap, timing } = this.#options
    const isPrivate = bootstrap !== null
    const isLocal = isPrivate && bootstrap.length > 0 && bootstrap.every(isLoopback)
    const dht = new GuardedDHT(
      {
        ...(isPrivate ? { bootstrap: [...bootstrap] } : {}),
        keyPair: buffersOf(keyPair),
        host: this.#options.host ?? (isLocal ? '127.0.0.1' : ALL_ADDRESSES),
        port: this.#portRange(),
        anyPort: this.#options.port === null,
        // a small DHT has too few nodes to find out what kind of NAT this is (stack-facts 0.6)
        firewalled: !isPrivate,
        connectionKeepAlive: timing.linkKeepAliveMs
      },
      {
        mayKnock: (publicKey) => this.#handlers?.onKnock(publicKey) === true,
        mayDial: (publicKey) => this.#handlers?.onFound(publicKey) === true,
        onInbound: (stream) => this.#onStream(stream)
      }
    )
    await this.#bind(dht)
    this.#dht = dht
    this.#swarm = new Hyperswarm({
      dht,
      keyPair: buffersOf(keyPair),
      backoffs: BACKOFFS_MS,
      jitter: 500
    })
    this.#swarm.on('connection', (stream) => {
      assert(stream instanceof CappedStream, 'all streams come from the guarded DHT')
      this.#onStream(stream)
    })
    dht.on('network-change', () => this.#handlers?.onNetworkChange())
    dht.on('wakeup', () => this.#handlers?.onNetworkChange())
  }

  #portRange(): [number, number] {
    const port = this.#options.port ?? this.#options.preferredPort
    // an empty range: the system chooses
    return port === null ? [0, 0] : [port, port + 1]
  }

  async #bind(dht: GuardedDHT): Promise<void> {
    try {
      await dht.bind()
    } catch (error) {
      dht.io.networkInterfaces.destroy()
      await dht.destroy({ force: true }).catch(() => {})
      throw bindError(error, this.#options)
    }
    for (const socket of [dht.io.serverSocket, dht.io.clientSocket]) {
      try {
        socket.setRecvBufferSize(SOCKET_BUFFER_BYTES)
        socket.setSendBufferSize(SOCKET_BUFFER_BYTES)
      } catch {
        // a system that allows less keeps its default: slower bulk, nothing worse
      }
    }
  }

  async listen(handlers: NetworkHandlers): Promise<void> {
    await this.open()
    this.#handlers = handlers
    const swarm = this.#swarm
    if (swarm === null || this.#closing !== null) return
    // resolves only after a query on the DHT; the node answers long before
    swarm.listen().catch(() => {})
    while (swarm.server.publicKey === null && this.#closing === null) {
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
    }
  }

  #onStream(stream: CappedStream): void {
    adopt(stream, this.#options.timing)
    if (this.#handlers === null || this.#closing !== null) closeSoon(stream, 'not listening')
    else this.#handlers.onConnection(new HyperConnection(stream))
  }

  dial(target: DialTarget, onDone: (result: DialResult) => void): Dial {
    const dht = present(this.#dht, 'the open DHT')
    if (this.#closing !== null) return NO_DIAL
    const own = new Set(this.addresses().map(formatAddress))
    const addresses = target.addresses.filter((address) => !own.has(formatAddress(address)))
    const dial = new HyperDial(
      { ...target, addresses },
      {
        dht,
        timing: this.#options.timing,
        onDone: (result) => {
          this.#dials.delete(dial)
          onDone(result)
        }
      }
    )
    this.#dials.add(dial)
    return {
      cancel: () => {
        dial.cancel()
        this.#dials.delete(dial)
      }
    }
  }

  setTopics(topics: readonly Uint8Array[]): void {
    const swarm = present(this.#swarm, 'the open swarm')
    if (this.#closing !== null || this.#options.usesTopics === false) return
    const wanted = new Map(topics.map((topic) => [hexOf(topic), topic]))
    for (const [key, session] of this.#sessions) {
      if (wanted.has(key)) continue
      this.#sessions.delete(key)
      this.#announced.delete(key)
      session.destroy().catch(() => {})
    }
    for (const [key, topic] of wanted) {
      if (this.#sessions.has(key)) continue
      const session = swarm.join(Buffer.from(topic), { server: true, client: true })
      this.#sessions.set(key, session)
      void this.#noteAnnounced(key, session.flushed())
    }
  }

  refreshTopics(): void {
    if (this.#closing !== null) return
    for (const [key, session] of this.#sessions) void this.#noteAnnounced(key, session.refresh())
  }

  /** A round of announcing is over; without a node that answered it reached nobody. */
  async #noteAnnounced(key: string, round: Promise<unknown>): Promise<void> {
    try {
      await round
    } catch {
      return
    }
    if (this.#sessions.has(key) && this.#isOnline()) this.#announced.add(key)
  }

  lookup(topic: Uint8Array, onFound: (target: DialTarget) => void): Dial {
    const dht = present(this.#dht, 'the open DHT')
    if (this.#closing !== null) return NO_DIAL
    const query = dht.lookup(Buffer.from(topic))
    const run = async (): Promise<void> => {
      for await (const reply of query) {
        for (const peer of reply.peers) {
          onFound({ publicKey: new Uint8Array(peer.publicKey), addresses: peer.relayAddresses })
        }
      }
    }
    run().catch(() => {})
    return { cancel: () => query.destroy() }
  }

  /** The bound UDP port, or null before `open`. */
  get port(): number | null {
    return this.#dht?.io.serverSocket.address()?.port ?? null
  }

  addresses(): readonly Address[] {
    const { port } = this
    const bound = this.#dht?.io.serverSocket.address() ?? null
    if (port === null || bound === null) return []
    const own = { host: bound.host, port }
    if (isLoopback(own)) return [own]
    const seen = this.#dht?.remoteAddress() ?? null
    const hosts = bound.host === ALL_ADDRESSES ? localHosts() : [bound.host]
    const all = [...hosts.map((host) => ({ host, port })), ...(seen === null ? [] : [seen])]
    const unique = new Map(all.map((address) => [formatAddress(address), address]))
    return [...unique.values()].slice(0, MAX_MEMBER_ADDRESSES)
  }

  discovery(): Discovery {
    return {
      isOnline: this.#isOnline(),
      isAnnounced: [...this.#sessions.keys()].every((key) => this.#announced.has(key)),
      usesTopics: this.#options.usesTopics !== false
    }
  }

  /** Some node of the DHT has answered, and the DHT does not think that it is cut off. */
  #isOnline(): boolean {
    return this.#dht !== null && this.#dht.online && this.#dht.toArray({ limit: 1 }).length > 0
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    // a failed opening has cleaned up behind itself
    await this.#opening?.catch(() => {})
    for (const dial of this.#dials) dial.cancel()
    const [swarm, dht] = [this.#swarm, this.#dht]
    if (swarm === null || dht === null) return
    // connections closed in this turn are destroyed in the next: let them say goodbye
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
    let deadline: NodeJS.Timeout | null = null
    const isLate = new Promise<boolean>((resolve) => {
      deadline = setTimeout(() => resolve(true), CLOSE_DEADLINE_MS)
    })
    const ended = swarm.destroy().then(
      () => false,
      () => false
    )
    if (await Promise.race([ended, isLate])) await dht.destroy({ force: true }).catch(() => {})
    if (deadline !== null) clearTimeout(deadline)
  }
}

/** A closing network dials nobody, and says nothing of it. */
const NO_DIAL: Dial = { cancel: () => {} }

function buffersOf(keyPair: KeyPair): { publicKey: Uint8Array; secretKey: Uint8Array } {
  return { publicKey: Buffer.from(keyPair.publicKey), secretKey: Buffer.from(keyPair.secretKey) }
}

function localHosts(): readonly string[] {
  const hosts: string[] = []
  for (const list of Object.values(networkInterfaces())) {
    for (const entry of list ?? []) {
      if (entry.family === 'IPv4' && !entry.internal) hosts.push(entry.address)
    }
  }
  return hosts.length > 0 ? hosts : ['127.0.0.1']
}

type Bound = Pick<HyperswarmNetworkOptions, 'host' | 'port'>

function bindError(error: unknown, { host = null, port }: Bound): AspenError {
  const reason = error instanceof Error ? error.message : String(error)
  if (
    host !== null &&
    error instanceof Error &&
    'code' in error &&
    error.code === 'EADDRNOTAVAIL'
  ) {
    const message = `host is ${host}, which is no address of this machine`
    return new ConfigError(
      { code: 'CONFIG_INVALID', message, fields: { key: 'host' } },
      { cause: error }
    )
  }
  if (port === null) {
    return new TransportError(
      { code: 'FAILED', message: `no UDP port could be bound: ${reason}` },
      { cause: error }
    )
  }
  return new TransportError(
    {
      code: 'PORT_IN_USE',
      message: `UDP port ${port} cannot be bound: ${reason}`,
      hint: 'choose another port, or stop the program that has it',
      fields: { port }
    },
    { cause: error }
  )
}
