// Reads and writes of another process's node, as bytes and changes; on the wire they are text where they
// are UTF-8 (service/kv-json.ts). What programs use over it: service/key-value-store.ts.

import { AspenError } from '../errors.ts'
import { commandJson, itemFrom, keyJson } from '../service/kv-json.ts'
import type {
  Got,
  KeyValueApi,
  ReadOptions,
  RequestOptions,
  Scanned,
  ScanOptions,
  Written
} from '../service/node-api.ts'
import { textOf } from '../encoding.ts'
import type { ChangeSet } from '../state-machine/command.ts'
import type { Connection } from './connection.ts'
import { shapes } from './shapes.ts'

export class KeyValueClient implements KeyValueApi {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async write(command: ChangeSet, { timeoutMs }: RequestOptions = {}): Promise<Written> {
    const answer = await this.#connection.ask({
      method: 'POST',
      path: '/kv/write',
      body: { command: commandJson(command), timeout_ms: timeoutMs },
      shape: shapes.written,
      isWrite: true,
      timeoutMs
    })
    const changes = answer.changes.map((change) => ({ previousRevision: change.previous_revision }))
    return { revision: answer.revision, changes }
  }

  async get(key: Uint8Array, options: ReadOptions = {}): Promise<Got> {
    const { consistency, timeoutMs, maxAgeMs } = options
    const body = { ...keyJson(key), consistency, max_age_ms: maxAgeMs, timeout_ms: timeoutMs }
    const request = { method: 'POST', path: '/kv/read', body, shape: shapes.read } as const
    try {
      const answer = await this.#connection.ask({ ...request, timeoutMs })
      const item = itemFrom(answer)
      const { applied_index: revision, leader_contact_ms: leaderContactMs } = answer
      return { item, revision, consistency: answer.consistency, leaderContactMs }
    } catch (error) {
      const missing = missingAt(error)
      if (missing === null) throw error
      return { item: null, ...missing, consistency: consistency ?? 'linearizable' }
    }
  }

  async scan(request: ScanOptions, options: ReadOptions = {}): Promise<Scanned> {
    const { consistency, timeoutMs, maxAgeMs } = options
    const body = {
      ...bytesJson('prefix', request.prefix),
      ...(request.after !== undefined && bytesJson('after', request.after)),
      limit: request.limit,
      consistency,
      max_age_ms: maxAgeMs,
      timeout_ms: timeoutMs
    }
    const answer = await this.#connection.ask({
      method: 'POST',
      path: '/kv/scan',
      body,
      shape: shapes.scan,
      timeoutMs
    })
    return {
      items: answer.items.map(itemFrom),
      hasMore: answer.has_more,
      revision: answer.revision,
      consistency: answer.consistency,
      leaderContactMs: answer.leader_contact_ms
    }
  }
}

function bytesJson(field: string, bytes: Uint8Array): Record<string, string> {
  const text = textOf(bytes)
  if (text !== null) return { [field]: text }
  return { [`${field}_b64`]: Buffer.from(bytes).toString('base64') }
}

/** When the key was missing, if that is what the error says. */
function missingAt(error: unknown): Pick<Got, 'revision' | 'leaderContactMs'> | null {
  if (!(error instanceof AspenError) || error.code !== 'NOT_FOUND') return null
  const { revision, leader_contact_ms: contact } = error.detail.fields ?? {}
  if (typeof revision !== 'number') return null
  return { revision, leaderContactMs: typeof contact === 'number' ? contact : null }
}
