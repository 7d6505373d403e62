// Every mutant of the simulator's gate is still one: CI runs two of them by rotation, so that a text which has
// changed would be noticed weeks later.

import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import test from 'brittle'
import { parseMutant } from '../sim/mutant.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const FOLDER = join(ROOT, 'test', 'sim', 'mutants')

test('every mutant names a text that stands exactly once in its target, and something else for it', (t) => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))
  t.ok(files.length >= 25, `${files.length} mutants`)
  for (const name of files) {
    const mutant = parseMutant(basename(name, '.json'), readFileSync(join(FOLDER, name), 'utf8'))
    const count = readFileSync(join(ROOT, mutant.target), 'utf8').split(mutant.old).length - 1
    if (count !== 1) t.fail(`${name}: the old text stands ${count} times in ${mutant.target}`)
    if (mutant.new === mutant.old) t.fail(`${name}: nothing is changed`)
    const { killedBy } = mutant
    if (killedBy.kind === 'oracle') continue
    const tests = readFileSync(join(ROOT, killedBy.file), 'utf8')
    // a suite over several implementations names each of them first
    const title = killedBy.test.replace(/^\w+: /, '')
    if (!tests.includes(title)) t.fail(`${name}: no test '${title}'`)
  }
})
