// A whole cluster in one process and on a virtual clock: the same assembly as a real node, over
// in-memory ports. Nodes are created, joined by ticket, crashed, restarted and cut off; everything
// else is what users do.

import type { Address } from '../address.ts'
import { assert, present } from '../assert.ts'
import { keyPairFromSeed, SEED_BYTES } from '../crypto.ts'
import type { KeyPair } from '../crypto.ts'
import type { AspenError } from '../errors.ts'
import { DEFAULT_TARGET_VOTERS } from '../limits.ts'
import { MemoryLogDisk, MemoryLogStore } from '../log-store/memory-log-store.ts'
import { Assembly } from '../node/assembly.ts'
import { awaitFounded, FOUNDER_ID, foundLog } from '../node/founding.ts'
import { admit, awaitCaughtUp } from '../node/joining.ts'
import { genesis } from '../raft/entry.ts'
import { TIMING } from '../raft/timing.ts'
import type { Timing } from '../raft/timing.ts'
import { randomBytes, SeededRandom } from '../random.ts'
import { MemoryStateMachine } from '../state-machine/memory-state-machine.ts'
import { MemoryHub } from '../transport/memory-network.ts'
import type { MemoryNetwork } from '../transport/memory-network.ts'
import type { Welcome } from '../transport/transport.ts'
import { decodeTicket } from '../../tickets/tickets.ts'
import { VERSION } from '../version.ts'
import { VirtualTime } from './virtual-time.ts'

export interface MemoryClusterOptions {
  /** everything random follows from it */
  readonly seed: number
  /** one way between two nodes; 1 ms when left out */
  readonly delayMs?: number
  /** how long a log write takes; 1 ms when left out */
  readonly writeMs?: number
  readonly timing?: Timing
  readonly targetVoters?: number
}

/** What a node keeps when its process dies. */
interface Place {
  readonly name: string
  readonly keyPair: KeyPair
  readonly address: Address
  readonly disk: MemoryLogDisk
  clusterId: Uint8Array | null
  welcome: Welcome | null
}

export class MemoryNode {
  readonly name: string
  readonly assembly: Assembly
  readonly log: MemoryLogStore
  /** why the node ended by itself; null while it runs */
  failure: AspenError | null = null

  constructor(name: string, assembly: Assembly, log: MemoryLogStore) {
    this.name = name
    this.assembly = assembly
    this.log = log
  }
}

export class MemoryCluster {
  readonly time: VirtualTime
  readonly hub: MemoryHub
  readonly #random: SeededRandom
  readonly #options: Required<MemoryClusterOptions>
  readonly #places = new Map<string, Place>()
  readonly #nodes = new Map<string, MemoryNode>()
  /** pairs of names that a test has cut */
  readonly #cuts = new Set<string>()
  /** names of nodes that died and did not start again */
  readonly #dead = new Set<string>()

  constructor(options: MemoryClusterOptions) {
    const timing = options.timing ?? TIMING.default
    this.#options = {
      delayMs: 1,
      writeMs: 1,
      targetVoters: DEFAULT_TARGET_VOTERS,
      timing,
      ...options
    }
    this.time = new VirtualTime()
    this.#random = new SeededRandom(options.seed)
    this.hub = new MemoryHub({
      clock: this.time,
      timers: this.time,
      delayMs: this.#options.delayMs,
      linkTimeoutMs: timing.linkTimeoutMs
    })
  }

  /** The first node of a new cluster; resolves when it leads. Let time pass meanwhile (`time.settled`). */
  async create(name: string): Promise<MemoryNode> {
    const place = this.#newPlace(name)
    place.clusterId = randomBytes(this.#random, 16)
    const node = await this.#open(place, true)
    const { keyPair } = place
    const { time } = this
    await awaitFounded({
      assembly: node.assembly,
      keyPair,
      name,
      version: VERSION,
      clock: time,
      timers: time,
      random: this.#random
    })
    return node
  }

  /** A new node, let in with a ticket's text; resolves when it is caught up. */
  async join(name: string, ticketText: string): Promise<MemoryNode> {
    const place = this.#newPlace(name)
    try {
      await this.#admit(place, ticketText)
    } catch (error) {
      this.#places.delete(name)
      throw error
    }
    const node = await this.#open(place, false)
    await awaitCaughtUp(node.assembly, this.#waiting())
    return node
  }

  node(name: string): MemoryNode {
    return present(this.#nodes.get(name), `a running node '${name}'`)
  }

  nodes(): readonly MemoryNode[] {
    return [...this.#nodes.values()]
  }

  /** The node that leads with the highest term, among those that run; null when none does. */
  leader(): MemoryNode | null {
    const leaders = this.nodes().filter((node) => node.assembly.replica.status.role === 'leader')
    leaders.sort((a, b) => b.assembly.replica.status.term - a.assembly.replica.status.term)
    return leaders[0] ?? null
  }

  /** The process dies: what was not durable is lost, nothing is said to anybody, who notice by silence. */
  async crash(name: string): Promise<void> {
    const node = this.node(name)
    this.#nodes.delete(name)
    this.#dead.add(name)
    this.#applyCuts()
    node.log.crash()
    await this.time.settled(node.assembly.close(), CLOSE_MS)
  }

  /** The process ends as on SIGTERM: hands leadership over, says goodbye. */
  async stop(name: string): Promise<void> {
    const { assembly } = this.node(name)
    await this.time.settled(assembly.handOver(), CLOSE_MS)
    await this.time.settled(assembly.close(), CLOSE_MS)
    this.#nodes.delete(name)
  }

  /** The process starts again from what it kept. */
  async restart(name: string): Promise<MemoryNode> {
    assert(!this.#nodes.has(name), `'${name}' does not run`)
    return await this.#open(present(this.#places.get(name), `a place '${name}'`), false)
  }

  /** Nothing passes between two nodes until `heal`. */
  cut(a: string, b: string): void {
    this.#cuts.add(pairOf(a, b))
    this.#applyCuts()
  }

  heal(a: string, b: string): void {
    this.#cuts.delete(pairOf(a, b))
    this.#applyCuts()
  }

  async close(): Promise<void> {
    for (const [name, { assembly }] of this.#nodes) {
      this.#nodes.delete(name)
      await this.time.settled(assembly.close(), CLOSE_MS)
    }
  }

  async #admit(place: Place, ticketText: string): Promise<void> {
    const { keyPair, name } = place
    const ticket = decodeTicket(ticketText)
    const network = this.#network(place)
    await network.open()
    try {
      const plan = { kind: 'join', name, bootstrap: null, timing: 'default', ticket } as const
      const { welcome } = await admit({ network, keyPair, plan, ...this.#waiting() })
      place.clusterId = ticket.clusterId
      place.welcome = welcome
    } finally {
      await network.close()
    }
  }

  #waiting() {
    const { time } = this
    return { timeoutMs: 60_000, clock: time, timers: time, onProgress: () => {} }
  }

  /** Pairs that a test has cut, and whoever is dead: nothing comes from there, not even a goodbye. */
  #applyCuts(): void {
    const names = [...this.#places.keys()]
    for (const a of names) {
      for (const b of names) {
        if (a === b) continue
        const [from, to] = [this.#addressOf(a), this.#addressOf(b)]
        const isDead = this.#dead.has(a) || this.#dead.has(b)
        const isCut = isDead || this.#cuts.has(pairOf(a, b))
        if (isCut && !this.hub.isCut(from, to)) this.hub.cut(from, to)
        if (!isCut && this.hub.isCut(from, to)) this.hub.heal(from, to)
      }
    }
  }

  #newPlace(name: string): Place {
    assert(!this.#places.has(name), `'${name}' is a new name`)
    const place: Place = {
      name,
      keyPair: keyPairFromSeed(randomBytes(this.#random, SEED_BYTES)),
      address: { host: `10.0.0.${this.#places.size + 1}`, port: 49_737 },
      disk: new MemoryLogDisk(),
      clusterId: null,
      welcome: null
    }
    this.#places.set(name, place)
    return place
  }

  #network(place: Place): MemoryNetwork {
    return this.hub.network(place.keyPair, place.address)
  }

  #addressOf(name: string): Address {
    return present(this.#places.get(name), `a place '${name}'`).address
  }

  async #open(place: Place, isFounder: boolean): Promise<MemoryNode> {
    const { time } = this
    const { keyPair, name, address } = place
    const clusterId = present(place.clusterId, 'the cluster of a place')
    const begin = genesis(clusterId)
    const onFailed = (error: AspenError): void => {
      const node = present(this.#nodes.get(name), 'the node that failed')
      node.failure ??= error
      node.assembly.fail()
      // as the process of a real node does; nobody has to wait for it
      void node.assembly.close()
    }
    const log = MemoryLogStore.open({
      disk: place.disk,
      genesis: begin,
      random: this.#random,
      onFailed,
      defer: (fn) => void time.start(this.#options.writeMs, fn)
    })
    const founder = { clusterId, keyPair, addresses: [address] }
    const restored = isFounder ? await foundLog(log, founder, time.wallMs()) : log.restored
    const assembly = new Assembly({
      clusterId,
      keyPair,
      name,
      id: place.welcome?.id ?? FOUNDER_ID,
      version: VERSION,
      instance: randomBytes(this.#random, 16),
      welcome: place.welcome,
      bootstrap: [],
      targetVoters: this.#options.targetVoters,
      timing: this.#options.timing,
      clock: time,
      timers: time,
      random: this.#random,
      log: log.store,
      restored,
      stateMachine: MemoryStateMachine.open({
        genesis: begin,
        onFailed,
        defer: (fn) => time.soon(fn)
      }),
      network: this.#network(place),
      events: { info: () => {}, warn: () => {} },
      savedAddresses: new Map(),
      onAddress: () => {},
      onFailed,
      dataDir: `/${name}`,
      pid: 1
    })
    const node = new MemoryNode(name, assembly, log.store)
    this.#nodes.set(name, node)
    this.#dead.delete(name)
    this.#applyCuts()
    await assembly.start()
    return node
  }
}

/** What closing a node may take. */
const CLOSE_MS = 10_000

function pairOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`
}
