// Entries and commands for the tests of the state machines.

import { join } from 'node:path'
import { present } from '../../lib/assert.ts'
import { encode } from '../../lib/encoding.ts'
import { systemClock } from '../../lib/clock.ts'
import { AspenError } from '../../lib/errors.ts'
import type { StorageError } from '../../lib/errors.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import { configurationEncoding } from '../../lib/raft/encoding.ts'
import type { Entry, EntryId } from '../../lib/raft/entry.ts'
import { ENTRY_KIND, chained, genesis } from '../../lib/raft/entry.ts'
import type {
  Change,
  Condition,
  ControlCommand,
  RequestId
} from '../../lib/state-machine/command.ts'
import { encodeControl, encodeWrite } from '../../lib/state-machine/encoding.ts'
import { restoreStateMachine } from '../../lib/state-machine/restore-state.ts'
import type { RestoredState } from '../../lib/state-machine/restore-state.ts'
import { checkDatabase } from '../../lib/state-machine/snapshot-check.ts'
import { SqliteStateMachine } from '../../lib/state-machine/sqlite-state-machine.ts'
import type { SqliteStateMachineOptions } from '../../lib/state-machine/sqlite-state-machine.ts'
import type {
  ApplyResult,
  Backing,
  IncomingSnapshot,
  KeyValue,
  PreparedSnapshot,
  SnapshotInfo,
  SnapshotName,
  StateMachine
} from '../../lib/state-machine/state-machine.ts'
import type { TrustCommand } from '../../lib/state-machine/trust.ts'
import { bytesOf } from '../../lib/encoding.ts'

export const GENESIS: EntryId = genesis(new Uint8Array(16).fill(7))
export const START_MS = 1_700_000_000_000

/** A log that grows: each call makes the next entry. */
export class LogMaker {
  #last: EntryId = GENESIS
  term = 1
  timeMs = START_MS

  get lastIndex(): number {
    return this.#last.index
  }

  entry(kind: number, payload: Uint8Array): Entry {
    const { term, timeMs } = this
    const entry = chained(this.#last, { term, kind, timeMs, payload })
    this.#last = entry
    return entry
  }

  empty(): Entry {
    return this.entry(ENTRY_KIND.empty, new Uint8Array(0))
  }

  write(...changes: readonly Change[]): Entry {
    return this.entry(ENTRY_KIND.write, encodeWrite({ changes }))
  }

  /** A write of a client's. */
  request(request: RequestId, ...changes: readonly Change[]): Entry {
    return this.entry(ENTRY_KIND.write, encodeWrite({ changes }, request))
  }

  control(command: ControlCommand, request: RequestId | null = null): Entry {
    return this.entry(ENTRY_KIND.control, encodeControl(command, request))
  }

  snapshot(): Entry {
    return this.entry(ENTRY_KIND.snapshot, new Uint8Array(0))
  }

  compact(revision: number): Entry {
    return this.control({ kind: 'compact', revision })
  }

  configuration(configuration: Configuration): Entry {
    return this.entry(ENTRY_KIND.configuration, encode(configurationEncoding, configuration))
  }
}

export function put(
  key: string | Uint8Array,
  value: string | Uint8Array,
  condition: Condition | null = null
): Change {
  return { kind: 'put', key: asBytes(key), value: asBytes(value), condition }
}

export function del(key: string | Uint8Array, condition: Condition | null = null): Change {
  return { kind: 'delete', key: asBytes(key), condition }
}

export function asBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? bytesOf(value) : value
}

/** 32 bytes that all are `value`. */
export function key32(value: number): Uint8Array {
  return new Uint8Array(32).fill(value)
}

/** Request `sequence` of client `n`, which began at the genesis and waits for every answer. */
export function requestOf(
  n: number,
  sequence: number,
  rest: { since?: number; answeredBelow?: number } = {}
): RequestId {
  const clientId = new Uint8Array(16)
  new DataView(clientId.buffer).setUint32(0, n)
  return { clientId, since: 0, sequence, answeredBelow: 1, ...rest }
}

export function found(id = 1): TrustCommand {
  return {
    kind: 'found',
    id,
    publicKey: key32(200),
    ...SELF,
    sealedSecret: new Uint8Array(80).fill(1)
  }
}

/** An invite whose key is `key32(n)`. */
export function createInvite(
  n: number,
  options: { uses?: number; ttlMs?: number } = {}
): TrustCommand {
  const { uses = 2, ttlMs = 60_000 } = options
  const role = n % 2 === 0 ? 'voter' : 'learner'
  const keys = { publicKey: key32(n), proofKey: key32(n + 50), topic: key32(n + 100) }
  return { kind: 'createInvite', ...keys, role, ttlMs, uses, createdBy: 1 }
}

export function admit(invite: number, node: number, epoch = 1): TrustCommand {
  const keys = { invitePublicKey: key32(invite), publicKey: key32(node) }
  return { kind: 'admit', ...keys, ...SELF, epoch, sealedSecret: new Uint8Array(80).fill(2) }
}

export function admitKey(
  node: number,
  rest: Partial<Extract<TrustCommand, { kind: 'admitKey' }>> = {}
): Extract<TrustCommand, { kind: 'admitKey' }> {
  return {
    kind: 'admitKey',
    publicKey: key32(node),
    name: 'gamma',
    addresses: [{ host: '10.0.0.3', port: 4002 }],
    role: 'voter',
    expectedId: null,
    epoch: 1,
    sealedSecret: new Uint8Array(80).fill(3),
    ...rest
  }
}

const SELF = { name: 'alpha', version: '0.1.0', addresses: [{ host: '10.0.0.1', port: 4000 }] }

/** `apply` as a promise. */
export function applied(
  machine: StateMachine,
  entries: readonly Entry[]
): Promise<readonly ApplyResult[]> {
  return new Promise((resolve) => machine.apply(entries, resolve))
}

/** `snapshot` as a promise; what has begun is called in between. */
export function cut(
  machine: StateMachine,
  onBegun: () => void = () => {}
): Promise<SnapshotInfo | null> {
  return new Promise((resolve) => machine.snapshot({ onBegun, onEnded: resolve }))
}

/** The bytes of a snapshot that is here. */
export async function streamOf(machine: StateMachine, info: SnapshotInfo): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for (let at = 0; at < info.chunkCount; at++)
    chunks.push(present(await chunkAt(machine, info, at), 'a chunk'))
  return new Uint8Array(Buffer.concat(chunks))
}

export function chunkAt(
  machine: StateMachine,
  name: SnapshotName,
  position: number
): Promise<Uint8Array | null> {
  return new Promise((resolve) => machine.snapshots.chunk(name, position, resolve))
}

export function manifestOf(machine: StateMachine, name: SnapshotName): Promise<Uint8Array | null> {
  return new Promise((resolve) => machine.snapshots.manifest(name, resolve))
}

/** Everything of a snapshot goes from one machine to the other, which prepares it. */
export async function transferred(
  from: StateMachine,
  info: SnapshotInfo,
  to: StateMachine
): Promise<PreparedSnapshot> {
  const manifest = present(await manifestOf(from, info), 'the manifest')
  const incoming = present(to.snapshots.receive(info, manifest), 'an incoming snapshot')
  for (const position of incoming.missing()) {
    const bytes = present(await chunkAt(from, info, position), 'a chunk')
    if (incoming.put(position, bytes) !== 'kept') throw new Error(`chunk ${position} is refused`)
  }
  return present(await prepared(incoming), 'a prepared snapshot')
}

export function prepared(incoming: IncomingSnapshot): Promise<PreparedSnapshot | null> {
  return new Promise((resolve) => incoming.prepare(resolve))
}

export function adopted(machine: StateMachine, snapshot: PreparedSnapshot): Promise<void> {
  return new Promise((resolve) => machine.adopt(snapshot, resolve))
}

/** As text, to compare with ease. */
export function shown(row: KeyValue | null): string | null {
  if (row === null) return null
  const text = new TextDecoder().decode(row.value)
  return `${text} c${row.createRevision} m${row.modRevision} v${row.version}`
}

export function rethrow(error: StorageError): void {
  throw error
}

/** The machine whose files are in `directory`, with the database that began at the genesis unless told otherwise. */
export function openSqlite(
  directory: string,
  onFailed: (error: StorageError) => void = rethrow,
  rest: Partial<SqliteStateMachineOptions> = {}
): SqliteStateMachine {
  return SqliteStateMachine.open({
    stateDir: join(directory, 'state'),
    snapshotsDir: join(directory, 'snapshots'),
    stateBase: 0,
    genesis: GENESIS,
    clock: systemClock,
    onFailed,
    ...rest
  })
}

/** Whether a check of the whole file finds nothing. */
export function isWhole(path: string): boolean {
  try {
    return checkDatabase(path, () => {}).kind === 'good'
  } catch (error) {
    if (error instanceof AspenError && error.code === 'CORRUPTED') return false
    throw error
  }
}

/** The file of a machine in `directory` that began at the genesis. */
export function databaseIn(directory: string): string {
  return join(directory, 'state', '0.db')
}

/** The state machine in `directory` as a start restores it, over a log that begins after `base` and holds all else. */
export function restoredIn(
  directory: string,
  options: {
    readonly base?: number
    readonly holds?: Backing['holds']
    readonly shouldCheck: boolean
  }
): Promise<RestoredState> {
  const { base = 0, holds = () => true, shouldCheck } = options
  return restoreStateMachine({
    stateDir: join(directory, 'state'),
    snapshotsDir: join(directory, 'snapshots'),
    stateBase: 0,
    genesis: GENESIS,
    clock: systemClock,
    onFailed: rethrow,
    log: { base, holds },
    shouldCheck
  })
}
