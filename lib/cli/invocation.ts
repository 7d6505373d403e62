// One call of a command: what was typed, where it runs, and the few things that every command works
// out from that.

import { homedir } from 'node:os'
import type { Readable } from 'node:stream'
import { DEFAULT_REQUEST_TIMEOUT_MS, MAX_REQUEST_TIMEOUT_MS } from '../limits.ts'
import type { ConfigFile } from '../config/toml-file.ts'
import { environmentPlace, givenIn, merged } from '../config/layers.ts'
import { dataDirOf } from '../config/place.ts'
import { flagLayer } from './config-flags.ts'
import { flagName } from './flags.ts'
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
  /** the file that `--config` or ASPEN_CONFIG names, read; null or left out for none */
  readonly named?: ConfigFile | null
}

/** Which node a command is about. */
export interface Target {
  readonly dataDir: string
  /** that was given, or null */
  readonly name: string | null
  /** the flags that name the same node in a command for people, with a leading space; may be empty */
  readonly selector: string
}

/** @throws ConfigError CONFIG_INVALID for a name that cannot be a folder, and for an empty folder */
export function targetOf({ flags, host, named = null }: Invocation): Target {
  const typed = flagLayer(flags)
  const layers = [environmentPlace(host.env), named?.layer ?? {}, typed]
  return {
    dataDir: dataDirOf(layers, host.env),
    name: givenIn(merged(layers), 'name'),
    selector: selectorOf(flags)
  }
}

/** The flag that says most about which node is meant. */
function selectorOf(flags: Flags): string {
  for (const name of ['dataDir', 'name', 'config']) {
    const text = flags.text(name)
    if (text !== null) return ` ${flagName(name)} ${shellWord(text)}`
  }
  return ''
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
