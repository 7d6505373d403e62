// What a client may ask for, checked before a command is proposed, and the smaller part of it that
// applying relies on and checks again. Pure.

import b4a from 'b4a'
import type { ErrorDetail } from '../errors.ts'
import { KeyValueStoreError } from '../errors.ts'
import {
  MAX_BATCH_BYTES,
  MAX_CHANGES_PER_ENTRY,
  MAX_INDEX,
  MAX_KEY_SIZE,
  MAX_SETMULTI_KEYS,
  MAX_VALUE_SIZE
} from '../limits.ts'
import type { Change, Condition, ChangeSet } from './command.ts'

/** What is wrong with a client's write, or null. Called before it is proposed. */
export function checkWrite(command: ChangeSet): KeyValueStoreError | null {
  const detail = refusalOfWrite(command)
  return detail === null ? null : new KeyValueStoreError(detail)
}

/** What is wrong with a key, or null; for reads too. */
export function checkKey(key: Uint8Array): KeyValueStoreError | null {
  const detail = refusalOfKey(key)
  return detail === null ? null : new KeyValueStoreError(detail)
}

/**
 * What applying relies on: at least one change, no empty key, no key twice. The decoder has bounded
 * everything else. Deterministic: the same bytes are refused on every node.
 */
export function refusalAtApply(command: ChangeSet): ErrorDetail | null {
  const { changes } = command
  if (changes.length === 0) return NO_CHANGES
  if (changes.length > MAX_CHANGES_PER_ENTRY)
    return batchTooLarge(changes.length, MAX_CHANGES_PER_ENTRY)
  if (changes.some((change) => change.key.byteLength === 0)) return EMPTY_KEY
  return duplicateOf(changes)
}

const NO_CHANGES: ErrorDetail = {
  code: 'INVALID_REQUEST',
  message: 'a write has at least one change'
}
const EMPTY_KEY: ErrorDetail = { code: 'INVALID_REQUEST', message: 'a key has at least one byte' }

function refusalOfWrite(command: ChangeSet): ErrorDetail | null {
  const { changes } = command
  if (changes.length === 0) return NO_CHANGES
  if (changes.length > MAX_SETMULTI_KEYS) return batchTooLarge(changes.length, MAX_SETMULTI_KEYS)
  let byteCount = 0
  for (const change of changes) {
    const refusal = refusalOfChange(change)
    if (refusal !== null) return refusal
    byteCount += change.key.byteLength + (change.kind === 'put' ? change.value.byteLength : 0)
  }
  if (byteCount > MAX_BATCH_BYTES) {
    const message = `the keys and values of one write have ${byteCount} bytes; at most ${MAX_BATCH_BYTES} are allowed`
    return {
      code: 'BATCH_BYTES_TOO_LARGE',
      message,
      fields: { size: byteCount, max: MAX_BATCH_BYTES }
    }
  }
  return duplicateOf(changes)
}

function refusalOfChange(change: Change): ErrorDetail | null {
  const refusal = refusalOfKey(change.key) ?? refusalOfCondition(change.condition)
  if (refusal !== null || change.kind === 'delete') return refusal
  const size = change.value.byteLength
  if (size <= MAX_VALUE_SIZE) return null
  const message = `the value has ${size} bytes; at most ${MAX_VALUE_SIZE} are allowed`
  return { code: 'VALUE_TOO_LARGE', message, fields: { size, max: MAX_VALUE_SIZE } }
}

function refusalOfKey(key: Uint8Array): ErrorDetail | null {
  const size = key.byteLength
  if (size === 0) return EMPTY_KEY
  if (size <= MAX_KEY_SIZE) return null
  const message = `the key has ${size} bytes; at most ${MAX_KEY_SIZE} are allowed`
  return { code: 'KEY_TOO_LARGE', message, fields: { size, max: MAX_KEY_SIZE } }
}

function refusalOfCondition(condition: Condition | null): ErrorDetail | null {
  if (condition === null || condition.kind === 'absent') return null
  const { revision } = condition
  if (Number.isSafeInteger(revision) && revision >= 1 && revision <= MAX_INDEX) return null
  return {
    code: 'INVALID_REQUEST',
    message: `an expected revision is an integer from 1 to ${MAX_INDEX}`
  }
}

function batchTooLarge(size: number, max: number): ErrorDetail {
  const message = `the write has ${size} changes; at most ${max} are allowed`
  return { code: 'BATCH_TOO_LARGE', message, fields: { size, max } }
}

function duplicateOf(changes: readonly Change[]): ErrorDetail | null {
  if (changes.length < 2) return null
  const seen = new Set<string>()
  for (const { key } of changes) seen.add(b4a.toString(key, 'latin1'))
  if (seen.size === changes.length) return null
  return { code: 'DUPLICATE_KEY', message: 'a key occurs twice in one write; name each key once' }
}
