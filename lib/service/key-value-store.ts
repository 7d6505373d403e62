// The key-value store as programs use it, in the seed's shapes: the same inside the process of a node
// (over replicated-store.ts) and over HTTP (over client/kv-client.ts). Keys and values may be bytes or
// text; answers hold bytes.

import { present } from '../assert.ts'
import { KeyValueStoreError } from '../errors.ts'
import type { ChangeResult, KeyValue, Revision } from '../state-machine/state-machine.ts'
import { keyJson } from './kv-json.ts'
import type { Consistency, KeyValueApi, ReadMeta, ReadOptions, RequestOptions } from './node-api.ts'
import type {
  Bytes,
  DeleteRequest,
  Expectation,
  WriteCommand,
  WriteRequest
} from './write-request.ts'
import { changesOf, toBytes } from './write-request.ts'

export interface ReadRequest {
  readonly key: Bytes
}

export interface ReadResult {
  /** as it was given */
  readonly key: Bytes
  readonly value: Uint8Array
  /** of the last write of the key */
  readonly revision: Revision
  readonly createRevision: Revision
  /** 1 when it was made, one more with each write */
  readonly version: number
  /** what the answer is worth */
  readonly consistency: Consistency
  /** index of the last entry that the answer reflects */
  readonly appliedIndex: Revision
  /** of a stale read: how long ago the node heard of the leader last; else null */
  readonly leaderContactMs: number | null
}

export interface WriteResult {
  /** as it was given */
  readonly command: WriteCommand
  readonly revision: Revision
  /** one per change, in the command's order */
  readonly changes: readonly ChangeResult[]
}

export interface DeleteResult {
  /** as it was given */
  readonly key: Bytes
  /** whether the key was there when the delete was applied */
  readonly deleted: boolean
  readonly revision: Revision
  /** 0 when it was not there */
  readonly previousRevision: Revision
}

export interface ScanRequest {
  /** all keys when left out */
  readonly prefix?: Bytes
  /** only keys behind this one */
  readonly after?: Bytes
  readonly limit?: number
}

/** A key with its value, in the words of a read. */
export interface Item {
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** of the last write of the key */
  readonly revision: Revision
  readonly createRevision: Revision
  /** 1 when it was made, one more with each write */
  readonly version: number
}

/** `revision` is the last entry that the answer reflects. */
export interface GetResult extends ReadMeta {
  /** null when there is no such key */
  readonly item: Item | null
}

/** `revision` is the last entry that the page reflects. */
export interface ScanResult extends ReadMeta {
  readonly items: readonly Item[]
  readonly hasMore: boolean
}

export interface Put {
  readonly revision: Revision
  /** 0 when the key is new */
  readonly previousRevision: Revision
}

export type PutOptions = RequestOptions & Expectation

/**
 * Reads and writes, on any node. `write`, `read`, `delete` and `scan` are the seed's; `put` and `get` are
 * short forms, and `get` answers null for a key that is not there.
 *
 * ```ts
 * await store.write({ command: { Set: { key: 'app/port', value: '8080' } } })
 * const { value, revision } = await store.read({ key: 'app/port' })
 * await store.write({ command: { Set: { key: 'app/port', value: '8081', ifRevision: revision } } })
 * ```
 *
 * Each fails with a KeyValueStoreError, or with what the way to the node adds to that. Refused, nothing
 * happened: INVALID_REQUEST, KEY_TOO_LARGE, VALUE_TOO_LARGE, BATCH_TOO_LARGE, BATCH_BYTES_TOO_LARGE
 * (`size`, `max`), DUPLICATE_KEY, CONDITION_FAILED (`revision`), NOT_FOUND (`key`), OVERLOADED, UNAVAILABLE,
 * DISK_SPACE_INSUFFICIENT, STORE_FULL. Unknown, it may have happened: TIMEOUT (`duration_ms`),
 * OUTCOME_UNKNOWN, SESSION_EXPIRED.
 */
export class KeyValueStore {
  readonly #api: KeyValueApi

  constructor(api: KeyValueApi) {
    this.#api = api
  }

  async write({ command }: WriteRequest, options?: RequestOptions): Promise<WriteResult> {
    return { command, ...(await this.#api.write(changesOf(command), options)) }
  }

  /** @throws KeyValueStoreError NOT_FOUND */
  async read({ key }: ReadRequest, options?: ReadOptions): Promise<ReadResult> {
    const { item, revision: appliedIndex, ...meta } = await this.get(key, options)
    if (item === null) throw notFoundError(toBytes('key', key), { revision: appliedIndex, ...meta })
    const { value, revision, createRevision, version } = item
    return { key, value, revision, createRevision, version, appliedIndex, ...meta }
  }

  /** Without an error when there is no such key. */
  async delete(request: DeleteRequest, options?: RequestOptions): Promise<DeleteResult> {
    const { revision, changes } = await this.#api.write(changesOf({ Delete: request }), options)
    const { previousRevision } = present(changes[0], 'the result of the delete')
    return { key: request.key, deleted: previousRevision > 0, revision, previousRevision }
  }

  /** A page of keys and values, in the order of the keys' bytes. */
  async scan(request: ScanRequest, options?: ReadOptions): Promise<ScanResult> {
    const { prefix = '', after, limit } = request
    const page = {
      prefix: toBytes('prefix', prefix),
      ...(after !== undefined && { after: toBytes('after', after) }),
      ...(limit !== undefined && { limit })
    }
    const scanned = await this.#api.scan(page, options)
    return { ...scanned, items: scanned.items.map(itemOf) }
  }

  async put(key: Bytes, value: Bytes, options: PutOptions = {}): Promise<Put> {
    const { ifRevision, ifAbsent, ...rest } = options
    const expected = {
      ...(ifRevision !== undefined && { ifRevision }),
      ...(ifAbsent !== undefined && { ifAbsent })
    }
    const command = changesOf({ Set: { key, value, ...expected } })
    const { revision, changes } = await this.#api.write(command, rest)
    const { previousRevision } = present(changes[0], 'the result of the put')
    return { revision, previousRevision }
  }

  async get(key: Bytes, options?: ReadOptions): Promise<GetResult> {
    const got = await this.#api.get(toBytes('key', key), options)
    return { ...got, item: got.item === null ? null : itemOf(got.item) }
  }
}

function itemOf({ key, value, modRevision: revision, createRevision, version }: KeyValue): Item {
  return { key, value, revision, createRevision, version }
}

/** There is no such key; there was none at `revision`. */
export function notFoundError(key: Uint8Array, meta: ReadMeta): KeyValueStoreError {
  const { revision, leaderContactMs: contact } = meta
  const json = keyJson(key)
  const name = 'key' in json ? `key '${json.key}'` : `key ${json.key_b64} (base64)`
  return new KeyValueStoreError({
    code: 'NOT_FOUND',
    message: `${name} not found`,
    fields: { ...json, revision, ...(contact !== null && { leader_contact_ms: contact }) }
  })
}
