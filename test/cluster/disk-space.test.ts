// STO-14: how full a disk is, as `df` counts it, and the gap between full and free again.

import { spawnSync } from 'node:child_process'
import { statfsSync } from 'node:fs'
import test from 'brittle'
import { diskUsageOf, isFullAt } from '../../lib/cluster/disk-space.ts'
import type { FileSystemStats } from '../../lib/cluster/disk-space.ts'
import { DISK_FREE_PERCENT, DISK_FULL_PERCENT } from '../../lib/limits.ts'

function stats(blocks: number, bfree: number, bavail: number): FileSystemStats {
  return { bsize: 4_096, blocks, bfree, bavail }
}

/** What `df` prints for it, rounded up to a whole percent by df. */
const CASES: readonly (readonly [what: string, of: FileSystemStats, percent: number])[] = [
  ['an empty disk', stats(1_000, 1_000, 1_000), 0],
  ['half of it used', stats(1_000, 500, 500), 50],
  ['5 % reserved: used / (used + available)', stats(1_000, 500, 450), 52.63],
  ['most of it reserved', stats(1_000, 803, 296), 39.96],
  ['all that users may take is taken', stats(1_000, 50, 0), 100],
  ['all of it is taken', stats(1_000, 0, 0), 100],
  ['just full', stats(100_000, 4_999, 4_999), 95.001],
  ['below zero, where the superuser took of the reserve', stats(1_000, 10, -40), 100],
  ['below zero as an unsigned number', stats(1_000, 10, 2 ** 64 - 40), 100],
  ['a file system without blocks', stats(0, 0, 0), 0],
  ['blocks of another size', { ...stats(2_000, 200, 100), bsize: 512 }, 94.74]
]

test('STO-14 the use of a disk is what df says, also with reserved blocks', (t) => {
  for (const [what, of, percent] of CASES) {
    const usage = diskUsageOf(of)
    t.ok(Math.abs(usage.percent - percent) < 0.01, `${what}: ${usage.percent}`)
    t.is(usage.totalBytes, of.blocks * of.bsize)
    t.ok(usage.usedBytes >= 0 && usage.usedBytes <= usage.totalBytes)
  }
})

test('STO-14 it is what df says of this disk', (t) => {
  const { status, stdout } = spawnSync('df', ['--output=pcent', '.'], { encoding: 'utf8' })
  if (status !== 0) return t.comment('skip: there is no df that says percents')
  const said = Number(/(\d+)%/.exec(stdout)?.[1])
  const { percent } = diskUsageOf(statfsSync('.'))
  t.ok(Math.abs(percent - said) <= 1.5, `${percent} and ${said}`)
})

test('what is on its way counts as used, and nothing is more than full', (t) => {
  const of = { ...stats(1_000, 500, 500), bsize: 1 }
  t.is(diskUsageOf(of, 100).percent, 60)
  t.is(diskUsageOf(of, 10_000).percent, 100)
  t.is(diskUsageOf(of, 100).usedBytes, 500, 'but it is not there yet')
})

test('a disk is full above 95 %, and free again below 93 %', (t) => {
  t.is(DISK_FULL_PERCENT, 95)
  t.is(DISK_FREE_PERCENT, 93)
  const path = [94, 95, 95.01, 94, 93, 92.99, 93, 95, 96]
  let isFull = false
  const seen = path.map((percent) => (isFull = isFullAt(percent, isFull)))
  t.alike(seen, [false, false, true, true, true, false, false, false, true])
})
