// A child process that is read line by line, and ended when its reader has seen enough.

import { spawn } from 'node:child_process'
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
  /** null when it was ended from here */
  readonly code: number | null
  readonly lastLine: string
}

/** Resolves when the process is gone. */
export function follow({ cwd, args, limitMs, onLine }: Followed): Promise<FollowedEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    let lastLine = ''
    let isOver = false
    const end = (): void => {
      isOver = true
      child.kill('SIGKILL')
    }
    const timer = setTimeout(end, limitMs)
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        if (line !== '') lastLine = line
        if (!isOver && !onLine(line)) end()
      })
    }
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code: isOver ? null : code, lastLine })
    })
  })
}
