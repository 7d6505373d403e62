// Clients of a scenario: one at each node, which it asks again and again, and what else the scenario
// asks at a moment of its own. All of it is one history, which is judged at the end.

import { assert } from '../../lib/assert.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { MAX_SCAN_LIMIT } from '../../lib/limits.ts'
import { Dice } from '../../lib/testing/dice.ts'
import { commandOf, History, rowOf } from '../../lib/testing/history.ts'
import type { GetOperation, WriteOperation } from '../../lib/testing/history.ts'
import { checkLinearizable } from '../../lib/testing/linearizability.ts'
import type { Process } from '../../lib/testing/machine.ts'
import { checkSerials } from '../../lib/testing/serial-oracle.ts'
import type { World } from '../../lib/testing/world.ts'
import { leaderOf } from './healthy-world.ts'

export class Clients {
  readonly history: History
  /** reads that were answered */
  gotCount = 0
  readonly #world: World
  readonly #dice: Dice
  #activeCount = 0
  #isOver = false

  constructor(world: World) {
    this.#world = world
    this.#dice = Dice.of(world.options.seed, 'clients')
    this.history = new History(world.time)
  }

  /** A client at each node: it asks, waits for the answer, thinks. */
  start(): void {
    for (const process of this.#world.running()) void this.#live(process)
  }

  /** One linearizable read. */
  async get(process: Process): Promise<void> {
    const key = this.#key()
    const operation: GetOperation = {
      kind: 'get',
      key,
      consistency: 'linearizable',
      process: process.name
    }
    const call = this.history.call(operation)
    this.#activeCount++
    try {
      call.done(await process.assembly.service.kv.get(bytesOf(key), { timeoutMs: TIMEOUT_MS }))
      this.gotCount++
    } catch (error) {
      call.failed(error)
    }
    this.#activeCount--
  }

  async #write(process: Process): Promise<void> {
    const change = {
      kind: 'put',
      key: this.#key(),
      value: this.history.serial(),
      condition: null
    } as const
    const operation: WriteOperation = { kind: 'write', changes: [change], process: process.name }
    const call = this.history.call(operation)
    this.#activeCount++
    try {
      const { kv } = process.assembly.service
      call.done(await kv.write(commandOf(operation), { timeoutMs: TIMEOUT_MS }))
    } catch (error) {
      call.failed(error)
    }
    this.#activeCount--
  }

  /** No client begins anything new, and all are answered. Returns what is wrong with the history, or null. */
  async judge(): Promise<string | null> {
    this.#isOver = true
    const { time } = this.#world
    const isIdle = await time.runUntil(() => this.#activeCount === 0, 2 * TIMEOUT_MS)
    assert(isIdle, 'every request ends')
    const { stateMachine } = leaderOf(this.#world)
    const page = { prefix: new Uint8Array(0), after: null, limit: MAX_SCAN_LIMIT }
    const rows = stateMachine.scan(page).items.map((item) => rowOf(item))
    const violation = checkSerials(this.history, rows)
    if (violation !== null) return violation.message
    const verdict = checkLinearizable(this.history, { stepBudget: STEP_BUDGET })
    if (verdict.kind === 'ok') return null
    return verdict.kind === 'illegal' ? verdict.message : 'the search gave up'
  }

  async #live(process: Process): Promise<void> {
    while (!this.#isOver && !process.isDead) {
      if (this.#dice.chance(0.5)) await this.get(process)
      else await this.#write(process)
      const thinkMs = this.#dice.exponential(THINK_MS)
      await new Promise<void>((resolve) => {
        this.#world.time.start(thinkMs, resolve)
      })
    }
  }

  #key(): string {
    return `k${this.#dice.below(2)}`
  }
}

const THINK_MS = 100
const TIMEOUT_MS = 10_000
const STEP_BUDGET = 1_000_000
