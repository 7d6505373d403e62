// One transaction of the log on lmdb: all of it is on the disk when its promise has resolved, or none of
// it is there. All encoding is done before: an exception inside a batch would commit the first half of it.

import { setTimeout as delay } from 'node:timers/promises'
import { assert } from '../assert.ts'
import { StorageError } from '../errors.ts'
import type { LogState } from './encoding.ts'
import { encodeBaseConfiguration, encodeState } from './encoding.ts'
import type { LogEnvironment } from './lmdb-environment.ts'
import { BASE_CONFIGURATION_KEY, STATE_KEY, writeErrorOf } from './lmdb-environment.ts'

/** An entry's record to be put, or null to be removed. */
export interface Change {
  readonly key: Uint8Array
  readonly record: Uint8Array | null
}

export interface Transaction {
  readonly changes: readonly Change[]
  /** both copies of it are written, each time: by that the newest is known where pages are damaged (lmdb-salvage.ts) */
  readonly state: LogState
  /** whether both copies of the configuration at its base are written too */
  readonly hasNewBase: boolean
}

/** Resolves when the transaction is on disk; rejects with what `reasonOf` explains. */
export async function commit(
  { root, entries, states }: LogEnvironment,
  { changes, state, hasNewBase }: Transaction
): Promise<void> {
  const stateRecord = encodeState(state)
  const hasConfiguration = hasNewBase && state.base.id.index > 0
  const configurationRecord = hasConfiguration ? encodeBaseConfiguration(state.base) : null
  const isDone = await root.batch(() => {
    // the promises of single changes end with the batch's
    for (const { key, record } of changes) {
      void (record === null ? entries.remove(key) : entries.put(key, record))
    }
    for (const copy of states) {
      void copy.put(STATE_KEY, stateRecord)
      if (configurationRecord !== null) void copy.put(BASE_CONFIGURATION_KEY, configurationRecord)
    }
  })
  assert(isDone, 'an unconditional write is never left out')
}

/** How long lmdb may take to say why a commit failed. */
const REASON_DEADLINE_MS = 1_000

/** Why a commit failed: lmdb-js puts it into a second promise, which rejects. */
export async function reasonOf(
  environment: LogEnvironment,
  failure: unknown
): Promise<StorageError> {
  if (failure instanceof StorageError) return failure
  if (typeof failure !== 'object' || failure === null || !('commitError' in failure)) {
    return writeErrorOf(environment, failure)
  }
  const silence = delay(REASON_DEADLINE_MS, failure, { ref: false })
  try {
    return writeErrorOf(environment, await Promise.race([failure.commitError, silence]))
  } catch (reason) {
    return writeErrorOf(environment, reason)
  }
}
