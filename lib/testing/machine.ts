// A simulated machine: what stays when its process dies (its key, its disks, what the cluster told
// it), and the process that runs on it, which is the assembly of a real node over in-memory ports.
// Whoever runs the machine may put instruments around the ports.

import type { Address } from '../address.ts'
import { assert, present } from '../assert.ts'
import type { DiskProbe } from '../cluster/disk-watch.ts'
import { admitKey } from '../cluster/admission-by-key.ts'
import type { AdmissionByKeyParts } from '../cluster/admission-by-key.ts'
import { equalSecret, keyPairFromSeed, openSealed, SEED_BYTES } from '../crypto.ts'
import { STORAGE_POLICY } from '../cluster/storage-policy.ts'
import type { StoragePolicy } from '../cluster/storage-policy.ts'
import type { Memories, MemoryStore } from '../cluster/guard-keeper.ts'
import type { KeyPair } from '../crypto.ts'
import type { AspenError } from '../errors.ts'
import { DEFAULT_MAX_STATE_BYTES, DEFAULT_MAX_STATE_ENTRIES } from '../limits.ts'
import { backingOf } from '../log-store/log-store.ts'
import type { LogStore } from '../log-store/log-store.ts'
import { MemoryLogDisk } from '../log-store/memory-log-disk.ts'
import { MemoryLogStore } from '../log-store/memory-log-store.ts'
import { Assembly } from '../node/assembly.ts'
import type { AssemblyParts } from '../node/assembly-parts.ts'
import { awaitFounded, FOUNDER_ID, foundLog } from '../node/founding.ts'
import { admit, awaitCaughtUp } from '../node/joining.ts'
import type { NodeId } from '../node-id.ts'
import { genesis } from '../raft/entry.ts'
import type { Timing } from '../raft/timing.ts'
import type { Random } from '../random.ts'
import { randomBytes } from '../random.ts'
import { Metrics } from '../service/metrics.ts'
import type { StorageSizes } from '../service/node-health.ts'
import { MemoryStateDisk, MemoryStateMachine } from '../state-machine/memory-state-machine.ts'
import type { StateMachine } from '../state-machine/state-machine.ts'
import type { MemoryHub, MemoryNetwork } from '../transport/memory-network.ts'
import type { Welcome } from '../transport/transport.ts'
import { requestWelcome } from '../transport/welcome.ts'
import { decodeTicket } from '../../tickets/tickets.ts'
import { VERSION } from '../version.ts'
import { NodeTime } from './node-time.ts'
import type { VirtualTime } from './virtual-time.ts'

/** What a machine has besides its disks. */
export interface MachineParts {
  readonly name: string
  readonly address: Address
  readonly hub: MemoryHub
  readonly time: VirtualTime
  readonly random: Random
  readonly timing: Timing
  readonly targetVoters: number
  /** when a leader has snapshots made; STORAGE_POLICY when left out */
  readonly storagePolicy?: StoragePolicy
  /** how long the next write to the log takes */
  readonly writeMs: () => number
  /** how long the next entries take to be applied; no time at all when left out */
  readonly applyMs?: () => number
  readonly instruments?: Instruments
  /** how full its disk is; it never is when left out */
  readonly diskProbe?: DiskProbe
  /** how large its files are; it has none when left out */
  readonly sizes?: () => StorageSizes
  /** whether its processes count what they do */
  readonly hasMetrics?: boolean
}

/** Put around the ports of each process; what is not given stays as it is. */
export interface Instruments {
  readonly makeCore?: (process: Process) => AssemblyParts['makeCore']
  readonly makeTransport?: (process: Process) => AssemblyParts['makeTransport']
  readonly log?: (process: Process, log: LogStore) => LogStore
  readonly stateMachine?: (process: Process, stateMachine: StateMachine) => StateMachine
  /** how fast its clock runs, and how far its wall clock is off */
  readonly clock?: () => { readonly rate: number; readonly wallOffsetMs: number }
  /** whether what is applied reaches the state machine's file now */
  readonly shouldCheckpoint?: () => boolean
  /** a store has failed; without this the node closes, as a real one does */
  readonly onFailed?: (process: Process, error: AspenError) => void
}

/** One life of a machine's process. */
export class Process {
  readonly machine: Machine
  readonly time: NodeTime
  readonly network: MemoryNetwork
  /** why it ended by itself; null while it runs */
  failure: AspenError | null = null
  #assembly: Assembly | null = null
  #log: MemoryLogStore | null = null
  #stateMachine: StateMachine | null = null
  #isDead = false

  constructor(machine: Machine, time: NodeTime, network: MemoryNetwork) {
    this.machine = machine
    this.time = time
    this.network = network
  }

  get name(): string {
    return this.machine.name
  }

  get assembly(): Assembly {
    return present(this.#assembly, 'an assembled node')
  }

  get log(): MemoryLogStore {
    return present(this.#log, 'an open log')
  }

  get stateMachine(): StateMachine {
    return present(this.#stateMachine, 'an open state machine')
  }

  /** Whom it has a link to. */
  links(): readonly NodeId[] {
    const { members } = this.assembly.service.members()
    return members.filter((member) => member.linked).map((member) => member.id)
  }

  get isDead(): boolean {
    return this.#isDead
  }

  /** Power off: from now on nothing of it runs and nothing leaves it; its ports stay for what still unwinds. */
  kill(): void {
    this.#isDead = true
    this.time.kill()
    this.network.kill()
  }

  assemble(parts: {
    readonly assembly: Assembly
    readonly log: MemoryLogStore
    readonly stateMachine: StateMachine
  }): void {
    this.#assembly = parts.assembly
    this.#log = parts.log
    this.#stateMachine = parts.stateMachine
  }
}

export class Machine {
  readonly name: string
  readonly address: Address
  readonly keyPair: KeyPair
  readonly logDisk: MemoryLogDisk
  readonly stateDisk = new MemoryStateDisk()
  clusterId: Uint8Array | null
  welcome: Welcome | null
  /** what it remembers of the others */
  memories: Memories = new Map()
  /** null while no process runs on it */
  process: Process | null = null
  readonly #parts: MachineParts

  constructor(parts: MachineParts, kept: Partial<Kept> = {}) {
    this.#parts = parts
    this.name = parts.name
    this.address = parts.address
    this.keyPair = kept.keyPair ?? keyPairFromSeed(randomBytes(parts.random, SEED_BYTES))
    this.logDisk = kept.logDisk ?? new MemoryLogDisk()
    this.clusterId = kept.clusterId ?? null
    this.welcome = kept.welcome ?? null
  }

  /** The id that it has once it is in a cluster. */
  get id(): NodeId {
    return this.welcome?.id ?? FOUNDER_ID
  }

  /** Makes a cluster; resolves when this node leads it. Let time pass meanwhile (`time.settled`). */
  async create(): Promise<Process> {
    this.clusterId = randomBytes(this.#parts.random, 16)
    const process = await this.#open(true)
    await awaitFounded({
      assembly: process.assembly,
      keyPair: this.keyPair,
      name: this.name,
      version: VERSION,
      clock: process.time,
      timers: process.time,
      random: this.#parts.random
    })
    return process
  }

  /** Is let in with a ticket's text; resolves when its process runs and has caught up. */
  async join(ticketText: string): Promise<Process> {
    await this.requestAdmission(ticketText)
    return await this.startJoined()
  }

  /** The second half: resolves when its process has caught up. */
  async startJoined(): Promise<Process> {
    const process = await this.start()
    await awaitCaughtUp(process.assembly, waiting(process.time))
    return process
  }

  /** The first half of `join`: from then on the cluster knows this machine. */
  async requestAdmission(ticketText: string): Promise<void> {
    const { name, keyPair } = this
    const ticket = decodeTicket(ticketText)
    const { time, network } = this.#newNetwork()
    await network.open()
    try {
      const asked = { kind: 'join', name, ticket } as const
      const plan = {
        ...asked,
        bootstrap: null,
        timing: 'default',
        storage: {},
        settings: {}
      } as const
      const { welcome } = await admit({ network, keyPair, plan, ...waiting(time) })
      this.clusterId = ticket.clusterId
      this.welcome = welcome
    } finally {
      await network.close()
    }
  }

  /** The same without a ticket, as an operator does it on `host`. @throws ControlPlaneError for what the cluster refuses */
  async admitByKey(host: Process): Promise<void> {
    const { keyPair, name, address } = this
    const { machine, assembly, stateMachine } = host
    const own = stateMachine.trust().nodes.find(({ id }) => id === machine.id)
    // nothing before the cluster's second entry, as on a real node
    const told = own ?? machine.welcome
    const trust = {
      epoch: () => assembly.epoch,
      epochSecret: () => (told === null ? null : openSealed(told.sealedSecret, machine.keyPair))
    }
    const submit: AdmissionByKeyParts['submit'] = (...args) => assembly.tickets.submit(...args)
    const given = { role: 'voter', addresses: [address], expectedId: null } as const
    const { publicKey } = keyPair
    const parts = { trust, random: this.#parts.random, submit }
    await admitKey(parts, { publicKey, name, ...given }, ADMISSION_MS)
  }

  /** Then the machine asks a member what it is; false: it was not told in time. */
  async askWelcome({
    keyPair: { publicKey: memberKey },
    address,
    clusterId
  }: Machine): Promise<boolean> {
    const { time, network } = this.#newNetwork()
    await network.open()
    try {
      const clocks = { clock: time, timers: time, deadlineMs: time.nowMs() + ADMISSION_MS }
      const asked = { network, memberKey, addresses: [address], keyPair: this.keyPair, ...clocks }
      const told = await requestWelcome(asked)
      if (told === null) return false
      assert(equalSecret(told.clusterId, clusterId ?? told.clusterId), 'one cluster')
      this.clusterId = told.clusterId
      this.welcome = told.welcome
      return true
    } finally {
      await network.close()
    }
  }

  /** A process starts from what the disks keep. @throws StorageError for what is found damaged */
  async start(): Promise<Process> {
    assert(this.process === null, `no process runs on '${this.name}'`)
    return await this.#open(false)
  }

  /** The process has ended, one way or the other. */
  forget(): void {
    this.process = null
  }

  #newNetwork(): { readonly time: NodeTime; readonly network: MemoryNetwork } {
    const { time: world, hub, instruments } = this.#parts
    const time = new NodeTime(world, instruments?.clock?.() ?? {})
    return { time, network: hub.network(this.keyPair, this.address, time) }
  }

  async #open(isFounder: boolean): Promise<Process> {
    const clusterId = present(this.clusterId, 'the cluster of a machine')
    const { instruments, random, writeMs, applyMs } = this.#parts
    const { time, network } = this.#newNetwork()
    const process = new Process(this, time, network)
    const begin = genesis(clusterId)
    const onFailed = (error: AspenError): void => {
      process.failure ??= error
      if (instruments?.onFailed !== undefined) return instruments.onFailed(process, error)
      // as the process of a real node does; nobody has to wait for it
      process.assembly.fail()
      void process.assembly.close()
    }
    const log = MemoryLogStore.open({
      disk: this.logDisk,
      genesis: begin,
      random,
      onFailed,
      defer: (fn) => void time.start(writeMs(), fn)
    })
    const founder = { clusterId, keyPair: this.keyPair, addresses: [this.address] }
    const restored = isFounder ? await foundLog(log, founder, time.wallMs()) : log.restored
    const stateOptions = {
      genesis: begin,
      disk: this.stateDisk,
      stateBase: log.store.stateBase,
      onFailed,
      defer: (fn: () => void) => void time.start(applyMs?.() ?? 0, fn),
      ...(instruments?.shouldCheckpoint && { shouldCheckpoint: instruments.shouldCheckpoint })
    }
    const stateMachine = MemoryStateMachine.restore(stateOptions, backingOf(log.store))
    const makeCore = instruments?.makeCore?.(process)
    const makeTransport = instruments?.makeTransport?.(process)
    const assembly = new Assembly({
      ...this.#identity(clusterId),
      memories: new KeptMemories(this, time),
      backups: null,
      clock: time,
      timers: time,
      random,
      instance: randomBytes(random, 16),
      log: instruments?.log?.(process, log.store) ?? log.store,
      restored,
      stateMachine: instruments?.stateMachine?.(process, stateMachine) ?? stateMachine,
      network,
      onFailed,
      ...(makeCore && { makeCore }),
      ...(makeTransport && { makeTransport })
    })
    process.assemble({ assembly, log: log.store, stateMachine })
    this.process = process
    await assembly.start()
    return process
  }

  #identity(clusterId: Uint8Array) {
    const { name, keyPair, id, welcome } = this
    const { timing, targetVoters } = this.#parts
    return {
      clusterId,
      keyPair,
      name,
      id,
      version: VERSION,
      welcome,
      bootstrap: [],
      targetVoters,
      timing,
      events: { info: () => {}, warn: () => {} },
      sizes: this.#parts.sizes ?? null,
      metrics: this.#parts.hasMetrics === true ? new Metrics() : null,
      savedAddresses: new Map<string, readonly Address[]>(),
      onAddress: () => {},
      diskProbe: this.#parts.diskProbe ?? null,
      maxState: { entryCount: DEFAULT_MAX_STATE_ENTRIES, byteCount: DEFAULT_MAX_STATE_BYTES },
      storagePolicy: this.#parts.storagePolicy ?? STORAGE_POLICY,
      storageBackend: 'inmemory' as const,
      dataDir: `/${name}`,
      pid: 1
    }
  }
}

/** What a machine may be made from, to run a cluster on from a known state. */
export interface Kept {
  readonly keyPair: KeyPair
  readonly logDisk: MemoryLogDisk
  readonly clusterId: Uint8Array
  readonly welcome: Welcome | null
}

/** In place of a file: what is saved is kept at once. */
class KeptMemories implements MemoryStore {
  readonly found: Memories
  readonly #machine: Machine
  readonly #time: NodeTime

  constructor(machine: Machine, time: NodeTime) {
    this.#machine = machine
    this.#time = time
    this.found = machine.memories
  }

  save(memories: Memories, onEnd: (isSaved: boolean) => void): void {
    this.#machine.memories = memories
    this.#time.soon(() => onEnd(true))
  }
}

/** What an operator waits for an admission, and a machine for its welcome. */
const ADMISSION_MS = 30_000

function waiting(time: NodeTime) {
  return { timeoutMs: 60_000, clock: time, timers: time, onProgress: () => {} }
}
