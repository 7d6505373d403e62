// What is done to the database, as generators that yield after each piece of work: entries applied, and
// history compacted, each in transactions that stay open over many turns of the event loop. Who runs
// them decides when a turn is over, and runs one of them at a time.

import type { OnBoundary } from '../boundary.ts'
import type { Clock } from '../clock.ts'
import { MAX_TRANSACTION_BYTES } from '../limits.ts'
import type { Entry } from '../raft/entry.ts'
import { appliedAfter, decodeEntry, requestOf } from './apply-entry.ts'
import type { DecodedEntry } from './apply-entry.ts'
import type { ControlCommand, ChangeSet } from './command.ts'
import { SessionTable } from './sessions.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import type { Progress } from './sqlite-schema.ts'
import { lastRowOf } from './sqlite-schema.ts'
import type { SqliteWriter } from './sqlite-writer.ts'
import { contentAfter } from './state-hash.ts'
import type { Applied, ApplyResult, Content, Revision, TrustState } from './state-machine.ts'
import { afterChange } from './registry.ts'
import { applyTrust } from './trust.ts'
import type { Upkeep } from './upkeep.ts'
import { applyUpkeep, isUpkeep } from './upkeep.ts'
import type { PlannedRow } from './write-plan.ts'
import { planWrite } from './write-plan.ts'

/** Each step is a piece of work; the last one ends a transaction. */
export type Steps<T = void> = Generator<void, T, void>

export interface ApplierOptions {
  readonly clock: Clock
  /** a transaction of entries is committed, after so long since it began */
  readonly onCommitted?: ((durationMs: number) => void) | undefined
  /** for tests of crashes */
  readonly onBoundary?: OnBoundary | undefined
}

export class SqliteApplier {
  readonly #writer: SqliteWriter
  /** what is applied, also what is not committed yet: nothing is applied after a transaction that failed */
  readonly #sessions: SessionTable
  /** what is committed */
  #progress: Progress
  /** up to which row of the history the compaction has come */
  #compactedRow: number

  readonly #options: ApplierOptions

  constructor(database: SqliteDatabase, options: ApplierOptions) {
    const { writer, progress, sessions, compactedRow } = database
    this.#options = options
    this.#writer = writer
    this.#progress = progress
    this.#sessions = new SessionTable(sessions)
    this.#compactedRow = compactedRow
  }

  /** As of the last commit. */
  get progress(): Progress {
    return this.#progress
  }

  /** Whether superseded rows are left that the compaction has promised to delete. */
  get isCompacting(): boolean {
    return this.#compactedRow < this.#compactionEnd
  }

  /** Looks at up to `rowCount` rows of the history, and deletes what they superseded. */
  *compactSome(rowCount: number): Steps {
    const end = this.#compactionEnd
    this.#writer.begin()
    const rows = this.#writer.historyAfter(this.#compactedRow, end, rowCount)
    for (const { id, superseded, isTombstone } of rows) {
      if (superseded > 0) this.#writer.dropRevision(superseded)
      if (isTombstone) this.#writer.dropRevision(id)
      yield
    }
    const to = rows.length < rowCount ? end : (rows.at(-1)?.id ?? end)
    this.#writer.commitCompacted(to)
    this.#compactedRow = to
  }

  /** Entries from `from` on, in one transaction. @returns the position after them */
  *applySome(entries: readonly Entry[], from: number, results: ApplyResult[]): Steps<number> {
    let progress = this.#progress
    let byteCount = 0
    let next = from
    let failure: unknown = null
    const { clock, onBoundary, onCommitted } = this.#options
    const beganMs = clock.nowMs()
    this.#writer.begin()
    onBoundary?.('state.apply.begin')
    for (const entry of entries.slice(from)) {
      if (byteCount >= MAX_TRANSACTION_BYTES) break
      let decoded: DecodedEntry
      try {
        decoded = decodeEntry(entry)
      } catch (error) {
        // what precedes the entry is kept
        failure = error
        break
      }
      const outcome = yield* this.#applyEntry(entry, decoded, progress)
      progress = outcome.progress
      results.push(outcome.result)
      byteCount += entry.payload.byteLength
      next++
    }
    yield
    yield* this.#writeSessions()
    onBoundary?.('state.commit.begin')
    this.#writer.commit(this.#progress, progress, this.#sessions.forgottenIndex)
    onBoundary?.('state.commit.end')
    onCommitted?.(clock.nowMs() - beganMs)
    this.#progress = progress
    if (failure !== null) throw failure
    return next
  }

  get #compactionEnd(): number {
    return lastRowOf(this.#progress.applied.compactedRevision)
  }

  /** One row per session that took part, however many of its requests there were. */
  *#writeSessions(): Steps {
    const { changed, gone } = this.#sessions.takeChanges()
    for (const bornIndex of gone) this.#writer.dropSession(bornIndex)
    for (const session of changed) {
      this.#writer.writeSession(session)
      yield
    }
  }

  *#applyEntry(entry: Entry, decoded: DecodedEntry, before: Progress): Steps<Applying> {
    const request = requestOf(decoded)
    const answer = request === null ? null : this.#sessions.begin(request, entry)
    const outcome =
      answer === null ? yield* this.#carryOut(entry, decoded, before) : unchanged(before, answer)
    const { result, trust, content, upkeep } = outcome
    if (request !== null && answer === null) this.#sessions.end(result)
    yield
    const applied = appliedAfter(before.applied, { entry, decoded }, { content, upkeep })
    return { result, progress: { applied, trust } }
  }

  *#carryOut(entry: Entry, decoded: DecodedEntry, before: Progress): Steps<Outcome> {
    if (decoded.kind === 'malformed')
      return unchanged(before, { kind: 'refused', error: decoded.error })
    if (decoded.kind === 'control') return control(decoded.command, entry, before)
    if (decoded.kind === 'write') return yield* this.#write(decoded.command, entry.index, before)
    return unchanged(afterMembership(decoded, entry, before), { kind: 'none' })
  }

  *#write(command: ChangeSet, revision: Revision, before: Progress): Steps<Outcome> {
    const plan = planWrite(command, revision, (key) => this.#writer.lookup(key))
    if (plan.kind === 'refused') return unchanged(before, plan)
    yield
    const hashed: HashedRow[] = []
    for (const row of plan.rows) {
      hashed.push({ row, hash: this.#writer.writeRevision(row, revision) })
      yield
    }
    // the keys come last: a page that went to the write-ahead log and is changed again makes the
    // commit read and checksum everything behind it once more
    let content: Content = before.applied
    for (const { row, hash } of hashed) {
      this.#writer.writeKey(row, revision, hash)
      content = contentAfter(content, row, hash)
      yield
    }
    const result = { kind: 'written', revision, changes: plan.changes } as const
    return { ...unchanged(before, result), content }
  }
}

interface Applying {
  readonly result: ApplyResult
  readonly progress: Progress
}

interface Outcome {
  readonly result: ApplyResult
  readonly trust: TrustState
  readonly content: Content
  readonly upkeep: Upkeep
}

interface HashedRow {
  readonly row: PlannedRow
  /** null: a tombstone */
  readonly hash: Uint8Array | null
}

function unchanged({ applied, trust }: Progress, result: ApplyResult): Outcome {
  return { result, trust, content: applied, upkeep: applied }
}

/** A configuration says who has gone; everything else leaves the progress as it is. */
function afterMembership(decoded: DecodedEntry, entry: Entry, before: Progress): Progress {
  if (decoded.kind !== 'configuration') return before
  const change = { before: before.applied.configuration, after: decoded.configuration }
  return { ...before, trust: afterChange(before.trust, change, entry) }
}

function control(command: ControlCommand, entry: Entry, before: Progress): Outcome {
  const { applied, trust }: { applied: Applied; trust: TrustState } = before
  if (isUpkeep(command)) {
    const { state, result } = applyUpkeep(applied, command, entry)
    return { ...unchanged(before, result), upkeep: state }
  }
  const { state, result } = applyTrust(trust, command, entry)
  return { ...unchanged(before, result), trust: state }
}
