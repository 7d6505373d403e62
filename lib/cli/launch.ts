// Everything that it takes to start a node, checked, and its two other forms: the arguments of the
// background process, and the options of the node itself. The ticket is never among the arguments,
// which every user of the machine can read.

import { lookup } from 'node:dns/promises'
import type { Address } from '../address.ts'
import { formatAddress, isIpv4, isPort } from '../address.ts'
import { AspenError, ConfigError } from '../errors.ts'
import type { LogLevel } from '../node/log-level.ts'
import { LOG_LEVELS } from '../node/log-level.ts'
import type { Intent } from '../node/options.ts'
import { DEFAULT_JOIN_TIMEOUT_MS } from '../node/options.ts'
import { DEFAULT_STORAGE_BACKEND, storageBackendOf } from '../node/storage-backend.ts'
import type { StorageBackend } from '../node/storage-backend.ts'
import type { StorageSettings } from '../node/storage-settings.ts'
import type { TimingProfile } from '../raft/timing.ts'
import type { Invocation, Target } from './invocation.ts'
import { TIMEOUT_RANGE, targetOf } from './invocation.ts'
import { storageArguments, storageOf } from './storage-flag.ts'

export type LaunchCommand = 'create' | 'join' | 'start'

export interface Launch {
  readonly command: LaunchCommand
  readonly target: Target
  readonly bootstrap: readonly Address[] | null
  readonly port: number | null
  readonly httpPort: number | null
  readonly timing: TimingProfile | null
  readonly storage: Partial<StorageSettings> | null
  readonly storageBackend: StorageBackend
  readonly logLevel: LogLevel
  readonly timeoutMs: number
}

/** How long to wait for a node by default; a joiner may have to look for members for longer. */
const DEFAULT_START_TIMEOUT_MS = 30_000

export const TIMINGS: readonly TimingProfile[] = ['default', 'lan', 'wan']

/** @throws ConfigError CONFIG_INVALID */
export async function launchOf(invocation: Invocation, command: LaunchCommand): Promise<Launch> {
  const { flags, host } = invocation
  const target = targetOf(invocation)
  const fromEnv = host.env['ASPEN_BOOTSTRAP'] ?? ''
  const typed = flags.list('bootstrap')
  const bootstrap = (typed.length > 0 ? typed : fromEnv.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '')
  const defaultTimeoutMs = command === 'join' ? DEFAULT_JOIN_TIMEOUT_MS : DEFAULT_START_TIMEOUT_MS
  return {
    command,
    target,
    port: flags.port('port'),
    httpPort: flags.port('httpPort'),
    timing: flags.choice('timing', TIMINGS),
    storage: storageOf(flags.list('storage')),
    storageBackend: storageBackendOf(flags.text('storageBackend') ?? DEFAULT_STORAGE_BACKEND),
    logLevel: flags.choice('logLevel', LOG_LEVELS) ?? 'info',
    timeoutMs: flags.duration('timeout', TIMEOUT_RANGE) ?? defaultTimeoutMs,
    bootstrap: bootstrap.length === 0 ? null : await Promise.all(bootstrap.map(resolveAddress))
  }
}

/** The arguments after the script for the process that runs the node. */
export function argumentsOf(launch: Launch): string[] {
  const { target, port, httpPort } = launch
  return [
    launch.command,
    '--foreground',
    `--data-dir=${target.dataDir}`,
    ...(target.name === null ? [] : [`--name=${target.name}`]),
    ...(launch.bootstrap ?? []).map((address) => `--bootstrap=${formatAddress(address)}`),
    ...(port === null ? [] : [`--port=${port}`]),
    ...(httpPort === null ? [] : [`--http-port=${httpPort}`]),
    ...(launch.timing === null ? [] : [`--timing=${launch.timing}`]),
    ...storageArguments(launch.storage),
    ...(launch.storageBackend === DEFAULT_STORAGE_BACKEND
      ? []
      : [`--storage-backend=${launch.storageBackend}`]),
    `--log-level=${launch.logLevel}`,
    `--timeout=${launch.timeoutMs}ms`
  ]
}

/** `ticket` is the text for a join, else ignored. */
export function intentOf(launch: Launch, ticket: string | null): Intent {
  if (launch.command !== 'join') return { kind: launch.command }
  if (ticket !== null) return { kind: 'join', ticket, timeoutMs: launch.timeoutMs }
  throw new AspenError({ code: 'CONFIG_INVALID', message: 'a join needs a ticket' })
}

/** `host:port`; a name is resolved now, because members keep addresses and no names. */
async function resolveAddress(text: string): Promise<Address> {
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, Math.max(0, colon))
  const port = /^\d{1,5}$/.test(text.slice(colon + 1)) ? Number(text.slice(colon + 1)) : 0
  if (host === '' || !isPort(port)) {
    throw new ConfigError({
      code: 'CONFIG_INVALID',
      message: `'${text}' is no bootstrap address`,
      hint: 'a host and a port, such as 192.168.1.20:49737'
    })
  }
  if (isIpv4(host)) return { host, port }
  try {
    const { address } = await lookup(host, { family: 4 })
    return { host: address, port }
  } catch (error) {
    throw new ConfigError(
      { code: 'CONFIG_INVALID', message: `the bootstrap host '${host}' has no IPv4 address` },
      { cause: error }
    )
  }
}
