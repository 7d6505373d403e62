// Every setting of a node, once. From this table come the reading and the checking of TOML files, of the
// environment and of the flags, what `aspen config` shows, the documentation, and the defaults of a node
// that a program opens. Light: every command loads it for its flags.
//
// A setting may be given in several layers, and the highest that has it counts, whatever its value is:
// default < recorded < environment < TOML file < command line.

import { MAX_TIMING_MS } from '../config-limits.ts'
import { DEFAULT_HTTP_PORT, MAX_PENDING_PROPOSALS } from '../limits.ts'
import { TIMING } from '../raft/timing.ts'
import type { TimingProfile } from '../raft/timing.ts'
import {
  BOOLEAN,
  BOOTSTRAP,
  choiceKind,
  durationKind,
  HTTP_ADDRESS,
  integerKind,
  IPV4,
  NAME,
  PATH,
  PEERS,
  PORT,
  sizeKind
} from './values.ts'
import type { ValueKind } from './values.ts'
import { LOG_LEVELS } from './log-level.ts'
import type { LogLevel } from './log-level.ts'
import { DEFAULT_STORAGE_BACKEND, STORAGE_BACKENDS } from './storage-backends.ts'
import type { StorageBackend } from './storage-backends.ts'
import { DEFAULT_STORAGE, STORAGE_SETTINGS } from './storage-settings.ts'
import type { StorageSettingName } from './storage-settings.ts'

/** The values of all settings, by their path in TOML. */
export interface ConfigValues {
  data_dir: string
  name: string
  storage_backend: StorageBackend
  host: string
  port: number
  /** `host:port`; a host may be a name */
  bootstrap: readonly string[]
  /** `KEY` or `KEY@HOST:PORT` */
  peers: readonly string[]
  gossip: boolean
  /** `address:port` */
  http_addr: string
  http_port: number
  http_public: boolean
  timing: TimingProfile
  heartbeat_interval_ms: number
  election_timeout_min_ms: number
  election_timeout_max_ms: number
  raft_mailbox_capacity: number
  ticket_file: string
  log_level: LogLevel
  'storage.snapshot_entries': number
  'storage.snapshot_bytes': number
  'storage.snapshot_age': number
  'storage.keep_entries': number
  'storage.keep_revisions': number
  'storage.keep_history': number
  'storage.max_keys': number
  'storage.max_bytes': number
}

export type ConfigKey = keyof ConfigValues

export interface Setting<T> {
  readonly kind: ValueKind<T>
  /** what counts where no layer has it; null: worked out, as `otherwise` says */
  readonly fallback: T | null
  /** what counts where no layer has it, where that is no value of the table */
  readonly otherwise?: string
  /** as paparam takes it, e.g. `--port <port>`; null where no flag of its own sets it */
  readonly flag: string | null
  /** what it is: one line, as in the help */
  readonly about: string
  /** when somebody would want it */
  readonly when: string
  /** kept in node.json, so that it is given once */
  readonly isRecorded: boolean
  /** may change while the node runs (SIGHUP) */
  readonly reloads: boolean
}

export const TIMING_PROFILES: readonly TimingProfile[] = ['default', 'lan', 'wan']
/** Of a node that is not told. */
export const DEFAULT_LOG_LEVEL: LogLevel = 'info'
/** Of a node that was never given a profile. */
export const DEFAULT_TIMING: TimingProfile = 'default'

const GIVEN_ONCE = { isRecorded: true, reloads: false }

export const SETTINGS: { readonly [K in ConfigKey]: Setting<ConfigValues[K]> } = {
  data_dir: {
    kind: PATH,
    fallback: null,
    otherwise: "a folder called like `name`, else `default`, in the user's data directory",
    flag: '--data-dir <dir>',
    about: "the node's folder",
    when: 'Data on a disk of its own; several nodes on one machine. In a file, a relative path begins at the folder of the file.',
    isRecorded: false,
    reloads: false
  },
  name: {
    kind: NAME,
    fallback: null,
    otherwise: 'the name of the machine',
    flag: '--name <name>',
    about: 'name of the node, and of its folder without --data-dir',
    when: 'Members are shown by it. It is no identity: two nodes may have the same.',
    ...GIVEN_ONCE
  },
  storage_backend: {
    kind: choiceKind(STORAGE_BACKENDS),
    fallback: DEFAULT_STORAGE_BACKEND,
    flag: '--storage-backend <backend>',
    about: 'sqlite, or inmemory: for development and tests, all is gone when the node ends',
    when: 'Only ever `sqlite` for data that counts: a node in memory is a new node at each start.',
    isRecorded: false,
    reloads: false
  },
  host: {
    kind: IPV4,
    fallback: null,
    otherwise: '0.0.0.0: all; 127.0.0.1 where all bootstrap nodes are on it',
    flag: '--host <address>',
    about: 'IPv4 address of this machine that members reach it at; 0.0.0.0 for all',
    when: 'A machine with several networks, of which one is for the cluster.',
    ...GIVEN_ONCE
  },
  port: {
    kind: PORT,
    fallback: null,
    otherwise: 'any free one, and the same again later',
    flag: '--port <port>',
    about: 'UDP port for members',
    when: 'A firewall that lets one port through.',
    ...GIVEN_ONCE
  },
  bootstrap: {
    kind: BOOTSTRAP,
    fallback: null,
    otherwise: 'those of the ticket, else the public DHT',
    flag: '--bootstrap <host:port>',
    about: 'bootstrap node of a private DHT, repeatable',
    when: 'Networks without internet, or away from the public DHT. Tickets carry it on.',
    ...GIVEN_ONCE
  },
  peers: {
    kind: PEERS,
    fallback: null,
    otherwise: 'none: it waits until a cluster is founded on it',
    flag: '--peers <key@host:port>',
    about: 'with --uninitialized: a node that may let this one into its cluster, repeatable',
    when: 'Only `start --uninitialized` reads it: the node asks them until it was admitted by its key. Elsewhere a ticket says whom to ask.',
    isRecorded: false,
    reloads: false
  },
  gossip: {
    kind: BOOLEAN,
    fallback: true,
    flag: '--gossip',
    about:
      'find members, and be found, under the topics of the cluster in the DHT; --no-gossip: neither',
    when: 'Off where nothing of the cluster shall be announced: members find each other by key and by the addresses that they know, and others may take longer to join.',
    ...GIVEN_ONCE
  },
  http_addr: {
    kind: HTTP_ADDRESS,
    fallback: null,
    otherwise: `127.0.0.1 with the first free port from ${DEFAULT_HTTP_PORT} on`,
    flag: '--http-addr <address:port>',
    about: 'IPv4 address and TCP port of the HTTP API; other than loopback only with --http-public',
    when: 'Programs on other machines that ask this node, in a network that is trusted: the API is not encrypted.',
    ...GIVEN_ONCE
  },
  http_port: {
    kind: PORT,
    fallback: null,
    otherwise: `the one of \`http_addr\`, else the first free one from ${DEFAULT_HTTP_PORT} on`,
    flag: '--http-port <port>',
    about: 'TCP port of the HTTP API alone',
    when: 'A port that programs on this machine know.',
    ...GIVEN_ONCE
  },
  http_public: {
    kind: BOOLEAN,
    fallback: false,
    flag: '--http-public',
    about: 'let the HTTP API listen on an address that other machines reach',
    when: 'Together with an `http_addr` that is not loopback, which is refused without it. The token is still asked for, except by the probes, `/health`, `/metrics` and `/openapi.json`.',
    ...GIVEN_ONCE
  },
  timing: {
    kind: choiceKind(TIMING_PROFILES),
    fallback: DEFAULT_TIMING,
    flag: '--timing <profile>',
    about: 'heartbeats and elections: default, lan or wan; all nodes the same',
    when: '`wan` for nodes far from each other, `lan` for one rack.',
    ...GIVEN_ONCE
  },
  heartbeat_interval_ms: timingSetting({
    flag: '--heartbeat-interval-ms <ms>',
    of: 'heartbeatMs',
    about: 'milliseconds between heartbeats of a leader',
    when: 'Links that no profile fits: about one round trip, and a tenth of the election timeout.'
  }),
  election_timeout_min_ms: timingSetting({
    flag: '--election-timeout-min-ms <ms>',
    of: 'electionMinMs',
    about: 'milliseconds without a leader after which a node may stand for election, at least',
    when: 'As `heartbeat_interval_ms`: ten round trips or more.'
  }),
  election_timeout_max_ms: timingSetting({
    flag: '--election-timeout-max-ms <ms>',
    of: 'electionMaxMs',
    about: 'milliseconds without a leader after which a node stands for election, at most',
    when: 'Twice `election_timeout_min_ms`, so that two nodes seldom stand at once.'
  }),
  raft_mailbox_capacity: {
    kind: integerKind({ min: 1, max: MAX_PENDING_PROPOSALS }),
    fallback: MAX_PENDING_PROPOSALS,
    flag: '--raft-mailbox-capacity <count>',
    about: 'writes that may wait here; beyond, they are refused as OVERLOADED',
    when: 'Fewer, to be refused early instead of waiting long.',
    ...GIVEN_ONCE
  },
  ticket_file: {
    kind: PATH,
    fallback: null,
    otherwise: 'the ticket comes as an argument, from stdin or from ASPEN_TICKET',
    flag: '--ticket-file <path>',
    about: 'a file that holds the ticket',
    when: 'Joining by a service manager. Only `join` reads it; a ticket itself is never in a configuration.',
    isRecorded: false,
    reloads: false
  },
  log_level: {
    kind: choiceKind(LOG_LEVELS),
    fallback: DEFAULT_LOG_LEVEL,
    flag: '--log-level <level>',
    about: 'how much the node logs',
    when: '`debug` while looking for something; SIGHUP applies it to a running node.',
    isRecorded: false,
    reloads: true
  },
  'storage.snapshot_entries': storageSetting(
    'snapshotEntries',
    'A log that shall stay short: restarts read all of it.'
  ),
  'storage.snapshot_bytes': storageSetting(
    'snapshotBytes',
    'As `storage.snapshot_entries`, for large values.'
  ),
  'storage.snapshot_age': storageSetting('snapshotAgeMs', 'A cluster with few writes.'),
  'storage.keep_entries': storageSetting(
    'keepEntries',
    'More, so that members that were away for longer need no snapshot.'
  ),
  'storage.keep_revisions': storageSetting('keepRevisions', 'More, for reads of old revisions.'),
  'storage.keep_history': storageSetting('keepRevisionsMs', 'As `storage.keep_revisions`.'),
  'storage.max_keys': storageSetting(
    'maxEntries',
    'A bound of your own for what the cluster may grow to.'
  ),
  'storage.max_bytes': storageSetting(
    'maxBytes',
    'As `storage.max_keys`; the disk needs a few times as much.'
  )
}

/** In the order in which they are shown. */
export const CONFIG_KEYS: readonly ConfigKey[] = Object.keys(SETTINGS).filter(isConfigKey)

export function isConfigKey(key: string): key is ConfigKey {
  return Object.hasOwn(SETTINGS, key)
}

/** `storage.max_keys` to `ASPEN_STORAGE_MAX_KEYS`. */
export function environmentName(key: string): string {
  return `ASPEN_${key.replaceAll('.', '_').toUpperCase()}`
}

/** The keys of the table `[storage]`, by the name that the storage has for each. */
export const STORAGE_KEYS: Readonly<Record<StorageSettingName, ConfigKey & `storage.${string}`>> = {
  snapshotEntries: 'storage.snapshot_entries',
  snapshotBytes: 'storage.snapshot_bytes',
  snapshotAgeMs: 'storage.snapshot_age',
  keepEntries: 'storage.keep_entries',
  keepRevisions: 'storage.keep_revisions',
  keepRevisionsMs: 'storage.keep_history',
  maxEntries: 'storage.max_keys',
  maxBytes: 'storage.max_bytes'
}

/** In milliseconds; what the profile says where no layer has it. */
function timingSetting(own: {
  readonly flag: string
  readonly of: 'heartbeatMs' | 'electionMinMs' | 'electionMaxMs'
  readonly about: string
  readonly when: string
}): Setting<number> {
  const { flag, of, about, when } = own
  const byProfile = TIMING_PROFILES.map((profile) => `${TIMING[profile][of]} (${profile})`)
  return {
    kind: integerKind({ min: 1, max: MAX_TIMING_MS }, 'milliseconds'),
    fallback: null,
    otherwise: `as \`timing\` says: ${byProfile.join(', ')}`,
    flag,
    about,
    when,
    ...GIVEN_ONCE
  }
}

function storageSetting(name: StorageSettingName, when: string): Setting<number> {
  const { unit, min, max, about } = STORAGE_SETTINGS[name]
  const range = { min, max }
  const kinds = {
    count: () => integerKind(range),
    bytes: () => sizeKind(range),
    ms: () => durationKind(range)
  }
  return {
    kind: kinds[unit](),
    fallback: DEFAULT_STORAGE[name],
    flag: null,
    about,
    when,
    ...GIVEN_ONCE
  }
}
