// Snapshots under faults: logs are cut close behind them, so that whoever was away installs one, while
// leaders change and processes die around every step of it. ASPEN_FULL=1 runs more seeds; ASPEN_TEST_SEED
// repeats a sample.

import test from 'brittle'
import { STORAGE_POLICY } from '../../lib/cluster/storage-policy.ts'
import type { Rarity } from '../../lib/testing/coverage.ts'
import { simulate } from '../../lib/testing/simulation.ts'
import { drawOptions } from '../../lib/testing/swarm.ts'

const SEED = Number(process.env['ASPEN_TEST_SEED'] ?? Date.now() % 1_000_000)
const IS_FULL = process.env['ASPEN_FULL'] === '1'
const SEED_COUNT = IS_FULL ? 1_000 : 12

/** A snapshot every few entries, and nothing of the log behind it. */
const TINY = {
  ...STORAGE_POLICY,
  snapshotEntries: 4,
  keepEntries: 0,
  keepRevisions: 40,
  keepRevisionsMs: 60
}

test(
  'RFT-15: logs are cut while members install, and leaders change and die meanwhile',
  { timeout: IS_FULL ? 3_600_000 : 300_000 },
  async (t) => {
    t.comment(`seed ${SEED}`)
    const counts = new Map<Rarity, number>()
    for (let seed = SEED; seed < SEED + SEED_COUNT; seed++) {
      const { process: faults, membership, disk } = drawOptions(seed)
      const { failure, coverage } = await simulate(seed, {
        nodeCount: 5,
        timing: 'lan',
        faultyMs: 6_000,
        storage: TINY,
        process: { ...faults, crashMeanMs: 700, boundaryCrashChance: 0.002, downForMs: 800 },
        membership: { ...membership, transferMeanMs: 900 },
        // a disk that is damaged or lost is the business of other runs
        disk: { ...disk, failMeanMs: null, flipMeanMs: null, wipeMeanMs: null }
      })
      t.is(failure, null, `seed ${seed}: every state and every snapshot is the same everywhere`)
      for (const [name, count] of coverage.entries()) {
        counts.set(name, (counts.get(name) ?? 0) + count)
      }
    }
    for (const name of ['snapshots', 'compactions', 'installs', 'elections'] as const) {
      t.comment(`${name} ${counts.get(name) ?? 0}`)
      t.ok((counts.get(name) ?? 0) >= SEED_COUNT, `${name} happen`)
    }
  }
)
