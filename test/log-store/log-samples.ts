// Entries and configurations for the tests of the log stores.

import { hexOf } from '../../lib/encoding.ts'
import { AspenError } from '../../lib/errors.ts'
import type { LogStore } from '../../lib/log-store/log-store.ts'
import type { LogWrite } from '../../lib/log-store/log-tail.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import { encodeConfiguration } from '../../lib/raft/encoding.ts'
import type { Entry, EntryId } from '../../lib/raft/entry.ts'
import { chained, ENTRY_KIND, genesis } from '../../lib/raft/entry.ts'

export const GENESIS: EntryId = genesis(new Uint8Array(16).fill(7))
export const OTHER_GENESIS: EntryId = genesis(new Uint8Array(16).fill(8))

export const NOTHING: LogWrite = {
  hardState: null,
  install: null,
  truncateFrom: null,
  entries: []
}

export interface Shape {
  readonly count: number
  readonly term?: number
  readonly payloadBytes?: number
}

/** `count` entries that follow `previous`. */
export function entriesAfter(previous: EntryId, shape: Shape): Entry[] {
  const entries: Entry[] = []
  let last = previous
  for (let i = 0; i < shape.count; i++) {
    const payload = new Uint8Array(shape.payloadBytes ?? 256).fill((last.index + 1) % 251)
    const entry = chained(last, {
      term: shape.term ?? 1,
      kind: ENTRY_KIND.write,
      timeMs: 1_700_000_000_000 + last.index,
      payload
    })
    entries.push(entry)
    last = entry
  }
  return entries
}

/** A configuration entry that follows `previous`. */
export function configurationAfter(previous: EntryId, configuration: Configuration): Entry {
  return chained(previous, {
    term: 1,
    kind: ENTRY_KIND.configuration,
    timeMs: 1_700_000_000_000,
    payload: encodeConfiguration(configuration)
  })
}

/** Resolves when `write` is durable. */
export function durably(store: LogStore, write: Partial<LogWrite>): Promise<void> {
  return new Promise((resolve) => {
    store.write({ ...NOTHING, ...write }, resolve)
  })
}

export function nameOf(entry: EntryId): EntryId {
  return { index: entry.index, term: entry.term, hash: entry.hash }
}

/** The entry as text, to be compared and printed. */
export function plain({ index, term, kind, timeMs, payload, hash }: Entry): string {
  return [index, term, kind, timeMs, hexOf(payload), hexOf(hash)].join(' ')
}

/** The error that `promise` ends with. */
export async function failureOf(promise: Promise<unknown>): Promise<AspenError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof AspenError) return error
    throw error
  }
  throw new Error('it should have failed')
}
