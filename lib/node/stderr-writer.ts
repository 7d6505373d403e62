// Writing the log to stderr so that whoever reads it can never hold the node up: a reader that stops, or a
// terminal that is paused, makes a plain write wait, and with it the event loop, while the node looks alive.
// Lines are written at once all the same, so that the last one before a crash is there.
//
// A pipe or a terminal is opened a second time, without waiting: the flag belongs to that opening alone, not
// to the processes that share stderr. A socket (of a service manager, or of a program that started the node)
// is written to by the runtime, which does not wait either. What does not go through waits, bounded; beyond
// that, lines are dropped, and how many is said when the reader goes on.

import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import { pino } from 'pino'
import type { Timers } from '../clock.ts'
import { systemTimers } from '../clock.ts'
import { MAX_NODE_LOG_BACKLOG_BYTES } from '../log-limits.ts'

const STDERR = 2
const RETRY_MS = 100

/** For whole lines, each with its line end. Never waits, never throws. */
export function stderrWriter(): (line: string) => void {
  const kind = kindOfStderr()
  if (kind === 'socket') return socketWriter()
  const descriptor = kind === 'file' ? null : openAgain()
  return descriptor === null ? plainWriter() : patientWriter(descriptor, systemTimers)
}

function kindOfStderr(): 'file' | 'pipe' | 'socket' {
  try {
    const stats = fstatSync(STDERR)
    if (stats.isSocket()) return 'socket'
    return stats.isFIFO() || stats.isCharacterDevice() ? 'pipe' : 'file'
  } catch {
    return 'file'
  }
}

/** A descriptor of stderr that does not wait; null where it cannot be opened a second time. */
function openAgain(): number | null {
  try {
    return openSync(`/proc/self/fd/${STDERR}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return null
  }
}

/** A disk that is full must not keep a node from its work or from its end. */
function plainWriter(): (line: string) => void {
  const stderr = pino.destination({ fd: STDERR, sync: true, maxLength: MAX_NODE_LOG_BACKLOG_BYTES })
  stderr.on('error', () => {}) // the line is kept, and written before the next one that can be
  return (line) => {
    stderr.write(line)
  }
}

function socketWriter(): (line: string) => void {
  const { stderr } = process
  let droppedCount = 0
  stderr.on('error', () => {}) // the reader is gone for good
  return (line) => {
    if (stderr.writableLength + line.length > MAX_NODE_LOG_BACKLOG_BYTES) {
      droppedCount++
      return
    }
    if (droppedCount > 0) stderr.write(lostLine(droppedCount))
    droppedCount = 0
    stderr.write(line)
  }
}

/** Writes to a descriptor that answers EAGAIN where a write would wait. */
function patientWriter(descriptor: number, timers: Timers): (line: string) => void {
  let backlog: Buffer[] = []
  let backlogBytes = 0
  let droppedCount = 0
  let isWaiting = false

  const flush = (): void => {
    for (let [first] = backlog; first !== undefined; [first] = backlog) {
      const written = writeSome(descriptor, first)
      backlogBytes -= written
      if (written < first.byteLength) {
        backlog[0] = first.subarray(written)
        retryLater()
        return
      }
      backlog.shift()
    }
    if (droppedCount === 0) return
    const count = droppedCount
    droppedCount = 0
    add(Buffer.from(lostLine(count)))
    flush()
  }
  const add = (bytes: Buffer): void => {
    backlog.push(bytes)
    backlogBytes += bytes.byteLength
  }
  const retryLater = (): void => {
    if (isWaiting) return
    isWaiting = true
    timers.start(RETRY_MS, () => {
      isWaiting = false
      flush()
    })
  }
  return (line) => {
    const bytes = Buffer.from(line)
    if (backlogBytes + bytes.byteLength > MAX_NODE_LOG_BACKLOG_BYTES) {
      droppedCount++
      return
    }
    add(bytes)
    flush()
  }
}

/** As many bytes as go through now: none when nobody reads; all when the reader is gone for good. */
function writeSome(descriptor: number, bytes: Buffer): number {
  try {
    return writeSync(descriptor, bytes)
  } catch (error) {
    const mayGoOn = error instanceof Error && 'code' in error && error.code === 'EAGAIN'
    return mayGoOn ? 0 : bytes.byteLength
  }
}

function lostLine(count: number): string {
  const fields = { level: 'warn', event: 'log.lost', lines: count }
  return `${JSON.stringify({ ...fields, msg: 'nobody read the log for a while: lines were lost' })}\n`
}
