// The log of a background node: `aspen.log` in its data directory, 0600, NDJSON. Stdout and stderr
// of the process are this file, so that also what the runtime prints at a crash is in it. When the
// file is full, the process copies it to `aspen.log.1` and empties it: its descriptors append, so
// they go on at the start. What was `.1` before is `.2` then, up to MAX_NODE_LOG_FILES in all.

import { copyFileSync, existsSync, fstatSync, ftruncateSync, openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { MAX_NODE_LOG_BYTES, MAX_NODE_LOG_FILES } from '../log-limits.ts'

const CHECK_EVERY_MS = 10_000

export function logFileOf(dataDir: string): string {
  return join(dataDir, 'aspen.log')
}

/** What was written before the file was last emptied, newest first; not all of them need be there. */
export function olderLogFilesOf(dataDir: string): readonly string[] {
  const count = MAX_NODE_LOG_FILES - 1
  return Array.from({ length: count }, (_, at) => join(dataDir, `aspen.log.${at + 1}`))
}

/** A descriptor that appends to the log; the caller closes it. @throws the error of the system */
export function openLogFile(dataDir: string): number {
  const descriptor = openSync(logFileOf(dataDir), 'a', 0o600)
  maybeRotate(dataDir, descriptor)
  return descriptor
}

/** Keeps the log bounded while the process lives. `descriptor` is open for appending to the log. */
export function keepLogBounded(dataDir: string, descriptor: number): { close(): void } {
  const timer = setInterval(() => maybeRotate(dataDir, descriptor), CHECK_EVERY_MS)
  timer.unref()
  return { close: () => clearInterval(timer) }
}

/** Copying and emptying happen in one turn, so that no line of this process falls between them. */
export function maybeRotate(dataDir: string, descriptor: number): boolean {
  if (fstatSync(descriptor).size < MAX_NODE_LOG_BYTES) return false
  const older = olderLogFilesOf(dataDir)
  for (let at = older.length - 1; at > 0; at--) {
    const [newer = '', target = ''] = older.slice(at - 1, at + 1)
    if (existsSync(newer)) renameSync(newer, target)
  }
  copyFileSync(logFileOf(dataDir), older[0] ?? '')
  ftruncateSync(descriptor, 0)
  return true
}
