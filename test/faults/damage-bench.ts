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
export type Opened<End = Reopened> =
  End | { readonly kind: 'died'; readonly message: string } | { readonly kind: 'stuck' }

/** The programs, compiled, beside this file. */
export interface BenchPrograms {
  /** makes what is damaged: is given its folder, and a file for notes */
  readonly maker: string
  /** damages copies and opens them: is given both, and a folder for copies */
  readonly worker: string
}

const NODE: BenchPrograms = { maker: 'recorded-process.js', worker: 'damage-process.js' }
const STUCK_MS = 30_000
/** A disk that is none: copies live for milliseconds. */
export const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** Takes orders as JSON, and says what came of each. */
export class DamageBench<Order = Damage, End = Reopened> {
  readonly #folder: string
  readonly #programs: BenchPrograms
  #worker: Worker<End> | null = null

  /** Makes the node whose copies will be damaged. */
  constructor(programs: BenchPrograms = NODE) {
    this.#programs = programs
    this.#folder = mkdtempSync(join(SCRATCH, 'aspen-damage-'))
    mkdirSync(this.#copies)
    const args = ['--enable-source-maps', programOf(programs.maker), this.template, this.#notes]
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`the maker ended with ${status}:\n${stderr}`)
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
  async open(order: Order): Promise<Opened<End>> {
    const args = [programOf(this.#programs.worker), this.template, this.#notes, this.#copies]
    this.#worker ??= new Worker<End>(args)
    const { hasEnded, opened } = await this.#worker.ask(JSON.stringify(order))
    if (hasEnded) this.#worker = null
    return opened
  }

  close(): void {
    this.#worker?.end()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function programOf(name: string): string {
  return fileURLToPath(new URL(`./${name}`, import.meta.url))
}

interface Asked<End> {
  readonly opened: Opened<End>
  /** there is no process any more */
  readonly hasEnded: boolean
}

class Worker<End> {
  readonly #child: ChildProcess
  readonly #stderr: () => string
  #onLine: (line: string) => void = () => {}

  constructor(args: readonly string[]) {
    const child = spawn(process.execPath, ['--enable-source-maps', ...args])
    this.#child = child
    this.#stderr = outputOf(child).stderr
    createInterface({ input: child.stdout }).on('line', (line) => this.#onLine(line))
    // one that has died is told by its end
    child.stdin.on('error', () => {})
  }

  ask(order: string): Promise<Asked<End>> {
    const child = this.#child
    return new Promise((resolve) => {
      const limit = setTimeout(() => {
        child.kill('SIGKILL')
        resolve({ opened: { kind: 'stuck' }, hasEnded: true })
      }, STUCK_MS)
      const onClose = (code: number | null, signal: NodeJS.Signals | null): void => {
        clearTimeout(limit)
        const message = `${signal ?? code}: ${this.#stderr().slice(0, 1_000)}`
        resolve({ opened: { kind: 'died', message }, hasEnded: true })
      }
      child.once('close', onClose)
      this.#onLine = (line) => {
        clearTimeout(limit)
        child.off('close', onClose)
        resolve({ opened: JSON.parse(line), hasEnded: false })
      }
      child.stdin?.write(`${order}\n`)
    })
  }

  end(): void {
    this.#child.stdin?.end()
    this.#child.kill('SIGKILL')
  }
}
