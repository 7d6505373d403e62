// Several nodes in one process for tests of what a cluster does: the assembly of a real node each, over
// stores and a network in memory, on a virtual clock that passes while a call waits. Nothing grows by itself:
// the test says who votes. Delays, losses and failures are of directed pairs, and what is random follows
// from the seed, so that the same calls are the same run.

import { assert, present } from '../assert.ts'
import { bytesOf, textOf } from '../encoding.ts'
import type { Address } from '../address.ts'
import type { NodeId } from '../node-id.ts'
import type { Index } from '../raft/entry.ts'
import { isJoint, learnersOf } from '../raft/configuration.ts'
import { TIMING } from '../raft/timing.ts'
import type { Timing } from '../raft/timing.ts'
import { SeededRandom } from '../random.ts'
import type { LinksOptions } from '../transport/links.ts'
import { Links } from '../transport/links.ts'
import { MemoryHub } from '../transport/memory-network.ts'
import type { Transport } from '../transport/transport.ts'
import { Dice } from './dice.ts'
import { Machine } from './machine.ts'
import type { Process } from './machine.ts'
import { metricsOf, Wait } from './router-wait.ts'
import { VirtualTime } from './virtual-time.ts'

export interface RouterOptions {
  /** everything random follows from it; 1 when left out */
  readonly seed?: number
  readonly timing?: Timing
  /** one way between two nodes without a delay of their own; 1 ms when left out */
  readonly delayMs?: number
}

/** From one node to another. */
export interface DirectedPair {
  readonly from: NodeId
  readonly to: NodeId
}

/**
 * ```ts
 * const router = new AspenRouter()
 * await router.newCluster([1, 2, 3])
 * await router.write(1, 'key', 'value')
 * router.failNode(1)
 * await router.wait(2).metrics(({ currentLeader }) => currentLeader !== 1, 'another leader')
 * ```
 */
export class AspenRouter {
  readonly time = new VirtualTime()
  readonly #random: SeededRandom
  readonly #dice: Dice
  readonly #hub: MemoryHub
  readonly #timing: Timing
  readonly #delayMs: number
  readonly #machines = new Map<NodeId, Machine>()
  readonly #delays = new Map<string, number>()
  readonly #dropRates = new Map<string, number>()
  readonly #failed = new Set<NodeId>()
  #founder: NodeId | null = null

  constructor({ seed = 1, timing = TIMING.default, delayMs = 1 }: RouterOptions = {}) {
    this.#random = new SeededRandom(seed)
    this.#dice = Dice.of(seed, 'router')
    this.#timing = timing
    this.#delayMs = delayMs
    this.#hub = new MemoryHub({
      clock: this.time,
      timers: this.time,
      delayMs: (from, to) => this.#delayOf(from, to),
      linkTimeoutMs: timing.linkTimeoutMs
    })
  }

  /** Registers a node with empty disks. Clusters assign ids in order, so nodes are made as 1, 2, 3 … */
  newRaftNode(id: NodeId): void {
    assert(id === this.#machines.size + 1, 'the next node has the next id')
    this.#machines.set(id, this.#newMachine(id))
    for (const failed of this.#failed) this.failNode(failed)
  }

  /** A node that was taken out runs again, on what its disks keep. */
  async newRaftNodeWithStorage(id: NodeId, machine: Machine): Promise<void> {
    assert(!this.#machines.has(id), `node ${id} is not there`)
    this.#machines.set(id, machine)
    await this.#settled(machine.start())
  }

  /** Takes a node out, as if its process had been killed; what was durable is on its disks. */
  removeNode(id: NodeId): Machine | null {
    const machine = this.#machines.get(id)
    if (machine === undefined) return null
    const { process } = machine
    if (process !== null) {
      process.kill()
      process.log.crash()
      machine.forget()
    }
    this.#machines.delete(id)
    this.#failed.delete(id)
    return machine
  }

  /** Makes a cluster on node 1, with every node that is registered so far as a voter. */
  async initialize(id: NodeId): Promise<void> {
    assert(this.#founder === null && id === 1, 'a cluster is made once, on node 1')
    this.#founder = id
    await this.#settled(this.#machine(id).create())
    const others = [...this.#machines.keys()].filter((other) => other !== id)
    for (const other of others) await this.addLearner(id, other)
    if (others.length > 0) await this.changeMembership([...this.#machines.keys()])
  }

  /** Resolves when `target` is a learner that has caught up. */
  async addLearner(leader: NodeId, target: NodeId): Promise<void> {
    const { service } = this.getRaftHandle(leader).assembly
    const { ticket } = await this.#settled(service.createTicket({ uses: 1 }))
    await this.#settled(this.#machine(target).join(ticket))
    assert(this.#machine(target).id === target, 'the cluster gives the ids in order')
  }

  /** Makes these the voters, in one joint change on the leader; those left out become learners. */
  async changeMembership(voters: readonly NodeId[]): Promise<void> {
    const leader = present(this.leader(), 'a leader')
    const { replica } = this.getRaftHandle(leader).assembly
    const { configuration } = replica.status
    const promote = learnersOf(configuration).filter((id) => voters.includes(id))
    const demote = metricsOf(this.getRaftHandle(leader)).voters.filter((id) => !voters.includes(id))
    const isDone = new Promise<boolean>((resolve) => {
      replica.change({ add: [], promote, demote, remove: [] }, ({ kind }) =>
        resolve(kind === 'done')
      )
    })
    assert(await this.#settled(isDone), 'the change is carried out')
    const isSettled = (): boolean => !isJoint(replica.status.configuration)
    assert(await this.time.runUntil(isSettled, STEP_MS), 'the joint phase ends')
  }

  /**
   * Registers and starts a whole cluster. @returns the last index of its log, which all have applied
   * @param voters 1, 2 … n; `learners`: those that follow
   */
  async newCluster(voters: readonly NodeId[], learners: readonly NodeId[] = []): Promise<Index> {
    assert(voters[0] === 1, 'node 1 is the first voter')
    for (const id of voters) this.newRaftNode(id)
    await this.initialize(1)
    for (const id of learners) {
      this.newRaftNode(id)
      await this.addLearner(present(this.leader(), 'a leader'), id)
    }
    const { lastLogIndex } = metricsOf(this.getRaftHandle(present(this.leader(), 'a leader')))
    for (const id of this.#machines.keys()) await this.wait(id).appliedIndexAtLeast(lastLogIndex)
    return lastLogIndex
  }

  /** The running node: its assembly, its log, its state machine. */
  getRaftHandle(id: NodeId): Process {
    return present(this.#machine(id).process, `a running node ${id}`)
  }

  /** Lets `use` look at, or do something with, the node from inside. */
  externalRequest<T>(id: NodeId, use: (node: Process) => T): T {
    return use(this.getRaftHandle(id))
  }

  wait(id: NodeId, timeoutMs = STEP_MS): Wait {
    return new Wait(() => this.getRaftHandle(id), this.time, timeoutMs)
  }

  /** Among nodes that are not failed the one that leads, with the highest term. */
  leader(): NodeId | null {
    const leaders = [...this.#machines]
      .filter(([id, { process }]) => process !== null && !this.#failed.has(id))
      .map(([, { process }]) => metricsOf(present(process, 'a running node')))
      .filter(({ state }) => state === 'leader')
      .toSorted((a, b) => b.currentTerm - a.currentTerm)
    return leaders[0]?.id ?? null
  }

  /** A client's write on that node, which takes it to the leader; resolves with its revision. */
  async write(id: NodeId, key: string, value: string): Promise<Index> {
    const change = {
      kind: 'put',
      key: bytesOf(key),
      value: bytesOf(value),
      condition: null
    } as const
    const { kv } = this.getRaftHandle(id).assembly.service
    const { revision } = await this.#settled(kv.write({ changes: [change] }))
    return revision
  }

  /** What this node has applied, which may be behind; null when the key is not there. */
  read(id: NodeId, key: string): string | null {
    const item = this.getRaftHandle(id).stateMachine.get(bytesOf(key))
    return item === null ? null : textOf(item.value)
  }

  /** How long everything from one node to another takes from now on. */
  setNetworkDelay({ from, to }: DirectedPair, delayMs: number): void {
    this.#delays.set(pairName(from, to), delayMs)
  }

  setGlobalNetworkDelay(delayMs: number): void {
    for (const pair of this.#pairs()) this.setNetworkDelay(pair, delayMs)
  }

  clearNetworkDelays(): void {
    this.#delays.clear()
  }

  /** How many of a hundred Raft messages from one node to another are lost from now on. */
  setMessageDropRate({ from, to }: DirectedPair, percent: number): void {
    assert(percent >= 0 && percent <= 100, 'a rate is 0 to 100 percent')
    this.#dropRates.set(pairName(from, to), percent)
  }

  setGlobalMessageDropRate(percent: number): void {
    for (const pair of this.#pairs()) this.setMessageDropRate(pair, percent)
  }

  clearMessageDropRates(): void {
    this.#dropRates.clear()
  }

  /** The node goes on running, and neither sends nor receives. */
  failNode(id: NodeId): void {
    this.#failed.add(id)
    this.#eachOther(id, (one, other) => this.#hub.cut(one, other))
  }

  recoverNode(id: NodeId): void {
    this.#failed.delete(id)
    this.#eachOther(id, (one, other) => {
      const isStillCut = [one, other].some((address) => this.#failed.has(idAt(address)))
      if (!isStillCut) this.#hub.heal(one, other)
    })
  }

  async close(): Promise<void> {
    for (const machine of this.#machines.values()) {
      const { process } = machine
      machine.forget()
      if (process !== null) await this.#settled(process.assembly.close())
    }
  }

  async #settled<T>(promise: Promise<T>): Promise<T> {
    return await this.time.settled(promise, STEP_MS)
  }

  #machine(id: NodeId): Machine {
    return present(this.#machines.get(id), `a node ${id}`)
  }

  #newMachine(id: NodeId): Machine {
    return new Machine({
      name: `node-${id}`,
      address: addressOf(id),
      hub: this.#hub,
      time: this.time,
      random: this.#random,
      timing: this.#timing,
      // a cluster that has so many does not grow by itself
      targetVoters: 1,
      writeMs: () => 1,
      instruments: {
        makeTransport: (process) => (options) => this.#lossy(process, options)
      }
    })
  }

  /** The links of a node, of whose Raft messages some are lost. */
  #lossy({ machine }: Process, options: LinksOptions): Transport {
    const links = new Links(options)
    const carry = links.send.bind(links)
    links.send = (to, message) => {
      const percent = this.#dropRates.get(pairName(machine.id, to)) ?? 0
      if (percent === 0 || !this.#dice.chance(percent / 100)) carry(to, message)
    }
    return links
  }

  #delayOf(from: Address, to: Address): number {
    return this.#delays.get(pairName(idAt(from), idAt(to))) ?? this.#delayMs
  }

  #pairs(): DirectedPair[] {
    const ids = [...this.#machines.keys()]
    return ids.flatMap((from) => ids.filter((to) => to !== from).map((to) => ({ from, to })))
  }

  /** Both ways between a node and each other one. */
  #eachOther(id: NodeId, act: (one: Address, other: Address) => void): void {
    for (const other of this.#machines.keys()) {
      if (other === id) continue
      act(addressOf(id), addressOf(other))
      act(addressOf(other), addressOf(id))
    }
  }
}

/** What any step of a test may take. */
const STEP_MS = 60_000

function addressOf(id: NodeId): Address {
  return { host: `10.0.${Math.floor(id / 256)}.${id % 256}`, port: 49_737 }
}

function idAt({ host }: Address): NodeId {
  const [, , high = '0', low = '0'] = host.split('.')
  return Number(high) * 256 + Number(low)
}

function pairName(from: NodeId, to: NodeId): string {
  return `${from}>${to}`
}
