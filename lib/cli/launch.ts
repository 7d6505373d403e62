// Everything that it takes to start a node, checked, and its two other forms: the arguments of the
// background process, and the options of the node itself. The ticket is never among the arguments,
// which every user of the machine can read.

import type { Address } from '../address.ts'
import { AspenError, ConfigError } from '../errors.ts'
import { readConfig } from '../config/config.ts'
import { httpOf } from '../config/checks.ts'
import { givenIn } from '../config/layers.ts'
import type { Given, Layer } from '../config/layers.ts'
import { DEFAULT_LOG_LEVEL } from '../config/schema.ts'
import type { LogLevel } from '../config/log-level.ts'
import { nodeSettingsOf, storageOf } from '../config/node-settings.ts'
import type { NodeSettings } from '../config/node-settings.ts'
import type { Intent } from '../node/options.ts'
import { DEFAULT_JOIN_TIMEOUT_MS } from '../node/options.ts'
import { resolveBootstrap } from '../config/resolve-bootstrap.ts'
import { DEFAULT_STORAGE_BACKEND } from '../config/storage-backends.ts'
import type { StorageBackend } from '../config/storage-backends.ts'
import type { StorageSettings } from '../config/storage-settings.ts'
import type { TimingProfile } from '../raft/timing.ts'
import { flagArguments, flagLayer } from './config-flags.ts'
import { backgroundKind } from './daemon-messages.ts'
import type { Flags } from './flags.ts'
import type { Invocation, Target } from './invocation.ts'
import { TIMEOUT_RANGE, targetOf } from './invocation.ts'

export type LaunchCommand = 'create' | 'join' | 'start'

export interface Launch {
  readonly command: LaunchCommand
  readonly target: Target
  /** what was typed: the highest layer of the configuration, without the folder */
  readonly typed: Layer
  /** what environment, file and flags say together */
  readonly given: Layer
  /** the file that was named; null for none */
  readonly configPath: string | null
  readonly bootstrap: readonly Address[] | null
  readonly port: number | null
  readonly httpPort: number | null
  readonly timing: TimingProfile | null
  readonly storage: Partial<StorageSettings> | null
  readonly storageBackend: StorageBackend
  readonly settings: NodeSettings
  readonly logLevel: LogLevel
  /** for a join that is not told its ticket otherwise */
  readonly ticketFile: Given<string> | null
  readonly timeoutMs: number
  /** whom a node without a cluster asks; null for a node that is to belong to one */
  readonly peers: readonly string[] | null
}

/** How long to wait for a node by default; a joiner may have to look for members for longer. */
const DEFAULT_START_TIMEOUT_MS = 30_000

/** @throws ConfigError CONFIG_INVALID */
export async function launchOf(invocation: Invocation, command: LaunchCommand): Promise<Launch> {
  const { flags, host, named = null, output } = invocation
  const target = targetOf(invocation)
  const typed = flagLayer(flags)
  const config = await readConfig({ env: host.env, flags: typed, named })
  if (backgroundKind(host.env) === null) {
    for (const warning of config.warnings) {
      output.note(`${output.errorStyle.symbol('warning')} ${warning}`)
    }
  }
  const { given } = config
  const bootstrap = givenIn(given, 'bootstrap')
  const defaultTimeoutMs = command === 'join' ? DEFAULT_JOIN_TIMEOUT_MS : DEFAULT_START_TIMEOUT_MS
  return {
    command,
    target: { ...target, name: givenIn(given, 'name') },
    typed,
    given,
    configPath: named?.path ?? null,
    bootstrap: bootstrap === null ? null : await resolveBootstrap(bootstrap),
    port: givenIn(given, 'port'),
    httpPort: httpOf(given).port,
    timing: givenIn(given, 'timing'),
    storage: storageOf(given),
    storageBackend: givenIn(given, 'storage_backend') ?? DEFAULT_STORAGE_BACKEND,
    settings: nodeSettingsOf(given),
    logLevel: givenIn(given, 'log_level') ?? DEFAULT_LOG_LEVEL,
    ticketFile: given.ticket_file ?? null,
    timeoutMs: flags.duration('timeout', TIMEOUT_RANGE) ?? defaultTimeoutMs,
    peers: peersOf(flags, given)
  }
}

function peersOf(flags: Flags, { peers }: Layer): readonly string[] | null {
  if (flags.isSet('uninitialized')) return peers?.value ?? []
  if (peers?.origin.layer !== 'flag') return null
  throw new ConfigError({
    code: 'CONFIG_INVALID',
    message: '--peers are asked by a node that waits for a cluster: with --uninitialized',
    hint: 'a ticket lets a machine join a cluster at once'
  })
}

/**
 * The arguments after the script for the process that runs the node: the folder, and what was typed. It has the
 * same environment and reads the same file, so that the same settings come from the same places.
 */
export function argumentsOf(launch: Launch): string[] {
  const { command, target, typed, configPath, timeoutMs, peers } = launch
  const { data_dir: _folder, ...others } = typed
  return [
    command,
    '--foreground',
    `--data-dir=${target.dataDir}`,
    ...(configPath === null ? [] : [`--config=${configPath}`]),
    ...(peers === null ? [] : ['--uninitialized']),
    ...flagArguments(others),
    `--timeout=${timeoutMs}ms`
  ]
}

/** `ticket` is the text for a join, else ignored. */
export function intentOf(
  launch: Pick<Launch, 'command' | 'timeoutMs'>,
  ticket: string | null
): Intent {
  if (launch.command !== 'join') return { kind: launch.command }
  if (ticket !== null) return { kind: 'join', ticket, timeoutMs: launch.timeoutMs }
  throw new AspenError({ code: 'CONFIG_INVALID', message: 'a join needs a ticket' })
}
