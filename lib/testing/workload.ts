// The clients of a simulated run: each asks one thing at a time of any node that runs, and puts down
// what it was told. When the process that it asked dies, nobody knows how the request ended.

import { bytesOf, textOf } from '../encoding.ts'
import { AspenError } from '../errors.ts'
import { MAX_SCAN_LIMIT } from '../limits.ts'
import type { Scanned } from '../service/node-api.ts'
import type { Condition } from '../state-machine/command.ts'
import { Dice } from './dice.ts'
import { commandOf, History } from './history.ts'
import type { GetOperation, HistoryChange, ScanOperation, WriteOperation } from './history.ts'
import type { Process } from './machine.ts'
import { hold } from './oracle.ts'
import type { Load } from './swarm.ts'
import type { World } from './world.ts'

export class Workload {
  readonly history: History
  readonly #world: World
  readonly #dice: Dice
  readonly #scanDice: Dice
  readonly #load: Load
  /** what the last answer said of each key, for conditions that have a chance */
  readonly #seen = new Map<string, number>()
  readonly #lives = new Map<Process, string>()
  #activeCount = 0
  #isOver = false

  constructor(world: World) {
    this.#world = world
    this.#dice = Dice.of(world.options.seed, 'load')
    this.#scanDice = Dice.of(world.options.seed, 'scans')
    this.#load = world.options.load
    this.history = new History(world.time)
  }

  /** The clients begin, each after a pause. */
  start(): void {
    for (let client = 0; client < this.#load.clientCount; client++) this.#later()
  }

  /** No client begins anything new. */
  stop(): void {
    this.#isOver = true
  }

  /** Requests that were not answered yet, of processes that live. */
  get activeCount(): number {
    return this.#activeCount
  }

  #later(): void {
    const { thinkMs } = this.#load
    this.#world.time.start(this.#dice.exponential(thinkMs), () => {
      if (!this.#isOver) void this.#act()
    })
  }

  async #act(): Promise<void> {
    const running = this.#world.running()
    if (running.length > 0) await this.#ask(this.#dice.pick(running))
    this.#later()
  }

  async #ask(process: Process): Promise<void> {
    this.#activeCount++
    const isRead = this.#dice.chance(this.#load.readShare)
    const request = isRead ? this.#read(process) : this.#write(process)
    let giveUp = (): void => {}
    const death = new Promise<void>((resolve) => {
      giveUp = this.#world.onDeath(process, resolve)
    })
    // a client notices the death of its node by the connection that breaks
    await Promise.race([request, death])
    giveUp()
    this.#activeCount--
  }

  #read(process: Process): Promise<void> {
    const isScan = this.#scanDice.chance(this.#load.scanShare)
    return isScan ? this.#scan(process) : this.#get(process)
  }

  /** A page of all keys, of the rest of them, or of one. */
  async #scan(process: Process): Promise<void> {
    const { staleShare, timeoutMs, keyCount } = this.#load
    const dice = this.#scanDice
    const keys = Array.from({ length: keyCount }, (_, key) => `k${key}`)
    const prefix = dice.chance(0.2) ? dice.pick(keys) : 'k'
    const after = dice.chance(0.2) ? dice.pick(keys) : null
    const limit = dice.chance(0.3) ? 1 + dice.below(keyCount) : MAX_SCAN_LIMIT
    const consistency = dice.chance(staleShare) ? 'stale' : 'linearizable'
    const operation: ScanOperation = {
      kind: 'scan',
      prefix,
      after,
      consistency,
      process: this.#life(process)
    }
    const call = this.history.callScan(operation, keys)
    const range = after === null ? {} : { after: bytesOf(after) }
    const { kv } = process.assembly.service
    try {
      const request = { prefix: bytesOf(prefix), limit, ...range }
      const scanned = await kv.scan(request, { consistency, timeoutMs })
      if (process.isDead) return
      checkPage(scanned, operation, limit)
      call.done(scanned)
      this.#world.coverage.count('scans')
      this.#world.note(`${process.name} scanned ${prefix} at ${scanned.revision}`)
    } catch (error) {
      if (process.isDead) return
      checkRefusal(error)
      call.failed(error)
    }
  }

  async #get(process: Process): Promise<void> {
    const { staleShare, timeoutMs } = this.#load
    const key = this.#key()
    const consistency = this.#dice.chance(staleShare) ? 'stale' : 'linearizable'
    const operation: GetOperation = { kind: 'get', key, consistency, process: this.#life(process) }
    const call = this.history.call(operation)
    const { kv } = process.assembly.service
    try {
      const got = await kv.get(bytesOf(key), { consistency, timeoutMs })
      if (process.isDead) return
      call.done(got)
      this.#seen.set(key, got.item?.modRevision ?? 0)
      this.#world.note(`${process.name} got ${key} at ${got.revision}`)
    } catch (error) {
      if (process.isDead) return
      checkRefusal(error)
      call.failed(error)
    }
  }

  async #write(process: Process): Promise<void> {
    const { timeoutMs } = this.#load
    const operation: WriteOperation = {
      kind: 'write',
      changes: this.#changes(),
      process: this.#life(process)
    }
    const call = this.history.call(operation)
    const { coverage } = this.#world
    try {
      const written = await process.assembly.service.kv.write(commandOf(operation), { timeoutMs })
      if (process.isDead) return
      call.done(written)
      for (const { key, kind } of operation.changes) {
        this.#seen.set(key, kind === 'put' ? written.revision : 0)
      }
      coverage.count('doneWrites')
      this.#world.note(`${process.name} wrote ${written.revision}`)
    } catch (error) {
      if (process.isDead) return
      checkRefusal(error)
      call.failed(error)
      const isUnknown = error instanceof AspenError && error.outcome === 'unknown'
      coverage.count(isUnknown ? 'unknownWrites' : 'refusedWrites')
    }
  }

  #changes(): readonly HistoryChange[] {
    const { batchShare, keyCount } = this.#load
    const count = this.#dice.chance(batchShare) ? 1 + this.#dice.below(keyCount) : 1
    const keys = new Set([this.#key()])
    for (let more = 1; more < count; more++) keys.add(this.#key())
    return [...keys].map((key) => this.#change(key))
  }

  #change(key: string): HistoryChange {
    const { deleteShare, maxValueBytes } = this.#load
    const dice = this.#dice
    const condition = this.#condition(key)
    if (dice.chance(deleteShare)) {
      return { kind: 'delete', key, condition: condition?.kind === 'absent' ? null : condition }
    }
    const padding = 'x'.repeat(dice.below(maxValueBytes))
    return { kind: 'put', key, value: `${this.history.serial()}.${padding}`, condition }
  }

  #condition(key: string): Condition | null {
    if (!this.#dice.chance(this.#load.conditionalShare)) return null
    const revision = this.#seen.get(key) ?? 0
    return revision === 0 ? { kind: 'absent' } : { kind: 'revision', revision }
  }

  #key(): string {
    return `k${this.#dice.below(this.#load.keyCount)}`
  }

  /** A name for one life of a node's process. */
  #life(process: Process): string {
    let life = this.#lives.get(process)
    if (life === undefined) {
      life = `${process.name}#${process.log.boot}`
      this.#lives.set(process, life)
    }
    return life
  }
}

/** That a page is one of those that were asked for; whether it is right is the history's question. */
function checkPage(
  { items, hasMore }: Pick<Scanned, 'items' | 'hasMore'>,
  { prefix, after }: ScanOperation,
  limit: number
): void {
  const keys = items.map(({ key }) => textOf(key) ?? '')
  const isMeant = keys.every((key, at) => {
    return key.startsWith(prefix) && key > (keys[at - 1] ?? after ?? '')
  })
  hold(isMeant, 'E2', `a scan of ${prefix} after ${after ?? 'nothing'} finds ${keys.join()}`)
  const isPage = keys.length <= limit && (!hasMore || keys.length === limit)
  hold(
    isPage,
    'E2',
    `a page of ${limit} has ${keys.length} items, ${hasMore ? '' : 'no '}more follow`
  )
}

/** Whatever is done to a cluster, a client that asks properly is told nothing else. */
const REFUSALS: ReadonlySet<string> = new Set([
  'CONDITION_FAILED',
  'OUTCOME_UNKNOWN',
  'OVERLOADED',
  'SESSION_EXPIRED',
  'TIMEOUT',
  'UNAVAILABLE'
])

function checkRefusal(error: unknown): void {
  if (!(error instanceof AspenError)) throw error
  hold(REFUSALS.has(error.code), 'E2', `a client is told ${error.code}: ${error.message}`)
}
