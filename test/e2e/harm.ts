// Damage to the log of a node that does not run, and whether all nodes have one state again afterwards.

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Lab } from './lab.ts'
import { waitFor } from './lab.ts'

/** Flips a bit in every copy of `text` in the log of a node that does not run; @returns how many. */
export function harm(lab: Lab, machine: string, text: string): number {
  const path = join(lab.dataDir(machine), 'log', 'data.mdb')
  const bytes = readFileSync(path)
  const file = openSync(path, 'r+')
  let count = 0
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + 1)) {
    writeSync(file, Buffer.from([(bytes[at] ?? 0) ^ 0x10]), 0, 1, at)
    count++
  }
  closeSync(file)
  return count
}

export async function agree(lab: Lab, machines: readonly string[]): Promise<void> {
  await waitFor('one state everywhere', async () => {
    const states = await Promise.all(machines.map((name) => lab.status(name)))
    return new Set(states.map((one) => `${one.applied_index} ${one.state_hash}`)).size === 1
  })
}
