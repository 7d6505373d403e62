// Opens damaged copies of a data directory, one after the other, in a process that may die of it.

import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Damage } from './damage.ts'
import type { Reopened } from './reopen.ts'
import { outputOf } from '../e2e/output.ts'

/** What came of an opened copy; `died`: of a signal, or of what nobody caught; `stuck`: it never answered. */
export type Opened =
  Reopened | { readonly kind: 'died'; readonly message: string } | { readonly kind: 'stuck' }

const RECORDED = fileURLToPath(new URL('./recorded-process.js', import.meta.url))
const WORKER = fileURLToPath(new URL('./damage-process.js', import.meta.url))
const STUCK_MS = 30_000
/** A disk that is none: copies live for milliseconds. */
export const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

export class DamageBench {
  readonly #folder: string
  #worker: Worker | null = null

  /** Makes the node whose copies will be damaged. */
  constructor() {
    this.#folder = mkdtempSync(join(SCRATCH, 'aspen-damage-'))
    mkdirSync(this.#copies)
    const args = ['--enable-source-maps', RECORDED, this.template, this.#notes]
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`the node ended with ${status}:\n${stderr}`)
  }

  /** The data directory of the whole node. */
  get template(): string {
    return join(this.#folder, 'data')
  }

  get #notes(): string {
    return join(this.#folder, 'notes')
  }

  get #copies(): string {
    return join(this.#folder, 'copies')
  }

  /** Opens a copy with this damage. */
  async open(damage: Damage): Promise<Opened> {
    this.#worker ??= new Worker([this.template, this.#notes, this.#copies])
    const opened = await this.#worker.ask(JSON.stringify(damage))
    if (opened.kind === 'died' || opened.kind === 'stuck') this.#worker = null
    return opened
  }

  close(): void {
    this.#worker?.end()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

class Worker {
  readonly #child: ChildProcess
  readonly #stderr: () => string
  #onLine: (line: string) => void = () => {}

  constructor(args: readonly string[]) {
    const child = spawn(process.execPath, ['--enable-source-maps', WORKER, ...args])
    this.#child = child
    this.#stderr = outputOf(child).stderr
    createInterface({ input: child.stdout }).on('line', (line) => this.#onLine(line))
    // one that has died is told by its end
    child.stdin.on('error', () => {})
  }

  ask(order: string): Promise<Opened> {
    const child = this.#child
    return new Promise((resolve) => {
      const limit = setTimeout(() => {
        child.kill('SIGKILL')
        resolve({ kind: 'stuck' })
      }, STUCK_MS)
      const onClose = (code: number | null, signal: NodeJS.Signals | null): void => {
        clearTimeout(limit)
        resolve({ kind: 'died', message: `${signal ?? code}: ${this.#stderr().slice(0, 1_000)}` })
      }
      child.once('close', onClose)
      this.#onLine = (line) => {
        clearTimeout(limit)
        child.off('close', onClose)
        resolve(JSON.parse(line))
      }
      child.stdin?.write(`${order}\n`)
    })
  }

  end(): void {
    this.#child.stdin?.end()
    this.#child.kill('SIGKILL')
  }
}
