// The processes of a lab, found by their arguments: every node has its data directory among them, and
// a lab's directories are nobody else's. So nothing is ever signalled that the lab did not start, and
// nothing that it started is forgotten.

import { readdirSync, readFileSync } from 'node:fs'

/** What a process was started with, or null when it is gone or cannot be read. */
export function argumentsOf(pid: number): readonly string[] | null {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  } catch {
    return null
  }
}

/** Processes of this program whose data directory is `root` or below it; without /proc, none. */
export function processesIn(root: string): number[] {
  return allPids().filter((pid) => {
    const words = argumentsOf(pid) ?? []
    return (
      words.some((word) => word.endsWith('/aspen.js')) && words.some((word) => isIn(word, root))
    )
  })
}

/** Sends the signal to all of them; those that are gone meanwhile do not matter. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // it has ended
    }
  }
}

/** False also for one that is dead and whose parent has not asked yet how it ended. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch {
    return false
  }
}

/** The state comes after the name, which is in parentheses; without /proc, nobody can say. */
function isZombie(pid: number): boolean {
  try {
    return /\) Z [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

function isIn(word: string, root: string): boolean {
  const path = word.startsWith('--data-dir=') ? word.slice('--data-dir='.length) : word
  return path === root || path.startsWith(`${root}/`)
}

function allPids(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
  } catch {
    return []
  }
}
