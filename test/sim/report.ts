// What a run of the simulator says of a failed seed.

import type { Failure } from '../../lib/testing/simulation.ts'
import type { SimulationOptions } from '../../lib/testing/swarm.ts'

export interface FailedSeed extends Failure {
  readonly seed: number
}

/** The command that repeats a seed. */
export function commandOf(seed: number): string {
  return `npm run sim -- --seed ${seed}`
}

export function failureText({ seed, invariant, message, lastEvents }: FailedSeed): string {
  const events = lastEvents.map((line) => `    ${line}`).join('\n')
  return `seed ${seed} failed: ${invariant}\n${events}\n  ${message}\n  repeat with: ${commandOf(seed)}`
}

/** The drawn options, a line for each group. */
export function optionsText(options: SimulationOptions): string {
  const lines = Object.entries(options).map(([name, value]) => {
    const text = typeof value === 'object' ? JSON.stringify(value, shortened) : String(value)
    return `  ${name}: ${text.replaceAll('"', '')}`
  })
  return `options\n${lines.join('\n')}`
}

function shortened(_name: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value
}
