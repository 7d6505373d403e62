// One call of a command: what was typed, where it runs, and the few things that every command works
// out from that.

import { homedir } from 'node:os'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { ConfigError } from '../errors.ts'
import { DEFAULT_REQUEST_TIMEOUT_MS, MAX_REQUEST_TIMEOUT_MS } from '../limits.ts'
import { defaultDataDir, nameProblem } from '../node/places.ts'
import type { Flags } from './flags.ts'
import type { Output } from './output.ts'
import type { Environment, OutputStream } from './style.ts'

/** The process around a command, as an argument. */
export interface Host {
  readonly env: Environment
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  /** resolves when nothing that is written to stdout arrives any more */
  readonly stdoutLost: Promise<void>
  /** milliseconds since the Unix epoch */
  readonly nowMs: () => number
}

export interface Invocation {
  /** e.g. `kv put` */
  readonly command: string
  readonly args: Readonly<Record<string, string>>
  readonly flags: Flags
  readonly output: Output
  readonly host: Host
}

/** Which node a command is about. */
export interface Target {
  readonly dataDir: string
  /** `--name`, or null */
  readonly name: string | null
  /** the flags that name the same node in a command for people, with a leading space; may be empty */
  readonly selector: string
}

/** @throws ConfigError CONFIG_INVALID for a name that cannot be a folder */
export function targetOf({ flags, host }: Invocation): Target {
  const name = flags.text('name')
  const dataDir = flags.text('dataDir')
  if (name !== null) checkName(name)
  if (dataDir !== null) {
    if (dataDir === '')
      throw new ConfigError({ code: 'CONFIG_INVALID', message: 'the data directory is empty' })
    return { dataDir: resolve(dataDir), name, selector: ` --data-dir ${shellWord(dataDir)}` }
  }
  if (name !== null) {
    return { dataDir: defaultDataDir(name, host.env), name, selector: ` --name ${shellWord(name)}` }
  }
  const fromEnv = host.env['ASPEN_DATA_DIR']
  if (fromEnv !== undefined && fromEnv !== '') {
    return { dataDir: resolve(fromEnv), name: null, selector: '' }
  }
  return { dataDir: defaultDataDir(null, host.env), name: null, selector: '' }
}

/** How long a request of this call may take. @throws ConfigError CONFIG_INVALID */
export function requestTimeoutMs({ flags }: Invocation): number {
  return flags.duration('timeout', TIMEOUT_RANGE) ?? DEFAULT_REQUEST_TIMEOUT_MS
}

export const TIMEOUT_RANGE = { min: 1, max: MAX_REQUEST_TIMEOUT_MS }

/** A path with the home folder as `~`, for people. */
export function shortPath(path: string): string {
  const home = homedir()
  return path === home || path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path
}

/** The text as one word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}

function checkName(name: string): void {
  const problem = nameProblem(name)
  if (problem === null) return
  throw new ConfigError({
    code: 'CONFIG_INVALID',
    message: `'${name}' cannot be a name`,
    hint: problem
  })
}
