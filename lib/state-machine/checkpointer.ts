// Has checkpoints made, one at a time, in a thread of its own that ends when there was nothing to do
// for CHECKPOINT_LINGER_MS: a busy node keeps it, an idle node has none.

import { Worker } from 'node:worker_threads'
import { assert, present } from '../assert.ts'
import type { Timer, Timers } from '../clock.ts'
import { isRecord } from '../encoding.ts'
import { StorageError, isErrorCode } from '../errors.ts'
import { CHECKPOINT_LINGER_MS } from '../limits.ts'
import type { Index } from '../raft/entry.ts'
import type { CheckpointReport } from './sqlite-connection.ts'
import { storageErrorOf } from './sqlite-errors.ts'
import { workerFlags } from './worker-flags.ts'

export interface CheckpointerOptions {
  /** of the database */
  readonly path: string
  readonly timers: Timers
  /**
   * A checkpoint ended, well or not; in the latter case after `onFailed`. All that had been committed when
   * it was asked for is durable up to `durableIndex`; null: not all of it could be copied. `report` is null
   * where it failed.
   */
  readonly onEnded: (durableIndex: Index | null, report: CheckpointReport | null) => void
  readonly onFailed: (error: StorageError) => void
}

export class Checkpointer {
  readonly #options: CheckpointerOptions
  #worker: Worker | null = null
  /** ends when the thread has ended */
  #ended: Promise<void> = Promise.resolve()
  #isRunning = false
  /** what is asked of the thread, in order: a checkpoint as of an index, or to open the database */
  readonly #asked: (CheckpointAsked | HoldAsked)[] = []
  #linger: Timer | null = null

  constructor(options: CheckpointerOptions) {
    this.#options = options
  }

  /** Starts a checkpoint, unless one is running. `index` is what has been committed. @returns whether it did */
  maybeStart(index: Index): boolean {
    if (this.#isRunning) return false
    this.#isRunning = true
    this.#ask({ kind: 'checkpoint', index })
    return true
  }

  /**
   * Sees to it that the thread has the database open, so that closing other connections is not the end of it: the
   * last one that closes copies the whole write-ahead log. From then on until `close`.
   */
  hold(onHeld: () => void): void {
    this.#ask({ kind: 'open', onHeld })
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
      execArgv: workerFlags(process.execArgv),
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 }
    })
    worker.unref()
    worker.on('message', (answer: unknown) => this.#answered(answer))
    worker.once('error', (error) => {
      this.#failed(storageErrorOf(error, 'the checkpoint thread ended'))
    })
    this.#ended = new Promise((resolve) => {
      worker.once('exit', () => {
        if (this.#worker === worker) this.#worker = null
        resolve()
      })
    })
    return worker
  }

  #ask(asked: CheckpointAsked | HoldAsked): void {
    this.#linger?.cancel()
    this.#asked.push(asked)
    this.#worker ??= this.#startThread()
    this.#worker.postMessage(asked.kind)
  }

  #answered(answer: unknown): void {
    if (answer !== null && !isReport(answer)) {
      this.#failed(storageErrorFrom(answer))
      return
    }
    const asked = present(this.#asked.shift(), 'what the thread was asked')
    if (asked.kind === 'open') {
      asked.onHeld()
      return
    }
    assert(answer !== null, 'a checkpoint is answered with what it has done')
    this.#isRunning = false
    if (this.#worker !== null && this.#asked.length === 0) this.#startLingering()
    this.#options.onEnded(answer.after.pendingByteCount === 0 ? asked.index : null, answer)
  }

  #failed(failure: StorageError): void {
    this.#asked.splice(0)
    this.#isRunning = false
    if (this.#worker !== null) this.#startLingering()
    this.#options.onFailed(failure)
    this.#options.onEnded(null, null)
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

interface CheckpointAsked {
  readonly kind: 'checkpoint'
  readonly index: Index
}

interface HoldAsked {
  readonly kind: 'open'
  readonly onHeld: () => void
}

/** What the worker posts. */
function isReport(answer: unknown): answer is CheckpointReport {
  return isRecord(answer) && 'pageCount' in answer
}

/** What it posts where it failed. */
function storageErrorFrom(detail: unknown): StorageError {
  const code = isRecord(detail) ? detail['code'] : null
  assert(isRecord(detail) && isErrorCode(code), 'a checkpoint posts the detail of an error')
  return new StorageError({ code, message: String(detail['message']) })
}
