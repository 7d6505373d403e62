// A node in this process: opens it, tells its owner how far it is, and stays until a signal comes or
// the node ends by itself. Both for a person who looks at it and for a command that waits for it.

import { asAspenError, CODES, EXIT } from '../errors.ts'
import type { AspenError } from '../errors.ts'
import { AspenNode } from '../node/node.ts'
import type { NodeOptions, Progress } from '../node/options.ts'
import { peersOf } from '../node/peers.ts'
import { readRuntime } from '../config/places.ts'
import type { Ready } from './daemon-messages.ts'
import type { Launch } from './launch.ts'
import { intentOf } from './launch.ts'
import { exitSoon, StopSignals } from './signals.ts'

/** Who wants to know. */
export interface NodeReporter {
  progress(progress: Progress): void
  ready(ready: Ready): void
  closing(): void
  /** tells why the node could not be opened, where it is read */
  failed(error: AspenError): Promise<void>
}

export interface RunOptions {
  readonly launch: Omit<Launch, 'typed' | 'given' | 'configPath' | 'ticketFile'>
  /** for a join */
  readonly ticket: string | null
  readonly logger: NodeOptions['logger']
  readonly reporter: NodeReporter
  /** what SIGHUP brings about; where it is left out, the node ends as at any other signal */
  readonly onHangUp?: () => void
  /** for tests of crashes; no command gives one */
  readonly onBoundary?: NodeOptions['onBoundary']
}

/** Runs the node to its end. @returns the exit code of the process */
export async function runNode(options: RunOptions): Promise<number> {
  const signals = new StopSignals(options.onHangUp)
  try {
    const exitCode = await openAndStay(options, signals)
    exitSoon(exitCode)
    return exitCode
  } catch (error) {
    const failure = asAspenError(error)
    await options.reporter.failed(failure)
    const { exitCode } = CODES[failure.code]
    exitSoon(exitCode)
    return exitCode
  } finally {
    signals.close()
  }
}

async function openAndStay(options: RunOptions, signals: StopSignals): Promise<number> {
  const { launch, logger, reporter } = options
  const opening = AspenNode.open({
    intent:
      launch.peers === null
        ? intentOf(launch, options.ticket)
        : { kind: 'wait', peers: peersOf(launch.peers) },
    dataDir: launch.target.dataDir,
    storageBackend: launch.storageBackend,
    name: launch.target.name,
    bootstrap: launch.bootstrap,
    port: launch.port,
    httpPort: launch.httpPort,
    timing: launch.timing,
    storage: launch.storage,
    settings: launch.settings,
    logger,
    onProgress: (progress) => reporter.progress(progress),
    onBoundary: options.onBoundary
  })
  const node = await Promise.race([opening, signals.first])
  // half-made is a state that the same command goes on from
  if (typeof node === 'string') process.exit(EXIT.interrupted)
  reporter.ready(readyOf(node, launch))
  const end = await Promise.race([node.closed, signals.first])
  if (typeof end === 'number') return end
  logger.info({ event: 'node.closing', signal: end }, 'closing')
  reporter.closing()
  await node.close()
  // a disk that fails while the node closes is its exit code
  return await node.closed
}

function readyOf(node: AspenNode, { target }: Pick<Launch, 'target'>): Ready {
  const info = node.nodeInfo()
  if (info.id !== null) return { status: node.status(), ...node.opened }
  const { pid = process.pid, socket = '', http = '' } = readRuntime(target.dataDir) ?? {}
  return { status: null, waiting: { info, pid, api: { socket, http } }, ...node.opened }
}
