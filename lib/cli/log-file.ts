// The log of a background node: `aspen.log` in its data directory, 0600, NDJSON. Stdout and stderr
// of the process are this file, so that also what the runtime prints at a crash is in it. When the
// file is full, the process copies it to `aspen.log.1` and empties it: its descriptors append, so
// they go on at the start.

import { copyFileSync, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { MAX_NODE_LOG_BYTES } from '../limits.ts'

const CHECK_EVERY_MS = 10_000

export function logFileOf(dataDir: string): string {
  return join(dataDir, 'aspen.log')
}

/** What was written before the file was last emptied. */
export function olderLogFileOf(dataDir: string): string {
  return join(dataDir, 'aspen.log.1')
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
  copyFileSync(logFileOf(dataDir), olderLogFileOf(dataDir))
  ftruncateSync(descriptor, 0)
  return true
}
