// A worker of the simulator: a seed comes in, what became of it goes out.

import { parentPort } from 'node:worker_threads'
import { present } from '../../lib/assert.ts'
import { simulate } from '../../lib/testing/simulation.ts'
import type { Failure } from '../../lib/testing/simulation.ts'

export interface SeedResult {
  readonly seed: number
  readonly eventCount: number
  readonly simulatedMs: number
  readonly coverage: readonly (readonly [string, number])[]
  readonly isRepeated: boolean
  readonly failure: Failure | null
}

/** One seed in so many runs twice. */
const REPEAT_ONE_IN = 100

async function run(seed: number): Promise<SeedResult> {
  const verdict = await simulate(seed)
  const { trace, eventCount, simulatedMs, coverage } = verdict
  let { failure } = verdict
  const isRepeated = seed % REPEAT_ONE_IN === 0
  if (isRepeated) {
    const again = await simulate(seed)
    if (again.trace !== trace) {
      const message = `two runs of one seed: traces ${trace} and ${again.trace}`
      failure ??= { invariant: 'determinism', message, lastEvents: [] }
    }
  }
  return { seed, eventCount, simulatedMs, coverage: coverage.entries(), isRepeated, failure }
}

const port = present(parentPort, 'the thread that started this one')
port.on('message', (seed: number) => {
  void run(seed).then((result) => port.postMessage(result))
})
