// The store can run for years: overwriting the same keys again and again, with compaction and snapshots as a
// node makes them, leaves the files as large as they were. The short form writes 50,000 times, the long one
// (ASPEN_FULL=1) a million times.

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { applied, cut, databaseIn, isWhole, LogMaker, openSqlite, put } from './samples.ts'

const WRITE_COUNT = process.env['ASPEN_FULL'] === '1' ? 1_000_000 : 50_000
const KEY_COUNT = 1_000
/** revisions that stay readable */
const KEPT_REVISIONS = 2_000
const WRITES_PER_APPLY = 250
const MEBIBYTE = 1024 * 1024
/** Live rows, what stays readable, and two snapshots of it, twice over; a third of what the short form would keep. */
const MAX_BYTES = 8 * MEBIBYTE

test(
  'overwriting 1,000 keys for long leaves the files level',
  { timeout: 1_800_000 },
  async (t) => {
    const directory = await t.tmp()
    const machine = openSqlite(directory)
    const log = new LogMaker()
    const sizes: number[] = []
    for (let written = 0; written < WRITE_COUNT; written += WRITES_PER_APPLY) {
      const entries = Array.from({ length: WRITES_PER_APPLY }, (_, at) =>
        log.write(put(`k${(written + at) % KEY_COUNT}`, new Uint8Array(256).fill(written)))
      )
      await applied(machine, entries)
      if (written % KEPT_REVISIONS === 0 && written > KEPT_REVISIONS)
        await applied(machine, [log.compact(machine.applied().index - KEPT_REVISIONS)])
      if (written % (WRITE_COUNT / 5) !== 0) continue
      await applied(machine, [log.snapshot()])
      present(await cut(machine), 'a snapshot')
      sizes.push(sizeOf(join(directory, 'state')) + sizeOf(join(directory, 'snapshots')))
    }
    t.comment(
      `MiB after each fifth: ${sizes.map((size) => (size / MEBIBYTE).toFixed(1)).join(', ')}`
    )
    const largest = Math.max(...sizes)
    t.ok(largest < MAX_BYTES, `${largest} bytes`)
    t.is(machine.applied().liveCount, KEY_COUNT)
    t.ok(isWhole(databaseIn(directory)))
    await machine.close()
  }
)

/** Of the files, without the write-ahead log, which has a bound of its own. */
function sizeOf(folder: string): number {
  return readdirSync(folder)
    .filter((name) => !name.endsWith('-wal') && !name.endsWith('-shm'))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}
