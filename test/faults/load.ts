// Clients that write and read on real nodes while something is done to these, and put down all that
// they were told. Each asks one thing at a time; what is unknown stays unknown. The history is judged
// by the two checkers of lib/testing, which share nothing.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Client, WriteRequest } from '../../lib/client/client.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { randomBelow } from '../../lib/random.ts'
import type { Random } from '../../lib/random.ts'
import type { Condition } from '../../lib/state-machine/command.ts'
import { checkLinearizable, checkSerials, History } from '../../lib/testing/testing.ts'
import type { HistoryChange, OperationRecord } from '../../lib/testing/testing.ts'
import { tally } from './tally.ts'

export interface LoadOptions {
  readonly machines: readonly string[]
  readonly clientOf: (machine: string) => Client
  readonly random: Random
  readonly clientsPerMachine: number
  /** the keys are this and a number: those of another history begin otherwise */
  readonly prefix: string
  readonly keyCount: number
  /** a client's pause after each answer */
  readonly pauseMs: number
}

/** What the checkers say of a history. */
export interface Judgement {
  /** null: nothing is wrong */
  readonly violation: string | null
  readonly acknowledgedCount: number
}

const REQUEST_TIMEOUT_MS = 4_000
const READ_BACK_TIMEOUT_MS = 20_000
/** After a refusal: the node may be gone. */
const REFUSED_PAUSE_MS = 20

export class Load {
  readonly history = new History({ nowMs: () => performance.now() })
  readonly #options: LoadOptions
  /** what the last answer said of each key, for conditions that have a chance */
  readonly #seen = new Map<string, number>()
  readonly #clients: Promise<void>[] = []
  #isOver = false

  constructor(options: LoadOptions) {
    this.#options = options
  }

  start(): void {
    const { machines, clientsPerMachine } = this.#options
    for (const machine of machines) {
      for (let count = 0; count < clientsPerMachine; count++) this.#clients.push(this.#run(machine))
    }
  }

  /** Resolves when every client has its last answer. */
  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#clients)
  }

  /** So many reads on the machine, each by a client of its own; `stop` waits for their answers too. */
  readMore(machine: string, count: number): void {
    const { clientOf, random, prefix, keyCount } = this.#options
    for (let left = count; left > 0; left--) {
      const client = clientOf(machine)
      const key = `${prefix}${randomBelow(random, keyCount)}`
      const read = this.#get(machine, { client, key, timeoutMs: READ_BACK_TIMEOUT_MS })
      this.#clients.push(read.then(() => client.close()))
    }
  }

  /** Acknowledged writes so far. */
  get acknowledgedCount(): number {
    return acknowledgedIn(this.history.records)
  }

  /** Every key read on every machine, then both checkers; adds to the tally. */
  async judge(): Promise<Judgement> {
    const { machines, clientOf, prefix, keyCount } = this.#options
    for (const machine of machines) {
      const client = clientOf(machine)
      for (let key = 0; key < keyCount; key++) {
        await this.#get(machine, {
          client,
          key: `${prefix}${key}`,
          timeoutMs: READ_BACK_TIMEOUT_MS
        })
      }
      client.close()
    }
    return judgementOf(this.history)
  }

  async #run(machine: string): Promise<void> {
    const { clientOf, random, prefix, keyCount, pauseMs } = this.#options
    const client = clientOf(machine)
    while (!this.#isOver) {
      const key = `${prefix}${randomBelow(random, keyCount)}`
      const isRead = randomBelow(random, 10) < 4
      const isAnswered = isRead
        ? await this.#get(machine, { client, key, timeoutMs: REQUEST_TIMEOUT_MS })
        : await this.#write(machine, client, key)
      await sleep(isAnswered ? pauseMs : REFUSED_PAUSE_MS)
    }
    client.close()
  }

  async #get(
    machine: string,
    { client, key, timeoutMs }: { client: Client; key: string; timeoutMs: number }
  ): Promise<boolean> {
    const operation = { kind: 'get', key, consistency: 'linearizable', process: machine } as const
    const call = this.history.call(operation)
    try {
      const got = await client.kv.get(bytesOf(key), { timeoutMs })
      const { item, revision } = got
      call.done({ revision, item: item && { ...item, modRevision: item.revision } })
      this.#seen.set(key, item?.revision ?? 0)
      return true
    } catch (error) {
      call.failed(error)
      return false
    }
  }

  async #write(machine: string, client: Client, key: string): Promise<boolean> {
    const change = this.#change(key)
    const operation = { kind: 'write', changes: [change], process: machine } as const
    const call = this.history.call(operation)
    try {
      const written = await client.kv.write(requestOf(change), { timeoutMs: REQUEST_TIMEOUT_MS })
      call.done(written)
      return true
    } catch (error) {
      call.failed(error)
      return false
    }
  }

  #change(key: string): HistoryChange {
    const { random } = this.#options
    const kind = randomBelow(random, 8)
    if (kind === 0) return { kind: 'delete', key, condition: null }
    const condition = kind < 3 ? this.#condition(key) : null
    const value = `${this.history.serial()}.${'x'.repeat(randomBelow(random, 200))}`
    return { kind: 'put', key, value, condition }
  }

  #condition(key: string): Condition {
    const revision = this.#seen.get(key) ?? 0
    return revision === 0 ? { kind: 'absent' } : { kind: 'revision', revision }
  }
}

/** What both checkers say; adds the acknowledged writes and what was found to the tally. */
export function judgementOf(history: History): Judgement {
  const acknowledgedCount = acknowledgedIn(history.records)
  tally({ acknowledged: acknowledgedCount, lost: 0, wrong: 0 })
  const serial = checkSerials(history)
  const search = checkLinearizable(history)
  if (serial !== null) tally(serial.check === 'lost write' ? { lost: 1 } : { wrong: 1 })
  else if (search.kind === 'illegal') tally({ wrong: 1 })
  const found = search.kind === 'illegal' ? search.message : null
  return { violation: serial?.message ?? found, acknowledgedCount }
}

function acknowledgedIn(records: readonly OperationRecord[]): number {
  return records.filter(({ outcome }) => outcome.kind === 'written').length
}

function requestOf({ condition, ...change }: HistoryChange): WriteRequest {
  const expected =
    condition === null || condition.kind === 'absent'
      ? { ifAbsent: condition !== null }
      : { ifRevision: condition.revision }
  if (change.kind === 'delete') return { command: { Delete: { key: change.key, ...expected } } }
  return { command: { Set: { key: change.key, value: change.value, ...expected } } }
}
