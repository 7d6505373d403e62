// Starts checkpoints, one at a time, each in a thread of its own that ends with it, so that an idle
// node has none.

import { Worker } from 'node:worker_threads'
import { assert } from '../assert.ts'
import { StorageError, isErrorCode } from '../errors.ts'
import { storageErrorOf } from './sqlite-errors.ts'

export interface CheckpointerOptions {
  /** of the database */
  readonly path: string
  /** A checkpoint ended, well or not; in the latter case after `onFailed`. */
  readonly onEnded: () => void
  readonly onFailed: (error: StorageError) => void
}

export class Checkpointer {
  readonly #options: CheckpointerOptions
  /** ends when the thread has ended; null when there is none */
  #running: Promise<void> | null = null
  #worker: Worker | null = null

  constructor(options: CheckpointerOptions) {
    this.#options = options
  }

  get isRunning(): boolean {
    return this.#worker !== null
  }

  /** Starts a checkpoint, unless one is running. */
  maybeStart(): boolean {
    if (this.#worker !== null) return false
    const worker = new Worker(new URL('./checkpoint-worker.js', import.meta.url), {
      name: 'aspen-checkpoint',
      workerData: this.#options.path,
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 }
    })
    worker.unref()
    this.#worker = worker
    this.#running = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#worker = null
        this.#running = null
        this.#options.onEnded()
        resolve()
      })
    })
    worker.once('message', (detail) => this.#options.onFailed(storageErrorFrom(detail)))
    worker.once('error', (error) =>
      this.#options.onFailed(storageErrorOf(error, 'a checkpoint thread ended'))
    )
    return true
  }

  /** Resolves when the thread has ended, if there is one. */
  async close(): Promise<void> {
    this.#worker?.ref()
    await this.#running
    assert(this.#worker === null, 'the thread of the checkpoint has ended')
  }
}

/** What the worker posts. */
function storageErrorFrom(detail: unknown): StorageError {
  const isDetail =
    typeof detail === 'object' && detail !== null && 'code' in detail && 'message' in detail
  assert(isDetail && isErrorCode(detail.code), 'a checkpoint posts the detail of an error')
  return new StorageError({ code: detail.code, message: String(detail.message) })
}
