// The log store on lmdb. One transaction in progress at a time: what is written meanwhile becomes
// the next one (group commit). More than one in progress would be faster to hand over, but after a
// failed commit lmdb would go on with the ones behind it and leave a hole in the log.
//
// A write counts as durable when the promise of its transaction has resolved, which with
// `overlappingSync: false` is after the sync. After a failed commit nothing is written, reported or
// retried any more: a failed sync may have marked pages clean that are not on the disk, so only a
// new start from the disk can tell what is there.

import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { assert } from '../assert.ts'
import type { OnBoundary } from '../boundary.ts'
import { equalSecret } from '../crypto.ts'
import type { AspenError } from '../errors.ts'
import { StorageError } from '../errors.ts'
import type { Random } from '../random.ts'
import { randomBytes } from '../random.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { LogState } from './encoding.ts'
import { encodeEntry, encodeState, indexKey, STORAGE_EPOCH_BYTES } from './encoding.ts'
import type { LogEnvironment } from './lmdb-environment.ts'
import {
  openEnvironment,
  readBytes,
  recordsOf,
  STATE_KEY,
  storageErrorOf,
  syncDirectory
} from './lmdb-environment.ts'
import type { LogStore, OpenedLog } from './log-store.ts'
import type { LogWrite, PendingWrite } from './log-tail.ts'
import { LogTail } from './log-tail.ts'
import { chooseState, readRecord, verifyLog } from './restore.ts'

export interface LmdbLogStoreOptions {
  /** a folder of the log's own; made with mode 0700 when it is not there */
  readonly directory: string
  /** where the cluster's log begins; a stored log of another genesis is refused */
  readonly genesis: EntryId
  /** refuse to make a new log where none is stored: IDENTITY_WITHOUT_LOG */
  readonly mustExist?: boolean
  /** a write failed; called once, after which the store calls nothing any more */
  readonly onFailed: (error: AspenError) => void
  /** for the storage epoch of a new log */
  readonly random: Random
  /** for tests of crashes */
  readonly onBoundary?: OnBoundary | undefined
}

export class LmdbLogStore implements LogStore {
  readonly #environment: LogEnvironment
  readonly #tail: LogTail
  readonly #onFailed: (error: AspenError) => void
  readonly #onBoundary: OnBoundary | undefined
  /** as last handed to lmdb; the next write's sequence follows it */
  #state: LogState
  /** accepted, not handed to lmdb yet */
  #queue: PendingWrite[] = []
  #isCommitScheduled = false
  /** the transaction in progress; resolves when it has ended either way */
  #commit: Promise<void> | null = null
  #status: 'open' | 'failed' | 'closed' = 'open'
  #closing: Promise<void> | null = null

  private constructor(environment: LogEnvironment, state: LogState, options: Reporting) {
    this.#environment = environment
    this.#state = state
    this.#onFailed = options.onFailed
    this.#onBoundary = options.onBoundary
    this.#tail = new LogTail(state, (index) => this.#idOf(index))
  }

  /**
   * Opens the log in `directory`, or makes it. Everything stored is verified, and the boot counter
   * is raised and durable, before this resolves. Nobody else may have the directory open.
   * @throws StorageError CORRUPTED, FORMAT_NEWER, DATA_DIR_TAKEN (the log of another cluster),
   * IDENTITY_WITHOUT_LOG, OPEN_DATABASE, IO_ERROR, NO_SPACE
   */
  static async open(options: LmdbLogStoreOptions): Promise<OpenedLog<LmdbLogStore>> {
    const { directory, mustExist = false, onBoundary } = options
    if (mustExist && !existsSync(directory)) throw identityWithoutLog()
    const environment = openEnvironment(directory)
    try {
      const records = recordsOf(environment)
      const found = chooseState(records)
      if (found === null && mustExist) throw identityWithoutLog()
      const previous = found ?? newState(options)
      if (!equalSecret(previous.genesisHash, options.genesis.hash)) throw otherCluster()
      const restored = verifyLog(records, previous)
      const state = {
        ...previous,
        boot: previous.boot + 1,
        sequence: previous.sequence + 1
      }
      onBoundary?.('log.boot.begin')
      await commit(environment, state, [])
      onBoundary?.('log.boot.durable')
      if (found === null) {
        syncDirectory(directory)
        onBoundary?.('log.directory.durable')
      }
      return { store: new LmdbLogStore(environment, state, options), restored }
    } catch (error) {
      await environment.root.close()
      throw error
    }
  }

  get base(): EntryId {
    return this.#tail.base
  }

  get last(): EntryId {
    return this.#tail.last
  }

  get boot(): number {
    return this.#state.boot
  }

  get storageEpoch(): Uint8Array {
    return this.#state.storageEpoch
  }

  write(write: LogWrite, onDurable: () => void): void {
    assert(this.#closing === null, 'the log store is open')
    if (this.#status === 'failed') return
    this.#queue.push(this.#tail.accept(write, onDurable))
    this.#maybeScheduleCommit()
  }

  entries(from: Index, to: Index, maxBytes: number): readonly Entry[] {
    assert(from > this.base.index && from <= to, `[${from}, ${to}) lies behind the base`)
    const end = Math.min(to, this.#tail.readableEnd)
    const found: Entry[] = []
    let byteCount = 0
    for (let index = from; index < end; index++) {
      const { entry } = this.#read(index)
      byteCount += entry.payload.byteLength
      if (found.length > 0 && byteCount > maxBytes) break
      found.push(entry)
    }
    return found
  }

  idAt(index: Index): EntryId | 'compacted' | 'missing' {
    if (index < this.base.index) return 'compacted'
    if (index === this.base.index) return this.base
    return index < this.#tail.readableEnd ? this.#idOf(index) : 'missing'
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    while (this.#isCommitScheduled || this.#commit !== null) {
      if (this.#commit === null) await nextTurn()
      else await this.#commit
    }
    this.#status = 'closed'
    await this.#environment.root.close()
  }

  #idOf(index: Index): EntryId {
    const { entry } = this.#read(index)
    return { index, term: entry.term, hash: entry.hash }
  }

  #read(index: Index): ReturnType<typeof readRecord> {
    assert(this.#status !== 'closed', 'the log store is open')
    return readRecord(readBytes(this.#environment.entries, indexKey(index)), index)
  }

  /** At the end of this turn of the event loop, so that all writes of the turn are one transaction. */
  #maybeScheduleCommit(): void {
    if (this.#isCommitScheduled || this.#commit !== null || this.#queue.length === 0) return
    this.#isCommitScheduled = true
    setImmediate(() => {
      this.#isCommitScheduled = false
      this.#commit = this.#commitQueue()
    })
  }

  async #commitQueue(): Promise<void> {
    const group = this.#queue
    this.#queue = []
    const changes = this.#changesOf(group)
    this.#cross(group, 'begin')
    try {
      await commit(this.#environment, this.#state, changes)
    } catch (error) {
      this.#commit = null
      this.#fail(await reasonOf(error))
      return
    }
    this.#commit = null
    this.#cross(group, 'durable')
    this.#maybeScheduleCommit()
    for (const _ of group) this.#tail.settle().onDurable()
  }

  /** What the group changes on disk. */
  #changesOf(group: readonly PendingWrite[]): readonly Change[] {
    const changes: Change[] = []
    for (const { lastAfter, removeTo, entries, previousHash } of group) {
      for (let index = lastAfter.index + 1; index < removeTo; index++) {
        changes.push({ key: indexKey(index), record: null })
      }
      let previous = previousHash
      for (const entry of entries) {
        changes.push({ key: indexKey(entry.index), record: encodeEntry(entry, previous) })
        previous = entry.hash
      }
    }
    const newest = group.at(-1)
    assert(newest !== undefined, 'a group has a write')
    this.#state = {
      ...this.#state,
      sequence: this.#state.sequence + 1,
      last: newest.lastAfter,
      hardState: newest.hardStateAfter
    }
    return changes
  }

  /** Says what of the group is about to be written, or is durable. */
  #cross(group: readonly PendingWrite[], step: 'begin' | 'durable'): void {
    if (this.#onBoundary === undefined) return
    for (const kind of kindsOf(group)) this.#onBoundary(`log.${kind}.${step}`)
  }

  #fail(error: StorageError): void {
    assert(this.#status === 'open', 'a store fails once')
    this.#status = 'failed'
    this.#queue = []
    this.#tail.drop()
    this.#onFailed(error)
  }
}

type Reporting = Pick<LmdbLogStoreOptions, 'onFailed' | 'onBoundary'>
type WriteKind = (typeof WRITE_KINDS)[number]

/** How long lmdb may take to say why a commit failed. */
const REASON_DEADLINE_MS = 1_000

/** What a group of writes holds. */
function kindsOf(group: readonly PendingWrite[]): readonly WriteKind[] {
  const entries = group.flatMap((write) => write.entries)
  const has: Readonly<Record<WriteKind, boolean>> = {
    hardState: group.some(({ hardState }) => hardState !== null),
    truncation: group.some(({ truncateFrom }) => truncateFrom !== null),
    configuration: entries.some(({ kind }) => kind === ENTRY_KIND.configuration),
    entries: entries.length > 0
  }
  return WRITE_KINDS.filter((kind) => has[kind])
}

const WRITE_KINDS = ['hardState', 'truncation', 'configuration', 'entries'] as const

function newState(options: LmdbLogStoreOptions): LogState {
  return {
    sequence: 0,
    boot: 0,
    storageEpoch: randomBytes(options.random, STORAGE_EPOCH_BYTES),
    genesisHash: options.genesis.hash,
    base: options.genesis,
    last: options.genesis,
    hardState: null
  }
}

/** An entry's record to be put, or null to be removed. */
interface Change {
  readonly key: Uint8Array
  readonly record: Uint8Array | null
}

/**
 * Resolves when the changes and both copies of the state are on disk, in one transaction. All
 * encoding is done before: an exception inside the batch would commit the first half of it.
 */
async function commit(
  { root, entries, states }: LogEnvironment,
  state: LogState,
  changes: readonly Change[]
): Promise<void> {
  const stateRecord = encodeState(state)
  const isDone = await root.batch(() => {
    // the promises of single changes end with the batch's
    for (const { key, record } of changes) {
      void (record === null ? entries.remove(key) : entries.put(key, record))
    }
    for (const copy of states) void copy.put(STATE_KEY, stateRecord)
  })
  assert(isDone, 'an unconditional write is never left out')
}

/** Why a commit failed: lmdb-js puts it into a second promise, which rejects. */
async function reasonOf(failure: unknown): Promise<StorageError> {
  if (typeof failure !== 'object' || failure === null || !('commitError' in failure)) {
    return storageErrorOf(failure)
  }
  const silence = delay(REASON_DEADLINE_MS, failure, { ref: false })
  try {
    return storageErrorOf(await Promise.race([failure.commitError, silence]))
  } catch (reason) {
    return storageErrorOf(reason)
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function otherCluster(): StorageError {
  return new StorageError({
    code: 'DATA_DIR_TAKEN',
    message: 'the log in this data directory belongs to another cluster',
    hint: 'give another data directory with --data-dir'
  })
}

function identityWithoutLog(): StorageError {
  return new StorageError({
    code: 'IDENTITY_WITHOUT_LOG',
    message: "this data directory has a member's key but no log",
    hint: 'put the log back; or keep this folder away and join as a new node from an empty one'
  })
}
