// Runs one task of a snapshot in a thread of its own (snapshot-worker.ts).

import { Worker } from 'node:worker_threads'
import { assert } from '../assert.ts'
import { isAnswer } from './snapshot-task.ts'
import type { SnapshotTask, TaskAnswer, ThreadData } from './snapshot-task.ts'
import { storageErrorOf } from './sqlite-errors.ts'

export class SnapshotThread {
  readonly #cancelled = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
  readonly #worker: Worker
  /** resolves when the thread has ended */
  readonly ended: Promise<void>

  /** `onAnswer` gets `begun` where the task has a beginning, and then one other answer. */
  constructor(task: SnapshotTask, onAnswer: (answer: TaskAnswer) => void) {
    const workerData: ThreadData = { task, cancelled: this.#cancelled }
    const worker = new Worker(new URL('./snapshot-worker.js', import.meta.url), {
      name: `aspen-snapshot-${task.kind}`,
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 }
    })
    // it does not keep the process alive: what it has not finished is deleted at the next start
    worker.unref()
    worker.on('message', (answer: unknown) => {
      assert(isAnswer(answer), 'the thread posts answers')
      onAnswer(answer)
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
