// The mutation gate: does the simulator find bugs? Each mutant is a file of `mutants/`: one line of
// the real code, replaced by a wrong one. It is applied to a copy of the tree and must be killed as the
// file says: by an oracle within a budget of seeds, or by a named test. A type error, a text that is
// not there exactly once, another way to die, or survival fails the gate.
//
//   npm run sim:mutants -- [name…] [--seeds N] [--count N --from K]
//
// `--count N --from K` takes N mutants by rotation, beginning with the Kth.

import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runMutant } from './mutant-run.ts'
import type { Mutant, MutantVerdict } from './mutant-run.ts'
import { parseMutant } from './mutant-run.ts'

/** Sources live beside `dist`, where this file runs. */
const ROOT = join(import.meta.dirname, '../../..')
const COPIED = ['lib', 'tickets', 'bin', 'test', 'types', 'package.json', 'tsconfig.json']

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seeds: { type: 'string', default: '600' },
      count: { type: 'string' },
      from: { type: 'string', default: '0' }
    }
  })
  const all = await readMutants()
  const unknown = positionals.filter((name) => !all.some((mutant) => mutant.name === name))
  if (unknown.length > 0) throw new Error(`no mutant is called ${unknown.join(', ')}`)
  const named = positionals.length > 0 ? all.filter(({ name }) => positionals.includes(name)) : all
  const count = values.count === undefined ? named.length : Number(values.count)
  const chosen = rotated(named, Number(values.from)).slice(0, count)
  const tree = await copyTree()
  const verdicts: MutantVerdict[] = []
  try {
    for (const mutant of chosen) {
      const verdict = await runMutant({ mutant, tree, seedCount: Number(values.seeds) })
      console.log(lineOf(verdict))
      verdicts.push(verdict)
    }
  } finally {
    await rm(tree, { recursive: true, force: true })
  }
  const survivors = verdicts.filter((verdict) => !verdict.isKilled)
  console.log(`${verdicts.length - survivors.length} passed, ${survivors.length} failed`)
  process.exitCode = survivors.length === 0 && verdicts.length > 0 ? 0 : 1
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

/** A copy of what is compiled, beside the installed packages. */
async function copyTree(): Promise<string> {
  const tree = await mkdtemp(join(tmpdir(), 'aspen-mutants-'))
  for (const name of COPIED) await cp(join(ROOT, name), join(tree, name), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
  await writeFile(join(tree, '.gitignore'), '*\n')
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

await main()
