// A whole cluster in one process and on a virtual clock: the same assembly as a real node, over
// in-memory ports. Nodes are created, joined by ticket, crashed, restarted and cut off; everything
// else is what users do.

import { assert, present } from '../assert.ts'
import { STORAGE_POLICY } from '../cluster/storage-policy.ts'
import type { StoragePolicy } from '../cluster/storage-policy.ts'
import type { DiskProbe } from '../cluster/disk-watch.ts'
import { votersWhenGrown } from '../cluster/growth.ts'
import { DEFAULT_TARGET_VOTERS } from '../limits.ts'
import { TIMING } from '../raft/timing.ts'
import type { Timing } from '../raft/timing.ts'
import { SeededRandom } from '../random.ts'
import { MemoryHub } from '../transport/memory-network.ts'
import { Machine } from './machine.ts'
import type { Process } from './machine.ts'
import { VirtualTime } from './virtual-time.ts'

export interface MemoryClusterOptions {
  /** everything random follows from it */
  readonly seed: number
  /** one way between two nodes; 1 ms when left out */
  readonly delayMs?: number
  /** how long a log write takes, of the node of that name; 1 ms when left out */
  readonly writeMs?: number | ((name: string) => number)
  readonly timing?: Timing
  readonly targetVoters?: number
  /** when a leader has snapshots made; STORAGE_POLICY when left out */
  readonly storagePolicy?: StoragePolicy
  /** how full the disk of the node of that name is; never when left out */
  readonly diskProbe?: (name: string) => DiskProbe
}

export class MemoryCluster {
  readonly time: VirtualTime
  readonly hub: MemoryHub
  readonly #random: SeededRandom
  readonly #options: Required<Omit<MemoryClusterOptions, 'diskProbe'>>
  readonly #diskProbe: MemoryClusterOptions['diskProbe']
  readonly #machines = new Map<string, Machine>()

  constructor(options: MemoryClusterOptions) {
    const timing = options.timing ?? TIMING.default
    this.#diskProbe = options.diskProbe
    this.#options = {
      delayMs: 1,
      writeMs: 1,
      targetVoters: DEFAULT_TARGET_VOTERS,
      timing,
      storagePolicy: STORAGE_POLICY,
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
  async create(name: string): Promise<Process> {
    return await this.addMachine(name).create()
  }

  /**
   * A cluster of nodes of these names, all joined and as many of them voters as the growth rule makes, in
   * as much time as that takes. Returns the ticket.
   */
  async form(names: readonly string[]): Promise<string> {
    const [first = 'a', ...others] = names
    const { assembly } = await this.time.settled(this.create(first), FORM_MS)
    const { ticket } = await this.time.settled(assembly.service.createTicket(), FORM_MS)
    for (const name of others) await this.time.settled(this.join(name, ticket), FORM_MS)
    const voterCount = votersWhenGrown(names.length, this.#options.targetVoters)
    const isGrown = (): boolean =>
      this.nodes().every((node) => node.assembly.service.status().voters.length === voterCount)
    assert(await this.time.runUntil(isGrown, FORM_MS), 'the cluster grows')
    return ticket
  }

  /** A new node, let in with a ticket's text; resolves when it is caught up. */
  async join(name: string, ticketText: string): Promise<Process> {
    return await (await this.admit(name, ticketText)).startJoined()
  }

  /** The first half of `join`: the cluster knows the machine, on which no process has run yet. */
  async admit(name: string, ticketText: string): Promise<Machine> {
    const machine = this.addMachine(name)
    try {
      await machine.requestAdmission(ticketText)
    } catch (error) {
      this.#machines.delete(name)
      throw error
    }
    return machine
  }

  /** A new node, let in by its key on the node of another name; resolves when it is caught up. */
  async joinByKey(name: string, via: string): Promise<Process> {
    const machine = this.addMachine(name)
    const host = this.node(via)
    await machine.admitByKey(host)
    assert(await machine.askWelcome(host.machine), `'${via}' tells '${name}' what it is`)
    return await machine.startJoined()
  }

  /** The process of that name, which runs. */
  node(name: string): Process {
    return present(this.#machines.get(name)?.process, `a running node '${name}'`)
  }

  nodes(): readonly Process[] {
    return [...this.#machines.values()].flatMap(({ process }) => process ?? [])
  }

  /** The node that leads with the highest term, among those that run; null when none does. */
  leader(): Process | null {
    const leaders = this.nodes().filter((node) => node.assembly.replica.status.role === 'leader')
    leaders.sort((a, b) => b.assembly.replica.status.term - a.assembly.replica.status.term)
    return leaders[0] ?? null
  }

  /** The process dies: what was not durable is lost, nothing is said to anybody, who notice by silence. */
  crash(name: string): void {
    const node = this.node(name)
    node.kill()
    node.log.crash()
    node.machine.forget()
  }

  /** The process ends as on SIGTERM: hands leadership over, says goodbye. */
  async stop(name: string): Promise<void> {
    const { assembly, machine } = this.node(name)
    await this.time.settled(assembly.handOver(), CLOSE_MS)
    await this.time.settled(assembly.close(), CLOSE_MS)
    machine.forget()
  }

  /** The process starts again from what it kept. */
  async restart(name: string): Promise<Process> {
    return await present(this.#machines.get(name), `a machine '${name}'`).start()
  }

  /** Nothing passes between two nodes until `heal`. */
  cut(a: string, b: string): void {
    this.#eachWay(a, b, (from, to) => this.hub.cut(from.address, to.address))
  }

  heal(a: string, b: string): void {
    this.#eachWay(a, b, (from, to) => this.hub.heal(from.address, to.address))
  }

  async close(): Promise<void> {
    for (const { assembly, machine } of this.nodes()) {
      machine.forget()
      await this.time.settled(assembly.close(), CLOSE_MS)
    }
  }

  #eachWay(a: string, b: string, act: (from: Machine, to: Machine) => void): void {
    const [one, other] = [a, b].map((name) => present(this.#machines.get(name), `'${name}'`))
    if (one === undefined || other === undefined || one === other) return
    act(one, other)
    act(other, one)
  }

  /** A machine that belongs to no cluster yet, and on which nothing runs. */
  addMachine(name: string): Machine {
    assert(!this.#machines.has(name), `'${name}' is a new name`)
    const { timing, targetVoters, storagePolicy, writeMs } = this.#options
    const diskProbe = this.#diskProbe
    const machine = new Machine({
      name,
      address: { host: `10.0.0.${this.#machines.size + 1}`, port: 49_737 },
      hub: this.hub,
      time: this.time,
      random: this.#random,
      timing,
      targetVoters,
      storagePolicy,
      writeMs: () => (typeof writeMs === 'number' ? writeMs : writeMs(name)),
      hasMetrics: true,
      ...(diskProbe && { diskProbe: diskProbe(name) })
    })
    this.#machines.set(name, machine)
    return machine
  }
}

/** What each step of forming a cluster may take. */
const FORM_MS = 60_000
/** What closing a node may take. */
const CLOSE_MS = 10_000
