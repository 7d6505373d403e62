// `aspen dev`: a whole cluster in one terminal, for trying things out and for tests of programs that
// use Aspen. Its own private DHT, one process per node, one log; no internet. Ends as a whole.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Address } from '../address.ts'
import { formatAddress } from '../address.ts'
import { Client } from '../client/client.ts'
import { asAspenError, EXIT } from '../errors.ts'
import type { Layer, Origin as SettingOrigin } from '../config/layers.ts'
import { TIMING_PROFILES } from '../config/schema.ts'
import { LOG_LEVELS } from '../config/log-level.ts'
import { renderLogLine } from '../node/log-line.ts'
import { DEFAULT_STORAGE_BACKEND } from '../config/storage-backends.ts'
import type { TimingProfile } from '../raft/timing.ts'
import { BootstrapNode } from '../transport/dht.ts'
import type { MemberReady } from './daemon-messages.ts'
import { asMember } from './daemon-messages.ts'
import type { Invocation } from './invocation.ts'
import { shellWord, TIMEOUT_RANGE } from './invocation.ts'
import type { Launch, LaunchCommand } from './launch.ts'
import { logPaint } from './log-paint.ts'
import { NodeProcess } from './node-process.ts'
import { StopSignals } from './signals.ts'
import type { Colour } from './style.ts'
import { formatDuration, plural } from './text.ts'

const DEFAULT_NODES = 3
const MAX_NODES = 9
const DEFAULT_TIMEOUT_MS = 60_000
const STOP_GRACE_MS = 5_000
const COLOURS: readonly Colour[] = ['cyan', 'yellow', 'magenta', 'green', 'blue']

export async function dev(invocation: Invocation): Promise<number> {
  const { flags, output } = invocation
  const count = flags.integer('nodes', { min: 1, max: MAX_NODES }) ?? DEFAULT_NODES
  const given = flags.text('dataDir')
  const folder = given === null ? mkdtempSync(join(tmpdir(), 'aspen-dev-')) : resolve(given)
  const signals = new StopSignals()
  const dht = await BootstrapNode.open({ host: '127.0.0.1', port: 0 })
  const cluster = new DevCluster(invocation, {
    folder,
    bootstrap: dht.address,
    isTemporary: given === null
  })
  try {
    const started = await Promise.race([cluster.start(count), signals.first])
    if (typeof started === 'string') return EXIT.interrupted
    cluster.print(started)
    const end = await Promise.race([signals.first, cluster.ended()])
    if (end !== 'ended') return EXIT.ok
    output.note('no node is left')
    return EXIT.failed
  } finally {
    await cluster.stop()
    await dht.close()
    if (given === null) rmSync(folder, { recursive: true, force: true })
    signals.close()
  }
}

/** What a node of the cluster is told, it is told as by flags. */
const OF_DEV: SettingOrigin = { layer: 'flag', where: 'aspen dev', line: null }

/** A node of the cluster that runs. */
interface DevNode {
  readonly name: string
  readonly dataDir: string
  readonly process: NodeProcess
}

interface StartedNode {
  readonly name: string
  readonly ready: MemberReady
}

interface DevPlace {
  readonly folder: string
  readonly bootstrap: Address
  /** the folder goes when the cluster ends */
  readonly isTemporary: boolean
}

class DevCluster {
  readonly #invocation: Invocation
  readonly #folder: string
  readonly #bootstrap: Address
  readonly #isTemporary: boolean
  readonly #nodes: DevNode[] = []
  #isStopping = false

  constructor(invocation: Invocation, { folder, bootstrap, isTemporary }: DevPlace) {
    this.#isTemporary = isTemporary
    this.#invocation = invocation
    this.#folder = folder
    this.#bootstrap = bootstrap
  }

  /** Starts what is there, makes what is missing. Nodes that fail are told of; the others stay. */
  async start(count: number): Promise<StartedNode[]> {
    const names = Array.from({ length: count }, (_item, at) => `n${at + 1}`)
    const known = names.filter((name) => existsSync(join(this.#folder, name, 'node.json')))
    const missing = names.filter((name) => !known.includes(name))
    const started = await this.#startAll(known, 'start', null)
    let ticket: string | null = null
    const first = known.length === 0 ? missing.shift() : undefined
    if (first !== undefined) {
      const [founder] = await this.#startAll([first], 'create', null)
      if (founder === undefined) return []
      ticket = founder.ready.ticket?.ticket ?? null
      started.push(founder)
    }
    if (missing.length > 0 && started[0] !== undefined) {
      ticket ??= await mintTicket(started[0].ready)
      // one by one, so that n3 is node 3
      for (const name of missing) started.push(...(await this.#startAll([name], 'join', ticket)))
    }
    return started
  }

  /** Tells how to talk to the nodes. */
  print(started: readonly StartedNode[]): void {
    const { output } = this.#invocation
    const bootstrap = formatAddress(this.#bootstrap)
    output.result({
      human: (style) => [
        '',
        `${style.symbol('ok')} ${plural(started.length, 'node')} on a private DHT at ${bootstrap}, in ${this.#folder}`,
        '',
        ...started.map(({ name, ready: { status } }) => {
          const who = style.colour(this.#colourOf(name), name)
          return `  ${who}  node ${status.node.id}  ${status.api.http}  ${shellWord(status.data_dir)}`
        }),
        '',
        '  In another terminal:',
        '',
        ...examplesFor(started).map((line) => `    ${style.bold(line)}`),
        '',
        `  Ctrl-C ends all of it${this.#isTemporary ? ' and removes it' : ''}.`,
        style.dim('  --log-level info shows what the nodes do.'),
        ''
      ],
      json: () => ({
        bootstrap,
        folder: this.#folder,
        nodes: started.map(({ name, ready: { status } }) => ({
          name,
          id: status.node.id,
          data_dir: status.data_dir,
          pid: status.pid,
          api: status.api
        }))
      }),
      quiet: () => started.map(({ ready }) => ready.status.data_dir).join('\n')
    })
  }

  /** Resolves when the last node has ended. */
  async ended(): Promise<'ended'> {
    await Promise.all(this.#nodes.map((node) => node.process.ended))
    return 'ended'
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#nodes.map((node) => node.process.stop(STOP_GRACE_MS)))
    for (const node of this.#nodes) node.process.release()
  }

  async #startAll(
    names: readonly string[],
    command: LaunchCommand,
    ticket: string | null
  ): Promise<StartedNode[]> {
    const attempts = await Promise.all(
      names.map(async (name) => {
        const node = this.#spawn(name, command, ticket)
        try {
          return [{ name, ready: asMember(await node.process.ready) }]
        } catch (error) {
          this.#say(name, `could not ${command}: ${asAspenError(error).message}`)
          return []
        }
      })
    )
    return attempts.flat()
  }

  #spawn(name: string, command: LaunchCommand, ticket: string | null): DevNode {
    const launch = this.#launchOf(name, command)
    const { dataDir } = launch.target
    const startedMs = Date.now()
    const running = new NodeProcess({
      launch,
      ticket,
      kind: 'attached',
      output: 'pipe',
      onProgress: ({ text }) =>
        this.#say(name, `${text} (${formatDuration(Date.now() - startedMs)})`),
      lastWords: () => null
    })
    const node = { name, dataDir, process: running }
    this.#nodes.push(node)
    for (const stream of running.output) {
      createInterface({ input: stream }).on('line', (line) => this.#log(name, line))
    }
    void this.#tellOfEnd(node) // a node that ends is reported, whatever else waits for it
    return node
  }

  async #tellOfEnd({ name, process: running }: DevNode): Promise<void> {
    const code = await running.ended
    if (this.#isStopping) return
    const how = code === null ? 'was killed' : `ended with code ${code}`
    this.#say(name, `${how}; the others go on`)
  }

  #launchOf(name: string, command: LaunchCommand): Launch {
    const { flags } = this.#invocation
    const dataDir = join(this.#folder, name)
    const bootstrap = [this.#bootstrap]
    const chosen = flags.choice<TimingProfile>('timing', TIMING_PROFILES)
    // a node that is there already keeps the profile that it has
    const timing = chosen ?? (command === 'start' ? null : 'lan')
    const logLevel = flags.choice('logLevel', LOG_LEVELS) ?? 'warn'
    const typed: Layer = {
      name: { value: name, origin: OF_DEV },
      bootstrap: { value: bootstrap.map(formatAddress), origin: OF_DEV },
      log_level: { value: logLevel, origin: OF_DEV },
      ...(timing === null ? {} : { timing: { value: timing, origin: OF_DEV } })
    }
    return {
      command,
      target: { dataDir, name, selector: ` --data-dir ${shellWord(dataDir)}` },
      typed,
      given: typed,
      configPath: null,
      bootstrap,
      port: null,
      httpPort: null,
      timing,
      storage: null,
      storageBackend: DEFAULT_STORAGE_BACKEND,
      peers: null,
      settings: {},
      logLevel,
      ticketFile: null,
      timeoutMs: flags.duration('timeout', TIMEOUT_RANGE) ?? DEFAULT_TIMEOUT_MS
    }
  }

  #log(name: string, line: string): void {
    const style = this.#invocation.output.errorStyle
    this.#say(
      name,
      renderLogLine(line, (part, text) => logPaint(style, part, text))
    )
  }

  #say(name: string, text: string): void {
    const { output } = this.#invocation
    output.note(`${output.errorStyle.colour(this.#colourOf(name), name)} ${text}`)
  }

  #colourOf(name: string): Colour {
    return COLOURS[Number(name.slice(1)) % COLOURS.length] ?? 'cyan'
  }
}

/** A write on the first node, a read on the last: any node answers for all. */
function examplesFor(started: readonly StartedNode[]): string[] {
  const selectors = started.map(({ ready }) => `--data-dir ${shellWord(ready.status.data_dir)}`)
  const [first] = selectors
  const last = selectors.at(-1)
  if (first === undefined || last === undefined) return []
  return [
    `aspen kv put hello world ${first}`,
    `aspen kv get hello ${last}`,
    `aspen members ${last}`
  ]
}

async function mintTicket({ status }: MemberReady): Promise<string> {
  const client = Client.connect({ socketPath: status.api.socket })
  try {
    const { ticket } = await client.createTicket({ timeoutMs: DEFAULT_TIMEOUT_MS })
    return ticket
  } finally {
    client.close()
  }
}
