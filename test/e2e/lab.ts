// Real machines in small: each is a data directory, a name and a real `aspen` process, all on a
// private DHT on loopback, driven through the built program like a user would. Everything is removed
// at the end, also after a failure.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { COMMANDS, flagsOf } from '../../lib/cli/command-specs.ts'
import { Client } from '../../lib/client/client.ts'
import { bytesOf } from '../../lib/encoding.ts'
import type { Status } from '../../lib/service/documents.ts'
import { outputOf } from './output.ts'
import { isAlive, processesIn, signalAll } from './processes.ts'

/** How a command ended. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly tookMs: number
}

export interface CommandOptions {
  readonly stdin?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

export const PROGRAM = fileURLToPath(new URL('../../bin/aspen.js', import.meta.url))
const WARDEN = fileURLToPath(new URL('./warden.js', import.meta.url))
const COMMAND_LIMIT_MS = 90_000
const PUT_TIMEOUT_MS = 20_000
const SETTLE_LIMIT_MS = 10_000
/** Asking a node how it is takes time from what it is waited for. */
const POLL_MS = 50

export class Lab {
  readonly root: string
  #dht: ChildProcess | null = null
  #bootstrap = ''
  readonly #warden: ChildProcess
  readonly #machines = new Set<string>()
  readonly #children = new Set<ChildProcess>()

  private constructor(root: string) {
    this.root = root
    this.#warden = spawn(process.execPath, [WARDEN, root], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore']
    })
    this.#warden.unref()
  }

  static async open(): Promise<Lab> {
    const lab = new Lab(mkdtempSync(join(tmpdir(), 'aspen-e2e-')))
    await lab.startDht()
    return lab
  }

  get bootstrap(): string {
    return this.#bootstrap
  }

  /** A new bootstrap node, on another port than any before it. */
  async startDht(): Promise<void> {
    const args = ['dht', '--port', '0', '--quiet']
    // by this path its process is known as one of the lab's
    const program = join(this.root, 'dht', 'aspen.js')
    if (!existsSync(program)) {
      mkdirSync(join(this.root, 'dht'))
      symlinkSync(PROGRAM, program)
    }
    const dht = spawn(process.execPath, [program, ...args], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    this.#keep(dht)
    this.#dht = dht
    const lines = createInterface({ input: dht.stdout })
    const [address] = await once(lines, 'line')
    this.#bootstrap = String(address)
  }

  async killDht(): Promise<void> {
    const dht = this.#dht
    this.#dht = null
    if (dht === null || !isAliveChild(dht)) return
    dht.kill('SIGKILL')
    await once(dht, 'exit')
  }

  dataDir(machine: string): string {
    this.#machines.add(machine)
    return join(this.root, machine)
  }

  /** Runs `aspen ARGS` for a machine and waits for its end; never throws for an exit code. */
  async aspen(
    machine: string,
    args: readonly string[],
    options: CommandOptions = {}
  ): Promise<Ended> {
    const child = this.start(machine, args, options)
    const output = outputOf(child)
    const startedMs = performance.now()
    child.stdin?.end(options.stdin ?? '')
    const limit = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? COMMAND_LIMIT_MS)
    const [code] = await once(child, 'close')
    clearTimeout(limit)
    const tookMs = performance.now() - startedMs
    return {
      code: typeof code === 'number' ? code : null,
      stdout: output.stdout(),
      stderr: output.stderr(),
      tookMs
    }
  }

  /** Runs `aspen ARGS` and returns its stdout; throws with what it printed when it fails. */
  async run(
    machine: string,
    args: readonly string[],
    options: CommandOptions = {}
  ): Promise<string> {
    const ended = await this.aspen(machine, args, options)
    if (ended.code === 0) return ended.stdout
    throw new Error(
      `aspen ${args.join(' ')} on ${machine} ended with ${ended.code}:\n${ended.stderr}`
    )
  }

  /** The same with `--json`, parsed. */
  async json(
    machine: string,
    args: readonly string[],
    options?: CommandOptions
  ): Promise<JsonObject> {
    return jsonOf(await this.run(machine, [...args, '--json'], options))
  }

  /** A command that stays: the caller ends it. */
  start(machine: string, args: readonly string[], options: CommandOptions = {}): ChildProcess {
    const { env = {} } = options
    const end = args.indexOf('--')
    const at = end === -1 ? args.length : end
    const place = takesDataDir(args) ? ['--data-dir', this.dataDir(machine)] : []
    const words = [...args.slice(0, at), ...place, ...args.slice(at)]
    const child = spawn(process.execPath, [PROGRAM, ...words], {
      env: { ...process.env, ASPEN_BOOTSTRAP: this.#bootstrap, NO_COLOR: '1', ...env },
      stdio: ['pipe', 'pipe', 'pipe']
    })
    // a command that ends before it has read all of its input is no failure of the test
    child.stdin?.on('error', () => {})
    return this.#keep(child)
  }

  /** A cluster of these machines; resolves when all have joined, the others at once. Returns the ticket. */
  async cluster(names: readonly string[], args: readonly string[] = []): Promise<string> {
    const [first = 'a', ...others] = names
    const ticket = (await this.run(first, ['create', '--name', first, '--quiet', ...args])).trim()
    await Promise.all(
      others.map((name) => this.run(name, ['join', ticket, '--name', name, ...args]))
    )
    return ticket
  }

  async status(machine: string): Promise<Status> {
    const client = this.client(machine)
    try {
      return await client.status()
    } finally {
      client.close()
    }
  }

  /** `kv put` without a process of its own, for what is not about the command. */
  async put(machine: string, key: string, value: string): Promise<void> {
    const client = this.client(machine)
    try {
      await client.kv.put(bytesOf(key), bytesOf(value), { timeoutMs: PUT_TIMEOUT_MS })
    } finally {
      client.close()
    }
  }

  /** A client on the machine's socket; the caller closes it. */
  client(machine: string): Client {
    return Client.connect({ socketPath: join(this.dataDir(machine), 'aspen.sock') })
  }

  pid(machine: string): number {
    const runtime = JSON.parse(readFileSync(join(this.dataDir(machine), 'runtime.json'), 'utf8'))
    return Number(runtime.pid)
  }

  /** Ends the machine's node from outside and waits until its process is gone. */
  async kill(machine: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const pid = this.pid(machine)
    process.kill(pid, signal)
    await waitFor(`the end of ${machine}`, () => !isAlive(pid), 20_000)
  }

  /** The machine whose node leads, as the machines that answer see it. */
  async leader(machines: readonly string[]): Promise<string> {
    let found: string | null = null
    await waitFor('a leader', async () => {
      for (const machine of machines) {
        const status = await this.status(machine).catch(() => null)
        if (status !== null && status.leader === status.node.id) found = machine
      }
      return found !== null
    })
    if (found === null) throw new Error('no leader')
    return found
  }

  /** Waits until a machine sees this many voters. */
  async voters(machine: string, count: number): Promise<void> {
    await waitFor(`${count} voters seen by ${machine}`, async () => {
      const status = await this.status(machine).catch(() => null)
      return status?.voters.length === count
    })
  }

  /** What lives of this lab, or of one machine: nodes and commands. */
  processes(machine?: string): number[] {
    if (existsSync('/proc')) {
      return processesIn(machine === undefined ? this.root : this.dataDir(machine))
    }
    const machines = machine === undefined ? [...this.#machines] : [machine]
    const hasRun = machines.filter((name) => existsSync(join(this.dataDir(name), 'runtime.json')))
    return hasRun.map((name) => this.pid(name)).filter(isAlive)
  }

  /** What lives when there are so many, or after a while: one that has answered may still be ending. */
  async settled(count: number, machine?: string): Promise<number[]> {
    const endMs = performance.now() + SETTLE_LIMIT_MS
    while (this.processes(machine).length !== count && performance.now() < endMs) {
      await sleep(POLL_MS)
    }
    return this.processes(machine)
  }

  /** Ends everything that the machine has running, as a power cut does. */
  async cut(machine: string): Promise<void> {
    const pids = this.processes(machine)
    signalAll(pids, 'SIGKILL')
    await waitFor(`the end of ${machine}`, () => !pids.some(isAlive), 20_000)
  }

  /** Ends everything, also a command that still runs, and removes the folder. May be called twice. */
  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL')
    signalAll(this.processes(), 'SIGKILL')
    this.#warden.stdin?.end()
    this.#warden.ref()
    if (isAliveChild(this.#warden)) await once(this.#warden, 'exit')
    await waitFor('the end of the lab', () => this.#children.size === 0)
  }

  #keep(child: ChildProcess): ChildProcess {
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    return child
  }
}

export type JsonObject = Readonly<Record<string, unknown>>

/** One JSON object on one line, as every command with `--json` prints. */
export function jsonOf(text: string): JsonObject {
  const lines = text.trimEnd().split('\n')
  if (lines.length !== 1) throw new Error(`one line of JSON expected, not:\n${text}`)
  return JSON.parse(lines[0] ?? '')
}

export async function waitFor(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 30_000
): Promise<void> {
  const endMs = performance.now() + limitMs
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`waited ${limitMs} ms for ${what}`)
    await sleep(POLL_MS)
  }
}

/** Whether the command is about a machine; what is no command is refused whatever comes with it. */
function takesDataDir(args: readonly string[]): boolean {
  const spec = COMMANDS.findLast(({ path }) => path.every((word, at) => args[at] === word))
  return spec === undefined || flagsOf(spec).some((flag) => flag.spec.startsWith('--data-dir'))
}

function isAliveChild({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}
