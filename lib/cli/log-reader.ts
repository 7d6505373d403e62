// Reading the log of a node: its last lines, and what is written from now on, also when the file is
// emptied or replaced meanwhile (log-file.ts).

import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { logFileOf, olderLogFilesOf } from './log-file.ts'

const POLL_MS = 200
const READ_BYTES = 64 * 1024

/** The last lines of the log, oldest first, also from before it was last emptied. */
export function lastLogLines(dataDir: string, count: number): string[] {
  if (count === 0) return []
  let lines: string[] = []
  for (const path of [logFileOf(dataDir), ...olderLogFilesOf(dataDir)]) {
    lines = [...linesOf(path), ...lines]
    if (lines.length >= count) break
  }
  return lines.slice(-count)
}

export function hasLog(dataDir: string): boolean {
  return statSync(logFileOf(dataDir), { throwIfNoEntry: false }) !== undefined
}

/** Gives every line that is written from now on, until `close`. */
export class LogFollower {
  readonly #path: string
  readonly #onLine: (line: string) => void
  readonly #timer: NodeJS.Timeout
  #decoder = new StringDecoder('utf8')
  #rest = ''
  #inode: number
  #position: number

  constructor(dataDir: string, onLine: (line: string) => void) {
    this.#path = logFileOf(dataDir)
    this.#onLine = onLine
    const stat = statSync(this.#path, { throwIfNoEntry: false })
    this.#inode = stat?.ino ?? 0
    this.#position = stat?.size ?? 0
    this.#timer = setInterval(() => this.poll(), POLL_MS)
  }

  /** Reads what there is now. */
  poll(): void {
    if (statSync(this.#path, { throwIfNoEntry: false }) === undefined) return
    const descriptor = openSync(this.#path, 'r')
    try {
      const { ino, size } = fstatSync(descriptor)
      if (ino !== this.#inode || size < this.#position) {
        this.#inode = ino
        this.#position = 0
        this.#rest = ''
        this.#decoder = new StringDecoder('utf8')
      }
      this.#readOn(descriptor)
    } finally {
      closeSync(descriptor)
    }
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #readOn(descriptor: number): void {
    const buffer = new Uint8Array(READ_BYTES)
    for (;;) {
      const byteCount = readSync(descriptor, buffer, 0, READ_BYTES, this.#position)
      if (byteCount === 0) return
      this.#position += byteCount
      const text = this.#rest + this.#decoder.write(Buffer.from(buffer.subarray(0, byteCount)))
      const lines = text.split('\n')
      this.#rest = lines.pop() ?? ''
      for (const line of lines) this.#onLine(line)
    }
  }
}

function linesOf(path: string): string[] {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return []
  const lines = readFileSync(path, 'utf8').split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}
