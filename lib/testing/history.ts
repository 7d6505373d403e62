// What clients asked of a cluster and what they were told, in the order in which both happened: the
// evidence for the checks of a whole run (serial-oracle.ts, linearizability.ts). One thread records,
// so positions in the record are the real order; time is kept for the reader only. An outcome that
// nobody knows stays open: such an operation may take effect at any time after its call, or never.

import { assert } from '../assert.ts'
import type { Clock } from '../clock.ts'
import { bytesOf, hexOf, textOf } from '../encoding.ts'
import { AspenError } from '../errors.ts'
import type { Consistency, Got, Scanned, Written } from '../service/node-api.ts'
import type { Change, Condition, ChangeSet } from '../state-machine/command.ts'
import type { KeyValue, Revision } from '../state-machine/state-machine.ts'

/** A change as the history keeps it: keys and values are text. */
export type HistoryChange =
  | {
      readonly kind: 'put'
      readonly key: string
      /** no other put of the history has it: `History.serial` */
      readonly value: string
      readonly condition: Condition | null
    }
  | { readonly kind: 'delete'; readonly key: string; readonly condition: Condition | null }

/** One command: all changes or none, no key twice. */
export interface WriteOperation {
  readonly kind: 'write'
  readonly changes: readonly HistoryChange[]
  /** who was asked: one life of one node's process, such as `b#2`; after a restart it is another */
  readonly process: string
}

export interface GetOperation {
  readonly kind: 'get'
  readonly key: string
  readonly consistency: Consistency
  /** as in `WriteOperation`: stale reads of one process never go back */
  readonly process: string
}

/** A page of the keys with a prefix. */
export interface ScanOperation {
  readonly kind: 'scan'
  readonly prefix: string
  /** only keys after this one; null for all */
  readonly after: string | null
  readonly consistency: Consistency
  readonly process: string
}

/** A row as somebody saw it. */
export interface HistoryRow {
  readonly key: string
  readonly value: string
  readonly createRevision: Revision
  readonly modRevision: Revision
  readonly version: number
}

export type WriteOutcome =
  | { readonly kind: 'unknown' }
  /** nothing happened and nothing ever will */
  | { readonly kind: 'refused' }
  | {
      readonly kind: 'written'
      readonly revision: Revision
      /** per change: modRevision before it, 0 when the key was absent */
      readonly previousRevisions: readonly Revision[]
    }
  /** applied, and a condition did not hold */
  | { readonly kind: 'conditionFailed'; readonly found: FoundRevision | null }

/** The key whose condition failed and the modRevision that it had; 0 when it was absent. */
export interface FoundRevision {
  readonly key: string
  readonly revision: Revision
}

export type GetOutcome =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'refused' }
  | {
      readonly kind: 'got'
      /** the last entry that the answer reflects */
      readonly revision: Revision
      readonly row: HistoryRow | null
    }

interface Span {
  /** from 1, in order of the calls */
  readonly id: number
  /** position of the call in the record */
  readonly calledAt: number
  readonly calledMs: number
  /** position of the answer; null while there is none and when the outcome is unknown */
  readonly returnedAt: number | null
  readonly returnedMs: number | null
}

export interface WriteRecord extends Span {
  readonly operation: WriteOperation
  readonly outcome: WriteOutcome
}

export interface GetRecord extends Span {
  readonly operation: GetOperation
  readonly outcome: GetOutcome
}

/** One operation of a history. Until it has ended its outcome is unknown. */
export type OperationRecord = WriteRecord | GetRecord

/** How a call ends: exactly one of these, once; a call that never ends stays unknown. */
interface Ending {
  /** It did not happen and never will. */
  refused(): void
  /** Nobody knows, and nobody will be told. */
  unknown(): void
  /**
   * By what the call was rejected with: refused, unknown or a failed condition.
   * @throws whatever is not an AspenError
   */
  failed(error: unknown): void
}

export interface WriteCall extends Ending {
  done(written: Written): void
  /** `found` is null when the answer does not say */
  conditionFailed(found: FoundRevision | null): void
}

export interface GetCall extends Ending {
  done(got: Pick<Got, 'revision' | 'item'>): void
}

export interface ScanCall extends Ending {
  done(scanned: Pick<Scanned, 'revision' | 'items' | 'hasMore'>): void
}

/**
 * The record of one run.
 *
 * ```ts
 * const write = { kind: 'write', process: 'a#1', changes: [change] } as const
 * const call = history.call(write)
 * kv.write(commandOf(write)).then((written) => call.done(written), (error) => call.failed(error))
 * ```
 */
export class History {
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #records: OperationRecord[] = []
  #position = 0
  #serial = 0

  /** `clock` dates the operations in messages; without it they are all at 0 ms. */
  constructor(clock: Pick<Clock, 'nowMs'> = { nowMs: () => 0 }) {
    this.#clock = clock
  }

  /** In order of the calls; the live record, not a copy. */
  get records(): readonly OperationRecord[] {
    return this.#records
  }

  /** A value that no other put of this history has. */
  serial(): string {
    this.#serial++
    return `s${this.#serial}`
  }

  /** To be called right before the request leaves the client; the handle ends it right when the answer is there. */
  call(operation: WriteOperation): WriteCall
  call(operation: GetOperation): GetCall
  call(operation: WriteOperation | GetOperation): WriteCall | GetCall {
    return operation.kind === 'write' ? this.#callWrite(operation) : this.#callGet(operation)
  }

  /**
   * A scan is a read of each of the `keys` (all that are ever written) that it covers, at one revision: it
   * stands as that many records. What lies behind a full page was not read.
   */
  callScan(
    { prefix, after, consistency, process }: ScanOperation,
    keys: readonly string[]
  ): ScanCall {
    const covered = keys.filter((key) => key.startsWith(prefix) && (after === null || key > after))
    const gets = covered.map((key) => {
      return { key, call: this.#callGet({ kind: 'get', key, consistency, process }) }
    })
    return {
      done({ revision, items, hasMore }) {
        const found = new Map(items.map((item) => [nameOf(item.key), item]))
        const last = [...found.keys()].at(-1) ?? ''
        for (const { key, call } of gets) {
          if (hasMore && key > last) call.refused()
          else call.done({ revision, item: found.get(key) ?? null })
        }
      },
      refused: () => gets.forEach(({ call }) => call.refused()),
      unknown: () => gets.forEach(({ call }) => call.unknown()),
      failed: (error) => gets.forEach(({ call }) => call.failed(error))
    }
  }

  #callWrite(operation: WriteOperation): WriteCall {
    const record: Growing<WriteRecord> = { ...this.#newSpan(), operation, outcome: UNKNOWN }
    this.#records.push(record)
    const end = this.#endOf<WriteOutcome>(record)
    return {
      done({ revision, changes }) {
        assert(changes.length === operation.changes.length, 'one result per change')
        const previousRevisions = changes.map(({ previousRevision }) => previousRevision)
        end({ kind: 'written', revision, previousRevisions })
      },
      conditionFailed: (found) => end({ kind: 'conditionFailed', found }),
      refused: () => end(REFUSED),
      unknown: () => end(UNKNOWN),
      failed: (error) => end(outcomeOf(error))
    }
  }

  #callGet(operation: GetOperation): GetCall {
    const record: Growing<GetRecord> = { ...this.#newSpan(), operation, outcome: UNKNOWN }
    this.#records.push(record)
    const end = this.#endOf<GetOutcome>(record)
    return {
      done({ revision, item }) {
        end({ kind: 'got', revision, row: item === null ? null : rowOf(item) })
      },
      refused: () => end(REFUSED),
      unknown: () => end(UNKNOWN),
      failed(error) {
        const outcome = outcomeOf(error)
        assert(outcome.kind !== 'conditionFailed', 'a read has no condition')
        end(outcome)
      }
    }
  }

  #newSpan(): Span {
    return {
      id: this.#records.length + 1,
      calledAt: this.#position++,
      calledMs: this.#clock.nowMs(),
      returnedAt: null,
      returnedMs: null
    }
  }

  /** How a record gets its outcome, once. */
  #endOf<Outcome extends { readonly kind: string }>(
    record: Ended<Outcome>
  ): (outcome: Outcome) => void {
    let hasEnded = false
    return (outcome) => {
      assert(!hasEnded, `operation ${record.id} ends once`)
      hasEnded = true
      record.outcome = outcome
      if (outcome.kind === 'unknown') return
      record.returnedAt = this.#position++
      record.returnedMs = this.#clock.nowMs()
    }
  }
}

/** A record as its history sees it: the outcome is to come. */
type Growing<Sealed> = { -readonly [Name in keyof Sealed]: Sealed[Name] }

interface Ended<Outcome> {
  readonly id: number
  outcome: Outcome
  returnedAt: number | null
  returnedMs: number | null
}

const UNKNOWN = { kind: 'unknown' } as const
const REFUSED = { kind: 'refused' } as const

/** The command that a recorded write stands for. */
export function commandOf(operation: WriteOperation): ChangeSet {
  return { changes: operation.changes.map((change) => changeOf(change)) }
}

/** The modRevision that a condition asks for; 0 for absence. */
export function expectedRevision(condition: Condition): Revision {
  return condition.kind === 'absent' ? 0 : condition.revision
}

/** A row of the store as the history keeps it; bytes that are not UTF-8 become `0x…`. */
export function rowOf(item: KeyValue): HistoryRow {
  const { key, value, createRevision, modRevision, version } = item
  return { key: nameOf(key), value: nameOf(value), createRevision, modRevision, version }
}

function changeOf(change: HistoryChange): Change {
  const { condition } = change
  const key = bytesOf(change.key)
  if (change.kind === 'delete') return { kind: 'delete', key, condition }
  return { kind: 'put', key, value: bytesOf(change.value), condition }
}

function nameOf(bytes: Uint8Array): string {
  return textOf(bytes) ?? `0x${hexOf(bytes)}`
}

function outcomeOf(error: unknown): Exclude<WriteOutcome, { kind: 'written' }> {
  if (!(error instanceof AspenError)) throw error
  if (error.code !== 'CONDITION_FAILED') return error.outcome === 'unknown' ? UNKNOWN : REFUSED
  const { key, revision } = error.detail.fields ?? {}
  const isTold = typeof key === 'string' && typeof revision === 'number'
  return { kind: 'conditionFailed', found: isTold ? { key, revision } : null }
}
