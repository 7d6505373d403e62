// The machines of the README: each is a home folder of its own on this one, with `aspen` on its
// PATH and a private DHT in place of the public one. All of them work in one shared folder, so
// that a file written on one machine can be read on the next, as if somebody had carried it over.

import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { findRoot } from '../tidy/tree.ts'
import type { Block } from './blocks.ts'

/** How a block ended. */
export interface Outcome {
  readonly code: number | null
  /** stdout and stderr as they came */
  readonly output: string
}

const PROGRAMS: Readonly<Record<Block['language'], readonly [string, readonly string[]]>> = {
  sh: ['bash', ['-euo', 'pipefail', '-c']],
  js: [process.execPath, ['--input-type=module', '--eval']]
}
const BLOCK_LIMIT_MS = 120_000
const DHT_LIMIT_MS = 20_000

export class Machines {
  readonly #root: string
  readonly #dht: ChildProcess
  /** the address that the DHT printed; set once, before any block runs */
  #bootstrap = ''
  readonly #names = new Set<string>()

  private constructor(root: string, dht: ChildProcess) {
    this.#root = root
    this.#dht = dht
  }

  /** Starts the private DHT; `program` is the compiled bin/aspen.js. */
  static async open(program: string): Promise<Machines> {
    const root = mkdtempSync(join(tmpdir(), 'aspen-readme-'))
    for (const folder of ['bin', 'shared', 'homes']) mkdirSync(join(root, folder))
    chmodSync(program, 0o755)
    symlinkSync(program, join(root, 'bin', 'aspen'))
    // as `npm link aspen` leaves it
    mkdirSync(join(root, 'shared', 'node_modules'))
    symlinkSync(findRoot(), join(root, 'shared', 'node_modules', 'aspen'))
    const dht = spawn(join(root, 'bin', 'aspen'), ['dht', '--port', '0', '--quiet'], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const machines = new Machines(root, dht)
    const address = await firstLine(dht.stdout)
    if (address === null) {
      machines.close()
      throw new Error('`aspen dht` did not print its address')
    }
    machines.#bootstrap = address
    return machines
  }

  /** Runs `code`: a module with node, or commands with bash, of which the first that fails ends it. */
  run(machine: string, code: string, language: Block['language'] = 'sh'): Outcome {
    this.#names.add(machine)
    const [program, args] = PROGRAMS[language]
    const { status, stdout, stderr } = spawnSync(program, [...args, code], {
      cwd: join(this.#root, 'shared'),
      env: this.#environment(machine),
      encoding: 'utf8',
      timeout: BLOCK_LIMIT_MS,
      stdio: ['ignore', 'pipe', 'pipe']
    })
    return { code: status, output: stdout + stderr }
  }

  /** Stops the nodes and the DHT and removes everything; may be called twice. */
  close(): void {
    for (const machine of this.#names) this.run(machine, 'aspen stop --force || true')
    this.#names.clear()
    this.#dht.kill('SIGTERM')
    rmSync(this.#root, { recursive: true, force: true })
  }

  #environment(machine: string): NodeJS.ProcessEnv {
    const home = join(this.#root, 'homes', machine)
    const runtime = join(home, 'run')
    mkdirSync(runtime, { recursive: true, mode: 0o700 })
    const kept = Object.entries(process.env).filter(([name]) => !/^(?:ASPEN|XDG)_/.test(name))
    return {
      ...Object.fromEntries(kept),
      HOME: home,
      XDG_DATA_HOME: join(home, '.local', 'share'),
      XDG_RUNTIME_DIR: runtime,
      PATH: `${join(this.#root, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`,
      ASPEN_BOOTSTRAP: this.#bootstrap
    }
  }
}

/** The first line that comes within the limit; null if the stream ends before. */
async function firstLine(stream: Readable): Promise<string | null> {
  const lines = createInterface({ input: stream })
  const limit = setTimeout(() => lines.close(), DHT_LIMIT_MS)
  for await (const line of lines) {
    clearTimeout(limit)
    return line
  }
  clearTimeout(limit)
  return null
}
