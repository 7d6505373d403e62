// One simulated run, from a seed to a verdict: a cluster lives through faults while clients use it;
// then everything that can be healed is healed, and it must come to an agreement, answer its clients
// and have lost nothing. The same seed gives the same run, to the last event.

import { AssertionError } from '../assert.ts'
import { AspenError } from '../errors.ts'
import { bytesOf } from '../encoding.ts'
import { MAX_SCAN_LIMIT } from '../limits.ts'
import { Violation } from './oracle.ts'
import type { Coverage } from './coverage.ts'
import { formCluster } from './formation.ts'
import { rowOf } from './history.ts'
import type { HistoryRow } from './history.ts'
import { checkLinearizable } from './linearizability.ts'
import { Nemesis } from './nemesis.ts'
import { checkSerials } from './serial-oracle.ts'
import { drawOptions } from './swarm.ts'
import type { SimulationOptions } from './swarm.ts'
import { Workload } from './workload.ts'
import { World } from './world.ts'

export interface Verdict {
  readonly seed: number
  readonly options: SimulationOptions
  /** 16 hex digits over all that happened */
  readonly trace: string
  readonly eventCount: number
  readonly simulatedMs: number
  readonly coverage: Coverage
  /** null when every invariant held */
  readonly failure: Failure | null
}

export interface Failure {
  /** the number of the invariant; `assert` when the code under test found its own state impossible, `crash` for what it threw else */
  readonly invariant: string
  readonly message: string
  /** what happened last, oldest first */
  readonly lastEvents: readonly string[]
}

/** Runs one seed. `overrides` replace what the seed would draw. */
export async function simulate(
  seed: number,
  overrides: Partial<SimulationOptions> = {}
): Promise<Verdict> {
  const options = { ...drawOptions(seed), ...overrides }
  const world = new World(options)
  const rejection = new Rejection()
  let thrown: unknown = null
  try {
    const kept = await formCluster(options.nodeCount, options.targetVoters)
    for (const machine of kept) world.addMachine(machine)
    await new Run(world, rejection).live()
  } catch (error) {
    thrown = error
  } finally {
    rejection.close()
  }
  return {
    seed,
    options,
    trace: world.trace.digest,
    eventCount: world.trace.count,
    simulatedMs: world.time.nowMs(),
    coverage: world.coverage,
    failure: thrown === null ? null : failureOf(thrown, world)
  }
}

class Run {
  readonly #world: World
  readonly #rejection: Rejection
  readonly #nemesis: Nemesis
  readonly #workload: Workload

  constructor(world: World, rejection: Rejection) {
    this.#world = world
    this.#rejection = rejection
    this.#nemesis = new Nemesis(world)
    this.#workload = new Workload(world)
  }

  async live(): Promise<void> {
    const world = this.#world
    for (const machine of world.machines) void world.start(machine)
    this.#nemesis.start()
    this.#workload.start()
    await this.#pass(() => false, world.options.faultyMs)
    this.#nemesis.heal()
    await this.#agree('with clients', false)
    this.#workload.stop()
    const patienceMs = world.options.load.timeoutMs + PATIENCE_MS
    const isIdle = await this.#pass(() => this.#workload.activeCount === 0, patienceMs)
    if (!isIdle) throw new Violation('E1', `${this.#workload.activeCount} requests never ended`)
    await this.#agree('at the end', true)
    await this.#probe()
    this.#judge()
    for (const process of world.running()) process.kill()
  }

  /** Time passes until `condition`, at most `ms`. Returns whether it came true. */
  async #pass(condition: () => boolean, ms: number): Promise<boolean> {
    const isOver = (): boolean => this.#rejection.hasCome || condition()
    await this.#world.time.runUntil(isOver, ms)
    this.#rejection.check()
    return condition()
  }

  async #agree(when: string, isQuiet: boolean): Promise<void> {
    let reason: string | null = null
    const isAgreed = (): boolean => {
      reason = this.#disagreement(isQuiet)
      return reason === null
    }
    const { electionMaxMs, linkTimeoutMs } = this.#world.timing
    const limitMs = AGREEMENT_TIMEOUTS * electionMaxMs + 4 * linkTimeoutMs + PATIENCE_MS
    if (await this.#pass(isAgreed, limitMs)) return
    throw new Violation('E1', `${when} the cluster does not agree: ${reason}`)
  }

  /** What keeps the nodes that can run from being of one mind, or null. */
  #disagreement(isQuiet: boolean): string | null {
    const world = this.#world
    const running = world.running()
    const absent = world.machines.find(
      (machine) =>
        machine.process === null && machine.clusterId !== null && !world.lost.has(machine)
    )
    if (absent !== undefined) return `${absent.name} does not run`
    if (this.#nemesis.joiningCount > 0) return 'somebody is joining'
    const leaders = running.filter((one) => one.assembly.replica.status.role === 'leader')
    const [leader] = leaders
    if (leader === undefined || leaders.length > 1) return `${leaders.length} nodes lead`
    const { term, commitIndex, lastIndex, configuration } = leader.assembly.replica.status
    if (isQuiet && commitIndex < lastIndex) return `${commitIndex} of ${lastIndex} are committed`
    for (const { name, machine, assembly } of running) {
      const { status, appliedIndex } = assembly.replica
      if (status.term !== term) return `${name} is in term ${status.term}, not ${term}`
      const isLinked = name === leader.name || leader.links().includes(machine.id)
      if (!isLinked) return `${name} has no link to the leader`
      const isMember = configuration.members.some(({ id }) => id === machine.id)
      if (!isMember) return `${name} is no member`
      if (isQuiet && appliedIndex < commitIndex) return `${name} has applied ${appliedIndex}`
    }
    return null
  }

  /** Every node takes a write and reads it back, linearizably. */
  async #probe(): Promise<void> {
    const { time } = this.#world
    const patience = { timeoutMs: PATIENCE_MS }
    for (const { name, assembly } of this.#world.running()) {
      const { kv } = assembly.service
      const key = bytesOf('probe')
      const change = { kind: 'put', key, value: bytesOf(name), condition: null } as const
      const probe = kv.write({ changes: [change] }, patience).then(() => kv.get(key, patience))
      const { item } = await time.settled(probe, 2 * PATIENCE_MS + 1).catch((error: unknown) => {
        throw new Violation(
          'E1',
          `${name} does not answer a healed cluster's client: ${String(error)}`
        )
      })
      if (item === null) throw new Violation('E1', `${name} does not read what it wrote`)
    }
  }

  /** The clients' history against the rows that are left (E2). */
  #judge(): void {
    const rows = this.#finalRows()
    const { history } = this.#workload
    const violation = checkSerials(history, rows)
    if (violation !== null) throw new Violation('E2', violation.message)
    const verdict = checkLinearizable(history, { stepBudget: STEP_BUDGET })
    if (verdict.kind !== 'ok') throw new Violation('E2', verdict.message)
  }

  #finalRows(): readonly HistoryRow[] {
    const [first] = this.#world.running()
    if (first === undefined) throw new Violation('E1', 'no node is left')
    const prefix = new Uint8Array(0)
    const page = first.stateMachine.scan({ prefix, after: null, limit: MAX_SCAN_LIMIT })
    return page.items.map((item) => rowOf(item)).filter((row) => row.key !== 'probe')
  }
}

/** How long the healed cluster may take, beside a number of election timeouts. */
const PATIENCE_MS = 60_000
const AGREEMENT_TIMEOUTS = 20
/** Steps of the general checker for one key of one run. */
const STEP_BUDGET = 1_000_000

/** The code under test has failed where nobody catches: in a promise, or behind a library's callback. */
class Rejection {
  #error: unknown = null
  #hasCome = false
  readonly #listener = (error: unknown): void => {
    if (!this.#hasCome) this.#error = error
    this.#hasCome = true
  }

  constructor() {
    process.on('unhandledRejection', this.#listener)
    process.on('uncaughtException', this.#listener)
  }

  get hasCome(): boolean {
    return this.#hasCome
  }

  check(): void {
    if (this.#hasCome) throw this.#error
  }

  close(): void {
    process.off('unhandledRejection', this.#listener)
    process.off('uncaughtException', this.#listener)
  }
}

function failureOf(error: unknown, world: World): Failure {
  const lastEvents = world.trace.last()
  if (error instanceof Violation) {
    return { invariant: error.invariant, message: error.message, lastEvents }
  }
  const code = error instanceof AspenError ? `${error.code} ` : ''
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const invariant = error instanceof AssertionError ? 'assert' : 'crash'
  return { invariant, message: `${code}${message}`, lastEvents }
}
