// What the tests of faults have done and found, summed over all files: each file keeps its sums in a
// file of its own in the folder that ASPEN_FAULTS_TALLY names, and faults.ts prints the table.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const TALLY_FOLDER = 'ASPEN_FAULTS_TALLY'

const ROWS = {
  kills: 'processes killed',
  pauses: 'processes stopped and continued',
  boundaries: 'crashes at a durable boundary',
  crashStates: 'states after a power loss, reopened',
  injectedErrors: 'injected errors of the disk',
  flips: 'damaged files: flips, zeroed sectors, cuts',
  clockJumps: 'jumps of the clock',
  acknowledged: 'acknowledged writes',
  lost: 'of these lost',
  wrong: 'wrong answers'
} as const

export type Tally = { -readonly [Row in keyof typeof ROWS]: number }

const own: Partial<Tally> = {}

/** Adds to the sums of this file. */
export function tally(more: Partial<Tally>): void {
  for (const row of rows()) {
    const count = more[row]
    if (count !== undefined) own[row] = (own[row] ?? 0) + count
  }
  const folder = process.env[TALLY_FOLDER]
  if (folder !== undefined) writeFileSync(join(folder, `${process.pid}.json`), JSON.stringify(own))
}

/** The sums of all files in the folder, as lines of a table. */
export function tableOf(folder: string): string[] {
  const sums = rows().map((row) => ({ row, count: 0 }))
  for (const name of readdirSync(folder)) {
    const part: Partial<Tally> = JSON.parse(readFileSync(join(folder, name), 'utf8'))
    for (const sum of sums) sum.count += part[sum.row] ?? 0
  }
  return sums.map(({ row, count }) => `${String(count).padStart(9)}  ${ROWS[row]}`)
}

function rows(): readonly (keyof Tally)[] {
  return Object.keys(ROWS).filter((name): name is keyof Tally => name in ROWS)
}
