// Runs one task of a snapshot in a thread of its own (snapshot-worker.ts).

import { Worker } from 'node:worker_threads'
import { assert } from '../assert.ts'
import type { OnBoundary } from '../boundary.ts'
import { isThreadMessage } from './snapshot-task.ts'
import type { SnapshotTask, TaskAnswer, ThreadData } from './snapshot-task.ts'
import { storageErrorOf } from './sqlite-errors.ts'
import { workerFlags } from './worker-flags.ts'

export class SnapshotThread {
  readonly #cancelled = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
  readonly #worker: Worker
  /** resolves when the thread has ended */
  readonly ended: Promise<void>

  /** `onAnswer` gets `begun` where the task has a beginning, and then one other answer. */
  constructor(task: SnapshotTask, onAnswer: (answer: TaskAnswer) => void, onBoundary?: OnBoundary) {
    const heard =
      onBoundary === undefined ? null : new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
    const workerData: ThreadData = { task, cancelled: this.#cancelled, heard }
    const worker = new Worker(new URL('./snapshot-worker.js', import.meta.url), {
      name: `aspen-snapshot-${task.kind}`,
      workerData,
      execArgv: workerFlags(process.execArgv),
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 }
    })
    // it does not keep the process alive: what it has not finished is deleted at the next start
    worker.unref()
    worker.on('message', (message: unknown) => {
      assert(isThreadMessage(message), 'the thread posts answers')
      if (message.kind !== 'boundary') {
        onAnswer(message)
        return
      }
      onBoundary?.(message.name)
      if (heard !== null) countOne(new Int32Array(heard))
    })
    worker.once('error', (error) => {
      const { detail } = storageErrorOf(error, 'the snapshot thread ended')
      onAnswer({ kind: 'failed', error: detail })
    })
    this.#worker = worker
    this.ended = new Promise((resolve) => {
      worker.once('exit', () => resolve())
    })
  }

  /** It answers `refused` soon, unless it has come to its end. */
  cancel(): void {
    Atomics.store(new Int32Array(this.#cancelled), 0, 1)
  }

  /** The process does not end before it: somebody waits for the answer. */
  keepAlive(): void {
    this.#worker.ref()
  }

  /** Gives it up and waits for its end. */
  async close(): Promise<void> {
    this.keepAlive()
    this.cancel()
    await this.ended
  }
}

/** Whoever waits for the next one goes on. */
function countOne(count: Int32Array<SharedArrayBuffer>): void {
  Atomics.add(count, 0, 1)
  Atomics.notify(count, 0)
}
