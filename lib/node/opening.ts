// The parts of a real node, opened with real ports: network, stores, assembly, API.

import type { OnBoundary } from '../boundary.ts'
import { systemClock, systemTimers } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import type { AspenError } from '../errors.ts'
import { HttpServer } from '../http/http-server.ts'
import { DEFAULT_HTTP_PORT, DEFAULT_TARGET_VOTERS, HTTP_PORT_TRIES } from '../limits.ts'
import { LmdbLogStore } from '../log-store/lmdb-log-store.ts'
import { backingOf } from '../log-store/log-store.ts'
import type { LogStore, OpenedLog, RestoredLog } from '../log-store/log-store.ts'
import { MemoryLogDisk } from '../log-store/memory-log-disk.ts'
import { MemoryLogStore } from '../log-store/memory-log-store.ts'
import { genesis } from '../raft/entry.ts'
import { systemRandom } from '../random.ts'
import { MemoryStateMachine } from '../state-machine/memory-state-machine.ts'
import { restoreStateMachine } from '../state-machine/restore-state.ts'
import type { SqliteStateMachine } from '../state-machine/sqlite-state-machine.ts'
import type { Backing, StateMachine } from '../state-machine/state-machine.ts'
import { HyperswarmNetwork } from '../transport/hyperswarm-network.ts'
import { VERSION } from '../version.ts'
import type { BackupSource } from '../service/backups.ts'
import { httpObserver } from '../service/http-counts.ts'
import type { Metrics } from '../service/metrics.ts'
import type { NodeAdmin, NodeApi } from '../service/node-api.ts'
import { AddressBook } from './address-book.ts'
import { httpAddressOf } from '../config/checks.ts'
import { SETTINGS } from '../config/schema.ts'
import { Assembly } from './assembly.ts'
import type { EventLog } from './assembly-parts.ts'
import { FileBackupSource } from './backup-source.ts'
import type { DataDirectory } from './data-directory.ts'
import { diskProbe } from './disk-probe.ts'
import type { Ending } from './ending.ts'
import { EphemeralMemories } from './ephemeral-directory.ts'
import { foundLog } from './founding.ts'
import { GuardFile } from './guard-file.ts'
import type { Membership } from './membership.ts'
import type { NodeOptions } from './options.ts'
import { checkOwnIdentity } from './own-identity.ts'
import { socketPathOf } from '../config/places.ts'
import type { Plan } from './plan.ts'
import { checkedTiming } from '../config/node-settings.ts'
import type { NodeSettings } from '../config/node-settings.ts'
import { StorageLook } from './storage-sizes.ts'
import { DEFAULT_STORAGE } from '../config/storage-settings.ts'

/** Where a node lives and who it is, before anything runs. */
export interface Premises {
  readonly directory: DataDirectory
  readonly plan: Plan
  readonly keyPair: KeyPair
  readonly network: HyperswarmNetwork
  /** 16 random bytes of this process */
  readonly instance: Uint8Array
  /** since when a node is up that was there before its cluster */
  readonly startedMs?: number
  readonly membership: Membership
  readonly ending: Ending
  readonly metrics: Metrics
}

export interface Running extends Premises {
  readonly assembly: Assembly
  readonly admin: NodeAdmin
  readonly api: OpenedApi
}

/** Bound and dialling; with private bootstraps only, and all of them loopback, it stays on loopback. */
export async function openNetwork(
  options: NodeOptions,
  plan: Plan,
  keyPair: KeyPair
): Promise<HyperswarmNetwork> {
  const network = new HyperswarmNetwork({
    keyPair,
    bootstrap: plan.bootstrap,
    port: options.port,
    preferredPort: plan.kind === 'run' ? plan.membership.udpPort : null,
    timing: checkedTiming(plan.timing, plan.settings),
    host: plan.settings.host ?? null,
    usesTopics: plan.settings.gossip ?? SETTINGS.gossip.fallback ?? true
  })
  await network.open()
  return network
}

export interface Stores {
  readonly log: LogStore
  readonly restored: RestoredLog
  readonly stateMachine: StateMachine
  readonly backups: BackupSource | null
  /** null where nothing is in SQLite */
  readonly database: Pick<SqliteStateMachine, 'checkpoint'> | null
}

/** Who hears of what the stores do. */
export interface StoreReporting {
  readonly onFailed: (error: AspenError) => void
  readonly onBoundary: OnBoundary | undefined
  readonly events: EventLog
  /** nothing is counted when left out */
  readonly metrics?: Metrics
}

/** @throws StorageError CORRUPTED with the index of a damaged entry in `fields.index`, and others */
export async function openLog(
  premises: Premises,
  reporting: StoreReporting
): Promise<OpenedLog<LogStore>> {
  const { membership, plan, ending } = premises
  const shared = { genesis: genesis(membership.clusterId), random: systemRandom, ...reporting }
  const opened = premises.directory.isEphemeral
    ? MemoryLogStore.open({
        disk: new MemoryLogDisk(),
        defer: (fn) => systemTimers.soon(fn),
        ...shared
      })
    : await LmdbLogStore.open({
        directory: premises.directory.logDir,
        onCommitted: (durationMs) =>
          reporting.metrics?.observe('aspen_log_fsync_duration_seconds', durationMs / 1_000),
        mustExist: plan.kind === 'run' && membership.state === 'member',
        onMended: (fault) =>
          reporting.events.warn(
            { event: 'storage.mended', fault },
            'the file of the log was made anew'
          ),
        ...shared
      })
  ending.add(() => opened.store.close())
  return opened
}

/** The state machine of a log that begins there; made again from a snapshot where it is damaged. The caller closes it. */
export async function openStateMachine(
  { directory, membership }: Pick<Premises, 'directory' | 'membership'>,
  log: Backing & Pick<LogStore, 'stateBase'>,
  reporting: StoreReporting
): Promise<SqliteStateMachine> {
  const { events } = reporting
  const { machine, rebuilt } = await restoreStateMachine({
    stateDir: directory.stateDir,
    snapshotsDir: directory.snapshotsDir,
    stateBase: log.stateBase,
    genesis: genesis(membership.clusterId),
    clock: systemClock,
    timers: systemTimers,
    log,
    shouldCheck: false,
    onCommitted: (durationMs) =>
      reporting.metrics?.observe('aspen_storage_commit_duration_seconds', durationMs / 1_000, {
        store: 'state'
      }),
    onSnapshotEvent: ({ event, index, message }) =>
      events.warn({ event: `storage.snapshot_${event}`, index }, message),
    ...reporting
  })
  if (rebuilt !== null) {
    const { index, reason } = rebuilt
    events.warn({ event: 'storage.rebuilt', index, reason }, 'the state machine was made again')
  }
  return machine
}

/** Everything on the disk besides the log, which is open. */
export async function openStores(
  premises: Premises,
  opened: OpenedLog<LogStore>,
  reporting: StoreReporting
): Promise<Stores> {
  const { directory, membership, ending, keyPair, network } = premises
  const founder = { clusterId: membership.clusterId, keyPair, addresses: network.addresses() }
  const isFounder = membership.state === 'creating'
  const restored = isFounder
    ? await foundLog(opened, founder, systemClock.wallMs())
    : opened.restored
  checkOwnIdentity({ id: membership.id, publicKey: keyPair.publicKey }, restored)
  const { store } = opened
  if (premises.directory.isEphemeral) {
    const stateMachine = memoryOf(premises, reporting)
    return { log: store, restored, stateMachine, backups: null, database: null }
  }
  const log = { stateBase: store.stateBase, ...backingOf(store) }
  const stateMachine = await openStateMachine(premises, log, reporting)
  ending.add(() => stateMachine.close())
  const backups = new FileBackupSource({
    stateMachine,
    folder: directory.snapshotsDir,
    clusterId: membership.clusterId,
    clock: systemClock
  })
  return { log: store, restored, stateMachine, backups, database: stateMachine }
}

/** A state that begins with its log, at the genesis: nothing of it was ever kept. */
function memoryOf(
  { membership, ending }: Premises,
  { onFailed, events }: StoreReporting
): StateMachine {
  const stateMachine = MemoryStateMachine.open({
    genesis: genesis(membership.clusterId),
    defer: (fn) => systemTimers.soon(fn),
    onFailed,
    onSnapshotEvent: ({ event, index, message }) =>
      events.warn({ event: `storage.snapshot_${event}`, index }, message)
  })
  ending.add(() => stateMachine.close())
  return stateMachine
}

export function openAssembly(
  { logger }: NodeOptions,
  premises: Premises,
  stores: Stores & { readonly fail: (error: AspenError) => void }
): Assembly {
  const { membership, plan, keyPair, network, directory, ending } = premises
  const { isEphemeral } = directory
  const storage = { ...DEFAULT_STORAGE, ...plan.storage }
  const book = new AddressBook(directory)
  const look = new StorageLook(directory, systemTimers)
  ending.add(() => look.close())
  void look.start() // it never rejects, and nobody waits for it
  const assembly = new Assembly({
    clusterId: membership.clusterId,
    id: membership.id,
    name: membership.name,
    welcome: membership.welcome,
    bootstrap: membership.bootstrap ?? [],
    keyPair,
    version: VERSION,
    instance: premises.instance,
    ...(premises.startedMs !== undefined && { startedMs: premises.startedMs }),
    targetVoters: DEFAULT_TARGET_VOTERS,
    timing: checkedTiming(plan.timing, plan.settings),
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    log: stores.log,
    restored: stores.restored,
    stateMachine: stores.stateMachine,
    backups: stores.backups,
    network,
    events: logger,
    savedAddresses: book.addresses,
    onAddress: (publicKey, address) => book.remember(publicKey, address),
    onFailed: stores.fail,
    memories: isEphemeral ? new EphemeralMemories() : new GuardFile(directory.path),
    diskProbe: isEphemeral ? null : diskProbe(directory.logDir, stores.fail),
    storageBackend: isEphemeral ? 'inmemory' : 'sqlite',
    maxPendingProposals: plan.settings.raft_mailbox_capacity,
    maxState: { entryCount: storage.maxEntries, byteCount: storage.maxBytes },
    storagePolicy: storage,
    metrics: premises.metrics,
    sizes: () => look.sizes,
    dataDir: directory.path,
    pid: process.pid
  })
  ending.add(() => assembly.close())
  return assembly
}

const LOOPBACK = '127.0.0.1'

export interface OpenedApi {
  /** both are empty where none is served */
  readonly url: string
  readonly socket: string
  /** for node.json */
  readonly recordedPort: number | null
  /** the recorded port, where another process has it and the API took another one */
  readonly takenPort: number | null
}

export interface ApiPlace extends Pick<Premises, 'directory' | 'ending' | 'metrics'> {
  /** the TCP port of the last run */
  readonly recorded: number | null
  /** given now or before */
  readonly settings: NodeSettings
}

/**
 * The API on the socket and on TCP; from now on other commands find this node. A node whose port is
 * taken runs on another one, since its vote and its disk are worth more than that; the record stays,
 * so that it has its own port again when that is free. A port that is named is taken or refused.
 */
export async function openApi(
  { httpPort, logger, servesHttp = true, settings: given = {} }: NodeOptions,
  { directory, ending, metrics, recorded, settings }: ApiPlace,
  { api, admin }: { readonly api: NodeApi; readonly admin: NodeAdmin }
): Promise<OpenedApi> {
  const { http_addr: text } = settings
  const address = text === undefined ? null : httpAddressOf(text)
  // an address that was not given now says where, and the record says which port
  const addressPort = given.http_addr === undefined ? null : (address?.port ?? null)
  if (!servesHttp) return { url: '', socket: '', recordedPort: recorded, takenPort: null }
  const socketPath = socketPathOf(directory.path)
  const http = await HttpServer.open({
    api,
    admin,
    socketPath,
    tcp: {
      host: address?.host ?? LOOPBACK,
      port: httpPort ?? addressPort,
      preferredPort: recorded,
      firstPort: DEFAULT_HTTP_PORT,
      tries: HTTP_PORT_TRIES
    },
    token: directory.apiToken(systemRandom),
    log: logger,
    observer: httpObserver(metrics)
  })
  ending.add(() => http.close())
  metrics.addSource(() => metrics.set('aspen_http_in_flight', http.inFlightCount))
  directory.writeJson('runtime.json', { pid: process.pid, socket: socketPath, http: http.url })
  ending.add(() => directory.removeRuntime())
  const port = Number(new URL(http.url).port)
  const isTaken =
    httpPort === null && addressPort === null && recorded !== null && recorded !== port
  const opened = { url: http.url, socket: socketPath }
  if (!isTaken) return { ...opened, recordedPort: port, takenPort: null }
  const fields = { event: 'http.port_taken', recorded, port }
  logger.warn(fields, 'the recorded port of the API is taken: another one is used')
  return { ...opened, recordedPort: recorded, takenPort: recorded }
}
