// Hands seeds to worker threads and adds up what they find. Workers share nothing; each runs one seed
// at a time. One seed in a hundred is run twice: another trace the second time is a failure itself.

import { Worker } from 'node:worker_threads'
import { COVERAGE_FLOORS, RARITIES } from '../../lib/testing/coverage.ts'
import type { FailedSeed } from './report.ts'
import type { SeedResult } from './worker.ts'

export interface BatchOptions {
  readonly first: number
  /** null for as many as the time allows */
  readonly seedCount: number | null
  readonly limitMs: number | null
  readonly workerCount: number
  readonly isFirstFailureLast: boolean
  readonly onFailure: (failed: FailedSeed) => void
}

export interface Batch {
  readonly first: number
  readonly seedCount: number
  readonly eventCount: number
  readonly simulatedMs: number
  readonly elapsedMs: number
  /** seeds that ran twice, for the same trace */
  readonly repeatedCount: number
  readonly failures: readonly FailedSeed[]
  readonly coverage: readonly {
    readonly name: string
    readonly count: number
    /** null when the batch is too small to demand anything */
    readonly floor: number | null
  }[]
}

/** Batches below this are looked at for failures only. */
const MIN_SEEDS_FOR_FLOORS = 300

export async function runSeeds(options: BatchOptions): Promise<Batch> {
  const sums = new Sums(options)
  const workers = Array.from({ length: options.workerCount }, () => work(sums))
  await Promise.all(workers)
  return sums.batch()
}

class Sums {
  readonly #options: BatchOptions
  readonly #startedMs = performance.now()
  readonly #counts = new Map<string, number>()
  readonly #failures: FailedSeed[] = []
  #next: number
  #seedCount = 0
  #eventCount = 0
  #simulatedMs = 0
  #repeatedCount = 0

  constructor(options: BatchOptions) {
    this.#options = options
    this.#next = options.first
  }

  /** The next seed to run, or null. */
  take(): number | null {
    const { first, seedCount, limitMs, isFirstFailureLast } = this.#options
    if (seedCount !== null && this.#next >= first + seedCount) return null
    if (limitMs !== null && performance.now() - this.#startedMs >= limitMs) return null
    if (isFirstFailureLast && this.#failures.length > 0) return null
    return this.#next++
  }

  add(result: SeedResult): void {
    this.#seedCount++
    this.#eventCount += result.eventCount
    this.#simulatedMs += result.simulatedMs
    if (result.isRepeated) this.#repeatedCount++
    for (const [name, count] of result.coverage) {
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + count)
    }
    if (result.failure === null) return
    const failed = { seed: result.seed, ...result.failure }
    this.#failures.push(failed)
    this.#options.onFailure(failed)
  }

  batch(): Batch {
    const isLarge = this.#seedCount >= MIN_SEEDS_FOR_FLOORS
    const scale = this.#seedCount / 1_000
    return {
      first: this.#options.first,
      seedCount: this.#seedCount,
      eventCount: this.#eventCount,
      simulatedMs: this.#simulatedMs,
      elapsedMs: performance.now() - this.#startedMs,
      repeatedCount: this.#repeatedCount,
      failures: this.#failures,
      coverage: RARITIES.map((name) => ({
        name,
        count: this.#counts.get(name) ?? 0,
        floor: isLarge ? Math.floor(COVERAGE_FLOORS[name] * scale) : null
      }))
    }
  }
}

/** One worker, until no seed is left. */
function work(sums: Sums): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./worker.js', import.meta.url))
    let running: number | null = null
    const next = (): void => {
      running = sums.take()
      if (running === null) void worker.terminate().then(() => resolve())
      else worker.postMessage(running)
    }
    worker.on('message', (result: SeedResult) => {
      sums.add(result)
      next()
    })
    worker.on('error', (error) => {
      reject(new Error(`the worker broke at seed ${running}`, { cause: error }))
    })
    next()
  })
}
