// Has checkpoints made, one at a time, in a thread of its own that ends when there was nothing to do
// for CHECKPOINT_LINGER_MS: a busy node keeps it, an idle node has none.

import { Worker } from 'node:worker_threads'
import { assert } from '../assert.ts'
import type { Timer, Timers } from '../clock.ts'
import { StorageError, isErrorCode } from '../errors.ts'
import { CHECKPOINT_LINGER_MS } from '../limits.ts'
import { storageErrorOf } from './sqlite-errors.ts'

export interface CheckpointerOptions {
  /** of the database */
  readonly path: string
  readonly timers: Timers
  /** A checkpoint ended, well or not; in the latter case after `onFailed`. */
  readonly onEnded: () => void
  readonly onFailed: (error: StorageError) => void
}

export class Checkpointer {
  readonly #options: CheckpointerOptions
  #worker: Worker | null = null
  /** ends when the thread has ended */
  #ended: Promise<void> = Promise.resolve()
  #isRunning = false
  #linger: Timer | null = null

  constructor(options: CheckpointerOptions) {
    this.#options = options
  }

  /** Starts a checkpoint, unless one is running. @returns whether it did */
  maybeStart(): boolean {
    if (this.#isRunning) return false
    this.#isRunning = true
    this.#linger?.cancel()
    this.#worker ??= this.#startThread()
    this.#worker.postMessage('checkpoint')
    return true
  }

  /** Resolves when the thread has ended, if there is one; a checkpoint in progress comes to its end. */
  async close(): Promise<void> {
    this.#endThread()
    await this.#ended
  }

  /** It does not keep the process alive, except while it is being closed. */
  #startThread(): Worker {
    const worker = new Worker(new URL('./checkpoint-worker.js', import.meta.url), {
      name: 'aspen-checkpoint',
      workerData: this.#options.path,
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 }
    })
    worker.unref()
    worker.on('message', (answer) =>
      this.#checkpointEnded(answer === null ? null : storageErrorFrom(answer))
    )
    worker.once('error', (error) =>
      this.#checkpointEnded(storageErrorOf(error, 'the checkpoint thread ended'))
    )
    this.#ended = new Promise((resolve) => {
      worker.once('exit', () => {
        if (this.#worker === worker) this.#worker = null
        resolve()
      })
    })
    return worker
  }

  #checkpointEnded(failure: StorageError | null): void {
    this.#isRunning = false
    if (this.#worker !== null) this.#startLingering()
    if (failure !== null) this.#options.onFailed(failure)
    this.#options.onEnded()
  }

  #startLingering(): void {
    this.#linger = this.#options.timers.start(CHECKPOINT_LINGER_MS, () => this.#endThread())
  }

  #endThread(): void {
    this.#linger?.cancel()
    const worker = this.#worker
    if (worker === null) return
    this.#worker = null
    worker.ref()
    worker.postMessage('end')
  }
}

/** What the worker posts. */
function storageErrorFrom(detail: unknown): StorageError {
  const isDetail =
    typeof detail === 'object' && detail !== null && 'code' in detail && 'message' in detail
  assert(isDetail && isErrorCode(detail.code), 'a checkpoint posts the detail of an error')
  return new StorageError({ code: detail.code, message: String(detail.message) })
}
