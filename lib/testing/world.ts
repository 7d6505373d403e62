// A simulated world: machines on one virtual clock, a network between them, instruments on every
// port that feed the oracles, and the means to do harm. It decides nothing: what happens when is
// the nemesis' (nemesis.ts) and the clients' (workload.ts).

import b4a from 'b4a'
import { present } from '../assert.ts'
import { hexOf } from '../encoding.ts'
import type { AspenError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import { TIMING } from '../raft/timing.ts'
import type { Timing } from '../raft/timing.ts'
import type { Applied, SnapshotInfo } from '../state-machine/state-machine.ts'
import { MemoryHub } from '../transport/memory-network.ts'
import { CoreOracles } from './core-oracles.ts'
import { Coverage } from './coverage.ts'
import { Dice } from './dice.ts'
import { Machine } from './machine.ts'
import type { Instruments, Kept, Process } from './machine.ts'
import { hold } from './oracle.ts'
import type { DurableLog } from './oracle.ts'
import { Post } from './post.ts'
import { Relay } from './relay.ts'
import type { SimulationOptions } from './swarm.ts'
import { Trace } from './trace.ts'
import { VirtualTime } from './virtual-time.ts'
import { WatchedCore, WatchedLog, WatchedTransport } from './watched.ts'
import { WatchedStateMachine } from './watched-state.ts'

/** The points around which a process may die: before and after each effect on the world. */
export type Boundary =
  | 'write'
  | 'written'
  | 'durable'
  | 'compact'
  | 'compacted'
  | 'send'
  | 'sent'
  | 'apply'
  | 'applied'
  | 'snapshot'
  | 'cut'
  | 'snapshotted'
  | 'receive'
  | 'put'
  | 'prepare'
  | 'prepared'
  | 'adopt'
  | 'adopted'

export class World {
  readonly options: SimulationOptions
  readonly time = new VirtualTime()
  readonly trace = new Trace()
  readonly coverage = new Coverage()
  readonly timing: Timing
  readonly hub: MemoryHub
  readonly post: Post
  readonly relay: Relay
  readonly oracles: CoreOracles
  /** every machine that ever was, in order of its making */
  readonly machines: Machine[] = []
  /** machines that will never run again: their disk is damaged or gone, or they were removed */
  readonly lost = new Set<Machine>()
  readonly #byId = new Map<NodeId, Machine>()
  /** state hash by applied index (I12) */
  readonly #stateHashes = new Map<number, Uint8Array>()
  /** hash of the content of snapshots, by index (I12) */
  readonly #contentHashes = new Map<number, Uint8Array>()
  /** nodes that somebody has applied the removal of, and the configuration that was applied then */
  readonly #removed = new Map<NodeId, number>()
  /** up to where anybody has forgotten history */
  #forgottenRevision = 0
  /** machines whose disk does not answer, until when */
  readonly #stalledUntilMs = new Map<Machine, number>()
  readonly #boundaryDice: Dice
  readonly #crashDice: Dice
  readonly #networkDice: Dice
  readonly #clockDice: Dice
  readonly #deathWatches = new Map<Process, Set<() => void>>()
  #isFaulty = true

  constructor(options: SimulationOptions) {
    const { seed } = options
    this.options = options
    this.timing = hurried(TIMING[options.timing], options.timingFactor)
    this.#boundaryDice = Dice.of(seed, 'boundary')
    this.#crashDice = Dice.of(seed, 'crash')
    this.#networkDice = Dice.of(seed, 'network')
    this.#clockDice = Dice.of(seed, 'clock')
    this.hub = new MemoryHub({
      clock: this.time,
      timers: this.time,
      delayMs: () => this.#delayMs(),
      linkTimeoutMs: this.timing.linkTimeoutMs
    })
    this.post = new Post(this)
    this.relay = new Relay(this)
    this.oracles = new CoreOracles({
      durable: (id) => this.#durable(id),
      limits: options.limits,
      count: (rarity, by) => this.coverage.count(rarity, by)
    })
  }

  /** A new machine, or one that goes on from what it kept. */
  addMachine(kept?: Kept): Machine {
    const count = this.machines.length + 1
    const name = `n${count}`
    const disk = Dice.of(this.options.seed, `disk ${name}`)
    const applying = Dice.of(this.options.seed, `apply ${name}`)
    const machine: Machine = new Machine(
      {
        name,
        address: { host: `10.0.0.${count}`, port: 49_737 },
        hub: this.hub,
        time: this.time,
        random: Dice.of(this.options.seed, `node ${name}`).random,
        timing: this.timing,
        targetVoters: this.options.targetVoters,
        storagePolicy: this.options.storage,
        writeMs: () => this.#writeMs(machine, disk),
        applyMs: () => this.options.disk.applyMs * applying.unit(),
        instruments: this.#instruments
      },
      kept
    )
    this.machines.push(machine)
    return machine
  }

  /** Machines with a process on them. */
  running(): readonly Process[] {
    return this.machines.flatMap(({ process }) => process ?? [])
  }

  machineOf(id: NodeId): Machine | undefined {
    return this.#byId.get(id)
  }

  /** The process that leads with the highest term. */
  leader(): Process | null {
    const leaders = this.running().filter((one) => one.assembly.replica.status.role === 'leader')
    leaders.sort((a, b) => b.assembly.replica.status.term - a.assembly.replica.status.term)
    return leaders[0] ?? null
  }

  note(line: string): void {
    this.trace.add(`${this.time.nowMs().toFixed(3)} ${line}`)
  }

  /** Whether faults still happen by themselves. */
  get isFaulty(): boolean {
    return this.#isFaulty
  }

  calmDown(): void {
    this.#isFaulty = false
    this.#stalledUntilMs.clear()
  }

  /** Told of each machine whose process has died; it may start again from then on. */
  onKilled: (machine: Machine) => void = () => {}

  /** Calls `fn` when the process dies, unless the returned function is called before. */
  onDeath(process: Process, fn: () => void): () => void {
    const waiting = this.#deathWatches.get(process) ?? new Set()
    this.#deathWatches.set(process, waiting.add(fn))
    return () => waiting.delete(fn)
  }

  /** The process dies at this point. What was on its way to the disk has reached it in part. */
  kill(process: Process): void {
    if (process.isDead) return
    const { machine } = process
    const dice = this.#crashDice
    this.note(`kill ${machine.name}`)
    this.coverage.count('crashes')
    process.kill()
    machine.forget()
    const pending = process.log.pendingCount
    const kept = dice.chance(0.5) ? 0 : dice.below(pending + 1)
    const isTorn = kept < pending && dice.chance(0.3)
    if (pending > kept) this.coverage.count('lostWrites')
    if (kept > 0) this.coverage.count('keptWrites')
    if (isTorn) this.coverage.count('tornWrites')
    // it may be dying in the middle of a step: the store is still needed by what unwinds
    this.time.soon(() => {
      process.log.crash({ kept, isTorn })
      this.oracles.onCrash(machine.id)
      for (const fn of this.#deathWatches.get(process) ?? []) fn()
      this.#deathWatches.delete(process)
      this.onKilled(machine)
    })
  }

  /** A process starts from what its machine's disks keep. Returns whether it does. */
  async start(machine: Machine): Promise<boolean> {
    this.#register(machine)
    try {
      await machine.start()
    } catch (error) {
      this.#onRefusedStart(machine, error)
      return false
    }
    this.coverage.count('restarts')
    return true
  }

  /** May the process die here? If it does, nothing after this call has an effect. */
  boundary(process: Process, at: Boundary): void {
    const { boundaryCrashChance } = this.options.process
    if (boundaryCrashChance === 0 || !this.#isFaulty || process.isDead) return
    if (!this.#boundaryDice.chance(boundaryCrashChance)) return
    this.note(`boundary ${at} ${process.name}`)
    this.coverage.count('boundaryCrashes')
    this.kill(process)
  }

  stallDisk(machine: Machine, forMs: number): void {
    this.coverage.count('diskStalls')
    this.#stalledUntilMs.set(machine, this.time.nowMs() + forMs)
  }

  /** Two members that have applied the same entries hold the same (I12). */
  onApplied(process: Process, applied: Applied): void {
    const { index, stateHash, compactedRevision } = applied
    this.#checkRemoved(process, applied)
    const known = this.#stateHashes.get(index)
    if (known === undefined) this.#stateHashes.set(index, stateHash)
    else hold(b4a.equals(known, stateHash), 'I12', `two states at index ${index}`)
    this.note(`${process.name} applied ${index} ${hexOf(stateHash.subarray(0, 4))}`)
    if (compactedRevision > this.#forgottenRevision) {
      this.#forgottenRevision = compactedRevision
      this.coverage.count('historyCompactions')
    }
  }

  /** Who was removed is in no later configuration: it never counts again. */
  #checkRemoved(process: Process, { configuration, configurationIndex }: Applied): void {
    for (const { id } of configuration.members) {
      const since = this.#removed.get(id) ?? configurationIndex
      hold(configurationIndex <= since, 'I1', `node ${id} is back at ${configurationIndex}`)
    }
    for (const { id } of process.stateMachine.trust().removed) {
      if (this.#removed.has(id)) continue
      this.#removed.set(id, configurationIndex)
      this.coverage.count('removals')
      this.note(`node ${id} was removed`)
    }
  }

  /** Members that are right make the same snapshot, of the state as of the entry that asks for it (I12). */
  onSnapshot(process: Process, info: SnapshotInfo, index: number): void {
    const { contentHash, chainHash } = info
    hold(info.index === index, 'I12', `a snapshot at ${index} says that it is at ${info.index}`)
    hold(this.oracles.isCommitted(index, chainHash), 'I4', `a snapshot at uncommitted ${index}`)
    const known = this.#contentHashes.get(index)
    if (known === undefined) this.#contentHashes.set(index, contentHash)
    else hold(b4a.equals(known, contentHash), 'I12', `two snapshots at index ${index}`)
    this.coverage.count('snapshots')
    this.note(`${process.name} snapshot ${index} ${hexOf(contentHash.subarray(0, 4))}`)
  }

  /** A snapshot puts a member forward, to a state that others have had (I8, I12). */
  onAdopted(process: Process, before: number, after: Applied): void {
    const { index } = after
    hold(index >= before, 'I8', `${process.name} had applied ${before} and adopts ${index}`)
    hold(this.#stateHashes.has(index), 'I12', `${process.name} adopts a state nobody had: ${index}`)
    this.coverage.count('installs')
    this.onApplied(process, after)
  }

  /** What is cut off a log is in a snapshot on the same disk (I8). */
  onCompact({ machine }: Process, to: number): void {
    const newest = machine.stateDisk.snapshots[0]?.info.index ?? 0
    const isKept = to <= Math.max(newest, machine.logDisk.base?.stateBase ?? 0)
    hold(isKept, 'I8', `${machine.name} cuts its log to ${to}, its snapshot is at ${newest}`)
    hold(to <= this.oracles.committedCount, 'I8', `${machine.name} cuts uncommitted ${to}`)
    this.coverage.count('compactions')
    this.note(`${machine.name} compacts to ${to}`)
  }

  readonly #instruments: Instruments = {
    makeCore: (process) => (options, restored) => {
      this.#register(process.machine)
      return new WatchedCore({ world: this, process, options, restored })
    },
    makeTransport: (process) => (options) => new WatchedTransport(this, process, options),
    log: (process, log) => new WatchedLog(this, process, log),
    stateMachine: (process, stateMachine) => new WatchedStateMachine(this, process, stateMachine),
    clock: () => this.#drawClock(),
    shouldCheckpoint: () => this.#crashDice.chance(this.options.disk.checkpointChance),
    onFailed: (process, error) => this.#onFailed(process, error)
  }

  #register(machine: Machine): void {
    const { id } = machine
    const known = this.#byId.get(id)
    hold(known === undefined || known === machine, 'I1', `two machines are node ${id}`)
    this.#byId.set(id, machine)
  }

  #durable(id: NodeId): DurableLog {
    const { logDisk } = present(this.#byId.get(id), `the machine of node ${id}`)
    const { hardState, lastIndex, base } = logDisk
    const baseIndex = base?.id.index ?? 0
    return { hardState, lastIndex, baseIndex, idAt: (index) => logDisk.idAt(index) }
  }

  /** A store failed while it ran. Only what was done to it may make it fail. */
  #onFailed(process: Process, error: AspenError): void {
    this.note(`failed ${process.name} ${error.code}`)
    if (error.code === 'MEMBER_REMOVED') {
      this.#onRemoved(process, error)
      return
    }
    const isExpected = EXPECTED_FAILURES.has(error.code) && this.#isHarmed(process.machine)
    hold(isExpected, 'I13', `${process.name} ended by itself: ${error.code} ${error.message}`)
    if (error.code === 'CORRUPTED') this.lost.add(process.machine)
    // what unwinds is the step in which it failed
    this.kill(process)
  }

  /** Its folder says so from now on: it never starts again. */
  #onRemoved(process: Process, { message }: AspenError): void {
    const isRight = this.#removed.has(process.machine.id)
    hold(isRight, 'I13', `${process.name} was not removed, and ended as if: ${message}`)
    this.coverage.count('removedEnds')
    this.lost.add(process.machine)
    this.kill(process)
  }

  #onRefusedStart(machine: Machine, error: unknown): void {
    const code = error instanceof Error && 'code' in error ? String(error.code) : null
    if (code !== 'CORRUPTED' || !this.#isHarmed(machine)) throw error
    this.note(`refuses to start ${machine.name} ${code}`)
    this.lost.add(machine)
  }

  /** Machines whose disk was made to fail. */
  readonly harmed = new Set<Machine>()

  #isHarmed(machine: Machine): boolean {
    return this.harmed.has(machine)
  }

  #writeMs(machine: Machine, dice: Dice): number {
    const { writeMs, jitterMs } = this.options.disk
    const stalledMs = (this.#stalledUntilMs.get(machine) ?? 0) - this.time.nowMs()
    return Math.max(0, stalledMs) + writeMs + dice.unit() * jitterMs
  }

  #delayMs(): number {
    const { delayMs, jitterMs } = this.options.network
    return delayMs + this.#networkDice.unit() * jitterMs
  }

  #drawClock() {
    const { clockDrift } = this.options.process
    if (clockDrift === 0) return { rate: 1, wallOffsetMs: 0 }
    const dice = this.#clockDice
    const rate = dice.between(1 - clockDrift, 1 + clockDrift)
    return { rate, wallOffsetMs: Math.round(dice.between(-60_000, 60_000)) }
  }
}

/** Codes with which a node may end when its disk was harmed. */
const EXPECTED_FAILURES: ReadonlySet<string> = new Set(['IO_ERROR', 'NO_SPACE', 'CORRUPTED'])

function hurried(timing: Timing, factor: number): Timing {
  return {
    heartbeatMs: Math.ceil(timing.heartbeatMs * factor),
    electionMinMs: Math.ceil(timing.electionMinMs * factor),
    electionMaxMs: Math.ceil(timing.electionMaxMs * factor),
    linkKeepAliveMs: timing.linkKeepAliveMs * factor,
    linkTimeoutMs: timing.linkTimeoutMs * factor
  }
}
