// Real nodes under load that are killed and stopped at random moments: STO-02, STO-03, RFT-09, PRC-03,
// PRC-04, PRC-05 and OPS-02 of the catalogue. Each run ends with both checkers over what the clients were told
// and with equal state hashes on all nodes. One cluster serves the whole file; each test has its own
// history, so that the keys of the next one begin where those of the last ended.

import test from 'brittle'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT } from '../../lib/errors.ts'
import type { Random } from '../../lib/random.ts'
import { randomBelow } from '../../lib/random.ts'
import { Lab } from '../e2e/lab.ts'
import type { Load } from './load.ts'
import { killNodes, newLeaderMs, pauseNodes, progress, startNode } from './members.ts'
import { IS_FULL, seeded } from './seed.ts'
import { SMALL_STORAGE_FLAGS } from './small-storage.ts'
import { TestNode } from './test-node.ts'
import { underLoad } from './under-load.ts'

const NAMES = ['alder', 'birch', 'cedar'] as const
type Name = (typeof NAMES)[number]
const KILL_COUNT = IS_FULL ? 100 : 4
const POWER_CUT_COUNT = IS_FULL ? 30 : 2
const PAUSE_COUNT = IS_FULL ? 20 : 2
const STOP_COUNT = IS_FULL ? 50 : 1
/** Beyond the election timeout of the profile `lan`, 600 to 1,200 ms. */
const PAUSE_MS = 3_000
const LONG_PAUSE_MS = IS_FULL ? 30_000 : 5_000
/** What a leader finds in its socket when it goes on. */
const STOPPED_READ_COUNT = 50
const TEST_LIMIT_MS = IS_FULL ? 1_800_000 : 590_000
const LIMIT = { timeout: TEST_LIMIT_MS }

const lab = await Lab.open()
const EVERYBODY = { lab, machines: NAMES, pauseMs: IS_FULL ? 0 : 5 }
await lab.cluster(NAMES, ['--timing', 'lan', ...SMALL_STORAGE_FLAGS])
await lab.voters('alder', 3)

test(
  `STO-02: SIGKILL of random nodes and of leaders under load, ${KILL_COUNT} times`,
  LIMIT,
  async (t) => {
    const random = seeded(t)
    await underLoad(t, { ...EVERYBODY, random, prefix: 'one/' }, async (load) => {
      for (let count = 0; count < KILL_COUNT; count++) {
        await progress(load, 20)
        await sleep(randomBelow(random, 200))
        const victim = count % 2 === 0 ? await lab.leader(NAMES) : pick(random)
        await killNodes(lab, [victim])
        await sleep(randomBelow(random, 1_000))
        await startNode(lab, victim)
      }
    })
  }
)

test(
  `STO-03: SIGKILL of all nodes at once under load, ${POWER_CUT_COUNT} times`,
  LIMIT,
  async (t) => {
    const random = seeded(t)
    await underLoad(t, { ...EVERYBODY, random, prefix: 'all/' }, async (load) => {
      for (let count = 0; count < POWER_CUT_COUNT; count++) {
        await progress(load, 20)
        await sleep(randomBelow(random, 200))
        await killNodes(lab, NAMES)
        await Promise.all(NAMES.map((name) => startNode(lab, name)))
      }
    })
  }
)

test(
  'RFT-09, PRC-03: a leader that is stopped beyond the election timeout answers nothing stale',
  LIMIT,
  async (t) => {
    const random = seeded(t)
    await underLoad(t, { ...EVERYBODY, random, prefix: 'pause/' }, async (load) => {
      for (let count = 0; count < PAUSE_COUNT; count++) {
        await progress(load, 20)
        const leader = await lab.leader(NAMES)
        const pauseMs = count === 0 ? LONG_PAUSE_MS : PAUSE_MS
        const [moved] = await Promise.all([
          askTheStopped(load, leader),
          pauseNodes(lab, [leader], pauseMs)
        ])
        t.comment(`another node led after ${Math.round(moved)} ms`)
        t.ok(moved < pauseMs, 'another node led before the old leader went on')
      }
    })
  }
)

/**
 * When another node leads and has acknowledged writes, what the old leader knows is outdated: it is asked
 * now, and has the questions before it when it goes on. @returns how long it took until another node led
 */
async function askTheStopped(load: Load, leader: string): Promise<number> {
  const movedMs = await newLeaderMs(lab, NAMES, leader)
  await progress(load, 20)
  load.readMore(leader, STOPPED_READ_COUNT)
  return movedMs
}

test('PRC-04: a follower, and all nodes, that are stopped for a while go on', LIMIT, async (t) => {
  const random = seeded(t)
  await underLoad(t, { ...EVERYBODY, random, prefix: 'lid/' }, async (load) => {
    await progress(load, 20)
    const leader = await lab.leader(NAMES)
    const followers = NAMES.filter((name) => name !== leader)
    await pauseNodes(lab, followers.slice(0, 1), PAUSE_MS)
    await progress(load, 20)
    await pauseNodes(lab, NAMES, PAUSE_MS)
  })
})

test(
  `PRC-05: SIGTERM of the leader under load, ${STOP_COUNT} times, ends it in order and loses nothing`,
  LIMIT,
  async (t) => {
    const random = seeded(t)
    await underLoad(t, { ...EVERYBODY, random, prefix: 'term/' }, async (load) => {
      for (let count = 0; count < STOP_COUNT; count++) {
        await progress(load, 20)
        const leader = await lab.leader(NAMES)
        const startedMs = performance.now()
        await lab.kill(leader, 'SIGTERM')
        t.comment(`gone after ${Math.round(performance.now() - startedMs)} ms`)
        const left = ['runtime.json', 'aspen.sock'].filter((name) =>
          existsSync(join(lab.dataDir(leader), name))
        )
        t.alike(left, [], 'it has closed what it had open')
        await progress(load, 20)
        await startNode(lab, leader)
      }
    })
  }
)

test(
  'OPS-02: a second process on one directory is refused, and the first one goes on',
  LIMIT,
  async (t) => {
    t.teardown(() => lab.close(), { force: true })
    const random = seeded(t)
    await underLoad(t, { ...EVERYBODY, random, prefix: 'lock/' }, async (load) => {
      const pids = NAMES.map((name) => lab.pid(name))
      for (const name of NAMES) {
        const startedMs = performance.now()
        const second = new TestNode({ lab, machine: name, command: 'start' })
        const { code } = await second.ended
        t.is(code, EXIT.locked, `refused after ${Math.round(performance.now() - startedMs)} ms`)
      }
      await progress(load, 20)
      t.alike(
        NAMES.map((name) => lab.pid(name)),
        pids,
        'the nodes are the same'
      )
    })
  }
)

function pick(random: Random): Name {
  return NAMES[randomBelow(random, NAMES.length)] ?? 'alder'
}
