// Runs one test file in a process group of its own and says how it ended. The group is killed at
// the limit, and also after a normal end, so that no file leaves children to the next one.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import { TapReader } from './tap.ts'
import type { Skip, Summary } from './tap.ts'

export interface FileResult {
  readonly passed: number
  readonly failed: number
  readonly skips: readonly Skip[]
  readonly durationMs: number
  /** why the file counts as failed; null when it does not */
  readonly failure: string | null
  /** the last lines that it printed */
  readonly tail: readonly string[]
}

interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly isOverLimit: boolean
}

/** How long output may still come after the process has ended. */
const DRAIN_MS = 1_000

const running = new Set<ChildProcess>()

/** Runs `path` (absolute) with node; never rejects. */
export async function runFile(path: string, limitMs: number): Promise<FileResult> {
  const startedMs = performance.now()
  const tap = new TapReader()
  const ending = await runProcess(path, limitMs, (text) => tap.write(text))
  const tail = tap.end()
  const durationMs = performance.now() - startedMs
  const failure = failureOf(ending, tap.summary, limitMs)
  const { passed, total } = tap.summary ?? { passed: 0, total: 0 }
  return {
    passed: Math.max(0, passed - tap.skips.length),
    failed: failure === null ? 0 : Math.max(1, total - passed),
    skips: tap.skips,
    durationMs,
    failure,
    tail
  }
}

/** Kills all that is running, for a runner that is itself told to stop. */
export function killAll(): void {
  for (const child of running) killGroup(child)
}

function failureOf(ending: Ending, summary: Summary | null, limitMs: number): string | null {
  if (ending.isOverLimit) return `killed: still running after ${limitMs / 1_000} s`
  if (ending.signal !== null) return `died of ${ending.signal}`
  if (summary === null) {
    return `ended with exit code ${ending.code ?? 0} and no summary: it threw, or holds no test`
  }
  if (summary.total === 0) return 'holds no test'
  if (summary.passed < summary.total) return `${summary.total - summary.passed} failed`
  return ending.code === 0 ? null : `all tests passed, but the exit code is ${ending.code}`
}

function runProcess(
  path: string,
  limitMs: number,
  onText: (text: string) => void
): Promise<Ending> {
  const child = spawn(process.execPath, ['--enable-source-maps', path], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  running.add(child)
  child.stdout.setEncoding('utf8').on('data', onText)
  child.stderr.setEncoding('utf8').on('data', onText)
  return new Promise((resolve) => {
    let isOverLimit = false
    const limit = setTimeout(() => {
      isOverLimit = true
      killGroup(child)
    }, limitMs)
    child.once('error', (error) => onText(`${error.message}\n`))
    child.once('exit', () => {
      clearTimeout(limit)
      killGroup(child)
      // A daemon that the test started may hold the pipes open: do not wait for it.
      setTimeout(() => {
        child.stdout.destroy()
        child.stderr.destroy()
      }, DRAIN_MS).unref()
    })
    child.once('close', (code, signal) => {
      clearTimeout(limit)
      running.delete(child)
      resolve({ code, signal, isOverLimit })
    })
  })
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // The group is gone.
  }
}
