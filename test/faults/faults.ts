// `npm run test:faults`: the tests of faults, and a table of what was done to the nodes and what came
// of it. `--full` is the long form; other arguments name files: `npm run test:faults -- kills`. The
// last line is the runner's.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { TALLY_FOLDER, tableOf } from './tally.ts'

const RUNNER = fileURLToPath(new URL('../runner.js', import.meta.url))

const words = process.argv.slice(2)
const isFull = words.includes('--full') || process.env['ASPEN_FULL'] === '1'
const files = words.filter((word) => !word.startsWith('--')).map((word) => `faults/${word}`)
const folder = mkdtempSync(join(tmpdir(), 'aspen-faults-'))
const parts = files.length === 0 ? ['faults'] : files
const child = spawn(process.execPath, ['--enable-source-maps', RUNNER, ...parts], {
  env: { ...process.env, [TALLY_FOLDER]: folder, ASPEN_FULL: isFull ? '1' : '' },
  stdio: ['ignore', 'pipe', 'inherit']
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
const ended = once(child, 'close')
let last: string | null = null
for await (const line of createInterface({ input: child.stdout })) {
  if (last !== null) console.log(last)
  last = line
}
const [code] = await ended
console.log('')
for (const line of tableOf(folder)) console.log(line)
rmSync(folder, { recursive: true })
console.log(last ?? '0 passed, 1 failed')
process.exitCode = typeof code === 'number' ? code : 1
