// The disk is looked at often enough, and what was written since the last look counts.

import test from 'brittle'
import type { FileSystemStats } from '../../lib/cluster/disk-space.ts'
import { DiskWatch } from '../../lib/cluster/disk-watch.ts'
import { DISK_CHECK_MS } from '../../lib/limits.ts'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'

const BLOCKS = 100_000
const MIB = 1024 * 1024

/** A disk of 390 MiB; the test says how much of it is used. */
function open() {
  const time = new VirtualTime()
  const disk = { percent: 10, isSilent: false, lookCount: 0 }
  const watch = new DiskWatch({
    timers: time,
    onLook: () => void disk.lookCount++,
    probe: (onStats) => {
      const free = Math.round((BLOCKS * (100 - disk.percent)) / 100)
      const stats: FileSystemStats = { bsize: 4_096, blocks: BLOCKS, bfree: free, bavail: free }
      time.start(2, () => onStats(disk.isSilent ? null : stats))
    }
  })
  return { time, disk, watch }
}

test('nothing is known before the first look, and then what each look finds', async (t) => {
  const { time, disk, watch } = open()
  t.is(watch.state, null)
  t.is(watch.isFull, false)
  watch.start()
  await time.run(10)
  t.is(watch.state?.percent, 10)
  disk.percent = 96
  await time.run(DISK_CHECK_MS)
  t.alike([watch.state?.percent, watch.state?.isFull, watch.isFull], [96, true, true])
  disk.percent = 94
  await time.run(DISK_CHECK_MS + 10)
  t.is(watch.isFull, true, 'not free yet')
  disk.percent = 92
  await time.run(DISK_CHECK_MS + 10)
  t.is(watch.isFull, false)
  watch.close()
  t.is(time.pendingCount, 0, 'no timer stays')
})

test('a system that does not say leaves what was known', async (t) => {
  const { time, disk, watch } = open()
  disk.percent = 96
  watch.start()
  await time.run(10)
  disk.isSilent = true
  await time.run(5 * DISK_CHECK_MS)
  t.is(watch.isFull, true)
  t.ok(disk.lookCount >= 5)
  watch.close()
})

test('what is written between two looks can fill a disk, and is forgotten when it did not', async (t) => {
  const { time, disk, watch } = open()
  disk.percent = 94
  watch.start()
  await time.run(10)
  // 3.9 MiB are 1 % of it; each byte may take four
  watch.onWritten(2 * MIB)
  t.is(watch.isFull, true, 'at once, before anybody looks')
  t.is(disk.lookCount, 1)
  await time.run(10)
  t.is(disk.lookCount, 2, 'and it is looked at')
  t.is(watch.isFull, true, 'what was just written may not be on the disk yet')
  await time.run(DISK_CHECK_MS + 10)
  t.is(watch.isFull, false, 'an estimate above 95 % does not wait for 93 %')
  watch.close()
})

test('small entries count too, and each hundredth of the disk is one look, not more', async (t) => {
  const { time, disk, watch } = open()
  watch.start()
  await time.run(10)
  for (let count = 0; count < 5_000; count++) watch.onWritten(0)
  await time.run(1)
  t.is(disk.lookCount, 1, 'one look is under way')
  await time.run(5)
  t.is(disk.lookCount, 2)
  watch.close()
})
