// A log that is looked at and not opened: what a start would find, and every record that is not as it should be,
// where a start would stop at the first. Nothing is written but what lmdb needs to map its file.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { equalSecret } from '../crypto.ts'
import type { AspenError } from '../errors.ts'
import { StorageError } from '../errors.ts'
import type { EntryId, Index } from '../raft/entry.ts'
import { LOG_DATA_FILE, openEnvironment, recordsOf } from './lmdb-environment.ts'
import { pageFault } from './lmdb-mend.ts'
import { chooseState } from './restore.ts'
import type { FoundEntry, LogRecords } from './restore.ts'
import { validateLog } from './validation.ts'
import type { ValidationReport } from './validation.ts'

export interface InspectedLog {
  /** null when something is wrong */
  readonly report: ValidationReport | null
  /** null when the state cannot be read */
  readonly bounds: {
    readonly base: EntryId
    readonly last: EntryId
    /** the snapshot that the state machine's database was installed from */
    readonly stateBase: Index
  } | null
  readonly faults: readonly AspenError[]
  /** The entry at an index in [base, last]; null when it is damaged. */
  idAt(index: Index): EntryId | null
  close(): Promise<void>
}

export interface InspectOptions {
  readonly directory: string
  /** where the cluster's log begins */
  readonly genesis: EntryId
  readonly nowMs: () => number
}

/** Nobody may have it open. @throws StorageError when there is no log, or lmdb cannot read it at all */
export function inspectLog({ directory, genesis, nowMs }: InspectOptions): InspectedLog {
  if (!existsSync(join(directory, LOG_DATA_FILE))) {
    throw new StorageError({ code: 'IDENTITY_WITHOUT_LOG', message: 'there is no log' })
  }
  const fault = pageFault(directory)
  if (fault !== null) {
    const faults = [corrupted(`in the file of the log, ${fault}`)]
    return { report: null, bounds: null, idAt: () => null, faults, close: async () => {} }
  }
  const environment = openEnvironment(directory)
  const close = (): Promise<void> => environment.root.close()
  const nothing = { report: null, bounds: null, idAt: () => null, close }
  try {
    const records = recordsOf(environment)
    const state = chooseState(records)
    if (state === null) {
      const message = 'the log is empty: it was never written to'
      throw new StorageError({ code: 'IDENTITY_WITHOUT_LOG', message })
    }
    if (!equalSecret(state.genesisHash, genesis.hash)) {
      const message = 'the log belongs to another cluster than node.json says'
      throw new StorageError({ code: 'DATA_DIR_TAKEN', message })
    }
    const { base, last } = state
    const bounds = { base: base.id, last, stateBase: base.stateBase }
    const idAt = (index: Index): EntryId | null => {
      if (index === base.id.index) return base.id
      const found = records.entryAt(index)
      return found.kind === 'good'
        ? { index, term: found.entry.term, hash: found.entry.hash }
        : null
    }
    const faults = damagedEntries(records, base.id.index, last.index)
    try {
      const { report } = validateLog(records, state, { nowMs })
      return { report, bounds, faults, idAt, close }
    } catch (error) {
      // what it ends with is among the damaged entries, or is something between them
      const first = asStorageError(error)
      return { report: null, bounds, faults: faults.length > 0 ? faults : [first], idAt, close }
    }
  } catch (error) {
    return { ...nothing, faults: [asStorageError(error)] }
  }
}

/** Of all damaged records the first ones; the number of the others is in the last of them. */
function damagedEntries(records: LogRecords, base: Index, last: Index): StorageError[] {
  const faults: StorageError[] = []
  let more = 0
  for (let index = base + 1; index <= last; index++) {
    const found = records.entryAt(index)
    if (found.kind === 'good') continue
    if (faults.length < MAX_NAMED_ENTRIES) faults.push(faultOf(index, found))
    else more++
  }
  if (more > 0) faults.push(corrupted(`${more} more entries are damaged`))
  return faults
}

const MAX_NAMED_ENTRIES = 20

function faultOf(index: Index, found: Exclude<FoundEntry, { kind: 'good' }>): StorageError {
  switch (found.kind) {
    case 'missing':
      return corrupted(`entry ${index} is missing`)
    case 'damaged':
      return corrupted(`entry ${index} does not match its checksum`)
    case 'misplaced':
      return corrupted(`in the place of entry ${index} lies entry ${found.ofIndex}`)
  }
}

function corrupted(message: string): StorageError {
  return new StorageError({ code: 'CORRUPTED', message })
}

/** @throws what is no fault of the storage */
function asStorageError(error: unknown): StorageError {
  if (error instanceof StorageError) return error
  throw error
}
