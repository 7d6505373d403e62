// The network port in memory: a table of nodes, queues between them, and a delay per hop through the
// injected timers. Same inputs, same order, so clusters on it are reproducible: nothing is random here
// but what the given functions draw. What a node is to get waits on that node's own timers
// (memory-host.ts). Directed pairs can be cut: what is sent over a cut arrives when it heals, as a
// stream over UDP would send it again, unless the connection died before, because nothing was heard
// for the link timeout. So it dies, too, when the other process is paused for that long, or killed.

import type { Address } from '../address.ts'
import { formatAddress } from '../address.ts'
import { assert } from '../assert.ts'
import type { Clock, Timers } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import { hash, keyedHash } from '../crypto.ts'
import { hexOf } from '../encoding.ts'
import type { Medium } from './memory-connection.ts'
import { MemoryConnection } from './memory-connection.ts'
import type { HostTime } from './memory-host.ts'
import { MemoryHost } from './memory-host.ts'
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

export interface MemoryHubOptions {
  /** for networks that bring none of their own */
  readonly clock: Clock
  readonly timers: Timers
  /** one way, by the receiver's clock: between any two nodes, or drawn for each thing that is sent */
  readonly delayMs: number | ((from: Address, to: Address) => number)
  /** a connection on which nothing arrived for so long is gone; its two ends keep it alive by themselves */
  readonly linkTimeoutMs: number
}

/** All nodes that can reach each other. */
export class MemoryHub implements Medium {
  readonly linkTimeoutMs: number
  readonly #options: MemoryHubOptions
  readonly #nodes = new Map<string, MemoryNetwork>()
  readonly #cuts = new Set<string>()
  /** both ends of every open connection */
  readonly #connections = new Set<MemoryConnection>()
  #connectionCount = 0

  constructor(options: MemoryHubOptions) {
    this.#options = options
    this.linkTimeoutMs = options.linkTimeoutMs
  }

  /**
   * A network for one process, which lives by `time`. Addresses are names in this hub; two open
   * networks never share one.
   */
  network(keyPair: KeyPair, address: Address, time?: HostTime): MemoryNetwork {
    const host = new MemoryHost(address, time ?? timeOf(this.#options))
    host.time.watchPauses?.(() => this.look())
    return new MemoryNetwork(this, keyPair, host)
  }

  /** From now on nothing that `from` sends reaches `to`. */
  cut(from: Address, to: Address): void {
    this.#cuts.add(pairOf(from, to))
    this.look()
  }

  heal(from: Address, to: Address): void {
    this.#cuts.delete(pairOf(from, to))
    this.look()
  }

  isCut(from: Address, to: Address): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(pairOf(from, to))
  }

  /** Connections between two addresses end on both sides; what is on its way on them is lost. */
  reset(a: Address, b: Address): void {
    const pairs = new Set([pairOf(a, b), pairOf(b, a)])
    for (const connection of this.#connections) {
      const { host, remote } = connection
      if (pairs.has(pairOf(host.address, remote.address))) connection.end('connection reset')
    }
  }

  delayMs(from: Address, to: Address): number {
    const { delayMs } = this.#options
    const drawnMs = typeof delayMs === 'number' ? delayMs : delayMs(from, to)
    assert(drawnMs >= 0, 'nothing arrives before it was sent')
    return drawnMs
  }

  add(network: MemoryNetwork): void {
    const name = formatAddress(network.address)
    assert(!this.#nodes.has(name), `nobody else is at ${name}`)
    this.#nodes.set(name, network)
  }

  remove(network: MemoryNetwork): void {
    const name = formatAddress(network.address)
    if (this.#nodes.get(name) === network) this.#nodes.delete(name)
  }

  nodes(): readonly MemoryNetwork[] {
    return [...this.#nodes.values()]
  }

  /** The initiator's end of a new connection; the other end learns of it when that has travelled. */
  connect(from: MemoryNetwork, to: MemoryNetwork, publicKey: Uint8Array): MemoryConnection {
    const count = new Uint8Array(8)
    new DataView(count.buffer).setBigUint64(0, BigInt(++this.#connectionCount))
    const half = hash(count, publicKey, to.publicKey)
    const handshakeHash = new Uint8Array(64)
    handshakeHash.set(half)
    handshakeHash.set(keyedHash(half, count), 32)
    const first = new MemoryConnection(this, {
      own: from.host,
      remote: to.host,
      remotePublicKey: to.publicKey,
      handshakeHash,
      isInitiator: true,
      onOpen: () => {}
    })
    const second = new MemoryConnection(this, {
      own: to.host,
      remote: from.host,
      remotePublicKey: publicKey,
      handshakeHash,
      isInitiator: false,
      onOpen: (connection) => to.accept(connection)
    })
    first.join(second)
    second.join(first)
    first.open()
    for (const connection of [first, second]) {
      this.#connections.add(connection)
      connection.look()
    }
    return first
  }

  forget(connection: MemoryConnection): void {
    this.#connections.delete(connection)
  }

  connectionsOf(host: MemoryHost): readonly MemoryConnection[] {
    return [...this.#connections].filter((each) => each.host === host)
  }

  /** What can be heard by whom may have changed. */
  look(): void {
    for (const connection of this.#connections) connection.look()
  }
}

export class MemoryNetwork implements Network {
  readonly publicKey: Uint8Array
  readonly host: MemoryHost
  readonly #hub: MemoryHub
  #handlers: NetworkHandlers | null = null
  #topics: ReadonlySet<string> = new Set()
  /** those that are not over */
  readonly #dials = new Set<Dial>()
  #isOpen = false
  #isClosed = false

  constructor(hub: MemoryHub, keyPair: KeyPair, host: MemoryHost) {
    this.#hub = hub
    this.publicKey = keyPair.publicKey
    this.host = host
  }

  get address(): Address {
    return this.host.address
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
    if (this.#isClosed) return { cancel: () => {} }
    const deadline = this.host.later(DIAL_TIMEOUT_MS, () => {
      end({ kind: 'failed', failure: 'timeout', reason: 'nobody answered' })
    })
    const dial = {
      cancel: () => {
        deadline.cancel()
        this.#dials.delete(dial)
      }
    }
    const end = (result: DialResult): void => {
      dial.cancel()
      onDone(result)
    }
    this.#dials.add(dial)
    const key = hexOf(target.publicKey)
    const node = this.#hub.nodes().find((other) => hexOf(other.publicKey) === key)
    if (node === undefined) return dial
    const publicKey = target.keyPair?.publicKey ?? this.publicKey
    this.#knock(node, publicKey, () => {
      if (!this.#dials.has(dial)) return
      end({ kind: 'connected', connection: this.#hub.connect(this, node, publicKey) })
    })
    return dial
  }

  /** Calls `onAnswer` when `node` has answered, if it does. */
  #knock(node: MemoryNetwork, publicKey: Uint8Array, onAnswer: () => void): void {
    node.host.later(this.#hub.delayMs(this.address, node.address), () => {
      if (!node.answers(publicKey, this.address)) return
      this.host.later(this.#hub.delayMs(node.address, this.address), () => {
        if (node.isListening && !this.#hub.isCut(node.address, this.address)) onAnswer()
      })
    })
  }

  answers(publicKey: Uint8Array, from: Address): boolean {
    const isReached = this.isListening && !this.#hub.isCut(from, this.address)
    return isReached && this.#handlers?.onKnock(publicKey) === true
  }

  accept(connection: MemoryConnection): void {
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

  /** Asks everybody; cuts keep nobody from being found, only from being reached. */
  lookup(topic: Uint8Array, onFound: (target: DialTarget) => void): Dial {
    let isOver = false
    const name = hexOf(topic)
    for (const node of this.#hub.nodes()) {
      if (node === this) continue
      const { address } = node
      const there = this.#hub.delayMs(this.address, address)
      const back = this.#hub.delayMs(address, this.address)
      this.host.later(there + back, () => {
        if (isOver || this.#isClosed || !node.announces(name)) return
        onFound({ publicKey: node.publicKey, addresses: [address] })
      })
    }
    return {
      cancel: () => {
        isOver = true
      }
    }
  }

  addresses(): readonly Address[] {
    return [this.address]
  }

  discovery(): Discovery {
    return { isOnline: this.#isOpen, isAnnounced: this.#isOpen, usesTopics: true }
  }

  close(): Promise<void> {
    if (!this.#isClosed) {
      this.#end()
      for (const connection of this.#hub.connectionsOf(this.host)) connection.close('closing')
    }
    return Promise.resolve()
  }

  /**
   * The process is dead: nothing is sent, not even a goodbye, and nothing arrives any more. The others
   * notice when they have heard nothing for the link timeout. Another network may open at its address.
   */
  kill(): void {
    this.#end()
    this.host.kill()
    for (const connection of this.#hub.connectionsOf(this.host)) connection.die()
    this.#hub.look()
  }

  #end(): void {
    this.#isClosed = true
    this.#hub.remove(this)
    for (const dial of this.#dials) dial.cancel()
  }
}

function timeOf({ clock, timers }: MemoryHubOptions): HostTime {
  return {
    nowMs: () => clock.nowMs(),
    wallMs: () => clock.wallMs(),
    start: (delayMs, fn) => timers.start(delayMs, fn),
    soon: (fn) => timers.soon(fn)
  }
}

function pairOf(from: Address, to: Address): string {
  return `${formatAddress(from)}>${formatAddress(to)}`
}
