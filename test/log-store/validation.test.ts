// What is verified before a start: the checks in their order, what each of them says, and the report.

import test from 'brittle'
import { StorageError } from '../../lib/errors.ts'
import { MAX_INDEX, MAX_TERM } from '../../lib/limits.ts'
import type { LogBase, LogState } from '../../lib/log-store/encoding.ts'
import type { FoundEntry, LogRecords } from '../../lib/log-store/restore.ts'
import { chooseState } from '../../lib/log-store/restore.ts'
import { validateLog } from '../../lib/log-store/validation.ts'
import { EMPTY_CONFIGURATION } from '../../lib/raft/configuration.ts'
import type { EntryId, Index } from '../../lib/raft/entry.ts'
import { entriesAfter, GENESIS, nameOf } from './log-samples.ts'

const ENTRIES = entriesAfter(GENESIS, { count: 9 })
const GENESIS_BASE: LogBase = { id: GENESIS, timeMs: 0, stateBase: 0, configuration: null }

interface Log {
  readonly state: LogState
  readonly found: Map<Index, FoundEntry>
  readonly records: LogRecords
}

/** A good log after `base`; a test spoils it. */
function good(base: LogBase = GENESIS_BASE): Log {
  const found = new Map<Index, FoundEntry>()
  let previous: EntryId = GENESIS
  for (const entry of ENTRIES) {
    if (entry.index > base.id.index) {
      found.set(entry.index, { kind: 'good', entry, previousHash: previous.hash })
    }
    previous = entry
  }
  const state: LogState = {
    sequence: 1,
    boot: 1,
    storageEpoch: new Uint8Array(16),
    genesisHash: GENESIS.hash,
    base,
    last: nameOf(previous),
    hardState: { term: 3, votedFor: 2, commitIndex: 8 }
  }
  const configuration = { index: 1, configuration: EMPTY_CONFIGURATION }
  const atBase = { kind: 'good', baseIndex: base.id.index, configuration } as const
  const records: LogRecords = {
    states: [{ kind: 'good', state }, { kind: 'damaged' }],
    baseConfigurations: [{ kind: 'damaged' }, atBase],
    countAbove: (index) => [...found.keys()].filter((one) => one > index).length,
    entryAt: (index) => found.get(index) ?? { kind: 'missing' }
  }
  return { state, found, records }
}

function faultOf({ records, state }: Pick<Log, 'records' | 'state'>): StorageError {
  try {
    validateLog(records, state, { nowMs: () => 0 })
  } catch (error) {
    if (error instanceof StorageError) return error
    throw error
  }
  throw new Error('it should have been refused')
}

function baseAt(index: Index): LogBase {
  const id = ENTRIES[index - 1]
  if (id === undefined) throw new Error('there is an entry')
  return { ...GENESIS_BASE, id: nameOf(id), timeMs: id.timeMs }
}

test('a good log is reported as the checks found it', (t) => {
  const { records, state } = good(baseAt(4))
  let nowMs = 100
  const {
    report,
    restored,
    state: found
  } = validateLog(records, state, {
    nowMs: () => (nowMs += 5)
  })
  t.alike(report, {
    checksPassed: 5,
    lastLogIndex: 9,
    lastSnapshotIndex: 4,
    voteTerm: 3,
    committedIndex: 8,
    validationDurationMs: 5
  })
  const configurations = [{ index: 1, configuration: EMPTY_CONFIGURATION }]
  t.alike(restored, { hardState: state.hardState, configurations })
  t.alike(found.base.configuration, configurations[0])
  const fresh = good()
  const { report: other } = validateLog(
    fresh.records,
    { ...fresh.state, hardState: null },
    { nowMs: () => 0 }
  )
  t.alike([other.lastSnapshotIndex, other.voteTerm, other.committedIndex], [null, 0, 0])
})

test('a gap names both of its ends, and the lost end of a log is no gap', (t) => {
  const log = good()
  for (const index of [4, 5]) log.found.delete(index)
  const error = faultOf(log)
  t.is(error.message, 'log entries are not monotonic: gap between index 3 and 6')
  t.alike(error.detail.fields, { variant: 'LogNotMonotonic', index: 4, prev: 3, current: 6 })
  const cut = good()
  for (const index of [8, 9]) cut.found.delete(index)
  t.alike(faultOf(cut).detail.fields, { index: 8 })
})

test('an index that is there twice is named with its place', (t) => {
  const log = good()
  log.found.set(4, { kind: 'misplaced', ofIndex: 5 })
  const { code, message, detail } = faultOf(log)
  t.is(code, 'CORRUPTED')
  t.ok(message.startsWith('duplicate log index 5'), message)
  t.alike(detail.fields, { variant: 'LogDuplicateIndex', index: 4, duplicate: 5 })
})

test('of a log that begins after a snapshot the configuration there must be readable', (t) => {
  const log = good(baseAt(4))
  const [one, other] = log.records.baseConfigurations
  const stale = other.kind === 'good' ? { ...other, baseIndex: 3 } : other
  const records = { ...log.records, baseConfigurations: [one, stale] as const }
  const error = faultOf({ ...log, records })
  t.is(error.message, 'snapshot corrupted: neither copy of its configuration can be read')
  t.is(error.detail.fields?.['variant'], 'SnapshotCorrupted')
})

test('each of the other checks says what does not fit', (t) => {
  const { state, records } = good()
  const highest = { ...GENESIS, index: MAX_INDEX - 1_000 }
  const empty: LogRecords = { ...records, countAbove: () => 0 }
  const cases: [string, Partial<LogState>, LogRecords][] = [
    [
      'snapshot corrupted: its last index',
      { base: { ...GENESIS_BASE, id: highest }, last: highest },
      empty
    ],
    [
      'snapshot corrupted: the log begins at 0',
      { base: { ...GENESIS_BASE, stateBase: 3 } },
      records
    ],
    ['snapshot corrupted: the log does not', { genesisHash: new Uint8Array(32) }, records],
    [
      'vote inconsistent: term',
      { hardState: { term: MAX_TERM + 1, votedFor: null, commitIndex: 1 } },
      records
    ],
    [
      'committed index inconsistent: committed index 10 is beyond',
      { hardState: { term: 1, votedFor: null, commitIndex: 10 } },
      records
    ]
  ]
  for (const [message, change, found] of cases) {
    const error = faultOf({ records: found, state: { ...state, ...change } })
    t.ok(error.message.startsWith(message), error.message)
    t.is(error.code, 'CORRUPTED')
  }
})

test('the checks come in their order: the log before the snapshot, the vote before what was committed', (t) => {
  const log = good(baseAt(4))
  log.found.delete(6)
  const spoilt: LogState = {
    ...log.state,
    base: { ...log.state.base, stateBase: 5 },
    hardState: { term: MAX_TERM + 1, votedFor: null, commitIndex: 99 }
  }
  t.is(faultOf({ ...log, state: spoilt }).detail.fields?.['variant'], 'LogNotMonotonic')
  const { records } = good(baseAt(4))
  t.is(faultOf({ records, state: spoilt }).detail.fields?.['variant'], 'SnapshotCorrupted')
  const { base } = log.state
  t.is(
    faultOf({ records, state: { ...spoilt, base } }).detail.fields?.['variant'],
    'VoteInconsistent'
  )
})

test('without a readable state there is nothing to check', async (t) => {
  const { records } = good()
  const unreadable: LogRecords = { ...records, states: [{ kind: 'damaged' }, { kind: 'missing' }] }
  await t.exception(() => chooseState(unreadable), /neither copy of its state/)
})
