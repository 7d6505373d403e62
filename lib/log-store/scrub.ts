// Looks for damage in an open log before anybody needs what is damaged: reads it again in slices, as slowly as
// the caller wants, and verifies each record against its place, its own hash and the entry before it.
//
// A scrub only looks. What it finds is for a new start, which reports it and lets it be repaired.

import { StorageError } from '../errors.ts'
import { MAX_SCRUB_SLICE_BYTES } from '../limits.ts'
import { equalSecret } from '../crypto.ts'
import type { Index } from '../raft/entry.ts'
import { chainHash } from '../raft/entry.ts'
import type { LogStore } from './log-store.ts'
import { corruptedEntry } from './restore.ts'

export type ScrubResult =
  /** all below `next` is good: go on there; at the end of the log `isEnd`, and `next` is where it begins */
  | { readonly kind: 'good'; readonly next: Index; readonly isEnd: boolean }
  /** the first damaged entry */
  | { readonly kind: 'damaged'; readonly index: Index; readonly error: StorageError }

type Scrubbed = Pick<LogStore, 'base' | 'last' | 'entries' | 'idAt'>

/**
 * Verifies the entries from `from` on (1 for the beginning; what is compacted meanwhile is left out), about
 * MAX_SCRUB_SLICE_BYTES of them, at least one.
 * @throws StorageError IO_ERROR
 */
export function scrubSlice(
  log: Scrubbed,
  from: Index,
  maxBytes = MAX_SCRUB_SLICE_BYTES
): ScrubResult {
  const first = Math.max(from, log.base.index + 1)
  if (first > log.last.index) return end(log)
  try {
    const before = log.idAt(first - 1)
    const entries = log.entries(first, log.last.index + 1, maxBytes)
    // a truncation is on its way
    if (entries.length === 0 || typeof before === 'string') return end(log)
    let previous = before
    for (const entry of entries) {
      const isLinked = equalSecret(chainHash(previous.hash, entry), entry.hash)
      if (!isLinked) throw corruptedEntry(entry.index, 'does not follow the entry before it')
      previous = entry
    }
    return { kind: 'good', next: previous.index + 1, isEnd: false }
  } catch (error) {
    const index = error instanceof StorageError ? error.detail.fields?.['index'] : undefined
    if (!(error instanceof StorageError) || typeof index !== 'number') throw error
    return { kind: 'damaged', index, error }
  }
}

function end({ base }: Scrubbed): ScrubResult {
  return { kind: 'good', next: base.index + 1, isEnd: true }
}
