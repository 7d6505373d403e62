// Reads and writes of this node, as bytes and changes: checked before they cost anything, carried out
// through the leader, answered with what they are worth. What programs use over it: key-value-store.ts.

import type { Timers } from '../clock.ts'
import type { AspenError, ErrorDetail } from '../errors.ts'
import { KeyValueStoreError } from '../errors.ts'
import { DEFAULT_SCAN_LIMIT, MAX_KEY_SIZE, MAX_SCAN_LIMIT } from '../limits.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import { checkKey, checkWrite } from '../state-machine/check-write.ts'
import type { ChangeSet } from '../state-machine/command.ts'
import { encodeWrite } from '../state-machine/encoding.ts'
import type { StateMachine } from '../state-machine/state-machine.ts'
import type { Forwarder } from './forwarding.ts'
import type { Got, KeyValueApi, ReadMeta, ReadOptions, RequestOptions } from './node-api.ts'
import type { Scanned, ScanOptions, Written } from './node-api.ts'
import { timeoutOf } from './request-timeout.ts'

type WayToLeader = Pick<Forwarder, 'submit' | 'confirmRead' | 'checkOpen'>

export interface ReplicatedStoreParts {
  readonly forwarder: WayToLeader
  readonly stateMachine: StateMachine
  readonly timers: Timers
  /** how long ago this node heard of the leader last; null: never */
  readonly leaderAgeMs: () => number | null
}

export class ReplicatedStore implements KeyValueApi {
  readonly #forwarder: WayToLeader
  readonly #stateMachine: StateMachine
  readonly #timers: Timers
  readonly #leaderAgeMs: () => number | null
  /** resolves when the next page may be read */
  #scanTurn: Promise<void> = Promise.resolve()

  constructor({ forwarder, stateMachine, timers, leaderAgeMs }: ReplicatedStoreParts) {
    this.#forwarder = forwarder
    this.#stateMachine = stateMachine
    this.#timers = timers
    this.#leaderAgeMs = leaderAgeMs
  }

  async write(command: ChangeSet, options: RequestOptions = {}): Promise<Written> {
    const timeoutMs = timeoutOf(options)
    refuse(checkWrite(command))
    const { result } = await this.#forwarder.submit(
      (request) => ({ kind: ENTRY_KIND.write, payload: encodeWrite(command, request) }),
      timeoutMs
    )
    if (result.kind === 'written') return { revision: result.revision, changes: result.changes }
    if (result.kind === 'refused') throw new KeyValueStoreError(result.error)
    throw new KeyValueStoreError(unexpected(result.kind))
  }

  async get(key: Uint8Array, options: ReadOptions = {}): Promise<Got> {
    refuse(checkKey(key))
    const meta = await this.#readMeta(options)
    return { ...meta, item: this.#stateMachine.get(key) }
  }

  async scan(request: ScanOptions, options: ReadOptions = {}): Promise<Scanned> {
    const { prefix, after = null, limit = DEFAULT_SCAN_LIMIT } = request
    refuse(checkScan(prefix, after, limit))
    const meta = await this.#readMeta(options)
    await this.#nextScanTurn()
    this.#forwarder.checkOpen()
    const revision = this.#stateMachine.applied().index
    return { ...meta, revision, ...this.#stateMachine.scan({ prefix, after, limit }) }
  }

  /** A page takes milliseconds, and one round confirms many: they are read one to a turn of the event loop. */
  #nextScanTurn(): Promise<void> {
    const turn = this.#scanTurn
    this.#scanTurn = turn.then(() => new Promise((resolve) => this.#timers.soon(resolve)))
    return turn
  }

  /** Waits until the local state machine is as new as the read demands; read it in the same turn. */
  async #readMeta(options: ReadOptions): Promise<ReadMeta> {
    const timeoutMs = timeoutOf(options)
    if (options.consistency === 'stale') {
      this.#forwarder.checkOpen()
      const leaderContactMs = this.#leaderAgeMs()
      refuse(checkAge(leaderContactMs, options.maxAgeMs))
      return { revision: this.#stateMachine.applied().index, consistency: 'stale', leaderContactMs }
    }
    if (options.maxAgeMs !== undefined) throw invalid('a maximum age goes with stale reads only')
    const revision = await this.#forwarder.confirmRead(timeoutMs)
    return { revision, consistency: 'linearizable', leaderContactMs: null }
  }
}

function checkScan(prefix: Uint8Array, after: Uint8Array | null, limit: number): AspenError | null {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_SCAN_LIMIT) {
    return invalid(`a scan's limit is a whole number from 1 to ${MAX_SCAN_LIMIT}, not ${limit}`)
  }
  const size = Math.max(prefix.byteLength, after?.byteLength ?? 0)
  if (size <= MAX_KEY_SIZE) return null
  const message = `a prefix has at most ${MAX_KEY_SIZE} bytes, not ${size}`
  return new KeyValueStoreError({
    code: 'KEY_TOO_LARGE',
    message,
    fields: { size, max: MAX_KEY_SIZE }
  })
}

function checkAge(ageMs: number | null, maxMs: number | undefined): AspenError | null {
  if (maxMs === undefined) return null
  if (!(maxMs >= 0)) return invalid(`a maximum age is a number of milliseconds, not ${maxMs}`)
  if (ageMs !== null && ageMs <= maxMs) return null
  const when = ageMs === null ? 'has heard of no leader yet' : `heard of its leader ${ageMs} ms ago`
  return new KeyValueStoreError({
    code: 'UNAVAILABLE',
    message: `this node ${when}, and at most ${maxMs} ms were asked for`,
    hint: 'ask another node, or allow an older answer',
    fields: { leader_contact_ms: ageMs, max_age_ms: maxMs }
  })
}

function invalid(message: string): KeyValueStoreError {
  return new KeyValueStoreError({ code: 'INVALID_REQUEST', message })
}

function refuse(error: AspenError | null): void {
  if (error !== null) throw error
}

function unexpected(kind: string): ErrorDetail {
  return { code: 'FAILED', message: `a write was answered with '${kind}'` }
}
