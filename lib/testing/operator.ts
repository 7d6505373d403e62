// Who changes the membership in a simulated run: makes voters and learners, removes, hands leadership over, lets
// machines in by ticket and by key. It keeps the nemesis' promise: the nodes that can still be healed are a
// quorum of whatever configuration it asks for.

import type { NodeId } from '../node-id.ts'
import { learnersOf, memberOf, votersOf } from '../raft/configuration.ts'
import { Dice } from './dice.ts'
import type { Machine, Process } from './machine.ts'
import type { World } from './world.ts'

/** Machines that a run may have in all, those that are gone included. */
const MAX_MACHINES = 12
/** Members below which none that could run is removed. */
const MIN_MEMBERS = 3

export class Operator {
  readonly #world: World
  /** machines that run, or could, and will be found damaged */
  readonly #doomed: ReadonlySet<Machine>
  readonly #joining = new Set<Machine>()
  readonly #keyDice: Dice

  constructor(world: World, doomed: ReadonlySet<Machine>) {
    this.#world = world
    this.#doomed = doomed
    this.#keyDice = Dice.of(world.options.seed, 'by key')
  }

  /** Machines on their way into the cluster. */
  get joiningCount(): number {
    return this.#joining.size
  }

  isJoining(machine: Machine): boolean {
    return this.#joining.has(machine)
  }

  /** Whether most of these are left without those that are gone. */
  isHealable(voters: readonly NodeId[], gone: ReadonlySet<Machine>): boolean {
    const machines = voters.map((id) => this.#world.machineOf(id))
    const left = machines.filter((machine) => machine !== undefined && !gone.has(machine))
    return left.length * 2 > voters.length
  }

  change(dice: Dice): void {
    const leader = this.#world.leader()
    if (leader === null) return
    const { configuration } = leader.assembly.replica.status
    const some = (ids: readonly NodeId[]): NodeId[] => ids.filter(() => dice.chance(0.3))
    const gone = this.#gone()
    const isGone = (id: NodeId): boolean => this.#isGone(id, gone)
    const voters = votersOf(configuration)
    // an operator demotes what will not come back
    const demote = [...new Set([...some(voters), ...voters.filter(isGone)])]
    const promote = some(learnersOf(configuration)).filter((id) => !isGone(id))
    const after = [...voters.filter((id) => !demote.includes(id)), ...promote]
    if (after.length === 0 || !this.isHealable(after, gone)) return
    this.#world.note(`change +${promote.join()} -${demote.join()}`)
    const { replica } = leader.assembly
    replica.change({ add: [], promote, demote, remove: [] }, () => {})
  }

  /** What will not come back, and now and then somebody who could, goes for ever; a learner may take the place. */
  remove(dice: Dice): void {
    const leader = this.#world.leader()
    if (leader === null) return
    const { configuration } = leader.assembly.replica.status
    const gone = this.#gone()
    const ids = configuration.members.map(({ id }) => id)
    const dead = ids.filter((id) => this.#isGone(id, gone) && dice.chance(0.7))
    const alive = ids.filter((id) => !this.#isGone(id, gone))
    const isEnough = alive.length > MIN_MEMBERS
    const remove = [...dead, ...(isEnough && dice.chance(0.5) ? [dice.pick(alive)] : [])]
    const learners = learnersOf(configuration).filter((id) => alive.includes(id))
    const promote = learners.filter((id) => !remove.includes(id) && dice.chance(0.5))
    const voters = votersOf(configuration).filter((id) => !remove.includes(id))
    const after = [...voters, ...promote]
    if (remove.length === 0 || after.length === 0 || !this.isHealable(after, gone)) return
    this.#world.note(`remove ${remove.join()} +${promote.join()}`)
    leader.assembly.replica.change({ add: [], promote, demote: [], remove }, () => {})
  }

  transfer(dice: Dice): void {
    const leader = this.#world.leader()
    if (leader === null) return
    this.#world.coverage.count('transfers')
    if (dice.chance(0.5)) {
      void leader.assembly.handOver()
      return
    }
    const { replica } = leader.assembly
    const { configuration } = replica.status
    const target = dice.pick(configuration.members).id
    if (target === leader.machine.id || memberOf(configuration, target) === undefined) return
    replica.transfer(target, () => {})
  }

  async join(dice: Dice): Promise<void> {
    const world = this.#world
    const host = oneRunning(world, dice)
    if (host === null || world.machines.length >= MAX_MACHINES || this.#joining.size > 0) return
    const machine = world.addMachine()
    this.#joining.add(machine)
    const isByKey = this.#keyDice.chance(0.3)
    world.note(`join ${machine.name}${isByKey ? ' by key' : ''}`)
    try {
      const isTold = await (isByKey ? this.#byKey(machine, host) : this.#byTicket(machine, host))
      if (!isTold) world.lost.add(machine)
      if (!isTold || !(await world.start(machine))) return
      world.coverage.count(isByKey ? 'keyJoins' : 'joins')
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error)) throw error
      // nobody answered, or the one who was asked died: it never became a member, or never hears of it
      world.note(`not joined ${machine.name} ${String(error.code)}`)
      if (machine.clusterId === null) world.lost.add(machine)
    } finally {
      this.#joining.delete(machine)
    }
  }

  async #byTicket(machine: Machine, host: Process): Promise<boolean> {
    const created = host.assembly.service.createTicket().then(({ ticket }) => ticket)
    const ticket = await this.#unlessDead(host, created)
    if (ticket === null) return false
    await machine.requestAdmission(ticket)
    return true
  }

  async #byKey(machine: Machine, host: Process): Promise<boolean> {
    const admitted = this.#unlessDead(host, machine.admitByKey(host))
    return (await admitted) !== null && (await machine.askWelcome(host.machine))
  }

  /** Null when the host dies before it answers. */
  async #unlessDead<Value>(host: Process, answer: Promise<Value>): Promise<Value | null> {
    const death = new Promise<null>((resolve) => {
      this.#world.onDeath(host, () => resolve(null))
    })
    return await Promise.race([answer, death])
  }

  #gone(): ReadonlySet<Machine> {
    return new Set([...this.#world.lost, ...this.#doomed])
  }

  #isGone(id: NodeId, gone: ReadonlySet<Machine>): boolean {
    const machine = this.#world.machineOf(id)
    return machine === undefined || gone.has(machine)
  }
}

export function oneRunning(world: World, dice: Dice): Process | null {
  const running = world.running()
  return running.length === 0 ? null : dice.pick(running)
}
