// A node in a process of its own: this program again, with an IPC channel over which it gets the
// ticket and tells how far it is (background.ts is the other end).

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { errorFrom } from '../client/error-from.ts'
import { AspenError, EXIT } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import { withoutSettings } from '../config/layers.ts'
import type { Progress } from '../node/options.ts'
import type { BackgroundKind, Begin, Ready } from './daemon-messages.ts'
import { BACKGROUND_MARK, isReport } from './daemon-messages.ts'
import type { Launch } from './launch.ts'
import { argumentsOf } from './launch.ts'

export interface NodeProcessOptions {
  readonly launch: Launch
  /** for a join */
  readonly ticket: string | null
  readonly kind: BackgroundKind
  /** where stdout and stderr go: a file's descriptor, or `pipe` for `output` */
  readonly output: number | 'pipe'
  readonly onProgress: (progress: Progress) => void
  /** what can be said about a node that ended without a word */
  readonly lastWords: () => string | null
}

export class NodeProcess {
  /** Fails with what the node said, or with how its process ended. */
  readonly ready: Promise<Ready>
  /** The exit code, or null when a signal ended it. */
  readonly ended: Promise<number | null>
  readonly #child: ChildProcess

  constructor(options: NodeProcessOptions) {
    const child = spawnProgram(options)
    this.#child = child
    this.ended = new Promise((resolve) => {
      child.on('exit', resolve)
      child.on('error', () => resolve(EXIT.failed))
    })
    this.ready = readinessOf(child, options)
    this.ready.catch(() => {}) // whoever waits for it hears of it; nobody has to
    const begin: Begin = { kind: 'begin', ticket: options.ticket }
    child.send(begin, () => {}) // one that is gone reports by its end
  }

  get pid(): number | null {
    return this.#child.pid ?? null
  }

  get isRunning(): boolean {
    const { pid, exitCode, signalCode } = this.#child
    return pid !== undefined && exitCode === null && signalCode === null
  }

  /** Stdout and stderr of a process whose output is a pipe. */
  get output(): readonly Readable[] {
    const { stdout, stderr } = this.#child
    return [stdout, stderr].filter((stream) => stream !== null)
  }

  /** Lets this process end while the node goes on. */
  release(): void {
    if (this.#child.connected) this.#child.disconnect()
    this.#child.unref()
  }

  /** Asks it to end, and kills it when it has not after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    if (!this.isRunning) return
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs)
    await this.ended
    clearTimeout(timer)
  }
}

const PROGRAM = fileURLToPath(new URL('../../bin/aspen.js', import.meta.url))

function spawnProgram({ launch, kind, output }: NodeProcessOptions): ChildProcess {
  return spawn(process.execPath, [...process.execArgv, PROGRAM, ...argumentsOf(launch)], {
    // a session of its own: Ctrl-C in the terminal is for the command that waits
    detached: true,
    env: { ...environmentOf(kind), [BACKGROUND_MARK]: kind, ASPEN_TICKET: undefined },
    stdio: ['ignore', output, output, 'ipc'],
    windowsHide: true
  })
}

/** Nodes of `aspen dev` are told everything; a node of its own has its settings from where its command has them. */
function environmentOf(kind: BackgroundKind): NodeJS.ProcessEnv {
  return kind === 'attached' ? withoutSettings(process.env) : process.env
}

function readinessOf(child: ChildProcess, options: NodeProcessOptions): Promise<Ready> {
  return new Promise((resolve, reject) => {
    let failure: AspenError | null = null
    child.on('message', (message: unknown) => {
      if (!isReport(message)) return
      if (message.kind === 'progress') options.onProgress(message.progress)
      else if (message.kind === 'ready') resolve(message.ready)
      else failure = errorFrom(message.body)
    })
    child.on('error', (cause) => {
      const message = `the node could not be started: ${cause.message}`
      reject(new AspenError({ code: 'START_FAILED', message }, { cause }))
    })
    // the end of the channel comes after its last message, the end of the process may come before
    child.on('exit', (code) => {
      const end = () => reject(failure ?? endedEarly(code, options.lastWords()))
      if (child.connected) child.once('disconnect', end)
      else end()
    })
  })
}

/** Exit codes of the node process that mean the same for the command that waited for it. */
const CODE_OF_EXIT: Readonly<Record<number, ErrorCode>> = {
  [EXIT.integrity]: 'CORRUPTED',
  [EXIT.locked]: 'LOCKED',
  [EXIT.ioError]: 'IO_ERROR',
  [EXIT.noSpace]: 'NO_SPACE',
  [EXIT.fenced]: 'FENCED'
}

function endedEarly(exitCode: number | null, lastWords: string | null): AspenError {
  const how = exitCode === null ? 'was killed' : `ended with code ${exitCode}`
  const said = lastWords === null ? '' : `; the last line of its log: ${lastWords}`
  return new AspenError({
    code: CODE_OF_EXIT[exitCode ?? -1] ?? 'START_FAILED',
    message: `the node ${how} before it was ready${said}`
  })
}
