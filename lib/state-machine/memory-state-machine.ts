// The state machine in memory: rows in an array sorted by key. For the simulator, tests, and clusters
// that need no disk. It holds all values, and everything of `apply` happens in one deferred call.
//
// A `MemoryStateDisk` outlives it, as SQLite's file does: it holds the state as of some entry, all of it
// or none, and what was applied since is not there after a crash.

import b4a from 'b4a'
import { assert, unreachable } from '../assert.ts'
import { StorageError } from '../errors.ts'
import { MAX_BATCH_SIZE, MAX_SCAN_BYTES, MAX_SCAN_LIMIT } from '../limits.ts'
import type { Entry, EntryId } from '../raft/entry.ts'
import { appliedAfter, appliedAtGenesis, decodeEntry, gapAfter } from './apply-entry.ts'
import { requestOf } from './apply-entry.ts'
import type { DecodedEntry } from './apply-entry.ts'
import { prefixEnd, successorOf } from './byte-order.ts'
import type { WriteCommand } from './command.ts'
import { SessionTable } from './sessions.ts'
import type { StoredSessions } from './sessions.ts'
import { rowHash, stateHashAfter } from './state-hash.ts'
import type { Applied, ApplyResult, KeyValue, ScanPage } from './state-machine.ts'
import type { Revision, ScanRequest, StateMachine, TrustState } from './state-machine.ts'
import { EMPTY_TRUST, applyControl } from './trust.ts'
import { planWrite } from './write-plan.ts'
import type { PlannedRow } from './write-plan.ts'

export interface MemoryStateMachineOptions {
  readonly genesis: EntryId
  /** Calls `fn` once, later, never before it returns. */
  readonly defer: (fn: () => void) => void
  readonly onFailed: (error: StorageError) => void
  /** what an earlier machine left, and where this one leaves what it has applied */
  readonly disk?: MemoryStateDisk
  /** asked after each apply: whether the disk catches up now; always when absent */
  readonly shouldCheckpoint?: () => boolean
}

/** What is durable. Only its machine changes it. */
export class MemoryStateDisk {
  /** null until the first checkpoint */
  image: StateImage | null = null
}

/** The whole state as of `applied.index`; nothing in it ever changes. */
interface StateImage {
  readonly genesisHash: Uint8Array
  readonly applied: Applied
  readonly trust: TrustState
  readonly rows: readonly Row[]
  readonly sessions: StoredSessions
}

export class MemoryStateMachine implements StateMachine {
  readonly #options: MemoryStateMachineOptions
  /** ascending by key, no key twice */
  readonly #rows: Row[]
  readonly #sessions: SessionTable
  #applied: Applied
  #trust: TrustState
  #isApplying = false
  #isFailed = false
  #isClosed = false

  private constructor(options: MemoryStateMachineOptions, image: StateImage | null) {
    this.#options = options
    this.#applied = image?.applied ?? appliedAtGenesis(options.genesis)
    this.#trust = image?.trust ?? EMPTY_TRUST
    this.#rows = [...(image?.rows ?? [])]
    this.#sessions = new SessionTable(image?.sessions)
  }

  /** Opens what is on the disk, or begins at the genesis. @throws StorageError WRONG_CLUSTER */
  static open(options: MemoryStateMachineOptions): MemoryStateMachine {
    const image = options.disk?.image ?? null
    if (image !== null && !b4a.equals(image.genesisHash, options.genesis.hash)) {
      throw new StorageError({
        code: 'WRONG_CLUSTER',
        message: 'the state on this disk belongs to another cluster'
      })
    }
    return new MemoryStateMachine(options, image)
  }

  applied(): Applied {
    return this.#applied
  }

  trust(): TrustState {
    return this.#trust
  }

  apply(entries: readonly Entry[], onApplied: (results: readonly ApplyResult[]) => void): void {
    assert(!this.#isClosed, 'the state machine is open')
    assert(!this.#isApplying, 'one apply at a time')
    assert(entries.length <= MAX_BATCH_SIZE, `at most ${MAX_BATCH_SIZE} entries in one apply`)
    const gap = gapAfter(this.#applied, entries)
    assert(gap === null, gap ?? '')
    if (this.#isFailed) return
    this.#isApplying = true
    this.#options.defer(() => this.#applyAll(entries, onApplied))
  }

  get(key: Uint8Array): KeyValue | null {
    assert(!this.#isClosed, 'the state machine is open')
    const found = this.#find(key)
    return found === null ? null : keyValueOf(found)
  }

  scan(request: ScanRequest): ScanPage {
    assert(!this.#isClosed, 'the state machine is open')
    const { prefix, after, limit } = request
    assert(limit >= 1 && limit <= MAX_SCAN_LIMIT, `a scan has a limit of 1 to ${MAX_SCAN_LIMIT}`)
    const end = this.#position(prefixEnd(prefix))
    const from = Math.max(
      this.#position(prefix),
      after === null ? 0 : this.#position(successorOf(after))
    )
    const items: KeyValue[] = []
    let byteCount = 0
    for (const row of this.#rows.slice(from, Math.max(from, Math.min(end, from + limit)))) {
      byteCount += row.key.byteLength + row.value.byteLength
      if (byteCount > MAX_SCAN_BYTES) break
      items.push(keyValueOf(row))
    }
    return { items, hasMore: from + items.length < end }
  }

  /** An apply in progress is given up: its `onApplied` is not called. */
  close(): Promise<void> {
    this.#isClosed = true
    return Promise.resolve()
  }

  #applyAll(entries: readonly Entry[], onApplied: (results: readonly ApplyResult[]) => void): void {
    if (this.#isClosed) return
    const results: ApplyResult[] = []
    try {
      for (const entry of entries) results.push(this.#applyEntry(entry))
    } catch (error) {
      if (!(error instanceof StorageError)) throw error
      this.#isFailed = true
      this.#options.onFailed(error)
      return
    } finally {
      this.#isApplying = false
    }
    // sessions are stored whole here: which of them changed is of no use
    this.#sessions.takeChanges()
    this.#maybeCheckpoint()
    onApplied(results)
  }

  #maybeCheckpoint(): boolean {
    const { disk, genesis, shouldCheckpoint } = this.#options
    if (disk === undefined || shouldCheckpoint?.() === false) return false
    disk.image = {
      genesisHash: genesis.hash,
      applied: this.#applied,
      trust: this.#trust,
      rows: [...this.#rows],
      sessions: this.#sessions.stored()
    }
    return true
  }

  #applyEntry(entry: Entry): ApplyResult {
    const decoded = decodeEntry(entry)
    const before = this.#applied.stateHash
    const { result, stateHash } = this.#carryOutOnce(entry, decoded, before)
    this.#applied = appliedAfter(this.#applied, { entry, decoded }, stateHash)
    return result
  }

  #carryOutOnce(entry: Entry, decoded: DecodedEntry, stateHash: Uint8Array): Outcome {
    const request = requestOf(decoded)
    if (request === null) return this.#carryOut(entry, decoded, stateHash)
    const answer = this.#sessions.begin(request, entry)
    if (answer !== null) return { result: answer, stateHash }
    const outcome = this.#carryOut(entry, decoded, stateHash)
    this.#sessions.end(outcome.result)
    return outcome
  }

  #carryOut(entry: Entry, decoded: DecodedEntry, stateHash: Uint8Array): Outcome {
    switch (decoded.kind) {
      case 'write':
        return this.#write(decoded.command, entry.index)
      case 'control': {
        const step = applyControl(this.#trust, decoded.command, entry)
        this.#trust = step.state
        return { result: step.result, stateHash }
      }
      case 'malformed':
        return { result: { kind: 'refused', error: decoded.error }, stateHash }
      case 'empty':
      case 'configuration':
        return { result: { kind: 'none' }, stateHash }
      default:
        return unreachable(decoded)
    }
  }

  #write(command: WriteCommand, revision: Revision): Outcome {
    let { stateHash } = this.#applied
    const plan = planWrite(command, revision, (key) => this.#find(key))
    if (plan.kind === 'refused') return { result: plan, stateHash }
    for (const row of plan.rows) stateHash = this.#writeRow(row, revision, stateHash)
    return { result: { kind: 'written', revision, changes: plan.changes }, stateHash }
  }

  /** @returns the state hash after it */
  #writeRow(row: PlannedRow, revision: Revision, stateHash: Uint8Array): Uint8Array {
    const { value, createRevision, version, previous } = row
    const at = this.#position(row.key)
    const old = previous?.hash ?? null
    if (value === null) {
      this.#rows.splice(at, 1)
      return stateHashAfter(stateHash, old, null)
    }
    // copies: the payload is not ours to keep
    const content = {
      key: row.key.slice(),
      value: value.slice(),
      createRevision,
      modRevision: revision,
      version
    }
    const hash = rowHash(content)
    this.#rows.splice(at, previous === null ? 0 : 1, { ...content, hash })
    return stateHashAfter(stateHash, old, hash)
  }

  #find(key: Uint8Array): Row | null {
    const row = this.#rows[this.#position(key)]
    return row !== undefined && b4a.equals(row.key, key) ? row : null
  }

  /** How many keys are before `key`. */
  #position(key: Uint8Array): number {
    let low = 0
    let high = this.#rows.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const row = this.#rows[middle]
      if (row !== undefined && b4a.compare(row.key, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

interface Row extends KeyValue {
  readonly hash: Uint8Array
}

interface Outcome {
  readonly result: ApplyResult
  readonly stateHash: Uint8Array
}

/** Copies: what is handed out may be changed by whoever gets it. */
function keyValueOf(row: Row): KeyValue {
  const { createRevision, modRevision, version } = row
  return { key: row.key.slice(), value: row.value.slice(), createRevision, modRevision, version }
}
