// Runs simulated clusters: `npm run sim -- …`. Seeds are handed out to workers, one at a time; a
// failure prints the seed, the invariant, the last events and the command that repeats it.
//
//   --seeds N      N seeds (1,000 when nothing is said)
//   --minutes M    as many seeds as M minutes take
//   --from F       the first seed; drawn from the clock when left out
//   --seed S       one seed, whose last line is trace=<16 hex digits>
//   --workers W    processes (2)
//   --stop         ends at the first failure
//   --json         one line of JSON for each failure, for other programs

import { parseArgs } from 'node:util'
import { simulate } from '../../lib/testing/simulation.ts'
import { commandOf, failureText, optionsText } from './report.ts'
import { runSeeds } from './workers.ts'
import type { Batch } from './workers.ts'

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      minutes: { type: 'string' },
      from: { type: 'string' },
      seed: { type: 'string' },
      workers: { type: 'string', default: '2' },
      stop: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false }
    }
  })
  if (values.seed !== undefined) {
    await runOne(wholeNumber(values.seed, '--seed'))
    return
  }
  const seedCount = values.seeds === undefined ? 1_000 : wholeNumber(values.seeds, '--seeds')
  const minutes = values.minutes === undefined ? null : Number(values.minutes)
  if (minutes !== null && !(minutes > 0)) usage('--minutes takes a positive number')
  const first = values.from === undefined ? Date.now() * 1_000 : wholeNumber(values.from, '--from')
  const batch = await runSeeds({
    first,
    seedCount: minutes === null ? seedCount : null,
    limitMs: minutes === null ? null : minutes * 60_000,
    workerCount: wholeNumber(values.workers, '--workers'),
    isFirstFailureLast: values.stop,
    onFailure: (result) => {
      console.log(values.json ? JSON.stringify(result) : failureText(result))
    }
  })
  print(batch)
}

async function runOne(seed: number): Promise<void> {
  const verdict = await simulate(seed)
  console.log(optionsText(verdict.options))
  const { eventCount, simulatedMs, failure } = verdict
  console.log(`${eventCount} events in ${(simulatedMs / 1_000).toFixed(1)} simulated seconds`)
  for (const [name, count] of verdict.coverage.entries()) {
    if (count > 0) console.log(`  ${name} ${count}`)
  }
  if (failure !== null) {
    console.log(failureText({ seed, ...failure }))
    process.exitCode = 1
  }
  console.log(`trace=${verdict.trace}`)
}

function print(batch: Batch): void {
  const { seedCount, eventCount, simulatedMs, elapsedMs, repeatedCount } = batch
  const seconds = elapsedMs / 1_000
  console.log(
    `${seedCount} seeds from ${batch.first}, ${eventCount} events in ${seconds.toFixed(0)} s ` +
      `(${(seedCount / seconds).toFixed(1)} seeds/s, ${(eventCount / seconds).toFixed(0)} events/s), ` +
      `${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${repeatedCount} run twice`
  )
  for (const { name, count, floor } of batch.coverage) {
    const mark = floor !== null && count < floor ? `  BELOW ${floor}` : ''
    console.log(`  ${name.padEnd(18)} ${count}${mark}`)
  }
  for (const { seed } of batch.failures) console.log(`failed: ${commandOf(seed)}`)
  const belowCount = batch.coverage.filter(({ count, floor }) => count < (floor ?? 0)).length
  const failedCount = batch.failures.length + belowCount
  console.log(`${seedCount - batch.failures.length} passed, ${failedCount} failed`)
  process.exitCode = failedCount === 0 ? 0 : 1
}

function wholeNumber(text: string, name: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) usage(`${name} takes a whole number, not ${text}`)
  return value
}

function usage(message: string): never {
  console.error(message)
  process.exit(2)
}

await main()
