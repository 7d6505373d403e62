// A child process that is read line by line, and ended, with all that it has started, when its reader
// has seen enough.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface Followed {
  readonly cwd: string
  /** of node */
  readonly args: readonly string[]
  readonly limitMs: number
  /** a line of either stream; returns whether to go on */
  readonly onLine: (line: string) => boolean
}

export interface FollowedEnd {
  /** null when it was ended from here, or by a signal */
  readonly code: number | null
  readonly lastLine: string
}

/** Resolves when the process is gone. */
export function follow({ cwd, args, limitMs, onLine }: Followed): Promise<FollowedEnd> {
  return new Promise((resolve, reject) => {
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
    const child = spawn(process.execPath, args, { cwd, stdio, detached: true })
    running.add(child)
    let lastLine = ''
    let isOver = false
    const end = (): void => {
      isOver = true
      killGroup(child)
    }
    const timer = setTimeout(end, limitMs)
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        if (line !== '') lastLine = line
        if (!isOver && !onLine(line)) end()
      })
    }
    child.on('error', reject)
    child.on('exit', () => {
      // what it has started may hold the pipes open
      killGroup(child)
      setTimeout(() => {
        child.stdout.destroy()
        child.stderr.destroy()
      }, DRAIN_MS).unref()
    })
    child.on('close', (code) => {
      clearTimeout(timer)
      running.delete(child)
      resolve({ code: isOver ? null : code, lastLine })
    })
  })
}

/** What is left in the pipes of a process that has ended is read within this time. */
const DRAIN_MS = 1_000

const running = new Set<ChildProcess>()

/** Groups of their own do not hear of a Ctrl-C. Registered once. */
export function endWithThisProcess(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      for (const child of running) killGroup(child)
      process.exit(1)
    })
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // the group is gone
  }
}
