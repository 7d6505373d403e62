// The machines of the README: each is a home folder of its own on this one, with `aspen` on its
// PATH and a private DHT in place of the public one. All of them work in one shared folder, so
// that a file written on one machine can be read on the next, as if somebody had carried it over.

import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

/** How a block ended. */
export interface Outcome {
  readonly code: number | null
  /** stdout and stderr as they came */
  readonly output: string
}

const BLOCK_LIMIT_MS = 120_000
const DHT_LIMIT_MS = 20_000

export class Machines {
  readonly #root: string
  readonly #dht: ChildProcess
  readonly #bootstrap: string
  readonly #names = new Set<string>()

  private constructor(root: string, dht: ChildProcess, bootstrap: string) {
    this.#root = root
    this.#dht = dht
    this.#bootstrap = bootstrap
  }

  /** Starts the private DHT; `program` is the compiled bin/aspen.js. */
  static async open(program: string): Promise<Machines> {
    const root = mkdtempSync(join(tmpdir(), 'aspen-readme-'))
    for (const folder of ['bin', 'shared', 'homes']) mkdirSync(join(root, folder))
    chmodSync(program, 0o755)
    symlinkSync(program, join(root, 'bin', 'aspen'))
    const port = await freePort()
    const dht = spawn(join(root, 'bin', 'aspen'), ['dht', '--port', String(port)], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const machines = new Machines(root, dht, `127.0.0.1:${port}`)
    const hasStarted = once(dht.stdout, 'data').then(() => true)
    const isLate = new Promise<boolean>((resolve) => {
      setTimeout(resolve, DHT_LIMIT_MS, false).unref()
      dht.once('exit', () => resolve(false))
    })
    if (!(await Promise.race([hasStarted, isLate]))) {
      machines.close()
      throw new Error('`aspen dht` did not say that it runs')
    }
    return machines
  }

  /** Runs `code` with bash; the first command that fails ends it. */
  run(machine: string, code: string): Outcome {
    this.#names.add(machine)
    const { status, stdout, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', code], {
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

/** A UDP port that is free now. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}
