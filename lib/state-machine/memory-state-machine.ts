// The state machine in memory: rows in an array sorted by key, and their history. For the simulator, tests,
// and clusters that need no disk. It holds all values, and everything of `apply` happens in one deferred call.
//
// A `MemoryStateDisk` outlives it, as the files of SQLite do: it holds states as of some entry, each of
// them whole, and snapshots. What was applied since is not there after a crash.

import b4a from 'b4a'
import { assert, present, unreachable } from '../assert.ts'
import { ProtocolError, StorageError } from '../errors.ts'
import { MAX_BATCH_SIZE, MAX_SCAN_BYTES, MAX_SCAN_LIMIT } from '../limits.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import { appliedAfter, appliedAtGenesis, decodeEntry, gapAfter } from './apply-entry.ts'
import { requestOf } from './apply-entry.ts'
import type { DecodedEntry } from './apply-entry.ts'
import type { ControlCommand, ChangeSet } from './command.ts'
import { MemoryRows, NO_ROWS } from './memory-rows.ts'
import type { LiveRow } from './memory-rows.ts'
import { MemorySnapshots, keepSnapshot, wholeChunks } from './memory-snapshots.ts'
import type { SnapshotShelf, StoredSnapshot } from './memory-snapshots.ts'
import { decodeImage, encodeImage } from './memory-state-image.ts'
import type { StateImage } from './memory-state-image.ts'
import { SessionTable } from './sessions.ts'
import { DEFAULT_SNAPSHOT_LIMITS, refusalOf } from './snapshot-refusal.ts'
import { contentAfter } from './state-hash.ts'
import type {
  Applied,
  ApplyResult,
  Backing,
  Content,
  KeyValue,
  PreparedSnapshot,
  Revision,
  ScanPage,
  ScanRequest,
  SnapshotEvent,
  SnapshotInfo,
  SnapshotLimits,
  SnapshotProgress,
  Snapshots,
  StateMachine,
  TrustState
} from './state-machine.ts'
import { afterChange } from './registry.ts'
import { EMPTY_TRUST, applyTrust } from './trust.ts'
import { applyUpkeep, isUpkeep } from './upkeep.ts'
import type { Upkeep } from './upkeep.ts'
import { planWrite } from './write-plan.ts'

export interface MemoryStateMachineOptions {
  readonly genesis: EntryId
  /** Calls `fn` once, later, never before it returns. */
  readonly defer: (fn: () => void) => void
  readonly onFailed: (error: StorageError) => void
  /** what an earlier machine left, and where this one leaves what it has applied */
  readonly disk?: MemoryStateDisk
  /** asked after each apply: whether the disk catches up now; always when absent */
  readonly shouldCheckpoint?: () => boolean
  /** the snapshot that the log's pointer names; 0, also when absent: built from the genesis on */
  readonly stateBase?: Index
  readonly limits?: SnapshotLimits
  readonly onSnapshotEvent?: (event: SnapshotEvent) => void
}

/** What is durable. Only its machine changes it. */
export class MemoryStateDisk implements SnapshotShelf {
  /** by the snapshot that each was installed from, 0 for the genesis; not there before the first checkpoint */
  readonly images = new Map<Index, StateImage>()
  snapshots: readonly StoredSnapshot[] = []
  incoming: StoredSnapshot | null = null
}

export class MemoryStateMachine implements StateMachine {
  readonly snapshots: Snapshots
  readonly #options: MemoryStateMachineOptions
  readonly #disk: MemoryStateDisk
  /** the name of its state on the disk */
  #stateBase: Index
  #rows: MemoryRows
  #sessions: SessionTable
  #applied: Applied
  #trust: TrustState
  /** nothing may be applied, adopted or cut meanwhile */
  #isBusy = false
  #isCutting = false
  #isFailed = false
  #isClosed = false

  private constructor(options: MemoryStateMachineOptions, disk: MemoryStateDisk) {
    this.#options = options
    this.#disk = disk
    this.#stateBase = options.stateBase ?? 0
    const image = disk.images.get(this.#stateBase) ?? imageAtGenesis(options.genesis)
    this.#applied = image.applied
    this.#trust = image.trust
    this.#rows = new MemoryRows(image.rows)
    this.#sessions = new SessionTable(image.sessions)
    this.snapshots = new MemorySnapshots({
      shelf: disk,
      genesisHash: options.genesis.hash,
      appliedIndex: () => this.#applied.index,
      defer: (fn) => options.defer(() => this.#isClosed || fn()),
      onEvent: (event) => options.onSnapshotEvent?.(event),
      onPrepared: (prepared) => void disk.images.set(prepared.applied.index, prepared)
    })
  }

  /**
   * Opens what is on the disk, or begins at the genesis.
   * @throws StorageError WRONG_CLUSTER; CORRUPTED when there should be a state and is none
   */
  static open(options: MemoryStateMachineOptions): MemoryStateMachine {
    const { disk = new MemoryStateDisk(), genesis, stateBase = 0 } = options
    for (const base of disk.images.keys()) if (base !== stateBase) disk.images.delete(base)
    const image = disk.images.get(stateBase)
    if (image !== undefined && !b4a.equals(image.genesisHash, genesis.hash)) {
      throw new StorageError({
        code: 'WRONG_CLUSTER',
        message: 'the state on this disk belongs to another cluster'
      })
    }
    if (image === undefined && stateBase > 0) {
      const message = `the state that was installed at ${stateBase} is not on this disk`
      throw new StorageError({ code: 'CORRUPTED', message })
    }
    return new MemoryStateMachine(options, disk)
  }

  /**
   * As `open`, but a state that is not there, or has not come as far as the log's base, is made again from
   * the newest snapshot of an entry that the log has.
   * @throws StorageError WRONG_CLUSTER; CORRUPTED when there is no such snapshot
   */
  static restore(options: MemoryStateMachineOptions, log: Backing): MemoryStateMachine {
    const { disk = new MemoryStateDisk(), stateBase = 0 } = options
    const { index } = disk.images.get(stateBase)?.applied ?? appliedAtGenesis(options.genesis)
    const isMissing = stateBase > 0 && !disk.images.has(stateBase)
    if (index < log.base || isMissing) disk.images.set(stateBase, newestImage(disk, log))
    return MemoryStateMachine.open(options)
  }

  applied(): Applied {
    return this.#applied
  }

  trust(): TrustState {
    return this.#trust
  }

  get durableAppliedIndex(): Index {
    return this.#disk.images.get(this.#stateBase)?.applied.index ?? 0
  }

  apply(entries: readonly Entry[], onApplied: (results: readonly ApplyResult[]) => void): void {
    assert(entries.length <= MAX_BATCH_SIZE, `at most ${MAX_BATCH_SIZE} entries in one apply`)
    const gap = gapAfter(this.#applied, entries)
    assert(gap === null, gap ?? '')
    this.#whenFree(() => this.#applyAll(entries, onApplied))
  }

  get(key: Uint8Array): KeyValue | null {
    assert(!this.#isClosed, 'the state machine is open')
    const found = this.#rows.find(key)
    return found === null ? null : keyValueOf(found)
  }

  scan(request: ScanRequest): ScanPage {
    assert(!this.#isClosed, 'the state machine is open')
    const { limit } = request
    assert(limit >= 1 && limit <= MAX_SCAN_LIMIT, `a scan has a limit of 1 to ${MAX_SCAN_LIMIT}`)
    const { rows, hasMore } = this.#rows.page(request)
    const items: KeyValue[] = []
    let byteCount = 0
    for (const row of rows) {
      byteCount += row.key.byteLength + row.value.byteLength
      if (byteCount > MAX_SCAN_BYTES) return { items, hasMore: true }
      items.push(keyValueOf(row))
    }
    return { items, hasMore }
  }

  snapshot(on: SnapshotProgress): void {
    const { limits = DEFAULT_SNAPSHOT_LIMITS, onSnapshotEvent, defer } = this.#options
    const { index } = this.#applied
    const isCutting = this.#isCutting
    this.#whenFree(() => {
      const known = this.snapshots.list().find((each) => each.index === index) ?? null
      const message = isCutting ? 'another one is being made' : refusalOf(this.#applied, limits)
      if (known !== null || message !== null) {
        if (known === null) onSnapshotEvent?.({ event: 'refused', index, message: message ?? '' })
        on.onBegun()
        on.onEnded(known)
        return
      }
      const image = this.#image()
      this.#isCutting = true
      on.onBegun()
      defer(() => {
        if (this.#isClosed) return
        this.#isCutting = false
        on.onEnded(this.#keep(image))
      })
    })
  }

  adopt({ info }: PreparedSnapshot, onAdopted: () => void): void {
    const image = present(this.#disk.images.get(info.index), 'the state of a prepared snapshot')
    this.#whenFree(() => {
      this.#disk.images.delete(this.#stateBase)
      this.#disk.images.set(info.index, image)
      this.#stateBase = info.index
      this.#applied = image.applied
      this.#trust = image.trust
      this.#rows = new MemoryRows(image.rows)
      this.#sessions = new SessionTable(image.sessions)
      onAdopted()
    })
  }

  /** What is in progress is given up: nothing is called any more. */
  close(): Promise<void> {
    this.#isClosed = true
    return Promise.resolve()
  }

  /** Does `work` later, alone. */
  #whenFree(work: () => void): void {
    assert(!this.#isClosed, 'the state machine is open')
    assert(!this.#isBusy, 'one thing at a time: apply, snapshot or adopt')
    if (this.#isFailed) return
    this.#isBusy = true
    this.#options.defer(() => {
      this.#isBusy = false
      if (!this.#isClosed) work()
    })
  }

  #applyAll(entries: readonly Entry[], onApplied: (results: readonly ApplyResult[]) => void): void {
    const results: ApplyResult[] = []
    try {
      for (const entry of entries) results.push(this.#applyEntry(entry))
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      this.#isFailed = true
      this.#options.onFailed(error)
      return
    }
    // sessions are stored whole here: which of them changed is of no use
    this.#sessions.takeChanges()
    const { shouldCheckpoint } = this.#options
    if (shouldCheckpoint?.() !== false) this.#disk.images.set(this.#stateBase, this.#image())
    onApplied(results)
  }

  #image(): StateImage {
    return {
      genesisHash: this.#options.genesis.hash,
      applied: this.#applied,
      trust: this.#trust,
      rows: this.#rows.image(),
      sessions: this.#sessions.stored()
    }
  }

  #keep(image: StateImage): SnapshotInfo {
    const { manifest, chunks, ...totals } = encodeImage(image)
    const { index, term, hash: chainHash } = image.applied
    const { contentHash, byteCount, chunkCount } = totals
    const info = { index, term, chainHash, contentHash, byteCount, chunkCount }
    const made = { info, manifest, chunks: new Map(chunks.entries()) }
    keepSnapshot(this.#disk, made, this.#applied.index)
    return info
  }

  #applyEntry(entry: Entry): ApplyResult {
    const decoded = decodeEntry(entry)
    const { result, content, upkeep } = this.#carryOutOnce(entry, decoded)
    this.#applied = appliedAfter(this.#applied, { entry, decoded }, { content, upkeep })
    return result
  }

  #carryOutOnce(entry: Entry, decoded: DecodedEntry): Outcome {
    const request = requestOf(decoded)
    if (request === null) return this.#carryOut(entry, decoded)
    const answer = this.#sessions.begin(request, entry)
    if (answer !== null) return this.#unchanged(answer)
    const outcome = this.#carryOut(entry, decoded)
    this.#sessions.end(outcome.result)
    return outcome
  }

  #carryOut(entry: Entry, decoded: DecodedEntry): Outcome {
    switch (decoded.kind) {
      case 'write':
        return this.#write(decoded.command, entry.index)
      case 'control':
        return this.#control(decoded.command, entry)
      case 'malformed':
        return this.#unchanged({ kind: 'refused', error: decoded.error })
      case 'configuration': {
        const { configuration: before } = this.#applied
        const change = { before, after: decoded.configuration }
        this.#trust = afterChange(this.#trust, change, entry)
        return this.#unchanged({ kind: 'none' })
      }
      case 'empty':
      case 'snapshot':
        return this.#unchanged({ kind: 'none' })
      default:
        return unreachable(decoded)
    }
  }

  #control(command: ControlCommand, entry: Entry): Outcome {
    if (!isUpkeep(command)) {
      const { state, result } = applyTrust(this.#trust, command, entry)
      this.#trust = state
      return this.#unchanged(result)
    }
    const { state, result } = applyUpkeep(this.#applied, command, entry)
    const { compactedRevision, featureLevel } = state
    if (compactedRevision > this.#applied.compactedRevision) this.#rows.compact(compactedRevision)
    return { result, content: this.#applied, upkeep: { compactedRevision, featureLevel } }
  }

  #write(command: ChangeSet, revision: Revision): Outcome {
    const plan = planWrite(command, revision, (key) => this.#rows.find(key))
    if (plan.kind === 'refused') return this.#unchanged(plan)
    let content: Content = this.#applied
    for (const row of plan.rows)
      content = contentAfter(content, row, this.#rows.write(row, revision))
    const result = { kind: 'written', revision, changes: plan.changes } as const
    return { ...this.#unchanged(result), content }
  }

  #unchanged(result: ApplyResult): Outcome {
    return { result, content: this.#applied, upkeep: this.#applied }
  }
}

interface Outcome {
  readonly result: ApplyResult
  readonly content: Content
  readonly upkeep: Upkeep
}

function imageAtGenesis(genesis: EntryId): StateImage {
  return {
    genesisHash: genesis.hash,
    applied: appliedAtGenesis(genesis),
    trust: EMPTY_TRUST,
    rows: NO_ROWS,
    sessions: { sessions: [], forgottenIndex: 0 }
  }
}

/** Of the newest snapshot that is whole and of an entry that the log has. */
function newestImage(disk: MemoryStateDisk, { base, holds }: Backing): StateImage {
  for (const stored of disk.snapshots) {
    const { index, term, chainHash: hash } = stored.info
    if (index < base) break
    if (!holds({ index, term, hash })) continue
    const chunks = wholeChunks(stored)
    if (chunks === null) continue
    try {
      return decodeImage(chunks)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
    }
  }
  const message = `the state is damaged, and there is no whole snapshot at or after ${base}`
  throw new StorageError({ code: 'CORRUPTED', message })
}

/** Copies: what is handed out may be changed by whoever gets it. */
function keyValueOf(row: LiveRow): KeyValue {
  const { createRevision, modRevision, version } = row
  return { key: row.key.slice(), value: row.value.slice(), createRevision, modRevision, version }
}
