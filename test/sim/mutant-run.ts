// One mutant: planted into the copy, compiled, run against what must kill it, and taken out again.

import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { isRecord } from '../../lib/encoding.ts'

export interface Mutant {
  readonly name: string
  /** why somebody could write it */
  readonly about: string
  /** a source file, from the root */
  readonly target: string
  /** stands exactly once in the target */
  readonly old: string
  readonly new: string
  readonly killedBy: Killer
}

export type Killer =
  /** a run of the simulator fails by one of these */
  | { readonly kind: 'oracle'; readonly invariants: readonly string[] }
  /** the named test of a file fails */
  | { readonly kind: 'test'; readonly file: string; readonly test: string }

export interface MutantVerdict {
  readonly mutant: Mutant
  readonly isKilled: boolean
  /** by what it was killed, or what happened instead */
  readonly how: string
  readonly elapsedMs: number
}

interface MutantRun {
  readonly mutant: Mutant
  /** the copy */
  readonly tree: string
  readonly seedCount: number
}

/** @throws Error for what is no mutant */
export function parseMutant(name: string, text: string): Mutant {
  const value: unknown = JSON.parse(text)
  if (!isRecord(value)) throw new Error(`${name}: not an object`)
  const { about, target, old, new: replacement, killedBy } = value
  const killer = parseKiller(killedBy)
  const isText = [about, target, old, replacement].every((field) => typeof field === 'string')
  if (!isText || killer === null) throw new Error(`${name}: not a mutant`)
  return {
    name,
    about: String(about),
    target: String(target),
    old: String(old),
    new: String(replacement),
    killedBy: killer
  }
}

function parseKiller(value: unknown): Killer | null {
  if (!isRecord(value)) return null
  const { oracle, file, test } = value
  if (Array.isArray(oracle) && oracle.length > 0) {
    return { kind: 'oracle', invariants: oracle.map(String) }
  }
  if (typeof file === 'string' && typeof test === 'string') return { kind: 'test', file, test }
  return null
}

export async function runMutant(run: MutantRun): Promise<MutantVerdict> {
  const { mutant, tree } = run
  const startedMs = performance.now()
  const path = join(tree, mutant.target)
  const source = await readFile(path, 'utf8')
  const verdict = (isKilled: boolean, how: string): MutantVerdict => {
    return { mutant, isKilled, how, elapsedMs: performance.now() - startedMs }
  }
  const places = source.split(mutant.old).length - 1
  if (places !== 1) return verdict(false, `its text stands ${places} times in ${mutant.target}`)
  await writeFile(
    path,
    source.replace(mutant.old, () => mutant.new)
  )
  try {
    const compiled = await compile(tree)
    if (compiled !== null) return verdict(false, `does not compile: ${compiled}`)
    const { killedBy } = mutant
    const ended =
      killedBy.kind === 'oracle' ? await simulateIt(run, killedBy) : await testIt(run, killedBy)
    return verdict(ended.isKilled, ended.how)
  } finally {
    await writeFile(path, source)
  }
}

interface Ended {
  readonly isKilled: boolean
  readonly how: string
}

/** A mutant may leave a name unused. */
const LENIENT = ['--noUnusedLocals', 'false', '--noUnusedParameters', 'false']

/** What the compiler says, or null. */
async function compile(tree: string): Promise<string | null> {
  const require = createRequire(import.meta.url)
  const manifest = require.resolve('typescript/package.json')
  const { code, output } = await execute(tree, [join(dirname(manifest), 'bin/tsc'), ...LENIENT])
  return code === 0 ? null : (output.split('\n')[0] ?? 'an error')
}

async function simulateIt(
  { tree, seedCount }: MutantRun,
  { invariants }: Killer & { kind: 'oracle' }
): Promise<Ended> {
  const { output } = await execute(tree, [
    'dist/test/sim/sim.js',
    '--seeds',
    String(seedCount),
    '--from',
    String(FIRST_SEED),
    '--stop',
    '--json'
  ])
  const failure = output.split('\n').map(parseFailure).find(Boolean)
  if (failure === undefined || failure === null) {
    return { isKilled: false, how: `nothing found in ${seedCount} seeds` }
  }
  const { seed, invariant } = failure
  const how = `${invariant} at seed ${seed - FIRST_SEED + 1}`
  return { isKilled: invariants.includes(invariant), how }
}

/** Where the seeds of the gate begin: the same ones every time. */
const FIRST_SEED = 1

function parseFailure(line: string): { seed: number; invariant: string } | null {
  if (!line.startsWith('{')) return null
  const value: unknown = JSON.parse(line)
  if (!isRecord(value)) return null
  const { seed, invariant } = value
  return typeof seed === 'number' && typeof invariant === 'string' ? { seed, invariant } : null
}

async function testIt(
  { tree }: MutantRun,
  { file, test }: Killer & { kind: 'test' }
): Promise<Ended> {
  const script = join('dist', file.replace(/\.ts$/, '.js'))
  const { code, output } = await execute(tree, ['--enable-source-maps', script])
  const isFailed = output.split('\n').some((line) => {
    return line.startsWith('not ok') && line.includes(test)
  })
  if (isFailed) return { isKilled: true, how: `'${test}'` }
  return { isKilled: false, how: code === 0 ? `'${test}' passes` : `'${test}' did not fail alone` }
}

/** Runs node with `args` in the copy. */
function execute(cwd: string, args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const keep = (chunk: Buffer): void => {
      output += chunk.toString()
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? 1, output }))
  })
}
