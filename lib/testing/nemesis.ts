// Who does the harm in a simulated run: each kind of fault comes at random times, from a stream of
// chance of its own, and mostly goes away by itself. It keeps one promise: the nodes that can still
// be healed are a quorum of the configuration, so that the run can end well.

import type { Address } from '../address.ts'
import { bytesOf } from '../encoding.ts'
import { StorageError } from '../errors.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import { encodeWrite } from '../state-machine/encoding.ts'
import { isJoint, learnersOf, votersOf } from '../raft/configuration.ts'
import { Dice } from './dice.ts'
import type { Machine, Process } from './machine.ts'
import { Operator, oneRunning } from './operator.ts'
import type { SimulationOptions } from './swarm.ts'
import type { World } from './world.ts'

/** The delete of a key that never is: it makes a log longer and changes nothing. */
const NOISE = {
  kind: ENTRY_KIND.write,
  payload: encodeWrite(
    { changes: [{ kind: 'delete', key: bytesOf('noise'), condition: null }] },
    null
  )
}

export class Nemesis {
  readonly #world: World
  readonly #options: SimulationOptions
  /** directed pairs that are cut, and how many cuts say so */
  readonly #cuts = new Map<string, { from: Address; to: Address; count: number }>()
  /** machines whose disk has a flipped bit, found yet or not */
  readonly #flipped = new Set<Machine>()
  /** how far each wall clock was set */
  readonly #jumps = new Map<Process, number>()
  readonly #downForMs: Dice
  readonly #operator: Operator

  constructor(world: World) {
    this.#world = world
    this.#options = world.options
    this.#downForMs = Dice.of(world.options.seed, 'down')
    this.#operator = new Operator(world, this.#flipped)
    world.onKilled = (machine) => this.#restartLater(machine)
  }

  start(): void {
    const { network, disk, process, membership } = this.#options
    this.#every(network.cutMeanMs, 'cut', (dice) => this.#cut(dice))
    this.#every(network.strandMeanMs, 'strand', (dice) => this.#strand(dice))
    this.#every(network.resetMeanMs, 'reset', (dice) => this.#reset(dice))
    this.#every(process.crashMeanMs, 'kill', (dice) => this.#kill(dice))
    this.#every(process.crashAllMeanMs, 'kill all', () => this.#killAll())
    this.#every(process.pauseMeanMs, 'pause', (dice) => this.#pause(dice))
    this.#every(process.clockJumpMeanMs, 'jump', (dice) => this.#jump(dice))
    this.#every(disk.stallMeanMs, 'stall', (dice) => this.#stall(dice))
    this.#every(disk.failMeanMs, 'fail', (dice) => this.#failDisk(dice))
    this.#every(disk.flipMeanMs, 'flip', (dice) => this.#flip(dice))
    this.#every(disk.wipeMeanMs, 'wipe', (dice) => this.#wipe(dice))
    const operator = this.#operator
    this.#every(membership.changeMeanMs, 'change', (dice) => operator.change(dice))
    this.#every(membership.removeMeanMs, 'remove', (dice) => operator.remove(dice))
    this.#every(membership.transferMeanMs, 'transfer', (dice) => operator.transfer(dice))
    this.#every(membership.joinMeanMs, 'join', (dice) => void operator.join(dice))
  }

  /** Machines on their way into the cluster. */
  get joiningCount(): number {
    return this.#operator.joiningCount
  }

  /** All faults end: what is cut is joined, who sleeps wakes, and whoever can run is started. */
  heal(): void {
    const world = this.#world
    world.note('heal')
    world.calmDown()
    for (const { from, to } of this.#cuts.values()) world.hub.heal(from, to)
    this.#cuts.clear()
    for (const { time } of world.running()) time.resume()
    for (const [process, byMs] of this.#jumps) process.time.jumpWall(-byMs)
    for (const machine of world.machines) this.#restartSoon(machine, 1)
  }

  #every(meanMs: number | null, axis: string, act: (dice: Dice) => void): void {
    if (meanMs === null) return
    const dice = Dice.of(this.#options.seed, axis)
    const later = (): void => {
      this.#world.time.start(dice.exponential(meanMs), () => {
        if (!this.#world.isFaulty) return
        act(dice)
        later()
      })
    }
    later()
  }

  #one(dice: Dice): Process | null {
    return oneRunning(this.#world, dice)
  }

  // --- network ---

  #cut(dice: Dice): void {
    const world = this.#world
    const pairs = cutPairs(
      dice,
      world.machines.map(({ address }) => address)
    )
    this.#cutFor(pairs, dice.exponential(this.#options.network.cutForMs))
  }

  /**
   * The leader is left alone, or in little company, for longer than an election takes, while clients go on
   * to ask it, and an operator may: what it writes now, it will have to take back. When it comes back, the
   * leader of the others may die, and it stands for election with what it has.
   */
  #strand(dice: Dice): void {
    const world = this.#world
    const leader = world.leader()
    if (leader === null) return
    const inside = new Set(world.machines.filter(() => dice.chance(0.15)))
    inside.add(leader.machine)
    const pairs = world.machines.flatMap((from) =>
      world.machines
        .filter((to) => inside.has(from) !== inside.has(to))
        .map((to): [Address, Address] => [from.address, to.address])
    )
    const { electionMaxMs } = world.timing
    const isOtherKilled = dice.chance(0.4)
    this.#cutFor(pairs, electionMaxMs * dice.between(1, 2.5), () => {
      const other = world.leader()
      if (isOtherKilled && other !== null && !inside.has(other.machine)) world.kill(other)
    })
    if (dice.chance(0.4)) this.#operator.change(dice)
    for (let left = dice.below(8); left > 0; left--) {
      leader.assembly.replica.propose({ ...NOISE, onOutcome: () => {} })
    }
  }

  #cutFor(pairs: readonly [Address, Address][], ms: number, onHealed = (): void => {}): void {
    const world = this.#world
    if (pairs.length === 0) return
    world.note(`cut ${pairs.length} ways`)
    world.coverage.count('cuts')
    for (const [from, to] of pairs) this.#count(from, to, 1)
    world.time.start(ms, () => {
      if (!world.isFaulty) return
      for (const [from, to] of pairs) this.#count(from, to, -1)
      onHealed()
    })
  }

  #count(from: Address, to: Address, by: 1 | -1): void {
    const name = `${from.host}>${to.host}`
    const cut = this.#cuts.get(name) ?? { from, to, count: 0 }
    cut.count += by
    if (cut.count > 0) this.#cuts.set(name, cut)
    else this.#cuts.delete(name)
    if (by === 1 && cut.count === 1) this.#world.hub.cut(from, to)
    if (by === -1 && cut.count === 0) this.#world.hub.heal(from, to)
  }

  #reset(dice: Dice): void {
    const [a, b] = dice.shuffle(this.#world.machines)
    if (a === undefined || b === undefined) return
    this.#world.note(`reset ${a.name} ${b.name}`)
    this.#world.coverage.count('resets')
    this.#world.hub.reset(a.address, b.address)
  }

  // --- processes ---

  #kill(dice: Dice): void {
    const process = this.#one(dice)
    if (process !== null) this.#world.kill(process)
  }

  #killAll(): void {
    for (const process of this.#world.running()) this.#world.kill(process)
  }

  #restartLater(machine: Machine): void {
    this.#restartSoon(machine, this.#downForMs.exponential(this.#options.process.downForMs))
  }

  #restartSoon(machine: Machine, delayMs: number): void {
    const world = this.#world
    world.time.start(Math.max(1, delayMs), () => {
      const isAdmitted = machine.clusterId !== null && !this.#operator.isJoining(machine)
      if (machine.process !== null || world.lost.has(machine) || !isAdmitted) return
      void world.start(machine)
    })
  }

  #pause(dice: Dice): void {
    const process = this.#one(dice)
    if (process === null || process.time.isPaused) return
    const isSuspend = dice.chance(0.3)
    const forMs = dice.exponential(this.#options.process.pauseForMs)
    this.#world.note(`pause ${process.name}`)
    this.#world.coverage.count('pauses')
    process.time.pause()
    this.#world.time.start(forMs, () => {
      if (process.isDead || !process.time.isPaused) return
      this.#world.note(`resume ${process.name}`)
      if (isSuspend) process.time.skip(dice.scale(1, 60_000))
      process.time.resume()
    })
  }

  #jump(dice: Dice): void {
    const process = this.#one(dice)
    if (process === null) return
    this.#world.coverage.count('clockJumps')
    const byMs = dice.scale(1, 20 * 60_000) * (dice.chance(0.5) ? 1 : -1)
    this.#world.note(`jump ${process.name} ${byMs.toFixed(0)}`)
    process.time.jumpWall(byMs)
    this.#jumps.set(process, (this.#jumps.get(process) ?? 0) + byMs)
  }

  // --- disks ---

  #stall(dice: Dice): void {
    const process = this.#one(dice)
    if (process === null) return
    this.#world.note(`stall ${process.name}`)
    this.#world.stallDisk(process.machine, dice.exponential(this.#options.disk.stallForMs))
  }

  #failDisk(dice: Dice): void {
    const process = this.#one(dice)
    if (process === null) return
    this.#world.harmed.add(process.machine)
    this.#world.coverage.count('diskFailures')
    const code = dice.pick(['IO_ERROR', 'NO_SPACE'] as const)
    process.log.fail(new StorageError({ code, message: 'planted' }))
  }

  #flip(dice: Dice): void {
    const machine = dice.pick(this.#world.machines)
    if (this.#operator.isJoining(machine) || machine.clusterId === null || !this.#mayLose(machine))
      return
    const world = this.#world
    world.harmed.add(machine)
    this.#flipped.add(machine)
    world.note(`flip ${machine.name}`)
    world.coverage.count('bitFlips')
    if (dice.chance(0.5) && flipSnapshot(machine, dice)) world.coverage.count('snapshotFlips')
    else machine.logDisk.flip(dice.random)
  }

  #wipe(dice: Dice): void {
    const machine = dice.pick(this.#world.machines)
    if (this.#operator.isJoining(machine) || !this.#mayLose(machine)) return
    this.#world.note(`wipe ${machine.name}`)
    this.#world.coverage.count('wipes')
    this.#world.lost.add(machine)
    if (machine.process !== null) this.#world.kill(machine.process)
    void this.#operator.join(dice)
  }

  /**
   * Whether a quorum of every configuration that may be in use could still be healed without it: all
   * others run or can, they agree on one configuration, and it is not a joint one.
   */
  #mayLose(machine: Machine): boolean {
    const world = this.#world
    if (world.lost.has(machine) || this.#flipped.has(machine)) return false
    const statuses = world.running().map((process) => process.assembly.replica.status)
    const [first] = statuses
    const gone = new Set([...world.lost, ...this.#flipped, machine])
    const expected = world.machines.filter((one) => !gone.has(one) && one !== machine)
    const isComplete = expected.every(
      (one) => one.process !== null || this.#operator.isJoining(one)
    )
    if (first === undefined || !isComplete) return false
    const index = first.configurationIndex
    const isAgreed = statuses.every(
      (status) => status.configurationIndex === index && status.commitIndex >= index
    )
    if (!isAgreed || isJoint(first.configuration)) return false
    // a leader that has heard nothing of a loss yet may make voters of learners
    const voters = votersOf(first.configuration)
    const learners = learnersOf(first.configuration)
    return [voters, [...voters, ...learners]].every((ids) => this.#operator.isHealable(ids, gone))
  }
}

/** A bit of any snapshot on the disk, or of one that is being fetched; false if there is none. */
function flipSnapshot({ stateDisk: { snapshots, incoming } }: Machine, dice: Dice): boolean {
  const chunks = [...snapshots, ...(incoming === null ? [] : [incoming])].flatMap((one) => [
    ...one.chunks.values()
  ])
  if (chunks.length === 0) return false
  const chunk = dice.pick(chunks)
  const position = dice.below(chunk.length)
  chunk[position] = (chunk[position] ?? 0) ^ (1 << dice.below(8))
  return true
}

/** Directed pairs to cut: one node alone, two halves, one direction, a random graph, a chain, a star. */
function cutPairs(dice: Dice, addresses: readonly Address[]): [Address, Address][] {
  const nodes = dice.shuffle(addresses)
  const all = nodes.flatMap((from) =>
    nodes.filter((to) => to !== from).map((to): [Address, Address] => [from, to])
  )
  const placeOf = (address: Address): number => nodes.indexOf(address)
  const half = Math.floor(nodes.length / 2)
  const isSplit = (from: Address, to: Address): boolean =>
    placeOf(from) < half !== placeOf(to) < half
  switch (dice.below(7)) {
    case 0:
      return all.filter(([from, to]) => placeOf(from) === 0 || placeOf(to) === 0)
    case 1:
      return all.filter(([from, to]) => isSplit(from, to))
    case 2:
      return all.filter(([from]) => placeOf(from) === 0)
    case 3:
      return all.filter(([, to]) => placeOf(to) === 0)
    case 4:
      return all.filter(() => dice.chance(0.3))
    case 5:
      return all.filter(([from, to]) => Math.abs(placeOf(from) - placeOf(to)) > 1)
    default:
      return all.filter(([from, to]) => placeOf(from) !== 0 && placeOf(to) !== 0)
  }
}
