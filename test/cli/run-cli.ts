// Runs the command line in this process, with streams that keep what was written.

import { Readable } from 'node:stream'
import { join } from 'node:path'
import type { Assert } from 'brittle'
import { main } from '../../lib/cli/cli.ts'
import type { OutputStream } from '../../lib/cli/style.ts'
import { openServer } from '../http/open-server.ts'
import type { Opened } from '../http/open-server.ts'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: Uint8Array | string
  readonly isTerminal?: boolean
  /** whether somebody types the input */
  readonly isInputTerminal?: boolean
  readonly columns?: number
  readonly nowMs?: number
}

/** Keeps what is written to it. */
export class KeptStream implements OutputStream {
  readonly isTTY: boolean
  readonly columns: number
  readonly chunks: Uint8Array[] = []

  constructor({ isTerminal = false, columns = 80 }: RunOptions = {}) {
    this.isTTY = isTerminal
    this.columns = columns
  }

  write(chunk: string | Uint8Array): boolean {
    this.chunks.push(Buffer.from(chunk))
    return true
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }

  get text(): string {
    return this.bytes.toString()
  }
}

function inputOf({ stdin, isInputTerminal = false }: RunOptions): Readable & { isTTY?: boolean } {
  const input = Readable.from(stdin === undefined ? [] : [Buffer.from(stdin)])
  return isInputTerminal ? Object.assign(input, { isTTY: true }) : input
}

export async function runCli(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const stdout = new KeptStream(options)
  const stderr = new KeptStream(options)
  const code = await main(argv, {
    env: { LANG: 'C.UTF-8', ...options.env },
    stdin: inputOf(options),
    stdout,
    stderr,
    stdoutLost: new Promise(() => {}),
    nowMs: () => options.nowMs ?? Date.now()
  })
  return { code, stdout: stdout.text, stderr: stderr.text }
}

/** A node in memory behind a real socket in a data directory of its own, and commands to it. */
export async function openNode(t: Assert): Promise<{
  readonly opened: Opened
  readonly dataDir: string
  readonly run: (argv: readonly string[], options?: RunOptions) => Promise<Ran>
}> {
  const dataDir = await t.tmp()
  const opened = await openServer(t, { socketPath: join(dataDir, 'aspen.sock') })
  return {
    opened,
    dataDir,
    run: (argv, options = {}) =>
      runCli(argv, { ...options, env: { ASPEN_DATA_DIR: dataDir, ...options.env } })
  }
}
