// What an entry asks of the state machine, and how far the machine is after it. Pure; shared by both
// implementations.

import { present } from '../assert.ts'
import { decode } from '../encoding.ts'
import type { ErrorDetail } from '../errors.ts'
import { ProtocolError, StorageError } from '../errors.ts'
import type { Configuration } from '../raft/configuration.ts'
import { EMPTY_CONFIGURATION } from '../raft/configuration.ts'
import { configurationEncoding } from '../raft/encoding.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { ControlCommand, Requested, RequestId, ChangeSet } from './command.ts'
import { UnknownKindError, decodeControl, decodeWrite } from './encoding.ts'
import { EMPTY_CONTENT } from './state-hash.ts'
import type { Applied, Content } from './state-machine.ts'
import { hasOtherVoters } from './registry.ts'
import { UPKEEP_AT_FIRST } from './upkeep.ts'
import type { Upkeep } from './upkeep.ts'

export type DecodedEntry =
  | { readonly kind: 'empty' }
  /** each member makes a snapshot of what precedes it; nothing changes */
  | { readonly kind: 'snapshot' }
  | { readonly kind: 'configuration'; readonly configuration: Configuration }
  | { readonly kind: 'write'; readonly command: Requested<ChangeSet> }
  | { readonly kind: 'control'; readonly command: Requested<ControlCommand> }
  /** bytes that no version writes: refused, and the same on every node */
  | { readonly kind: 'malformed'; readonly error: ErrorDetail }

/**
 * @throws StorageError UNKNOWN_ENTRY_KIND for what a newer version wrote: the node must stop before
 *   this entry, because it cannot know what the others did with it
 */
export function decodeEntry(entry: Entry): DecodedEntry {
  try {
    return decodeKnown(entry)
  } catch (error) {
    if (error instanceof UnknownKindError) throw unknownKind(entry, error.what, error)
    if (!(error instanceof ProtocolError)) throw error
    const message = `the entry at index ${entry.index} is malformed: ${error.message}`
    if (entry.kind === ENTRY_KIND.configuration) {
      throw new StorageError({ code: 'CORRUPTED', message }, { cause: error })
    }
    return { kind: 'malformed', error: { code: 'INVALID_REQUEST', message } }
  }
}

/** The request that an entry carries; null when it has none. */
export function requestOf(decoded: DecodedEntry): RequestId | null {
  const hasCommand = decoded.kind === 'write' || decoded.kind === 'control'
  return hasCommand ? decoded.command.request : null
}

/** Where a state machine that has applied nothing is. */
export function appliedAtGenesis(genesis: EntryId): Applied {
  return {
    index: genesis.index,
    term: genesis.term,
    hash: genesis.hash,
    timeMs: 0,
    configuration: EMPTY_CONFIGURATION,
    configurationIndex: 0,
    votersChangedMs: 0,
    ...EMPTY_CONTENT,
    ...UPKEEP_AT_FIRST
  }
}

/** How far it is after `entry`, which followed `before` and left `after`. */
export function appliedAfter(
  before: Applied,
  entry: { readonly entry: Entry; readonly decoded: DecodedEntry },
  after: { readonly content: Content; readonly upkeep: Upkeep }
): Applied {
  const { index, term, hash, timeMs } = entry.entry
  const { decoded } = entry
  const { stateHash, liveCount, liveBytes } = after.content
  const { compactedRevision, featureLevel } = after.upkeep
  const content = { stateHash, liveCount, liveBytes }
  const position = { index, term, hash, timeMs, ...content, compactedRevision, featureLevel }
  if (decoded.kind === 'configuration') {
    const { configuration } = decoded
    const isChanged = hasOtherVoters({ before: before.configuration, after: configuration })
    const votersChangedMs = isChanged ? timeMs : before.votersChangedMs
    return { ...position, configuration, configurationIndex: index, votersChangedMs }
  }
  const { configuration, configurationIndex, votersChangedMs } = before
  return { ...position, configuration, configurationIndex, votersChangedMs }
}

/** Why `entries` cannot follow `applied`; null when they can. */
export function gapAfter(applied: Applied, entries: readonly Entry[]): string | null {
  const at = entries.findIndex((entry, offset) => entry.index !== applied.index + 1 + offset)
  if (at === -1) return null
  return `entry ${present(entries[at], 'the entry').index} does not follow ${applied.index + at}`
}

function decodeKnown(entry: Entry): DecodedEntry {
  switch (entry.kind) {
    case ENTRY_KIND.empty:
      return { kind: 'empty' }
    case ENTRY_KIND.configuration:
      return { kind: 'configuration', configuration: decode(configurationEncoding, entry.payload) }
    case ENTRY_KIND.write:
      return { kind: 'write', command: decodeWrite(entry.payload) }
    case ENTRY_KIND.control:
      return { kind: 'control', command: decodeControl(entry.payload) }
    case ENTRY_KIND.snapshot:
      if (entry.payload.byteLength > 0) throw new UnknownKindError('a snapshot with a payload')
      return { kind: 'snapshot' }
    default:
      throw new UnknownKindError(`entry kind ${entry.kind}`)
  }
}

function unknownKind(entry: Entry, what: string, cause: Error): StorageError {
  const index: Index = entry.index
  return new StorageError(
    {
      code: 'UNKNOWN_ENTRY_KIND',
      message: `the entry at index ${index} has ${what}, which this version does not know; it stops before it`,
      hint: `update Aspen on this node to a version that knows ${what}; the data stays as it is`,
      fields: { index, needs: what }
    },
    { cause }
  )
}
