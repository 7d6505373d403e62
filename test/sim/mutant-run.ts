// One mutant: planted into the copy, compiled, run against what must kill it, and taken out again. Who
// kills a mutant must let the real code live: that is asked of the build that this program is part of.

import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { isRecord } from '../../lib/encoding.ts'
import { follow } from './mutant-process.ts'
import type { Mutant } from './mutant.ts'

export interface MutantVerdict {
  readonly mutant: Mutant
  readonly isKilled: boolean
  /** by what it was killed, or what happened instead */
  readonly how: string
  readonly elapsedMs: number
}

export interface MutantRun {
  readonly mutant: Mutant
  /** the real sources, and in `dist` their build */
  readonly root: string
  /** the copy */
  readonly tree: string
  readonly seedCount: number
}

/** How it ended, without the time. */
interface Ended {
  readonly isKilled: boolean
  readonly how: string
}

export async function runMutant(run: MutantRun): Promise<MutantVerdict> {
  const startedMs = performance.now()
  const ended = await plantAndRun(run)
  return { mutant: run.mutant, ...ended, elapsedMs: performance.now() - startedMs }
}

async function plantAndRun(run: MutantRun): Promise<Ended> {
  const { mutant, tree } = run
  const path = join(tree, mutant.target)
  const source = await readFile(path, 'utf8')
  const [before, after, ...more] = source.split(mutant.old)
  if (before === undefined || after === undefined || more.length > 0) {
    const places = source.split(mutant.old).length - 1
    return survived(`its text stands ${places} times in ${mutant.target}`)
  }
  await writeFile(path, `${before}${mutant.new}${after}`)
  try {
    const complaint = await compile(tree)
    if (complaint !== null) return survived(`does not compile: ${complaint}`)
    return mutant.killedBy.kind === 'oracle' ? await simulateIt(run) : await testIt(run)
  } finally {
    await writeFile(path, source)
  }
}

/** A mutant may leave a name unused. */
const LENIENT = ['--noUnusedLocals', 'false', '--noUnusedParameters', 'false']

/** What the compiler says, or null. */
async function compile(tree: string): Promise<string | null> {
  const require = createRequire(import.meta.url)
  const compiler = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc')
  const lines: string[] = []
  const { code } = await follow({
    cwd: tree,
    args: [compiler, ...LENIENT],
    limitMs: LIMIT_MS,
    onLine: (line) => {
      if (line.includes('error')) lines.push(line)
      return true
    }
  })
  return code === 0 ? null : (lines[0] ?? `it ends with ${code}`)
}

// --- the simulator ---

async function simulateIt({ mutant, root, tree, seedCount }: MutantRun): Promise<Ended> {
  const { killedBy } = mutant
  if (killedBy.kind !== 'oracle') return survived('no oracle is named')
  const args = ['--seeds', String(seedCount), '--from', String(FIRST_SEED), '--json']
  const others = new Map<string, number>()
  let killer: FailedRun | null = null
  let otherCount = 0
  const { code, lastLine } = await follow({
    cwd: tree,
    args: ['--enable-source-maps', SIMULATOR, ...args],
    limitMs: LIMIT_MS,
    onLine: (line) => {
      const failed = parseFailed(line)
      if (failed === null) return true
      if (killedBy.oracles.some((oracle) => isBy(oracle, failed))) killer = failed
      else others.set(failed.invariant, (others.get(failed.invariant) ?? 0) + 1)
      otherCount++
      return killer === null && otherCount < MAX_OTHER_FAILURES
    }
  })
  const notes = [...others].map(([name, count]) => `${name} ×${count}`).join(', ')
  if (killer !== null) return await confirmSeed(root, killer, notes)
  if (notes !== '') return survived(`only by ${notes}`)
  if (code === null) return survived(`the simulator does not end: ${lastLine}`)
  return survived(code === 0 ? `nothing in ${seedCount} seeds` : `no seed fails: ${lastLine}`)
}

/** The real code must pass where the mutant fails. */
async function confirmSeed(root: string, failed: FailedRun, others: string): Promise<Ended> {
  const { seed, invariant, message } = failed
  const args = ['--enable-source-maps', SIMULATOR, '--seed', String(seed)]
  const { code } = await follow({ cwd: root, args, limitMs: LIMIT_MS, onLine: () => true })
  if (code !== 0) return survived(`the real code fails at seed ${seed} too`)
  const [text = ''] = message.split('\n')
  const also = others === '' ? '' : ` (also ${others})`
  return {
    isKilled: true,
    how: `seed ${seed - FIRST_SEED + 1}${also}, ${shortened(invariant, text)}`
  }
}

function shortened(invariant: string, text: string): string {
  const full = text.startsWith(invariant) ? text : `${invariant}: ${text}`
  return full.length > 100 ? `${full.slice(0, 99)}…` : full
}

const SIMULATOR = 'dist/test/sim/sim.js'
/** Where the seeds of the gate begin: the same ones every time. */
const FIRST_SEED = 1
/** A mutant that fails so often by what it should not, is not looked at any longer. */
const MAX_OTHER_FAILURES = 40
/** No compiler, run of the simulator or test takes so long. */
const LIMIT_MS = 20 * 60_000

interface FailedRun {
  readonly seed: number
  readonly invariant: string
  readonly message: string
}

function isBy(oracle: string, { invariant, message }: FailedRun): boolean {
  if (!oracle.startsWith('assert ')) return oracle === invariant
  return invariant === 'assert' && message.includes(oracle.slice('assert '.length))
}

function parseFailed(line: string): FailedRun | null {
  if (!line.startsWith('{')) return null
  const value: unknown = JSON.parse(line)
  if (!isRecord(value)) return null
  const { seed, invariant, message } = value
  const isFailure =
    typeof seed === 'number' && typeof invariant === 'string' && typeof message === 'string'
  return isFailure ? { seed, invariant, message } : null
}

// --- a test ---

async function testIt({ mutant, root, tree }: MutantRun): Promise<Ended> {
  const { killedBy } = mutant
  if (killedBy.kind !== 'test') return survived('no test is named')
  const { file, test } = killedBy
  const end = await runTest(tree, file, test)
  if (end !== 'failed') return survived(`'${test}' ${end}`)
  const real = await runTest(root, file, test)
  if (real !== 'passed') return survived(`'${test}' of the real code ${real}`)
  return { isKilled: true, how: `'${test}'` }
}

type TestEnd = 'passed' | 'failed' | 'did not run'

/** How one test of a file ends; brittle says nothing more when a test throws, not even its end. */
async function runTest(cwd: string, file: string, test: string): Promise<TestEnd> {
  let running: string | null = null
  let end: TestEnd = 'did not run'
  const { code } = await follow({
    cwd,
    args: ['--enable-source-maps', join('dist', file.replace(/\.ts$/, '.js'))],
    limitMs: LIMIT_MS,
    onLine: (line) => {
      if (line.startsWith('# ')) running = line.slice(2)
      const [, not, name] = /^(not )?ok \d+ - (.*?)(?: # time = .*)?$/.exec(line) ?? []
      if (name !== undefined) running = null
      if (name === test) end = not === undefined ? 'passed' : 'failed'
      return end === 'did not run'
    }
  })
  const hasThrown = end === 'did not run' && running === test && code !== 0 && code !== null
  return hasThrown ? 'failed' : end
}

function survived(how: string): Ended {
  return { isKilled: false, how }
}
