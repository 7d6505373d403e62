// Histories written down by hand: one line an event, in order.

import { bytesOf } from '../../lib/encoding.ts'
import { History } from '../../lib/testing/history.ts'
import type { GetCall, HistoryChange, HistoryRow, WriteCall } from '../../lib/testing/history.ts'
import type { Condition } from '../../lib/state-machine/command.ts'
import type { KeyValue } from '../../lib/state-machine/state-machine.ts'

/** `createRevision` is `modRevision` and `version` 1 unless said otherwise. */
export interface Row {
  /** `a` when left out */
  readonly key?: string
  readonly value: string
  readonly at: number
  readonly createdAt?: number
  readonly version?: number
}

export const IF_ABSENT: Condition = { kind: 'absent' }

export function ifAt(revision: number): Condition {
  return { kind: 'revision', revision }
}

export function put(key: string, value: string, condition: Condition | null = null): HistoryChange {
  return { kind: 'put', key, value, condition }
}

export function remove(key: string, condition: Condition | null = null): HistoryChange {
  return { kind: 'delete', key, condition }
}

export class Builder {
  readonly history = new History()

  call(...changes: readonly HistoryChange[]): WriteCall {
    return this.history.call({ kind: 'write', changes, process: 'a#1' })
  }

  callGet(key: string): GetCall {
    return this.history.call({ kind: 'get', key, consistency: 'linearizable', process: 'a#1' })
  }

  callStale(key: string, process = 'a#1'): GetCall {
    return this.history.call({ kind: 'get', key, consistency: 'stale', process })
  }

  /** A write that was answered before anything else happened. */
  done(revision: number, previous: number, change: HistoryChange): this {
    written(this.call(change), revision, previous)
    return this
  }

  get(key: string, revision: number, row: Row | null): this {
    got(this.callGet(key), revision, row)
    return this
  }

  stale(key: string, revision: number, row: Row | null): this {
    got(this.callStale(key), revision, row)
    return this
  }
}

export function written(call: WriteCall, revision: number, ...previous: readonly number[]): void {
  call.done({ revision, changes: previous.map((one) => ({ previousRevision: one })) })
}

export function got(call: GetCall, revision: number, row: Row | null): void {
  if (row === null) {
    call.done({ revision, item: null })
    return
  }
  call.done({ revision, item: itemOf(row) })
}

/** A row as the store gives it. */
export function itemOf(row: Row): KeyValue {
  const { key, value, createRevision, modRevision, version } = finalRow(row)
  return { key: bytesOf(key), value: bytesOf(value), createRevision, modRevision, version }
}

export function finalRow({ key, value, at, createdAt, version }: Row): HistoryRow {
  return {
    key: key ?? 'a',
    value,
    createRevision: createdAt ?? at,
    modRevision: at,
    version: version ?? 1
  }
}
