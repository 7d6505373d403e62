// What a program asks a KeyValueStore (key-value-store.ts), in the seed's forms: a command says its kind by
// its one field. Here it becomes the changes that an entry holds. Pure.

import { bytesOf } from '../encoding.ts'
import { KeyValueStoreError } from '../errors.ts'
import type { Change, ChangeSet, Condition } from '../state-machine/command.ts'
import type { Revision } from '../state-machine/state-machine.ts'

/** A key or a value; a string stands for its UTF-8. */
export type Bytes = Uint8Array | string

/** Decided when the write is applied; CONDITION_FAILED when it does not hold. One of the two at most. */
export interface Expectation {
  /** the key was last written at exactly this revision */
  readonly ifRevision?: Revision
  /** there is no such key; false is the same as leaving it out */
  readonly ifAbsent?: boolean
}

export interface SetRequest extends Expectation {
  readonly key: Bytes
  readonly value: Bytes
}

export interface DeleteRequest extends Expectation {
  readonly key: Bytes
}

/** One command is one entry and one revision: all of it or nothing. No key twice. */
export type WriteCommand =
  | { readonly Set: SetRequest }
  | { readonly SetMulti: { readonly pairs: readonly (readonly [key: Bytes, value: Bytes])[] } }
  | { readonly Delete: DeleteRequest }
  | { readonly DeleteMulti: { readonly keys: readonly Bytes[] } }
  | { readonly Batch: { readonly operations: readonly Operation[] } }

/** A part of a `Batch`. */
export type Operation = { readonly Set: SetRequest } | { readonly Delete: DeleteRequest }

export interface WriteRequest {
  readonly command: WriteCommand
}

/**
 * The changes that a command stands for.
 * @throws KeyValueStoreError INVALID_REQUEST
 */
export function changesOf(command: WriteCommand): ChangeSet {
  const kinds = Object.keys(command)
  if (kinds.length !== 1) throw invalid('a command has exactly one field, its kind')
  if ('SetMulti' in command) {
    return { changes: command.SetMulti.pairs.map(([key, value]) => putOf({ key, value })) }
  }
  if ('DeleteMulti' in command) {
    return { changes: command.DeleteMulti.keys.map((key) => deleteOf({ key })) }
  }
  if ('Batch' in command) return { changes: command.Batch.operations.map(changeOf) }
  return { changes: [changeOf(command)] }
}

/** @throws KeyValueStoreError INVALID_REQUEST */
function changeOf(operation: Operation): Change {
  if ('Set' in operation) return putOf(operation.Set)
  if ('Delete' in operation) return deleteOf(operation.Delete)
  throw invalid('a command is Set, SetMulti, Delete, DeleteMulti or Batch')
}

function putOf({ key, value, ...expected }: SetRequest): Change {
  const condition = conditionOf(expected)
  return { kind: 'put', key: toBytes('key', key), value: toBytes('value', value), condition }
}

function deleteOf({ key, ...expected }: DeleteRequest): Change {
  return { kind: 'delete', key: toBytes('key', key), condition: conditionOf(expected) }
}

function conditionOf({ ifRevision, ifAbsent = false }: Expectation): Condition | null {
  if (ifRevision === undefined) return ifAbsent ? { kind: 'absent' } : null
  if (ifAbsent) throw invalid('ifRevision and ifAbsent exclude each other')
  return { kind: 'revision', revision: ifRevision }
}

/**
 * The bytes that `given` stands for; `field` names it in the refusal.
 * @throws KeyValueStoreError INVALID_REQUEST for what is neither bytes nor Unicode text
 */
export function toBytes(field: string, given: Bytes): Uint8Array {
  if (given instanceof Uint8Array) return given
  if (typeof given !== 'string') throw invalid(`${field} is neither a string nor a Uint8Array`)
  if (LONE_SURROGATE.test(given)) {
    throw invalid(`${field} is not Unicode: half of a surrogate pair`)
  }
  return bytesOf(given)
}

/** As UTF-8 it would become another character without a word. */
const LONE_SURROGATE = /\p{Surrogate}/u

function invalid(message: string): KeyValueStoreError {
  return new KeyValueStoreError({ code: 'INVALID_REQUEST', message })
}
