// Between the JSON of `/kv/*` (kv-documents.ts) and bytes and commands, both ways: used by the HTTP
// API, by the client and for `--json`.

import { KeyValueStoreError } from '../errors.ts'
import { bytesOf, textOf } from '../encoding.ts'
import type { Change, Condition, ChangeSet } from '../state-machine/command.ts'
import type { KeyValue, Revision } from '../state-machine/state-machine.ts'
import type { CommandJson, DeleteJson, ItemJson, SetJson } from './kv-documents.ts'

/** A key as JSON: text when it is UTF-8. */
export function keyJson(key: Uint8Array): { key: string } | { key_b64: string } {
  const text = textOf(key)
  return text === null ? { key_b64: base64Of(key) } : { key: text }
}

/** A value as JSON: text when it is UTF-8. */
export function valueJson(value: Uint8Array): { value: string } | { value_b64: string } {
  const text = textOf(value)
  return text === null ? { value_b64: base64Of(value) } : { value: text }
}

/** @throws KeyValueStoreError INVALID_REQUEST unless exactly one of the two fields is there */
export function keyFrom(json: { readonly key?: string; readonly key_b64?: string }): Uint8Array {
  return bytesFrom('key', json.key, json.key_b64)
}

/** @throws KeyValueStoreError INVALID_REQUEST unless exactly one of the two fields is there */
export function valueFrom(json: {
  readonly value?: string
  readonly value_b64?: string
}): Uint8Array {
  return bytesFrom('value', json.value, json.value_b64)
}

/** @throws KeyValueStoreError INVALID_REQUEST unless exactly one of `text` and `base64` is there */
export function bytesFrom(
  field: string,
  text: string | undefined,
  base64: string | undefined
): Uint8Array {
  if ((text === undefined) === (base64 === undefined)) {
    throw invalid(`give either ${field} or ${field}_b64`)
  }
  if (text !== undefined) return bytesOf(text)
  const bytes = bytesFromBase64(base64 ?? '')
  if (bytes === null) throw invalid(`${field}_b64 is not standard base64 with padding`)
  return bytes
}

/** `revision`: of its last write. */
export function itemJson(item: Omit<KeyValue, 'modRevision'>, revision: Revision): ItemJson {
  return {
    ...keyJson(item.key),
    ...valueJson(item.value),
    revision,
    create_revision: item.createRevision,
    version: item.version
  }
}

/** @throws KeyValueStoreError INVALID_REQUEST */
export function itemFrom(json: ItemJson): KeyValue {
  return {
    key: keyFrom(json),
    value: valueFrom(json),
    createRevision: json.create_revision,
    modRevision: json.revision,
    version: json.version
  }
}

/**
 * The changes of a command, one at a time, so that the caller can pause between large ones.
 * @throws KeyValueStoreError INVALID_REQUEST while iterating
 */
export function* changesFrom(command: CommandJson): Generator<Change> {
  if (command.Set !== undefined) yield putFrom(command.Set)
  if (command.Delete !== undefined) yield deleteFrom(command.Delete)
  for (const pair of command.SetMulti?.pairs ?? []) {
    yield putFrom('length' in pair ? { key: pair[0], value: pair[1] } : pair)
  }
  for (const key of command.DeleteMulti?.keys ?? []) {
    yield deleteFrom(typeof key === 'string' ? { key } : key)
  }
  for (const operation of command.Batch?.operations ?? []) {
    if (operation.Set !== undefined) yield putFrom(operation.Set)
    if (operation.Delete !== undefined) yield deleteFrom(operation.Delete)
  }
}

/** The seed's form that says it, and `Batch` when none of its four does. */
export function commandJson({ changes }: ChangeSet): CommandJson {
  const [first] = changes
  if (first === undefined) return { SetMulti: { pairs: [] } }
  if (changes.length === 1) return operationJson(first)
  if (changes.some((change) => change.condition !== null)) return batchJson(changes)
  if (changes.every((change) => change.kind === 'put')) {
    return { SetMulti: { pairs: changes.map(pairJson) } }
  }
  if (changes.every((change) => change.kind === 'delete')) {
    return { DeleteMulti: { keys: changes.map(({ key }) => textOf(key) ?? keyJson(key)) } }
  }
  return batchJson(changes)
}

function batchJson(changes: readonly Change[]): CommandJson {
  return { Batch: { operations: changes.map(operationJson) } }
}

function operationJson(change: Change): { Set: SetJson } | { Delete: DeleteJson } {
  const fields = { ...keyJson(change.key), ...conditionJson(change.condition) }
  if (change.kind === 'delete') return { Delete: fields }
  return { Set: { ...fields, ...shortValueJson(change.value) } }
}

function pairJson(change: Change & { readonly kind: 'put' }): [string, string] | SetJson {
  const key = keyJson(change.key)
  const value = shortValueJson(change.value)
  return 'key' in key && 'value' in value ? [key.key, value.value] : { ...key, ...value }
}

/**
 * Text, unless base64 is shorter: control characters take six bytes each, and a full batch of them
 * would fit no body.
 */
function shortValueJson(value: Uint8Array): { value: string } | { value_b64: string } {
  let escapeBytes = 0
  for (const byte of value) {
    if (byte < 0x20) escapeBytes += 5
    else if (byte === 0x22 || byte === 0x5c) escapeBytes++
  }
  return escapeBytes > value.byteLength / 3 ? { value_b64: base64Of(value) } : valueJson(value)
}

function conditionJson(condition: Condition | null): { if_absent?: true; if_revision?: number } {
  if (condition === null) return {}
  return condition.kind === 'absent' ? { if_absent: true } : { if_revision: condition.revision }
}

function putFrom(json: SetJson): Change {
  return { kind: 'put', key: keyFrom(json), value: valueFrom(json), condition: conditionFrom(json) }
}

function deleteFrom(json: DeleteJson): Change {
  return { kind: 'delete', key: keyFrom(json), condition: conditionFrom(json) }
}

function conditionFrom(json: DeleteJson): Condition | null {
  if (json.if_absent === true) {
    if (json.if_revision !== undefined)
      throw invalid('if_revision and if_absent exclude each other')
    return { kind: 'absent' }
  }
  return json.if_revision === undefined ? null : { kind: 'revision', revision: json.if_revision }
}

function invalid(message: string): KeyValueStoreError {
  return new KeyValueStoreError({ code: 'INVALID_REQUEST', message })
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** The bytes, or null when `text` is not the canonical form: Buffer skips what it does not know. */
function bytesFromBase64(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) return null
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
