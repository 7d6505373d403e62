// The network port in memory: a table of nodes, queues between them, and a delay per hop through the
// injected timers. Same inputs, same order, so clusters on it are reproducible. Directed pairs can be
// cut: what is sent over a cut arrives when it heals, as a stream over UDP would send it again, unless
// the connection died before, because nothing was heard for the link timeout.

import type { Address } from '../address.ts'
import { formatAddress } from '../address.ts'
import { assert } from '../assert.ts'
import type { KeyPair } from '../crypto.ts'
import { hash, keyedHash } from '../crypto.ts'
import { hexOf } from '../encoding.ts'
import type { MemoryEnd, MemoryHubOptions } from './memory-connection.ts'
import { MemoryConnection } from './memory-connection.ts'
import type {
  Dial,
  DialResult,
  DialTarget,
  Discovery,
  Network,
  NetworkHandlers
} from './network.ts'

/** Dials that nobody answers fail after this. */
const DIAL_TIMEOUT_MS = 1_000
/** All nodes that can reach each other. */
export class MemoryHub {
  readonly options: MemoryHubOptions
  readonly #nodes = new Map<string, MemoryNetwork>()
  readonly #cuts = new Set<string>()
  /** connections by their two ends, for cuts */
  readonly #connections = new Set<MemoryConnection>()
  #connectionCount = 0

  constructor(options: MemoryHubOptions) {
    this.options = options
  }

  /** A network for one node. Addresses are names in this hub; two nodes never share one. */
  network(keyPair: KeyPair, address: Address): MemoryNetwork {
    return new MemoryNetwork(this, keyPair, address)
  }

  /** From now on nothing that `from` sends reaches `to`. */
  cut(from: Address, to: Address): void {
    this.#cuts.add(pairOf(from, to))
    for (const connection of this.#connections) connection.onCut()
  }

  heal(from: Address, to: Address): void {
    this.#cuts.delete(pairOf(from, to))
    for (const connection of this.#connections) connection.onHeal()
  }

  isCut(from: Address, to: Address): boolean {
    return this.#cuts.has(pairOf(from, to))
  }

  add(network: MemoryNetwork): void {
    const name = formatAddress(network.address)
    assert(!this.#nodes.has(name), `nobody else is at ${name}`)
    this.#nodes.set(name, network)
  }

  remove(network: MemoryNetwork): void {
    this.#nodes.delete(formatAddress(network.address))
  }

  nodes(): readonly MemoryNetwork[] {
    return [...this.#nodes.values()]
  }

  /** The two ends of a new connection, the initiator's first. */
  connect(from: MemoryEnd, to: MemoryEnd): readonly [MemoryConnection, MemoryConnection] {
    const count = new Uint8Array(8)
    new DataView(count.buffer).setBigUint64(0, BigInt(++this.#connectionCount))
    const half = hash(count, from.publicKey, to.publicKey)
    const handshakeHash = new Uint8Array(64)
    handshakeHash.set(half)
    handshakeHash.set(keyedHash(half, count), 32)
    const first = new MemoryConnection(this, {
      own: from,
      remote: to,
      handshakeHash,
      isInitiator: true
    })
    const second = new MemoryConnection(this, {
      own: to,
      remote: from,
      handshakeHash,
      isInitiator: false
    })
    first.join(second)
    second.join(first)
    this.#connections.add(first)
    this.#connections.add(second)
    return [first, second]
  }

  forget(connection: MemoryConnection): void {
    this.#connections.delete(connection)
  }

  connectionsOf(network: MemoryNetwork): readonly MemoryConnection[] {
    return [...this.#connections].filter((each) => each.ownAddress === network.address)
  }
}

export class MemoryNetwork implements Network {
  readonly publicKey: Uint8Array
  readonly address: Address
  readonly #hub: MemoryHub
  #handlers: NetworkHandlers | null = null
  #topics: ReadonlySet<string> = new Set()
  #isOpen = false
  #isClosed = false

  constructor(hub: MemoryHub, keyPair: KeyPair, address: Address) {
    this.#hub = hub
    this.publicKey = keyPair.publicKey
    this.address = address
  }

  get isListening(): boolean {
    return this.#handlers !== null && !this.#isClosed
  }

  announces(topic: string): boolean {
    return this.isListening && this.#topics.has(topic)
  }

  open(): Promise<void> {
    if (!this.#isOpen && !this.#isClosed) this.#hub.add(this)
    this.#isOpen = true
    return Promise.resolve()
  }

  async listen(handlers: NetworkHandlers): Promise<void> {
    await this.open()
    this.#handlers = handlers
  }

  dial(target: DialTarget, onDone: (result: DialResult) => void): Dial {
    const { timers, delayMs } = this.#hub.options
    const deadline = timers.start(DIAL_TIMEOUT_MS, () => {
      knock.cancel()
      onDone({ kind: 'failed', reason: 'nobody answered' })
    })
    const knock = timers.start(2 * delayMs, () => {
      const connection = this.#connect(target)
      if (connection === null) return
      deadline.cancel()
      onDone({ kind: 'connected', connection })
    })
    return {
      cancel: () => {
        knock.cancel()
        deadline.cancel()
      }
    }
  }

  #connect(target: DialTarget): MemoryConnection | null {
    const key = hexOf(target.publicKey)
    const own = { publicKey: target.keyPair?.publicKey ?? this.publicKey, address: this.address }
    const node = this.#hub.nodes().find((other) => hexOf(other.publicKey) === key)
    if (node === undefined || this.#isClosed || !node.answers(own.publicKey, this.address))
      return null
    const [first, second] = this.#hub.connect(own, node)
    this.#hub.options.timers.start(this.#hub.options.delayMs, () => node.accept(second))
    return first
  }

  answers(publicKey: Uint8Array, from: Address): boolean {
    const isReachable = !this.#hub.isCut(from, this.address) && !this.#hub.isCut(this.address, from)
    return this.isListening && isReachable && this.#handlers?.onKnock(publicKey) === true
  }

  accept(connection: MemoryConnection): void {
    if (connection.isClosed) return
    if (this.#handlers === null || this.#isClosed) connection.close('not listening')
    else this.#handlers.onConnection(connection)
  }

  setTopics(topics: readonly Uint8Array[]): void {
    this.#topics = new Set(topics.map(hexOf))
  }

  refreshTopics(): void {
    for (const node of this.#hub.nodes()) {
      const isShared = [...this.#topics].some((topic) => node.announces(topic))
      if (node === this || !isShared || this.#handlers?.onFound(node.publicKey) !== true) continue
      this.dial({ publicKey: node.publicKey, addresses: [] }, (result) => {
        if (result.kind === 'connected') this.#handlers?.onConnection(result.connection)
      })
    }
  }

  lookup(topic: Uint8Array, onFound: (target: DialTarget) => void): Dial {
    const timer = this.#hub.options.timers.start(2 * this.#hub.options.delayMs, () => {
      for (const node of this.#hub.nodes()) {
        if (node === this || !node.announces(hexOf(topic))) continue
        onFound({ publicKey: node.publicKey, addresses: [node.address] })
      }
    })
    return { cancel: () => timer.cancel() }
  }

  addresses(): readonly Address[] {
    return [this.address]
  }

  discovery(): Discovery {
    return { isOnline: this.#isOpen, isAnnounced: this.#isOpen }
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    this.#isClosed = true
    for (const connection of this.#hub.connectionsOf(this)) connection.close('closing')
    this.#hub.remove(this)
    return Promise.resolve()
  }
}

function pairOf(from: Address, to: Address): string {
  return `${formatAddress(from)}>${formatAddress(to)}`
}
