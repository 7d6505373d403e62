// One process of node-process.ts: a real node that can be told to crash at a boundary, or be run under
// another program, such as strace. Its folder is one of a lab, which ends it and removes what is left.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Lab } from '../e2e/lab.ts'
import { outputOf } from '../e2e/output.ts'
import type { CrashPoint, NodeOrder } from './node-order.ts'

const PROGRAM = fileURLToPath(new URL('./node-process.js', import.meta.url))

export interface TestNodeOptions {
  readonly lab: Lab
  readonly machine: string
  readonly command: NodeOrder['command']
  readonly ticket?: string
  /** whether it may find others; a cluster of one needs nobody */
  readonly isAlone?: boolean
  readonly crash?: CrashPoint
  readonly crossedPath?: string
  /** for how long `stall` stops its event loop */
  readonly stallMs?: number
  /** a program and its arguments, to which the node's are added */
  readonly under?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface NodeEnd {
  /** null when a signal ended it */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class TestNode {
  readonly ended: Promise<NodeEnd>
  /** Resolves with the ticket, or an empty text, when the node answers; with null when it ended before. */
  readonly ready: Promise<string | null>
  readonly #child: ChildProcess
  readonly #stderr: () => string

  constructor(options: TestNodeOptions) {
    const child = spawnNode(options)
    this.#child = child
    this.#stderr = outputOf(child).stderr
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal }))
    })
    this.ready = readinessOf(child, this.ended)
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** What it has logged so far. */
  get log(): string {
    return this.#stderr()
  }

  /** Its event loop does nothing for a while, as in a long collection of garbage. */
  stall(): void {
    this.#child.kill('SIGUSR2')
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<NodeEnd> {
    this.#child.kill(signal)
    return this.ended
  }
}

function spawnNode(options: TestNodeOptions): ChildProcess {
  const { lab, machine, command, ticket = null, crash = null, crossedPath = null } = options
  const order: NodeOrder = {
    command,
    dataDir: lab.dataDir(machine),
    name: machine,
    bootstrap: options.isAlone === true ? null : lab.bootstrap,
    ticket,
    crossedPath,
    crash,
    stallMs: options.stallMs ?? 0
  }
  const node = [process.execPath, '--enable-source-maps', programIn(lab), JSON.stringify(order)]
  const [program = process.execPath, ...words] = [...(options.under ?? []), ...node]
  return spawn(program, words, {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
}

/** By this path its process is known as one of the lab's. */
function programIn(lab: Lab): string {
  const folder = join(lab.root, 'program')
  const program = join(folder, 'aspen.js')
  if (!existsSync(program)) {
    mkdirSync(folder)
    symlinkSync(PROGRAM, program)
  }
  return program
}

function readinessOf(child: ChildProcess, ended: Promise<NodeEnd>): Promise<string | null> {
  return new Promise((resolve) => {
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (more: string) => {
      text += more
      const found = /^ready (.*)$/m.exec(text)
      if (found !== null) resolve(found[1] ?? '')
    })
    void ended.then(() => resolve(null)) // one that is ready has said so before
  })
}
