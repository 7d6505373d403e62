// The mutation gate: does the simulator find bugs? Each mutant is a file of `mutants/`: one line of
// the real code, replaced by a wrong one. It is applied to a copy of the tree and must be killed as the
// file says: by an oracle within a budget of seeds, or by a named test. A type error, a text that is
// not there exactly once, another way to die, or survival fails the gate.
//
//   npm run sim:mutants -- [name…] [--seeds N] [--count N --from K]
//
// `--count N --from K` takes N mutants by rotation: the Kth N of them, and around.

import { cp, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { endWithThisProcess } from './mutant-process.ts'
import { parseMutant } from './mutant.ts'
import type { Mutant } from './mutant.ts'
import { runMutant } from './mutant-run.ts'
import type { MutantVerdict } from './mutant-run.ts'

/** Sources live beside `dist`, where this file runs. */
const ROOT = join(import.meta.dirname, '../../..')
const COPIED = ['lib', 'tickets', 'bin', 'test', 'types', 'dist', 'package.json', 'tsconfig.json']

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '300' },
      count: { type: 'string' },
      from: { type: 'string', default: '0' }
    }
  })
  const all = await readMutants()
  const unknown = positionals.filter((name) => !all.some((mutant) => mutant.name === name))
  if (unknown.length > 0) usage(`no mutant is called ${unknown.join(', ')}`)
  const named = positionals.length > 0 ? all.filter(({ name }) => positionals.includes(name)) : all
  const count = values.count === undefined ? named.length : wholeNumber(values.count, '--count')
  const from = wholeNumber(values.from, '--from')
  const seedCount = wholeNumber(values.seeds, '--seeds')
  const verdicts = await runAll(rotated(named, from * count).slice(0, count), seedCount)
  const survivorCount = verdicts.filter(({ isKilled }) => !isKilled).length
  console.log(`${verdicts.length - survivorCount} passed, ${survivorCount} failed`)
  process.exitCode = survivorCount === 0 && verdicts.length > 0 ? 0 : 1
}

/** One after the other, in one copy. */
async function runAll(
  mutants: readonly Mutant[],
  seedCount: number
): Promise<readonly MutantVerdict[]> {
  const tree = await copyTree()
  const verdicts: MutantVerdict[] = []
  try {
    for (const mutant of mutants) {
      const verdict = await runMutant({ mutant, root: ROOT, tree, seedCount })
      console.log(lineOf(verdict))
      verdicts.push(verdict)
    }
  } finally {
    await rm(tree, { recursive: true, force: true })
  }
  return verdicts
}

async function readMutants(): Promise<readonly Mutant[]> {
  const folder = join(ROOT, 'test/sim/mutants')
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted()
  return await Promise.all(
    names.map(async (file) =>
      parseMutant(file.slice(0, -'.json'.length), await readFile(join(folder, file), 'utf8'))
    )
  )
}

/** A copy of what is compiled and of the build, so that the first mutant costs no more than the next. */
async function copyTree(): Promise<string> {
  const tree = await mkdtemp(join(tmpdir(), 'aspen-mutants-'))
  for (const name of COPIED)
    await cp(join(ROOT, name), join(tree, name), { recursive: true, preserveTimestamps: true })
  await symlink(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
  return tree
}

function rotated<T>(items: readonly T[], from: number): readonly T[] {
  const at = items.length === 0 ? 0 : from % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

function lineOf({ mutant, isKilled, how, elapsedMs }: MutantVerdict): string {
  const mark = isKilled ? 'killed  ' : 'SURVIVED'
  return `${mark}  ${mutant.name.padEnd(32)} ${how}  ${(elapsedMs / 1_000).toFixed(0)} s`
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

endWithThisProcess()
await main()
