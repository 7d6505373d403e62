// A node that is slow and not dead, among three: its disk takes long to sync (STO-22), or its event loop
// stands still (TIM-05). Writes go on, reads are never outdated, and who cannot lead in time does not lead.

import test from 'brittle'
import type { Assert } from 'brittle'
import { Lab } from '../e2e/lab.ts'
import { isSkipped } from '../skip.ts'
import type { Load } from './load.ts'
import { killNodes, newLeaderMs, progress, startNode } from './members.ts'
import { IS_FULL, seeded } from './seed.ts'
import { SMALL_STORAGE_FLAGS } from './small-storage.ts'
import { tally } from './tally.ts'
import { TestNode } from './test-node.ts'
import { underLoad } from './under-load.ts'

const NAMES = ['alder', 'birch', 'cedar'] as const
const LIMIT = { timeout: IS_FULL ? 3_500_000 : 590_000 }
const SYNC_DELAYS_MS = IS_FULL ? [50, 200, 1_000] : [200]
const STALL_COUNT = IS_FULL ? 20 : 1
/** Far below the election timeout of the profile `lan`, about it, and far beyond. */
const STALLS_MS = IS_FULL ? [50, 500, 3_000] : [3_000]
const LONGEST_STALL_MS = 3_000
const STALLED_READ_COUNT = 50
const WRITE_COUNT = IS_FULL ? 200 : 20

const lab = await Lab.open()
const EVERYBODY = { lab, machines: NAMES }
await lab.cluster(NAMES, ['--timing', 'lan', ...SMALL_STORAGE_FLAGS])
await lab.voters('alder', 3)

test(
  'STO-22: a disk that is slow to sync holds up its own node, and no promise',
  LIMIT,
  async (t) => {
    if (isSkipped(t, 'strace')) return
    const random = seeded(t)
    await underLoad(t, { ...EVERYBODY, random, prefix: 'slow/' }, async (load) => {
      for (const delayMs of SYNC_DELAYS_MS) await slowDown(t, load, delayMs)
    })
  }
)

test('TIM-05: an event loop that stands still answers nothing outdated', LIMIT, async (t) => {
  t.teardown(() => lab.close(), { force: true })
  const random = seeded(t)
  await underLoad(t, { ...EVERYBODY, random, prefix: 'stall/' }, async (load) => {
    for (const stallMs of STALLS_MS) await stallLeaders(t, load, stallMs)
  })
})

/** First the slow disk is that of a follower; then the leader dies, and it is one of the two that are left. */
async function slowDown(t: Assert, load: Load, delayMs: number): Promise<void> {
  const leader = await lab.leader(NAMES)
  const slow = NAMES.find((name) => name !== leader) ?? 'alder'
  await killNodes(lab, [slow])
  const delay = `inject=fdatasync:delay_enter=${delayMs * 1_000}`
  const under = ['strace', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', '-e', delay]
  const node = new TestNode({ lab, machine: slow, command: 'start', under })
  t.ok((await node.ready) !== null, `${delayMs} ms: it starts`)
  t.comment(`${delayMs} ms, a follower: ${await rateOf(load)} writes per second`)
  await killNodes(lab, [leader])
  await progress(load, 5)
  const role = (await lab.leader(NAMES)) === slow ? 'the leader' : 'one of the two left'
  t.comment(`${delayMs} ms, ${role}: ${await rateOf(load)} writes per second`)
  tally({ injectedErrors: 1 })
  await startNode(lab, leader)
  await killNodes(lab, [slow])
  await startNode(lab, slow)
}

async function stallLeaders(t: Assert, load: Load, stallMs: number): Promise<void> {
  await killNodes(lab, NAMES)
  const nodes = new Map<string, TestNode>(
    NAMES.map((machine) => [machine, new TestNode({ lab, machine, command: 'start', stallMs })])
  )
  await Promise.all([...nodes.values()].map((node) => node.ready))
  for (let count = 0; count < STALL_COUNT; count++) {
    await progress(load, 20)
    const leader = await lab.leader(NAMES)
    nodes.get(leader)?.stall()
    tally({ pauses: 1 })
    if (stallMs < LONGEST_STALL_MS) continue
    const movedMs = await newLeaderMs(lab, NAMES, leader)
    t.comment(`another node led after ${Math.round(movedMs)} ms`)
    await progress(load, 10)
    load.readMore(leader, STALLED_READ_COUNT)
  }
  await progress(load, 20)
}

/** Acknowledged writes per second. */
async function rateOf(load: Load): Promise<number> {
  const startedMs = performance.now()
  await progress(load, WRITE_COUNT)
  return Math.round((1_000 * WRITE_COUNT) / (performance.now() - startedMs))
}
