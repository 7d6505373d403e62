// A write of the memory log that was on its way to its disk when the power went: the records that it
// consists of, and a checksum over all of them, which tells whether it got there whole. A write is
// all or nothing, as a transaction of lmdb is.

import { assert } from '../assert.ts'
import { equalSecret, hash } from '../crypto.ts'
import type { Entry } from '../raft/entry.ts'
import type { LogState } from './encoding.ts'
import {
  decodeBaseConfiguration,
  decodeState,
  encodeBaseConfiguration,
  encodeEntry,
  encodeState
} from './encoding.ts'
import type { PendingWrite } from './log-tail.ts'
import { readRecord } from './restore.ts'

export interface UnfinishedWrite {
  /** the state after it, the configuration at its base, then its entries */
  readonly records: readonly Uint8Array[]
  readonly checksum: Uint8Array
}

/** What a whole write makes of the log: it ends with `entries`, the last of which `state` names. */
export interface WholeWrite {
  readonly state: LogState
  readonly entries: readonly Entry[]
}

/** `write` on its way to the disk; `state` is the one before it. */
export function unfinishedWrite(state: LogState, write: PendingWrite): UnfinishedWrite {
  const { baseAfter: base, lastAfter: last, hardStateAfter: hardState } = write
  const records = [encodeState({ ...state, base, last, hardState }), encodeBaseConfiguration(base)]
  let previous = write.previousHash
  for (const entry of write.entries) {
    records.push(encodeEntry(entry, previous))
    previous = entry.hash
  }
  return { records, checksum: hash(...records) }
}

/** What is there when half of the records were written, the last of them in half. */
export function tornInHalf({ records, checksum }: UnfinishedWrite): UnfinishedWrite {
  const written = records.slice(0, Math.ceil(records.length / 2))
  const last = written.pop()
  assert(last !== undefined, 'a write has a record')
  return { records: [...written, last.subarray(0, last.byteLength / 2)], checksum }
}

/** The write, or null when it is torn. */
export function wholeWrite({ records, checksum }: UnfinishedWrite): WholeWrite | null {
  if (!equalSecret(hash(...records), checksum)) return null
  const [stateRecord, configurationRecord, ...entryRecords] = records
  const found = decodeState(stateRecord)
  const base = decodeBaseConfiguration(configurationRecord)
  const isGood = found.kind === 'good' && base.kind === 'good'
  assert(isGood, 'what the checksum covers is whole')
  const { state } = found
  const first = state.last.index - entryRecords.length + 1
  const entries = entryRecords.map((record, position) => readRecord(record, first + position).entry)
  const { configuration } = base
  return { state: { ...state, base: { ...state.base, configuration } }, entries }
}
