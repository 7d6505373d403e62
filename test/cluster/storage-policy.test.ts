// When a snapshot is due, when history is forgotten, and what the marks of log time remember.

import test from 'brittle'
import {
  compactionDue,
  isSnapshotDue,
  LogTimeMarks,
  STORAGE_POLICY
} from '../../lib/cluster/storage-policy.ts'
import type { LogGrowth } from '../../lib/cluster/storage-policy.ts'

const MIB = 1024 * 1024
const NONE: LogGrowth = { entryCount: 0, byteCount: 0, ageMs: 0, snapshotByteCount: 0 }

function isDue(growth: Partial<LogGrowth>): boolean {
  return isSnapshotDue(STORAGE_POLICY, { ...NONE, ...growth })
}

test('a snapshot is due by entries, by bytes, or by age, at the limit and not one before', (t) => {
  t.absent(isDue({ entryCount: 9_999 }))
  t.ok(isDue({ entryCount: 10_000 }))
  t.absent(isDue({ entryCount: 70, byteCount: 64 * MIB - 1 }))
  t.ok(isDue({ entryCount: 70, byteCount: 64 * MIB }))
  t.absent(isDue({ entryCount: 1, ageMs: 24 * 3_600_000 - 1 }))
  t.ok(isDue({ entryCount: 1, ageMs: 24 * 3_600_000 }))
})

test('nothing new, nothing due, however old', (t) => {
  t.absent(isDue({ ageMs: 1e12 }))
})

test('with a large state the log grows by half of it before the next snapshot', (t) => {
  const snapshotByteCount = 300 * MIB
  t.absent(isDue({ entryCount: 10_000, byteCount: 2 * MIB, snapshotByteCount }))
  t.absent(isDue({ entryCount: 100_000, byteCount: 130 * MIB, snapshotByteCount }))
  t.ok(isDue({ entryCount: 10_000, byteCount: 150 * MIB, snapshotByteCount }))
  t.ok(isDue({ entryCount: 1_300_000, byteCount: 0, snapshotByteCount }), 'small entries count too')
  t.ok(isDue({ entryCount: 1, ageMs: 24 * 3_600_000, snapshotByteCount }), 'and age overrules it')
})

test('history is compacted to what both limits let go, and only when that is a tenth of what is kept', (t) => {
  const due = (appliedIndex: number, agedIndex: number, compactedRevision = 0) =>
    compactionDue(STORAGE_POLICY, {
      appliedIndex,
      agedIndex,
      compactedRevision,
      changedIndex: appliedIndex
    })
  t.is(due(10_999, 9_000), null)
  t.is(due(11_000, 9_000), 1_000, 'by count')
  t.is(due(50_000, 999), null)
  t.is(due(50_000, 1_000), 1_000, 'by age')
  t.is(due(50_000, 45_000), 40_000, 'what both let go')
  t.is(due(50_000, 45_000, 39_001), null)
  t.is(due(50_000, 45_000, 39_000), 40_000)
})

test('a policy that keeps nothing compacts to the last revision', (t) => {
  const policy = { ...STORAGE_POLICY, keepRevisions: 0, keepRevisionsMs: 0 }
  const dueAt = (compactedRevision: number, changedIndex = 7) =>
    compactionDue(policy, { appliedIndex: 7, agedIndex: 7, compactedRevision, changedIndex })
  t.is(dueAt(6), 7)
  t.is(dueAt(7), null)
  t.is(dueAt(5, 5), null, 'what was applied since is no change: compactions do not feed themselves')
  t.is(dueAt(5, 6), 7)
})

test('marks name an index of at least the window ago, and at most a sixtieth more', (t) => {
  const marks = new LogTimeMarks(60_000)
  t.is(marks.agedIndex(1e9), 0, 'nothing is known yet')
  for (let index = 1; index <= 1_000; index++) marks.note(index * 300, index)
  const aged = marks.agedIndex(300_000)
  t.ok(aged <= 800 && aged >= 796, `${aged}`)
  t.is(marks.agedIndex(60_000 + 299), 0, 'before the first mark is a window old')
})

test('marks stay bounded, also when time stands still or leaps', (t) => {
  const marks = new LogTimeMarks(60_000)
  for (let index = 1; index <= 10_000; index++) marks.note(5, index)
  t.is(marks.agedIndex(60_005), 1)
  marks.note(1e12, 10_001)
  t.is(marks.agedIndex(1e12), 1, 'what is marked is what was known then')
  for (let index = 0; index < 100_000; index++) marks.note(1e12 + index * 1_000, 10_002 + index)
  t.is(marks.markCount <= 62, true)
})
