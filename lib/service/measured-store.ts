// The store of a node with a note of every request: what it was, how it ended, how long it took.

import type { Clock } from '../clock.ts'
import { asAspenError } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import type { ChangeSet } from '../state-machine/command.ts'
import type { KvResult } from './metric-table.ts'
import type {
  Consistency,
  Got,
  KeyValueApi,
  ReadOptions,
  RequestOptions,
  Scanned,
  ScanOptions,
  Written
} from './node-api.ts'

export type KvOperation = 'get' | 'scan' | 'put' | 'delete' | 'batch'

export interface RequestNote {
  readonly op: KvOperation
  readonly consistency: Consistency
  readonly result: KvResult
  readonly durationMs: number
}

export class MeasuredStore implements KeyValueApi {
  readonly #store: KeyValueApi
  readonly #clock: Clock
  readonly #onEnded: (note: RequestNote) => void

  constructor(store: KeyValueApi, clock: Clock, onEnded: (note: RequestNote) => void) {
    this.#store = store
    this.#clock = clock
    this.#onEnded = onEnded
  }

  write(command: ChangeSet, options?: RequestOptions): Promise<Written> {
    const [first] = command.changes
    const op = first === undefined || command.changes.length > 1 ? 'batch' : first.kind
    return this.#noted(op, 'linearizable', () => this.#store.write(command, options))
  }

  get(key: Uint8Array, options?: ReadOptions): Promise<Got> {
    return this.#noted('get', options?.consistency, () => this.#store.get(key, options))
  }

  scan(request: ScanOptions, options?: ReadOptions): Promise<Scanned> {
    return this.#noted('scan', options?.consistency, () => this.#store.scan(request, options))
  }

  async #noted<Answer extends Written | Got | Scanned>(
    op: KvOperation,
    consistency: Consistency = 'linearizable',
    ask: () => Promise<Answer>
  ): Promise<Answer> {
    const beganMs = this.#clock.nowMs()
    const end = (result: KvResult): void =>
      this.#onEnded({ op, consistency, result, durationMs: this.#clock.nowMs() - beganMs })
    try {
      const answer = await ask()
      end('item' in answer && answer.item === null ? 'not_found' : 'ok')
      return answer
    } catch (error) {
      end(resultOf(asAspenError(error).code))
      throw error
    }
  }
}

/** How a refusal or an unknown outcome is counted. */
function resultOf(code: ErrorCode): KvResult {
  return RESULTS[code] ?? 'failed'
}

const RESULTS: Partial<Record<ErrorCode, KvResult>> = {
  NOT_FOUND: 'not_found',
  CONDITION_FAILED: 'conflict',
  INVALID_REQUEST: 'invalid',
  KEY_TOO_LARGE: 'invalid',
  VALUE_TOO_LARGE: 'invalid',
  BATCH_TOO_LARGE: 'invalid',
  BATCH_BYTES_TOO_LARGE: 'invalid',
  DUPLICATE_KEY: 'invalid',
  UNAVAILABLE: 'unavailable',
  OVERLOADED: 'overloaded',
  DISK_SPACE_INSUFFICIENT: 'no_space',
  STORE_FULL: 'no_space',
  TIMEOUT: 'timeout',
  OUTCOME_UNKNOWN: 'timeout',
  SESSION_EXPIRED: 'timeout'
}
