// Replicas of a cluster on virtual time: the real core, the stores in memory, and a router between
// them whose every delivery is the test's decision.

import { present } from '../../lib/assert.ts'
import type { AspenError } from '../../lib/errors.ts'
import { MemoryLogDisk } from '../../lib/log-store/memory-log-disk.ts'
import { MemoryLogStore } from '../../lib/log-store/memory-log-store.ts'
import type { LogWrite } from '../../lib/log-store/log-tail.ts'
import type { NodeId } from '../../lib/node-id.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import type { HardState, SecondLeader } from '../../lib/raft/effects.ts'
import { decodeMessage, encodeConfiguration, encodeMessage } from '../../lib/raft/encoding.ts'
import type { Entry, EntryId } from '../../lib/raft/entry.ts'
import { chained, ENTRY_KIND, genesis } from '../../lib/raft/entry.ts'
import type { Message } from '../../lib/raft/message.ts'
import { Raft } from '../../lib/raft/raft.ts'
import { TIMING } from '../../lib/raft/timing.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { Outcome } from '../../lib/replica/proposals.ts'
import { Replica } from '../../lib/replica/replica.ts'
import type { ReadOutcome } from '../../lib/replica/waiting-reads.ts'
import { encodeWrite } from '../../lib/state-machine/encoding.ts'
import { MemoryStateMachine } from '../../lib/state-machine/memory-state-machine.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'

const GENESIS = genesis(new Uint8Array(16).fill(3))
const WRITE_MS = 2

/** What happened to one replica, in order. */
type Happening =
  | { readonly kind: 'write'; readonly write: LogWrite }
  | { readonly kind: 'durable' }
  | { readonly kind: 'send'; readonly to: NodeId; readonly message: Message }

export class Machine {
  readonly replica: Replica
  readonly log: MemoryLogStore
  readonly happened: Happening[] = []
  failure: AspenError | null = null
  readonly secondLeaders: SecondLeader[] = []
  /** false: what the state machine applied waits until `letApply` */
  isApplying = true
  /** false: log writes stay in progress until `letWrite` */
  isWriting = true
  readonly #heldApplies: (() => void)[] = []
  readonly #heldWrites: (() => void)[] = []

  constructor(id: NodeId, disk: MemoryLogDisk, net: Replicas) {
    const { time } = net
    const onFailed = (error: AspenError): void => {
      this.failure = error
    }
    const { store, restored } = MemoryLogStore.open({
      disk,
      genesis: GENESIS,
      random: new SeededRandom(id),
      onFailed,
      defer: (fn) =>
        void time.start(WRITE_MS, () => (this.isWriting ? fn() : this.#heldWrites.push(fn)))
    })
    this.log = store
    const stateMachine = MemoryStateMachine.open({
      genesis: GENESIS,
      onFailed,
      defer: (fn) => time.soon(() => (this.isApplying ? fn() : this.#heldApplies.push(fn)))
    })
    const log = watched(store, (happening) => this.happened.push(happening))
    const random = new SeededRandom(1_000 + id)
    const core = new Raft(
      { id, boot: store.boot, timing: TIMING.default, random, log },
      { ...restored, appliedIndex: 0 }
    )
    this.replica = new Replica({
      observer: null,
      id,
      core,
      log,
      stateMachine,
      clock: time,
      timers: time,
      send: (to, message) => {
        this.happened.push({ kind: 'send', to, message })
        net.send(id, to, message)
      },
      onStatus: () => {},
      onSecondLeader: (found) => this.secondLeaders.push(found),
      onApplied: () => {},
      keepEntries: 0,
      onSnapshotsNeeded: () => {},
      onSnapshot: () => {},
      onFailed
    })
  }

  letApply(): void {
    this.isApplying = true
    for (const fn of this.#heldApplies.splice(0)) fn()
  }

  /** One write of those that are held becomes durable. */
  letWriteOne(): void {
    this.#heldWrites.shift()?.()
  }

  letWrite(): void {
    this.isWriting = true
    for (const fn of this.#heldWrites.splice(0)) fn()
  }

  get writes(): readonly LogWrite[] {
    return this.happened.flatMap((one) => (one.kind === 'write' ? [one.write] : []))
  }

  get sent(): readonly Message[] {
    return this.happened.flatMap((one) => (one.kind === 'send' ? [one.message] : []))
  }
}

/** The store, telling what is written and when it is durable. */
function watched(store: MemoryLogStore, tell: (happening: Happening) => void): MemoryLogStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'write') {
        return (write: LogWrite, onDurable: () => void) => {
          tell({ kind: 'write', write })
          target.write(write, () => {
            tell({ kind: 'durable' })
            onDurable()
          })
        }
      }
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

export class Replicas {
  readonly time = new VirtualTime()
  readonly machines = new Map<NodeId, Machine>()
  /** what is to be lost; nothing by default */
  isLost: (from: NodeId, to: NodeId, message: Message) => boolean = () => false

  constructor(voters: readonly NodeId[]) {
    const configuration: Configuration = {
      members: voters.map((id) => ({
        id,
        publicKey: new Uint8Array(32).fill(id),
        role: 'voter',
        addresses: []
      })),
      outgoing: []
    }
    const payload = encodeConfiguration(configuration)
    const kind = ENTRY_KIND.configuration
    const first = chained(GENESIS, { term: 1, kind, timeMs: 0, payload })
    const hardState: HardState = { term: 1, votedFor: voters[0] ?? 1, commitIndex: 1 }
    for (const id of voters) this.add(id, [first], hardState)
  }

  /** A machine with a given log. */
  add(id: NodeId, entries: readonly Entry[], hardState: HardState): Machine {
    const disk = new MemoryLogDisk()
    disk.content = {
      storageEpoch: new Uint8Array(16),
      genesisHash: GENESIS.hash,
      base: { id: GENESIS, timeMs: 0, stateBase: 0, configuration: null },
      boot: 0,
      entries: [...entries],
      hardState
    }
    const machine = new Machine(id, disk, this)
    this.machines.set(id, machine)
    return machine
  }

  machine(id: NodeId): Machine {
    return present(this.machines.get(id), `machine ${id}`)
  }

  send(from: NodeId, to: NodeId, message: Message): void {
    if (this.isLost(from, to, message)) return
    const bytes = encodeMessage(message)
    this.time.start(1, () => this.machines.get(to)?.replica.onMessage(from, decodeMessage(bytes)))
  }

  /** Nothing passes to and from a machine. */
  isolate(id: NodeId): void {
    this.isLost = (from, to) => from === id || to === id
  }

  heal(): void {
    this.isLost = () => false
  }

  start(): void {
    for (const { replica } of this.machines.values()) replica.start()
  }

  /** Starts all and waits until one leads and the others follow it. */
  async elect(): Promise<Machine> {
    this.start()
    const all = [...this.machines.values()]
    const isReady = ({ replica }: Machine): boolean =>
      replica.status.role === 'leader' && replica.status.commitIndex === replica.status.lastIndex
    const isLed = ({ replica }: Machine): boolean => replica.status.leader !== null
    await this.time.runUntil(() => all.some(isReady) && all.every(isLed), 60_000)
    await this.time.run(50)
    return present(all.find(isReady), 'a leader')
  }

  others(than: Machine): readonly Machine[] {
    return [...this.machines.values()].filter((machine) => machine !== than)
  }
}

/** The payload of a put. */
export function putOf(key: string, byteCount = 1): Uint8Array {
  const change = {
    kind: 'put',
    key: new TextEncoder().encode(key),
    value: new Uint8Array(byteCount),
    condition: null
  } as const
  return encodeWrite({ changes: [change] })
}

/** A chain of writes after `previous`. */
export function chainAfter(previous: EntryId, term: number, count: number): readonly Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < count; at++) {
    const payload = putOf(`t${term}-${at}`)
    const before = entries.at(-1) ?? previous
    entries.push(chained(before, { term, kind: ENTRY_KIND.write, timeMs: 1, payload }))
  }
  return entries
}

export function propose(machine: Machine, key: string, byteCount = 1): Outcome[] {
  const outcomes: Outcome[] = []
  const payload = putOf(key, byteCount)
  machine.replica.propose({
    kind: ENTRY_KIND.write,
    payload,
    onOutcome: (outcome) => outcomes.push(outcome)
  })
  return outcomes
}

export function read(machine: Machine): ReadOutcome[] {
  const outcomes: ReadOutcome[] = []
  machine.replica.read((outcome) => outcomes.push(outcome))
  return outcomes
}

export async function alone(): Promise<{ net: Replicas; machine: Machine }> {
  const net = new Replicas([1])
  return { net, machine: await net.elect() }
}

export function leads({ replica }: Machine): boolean {
  return replica.status.role === 'leader'
}
