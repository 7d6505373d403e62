// TIM-01 and TIM-02: the clocks of the machines jump by an hour, and tremble, while clients read and
// write. Nothing but the stamps in the log looks at them: nobody is elected, and nothing is lost. The
// clock is libfaketime's; the monotonic one stays true, as it does on a machine whose time is set.

import test from 'brittle'
import type { Assert } from 'brittle'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomBelow } from '../../lib/random.ts'
import type { Random } from '../../lib/random.ts'
import { Lab } from '../e2e/lab.ts'
import { fakeTimeLibrary, isSkipped } from '../skip.ts'
import { Load } from './load.ts'
import { killNodes, progress, startNode, stateHashes } from './members.ts'
import { IS_FULL, seeded } from './seed.ts'
import { SMALL_STORAGE_FLAGS } from './small-storage.ts'
import { tally } from './tally.ts'

const NAMES = ['alder', 'birch', 'cedar']
const LIMIT = { timeout: IS_FULL ? 3_500_000 : 590_000 }
const JUMP_COUNT = IS_FULL ? 100 : 4
const STROBE_COUNT = IS_FULL ? 500 : 40
const STROBE_MS = 200
const HOUR_S = 3_600
const OFF_MS = 1_500

test(
  'TIM-01, TIM-02: clocks that jump by an hour or tremble elect nobody and lose nothing',
  LIMIT,
  async (t) => {
    if (isSkipped(t, 'faketime')) return
    const random = seeded(t)
    const lab = await Lab.open()
    t.teardown(() => lab.close(), { force: true })
    // a machine that is busy elects nobody either
    await lab.cluster(NAMES, ['--timing', 'default', ...SMALL_STORAGE_FLAGS])
    await lab.voters('alder', 3)
    await killNodes(lab, NAMES)
    for (const name of NAMES) setClock(lab, name, 0)
    await Promise.all(NAMES.map((name) => startNode(lab, name, clockOf(lab, name))))
    await lab.leader(NAMES)
    const pids = NAMES.map((name) => lab.pid(name))
    t.teardown(() => forgetClocks(pids), { force: true })
    const load = new Load({
      machines: NAMES,
      clientOf: (machine) => lab.client(machine),
      random,
      clientsPerMachine: 2,
      prefix: 'clock/',
      keyCount: 10,
      pauseMs: 5
    })
    load.start()
    await progress(load, 20)
    const electedCount = await jump(lab, load, random)
    const before = await lab.status('alder')
    await strobe(lab, random)
    await progress(load, 20)
    const after = await lab.status('alder')
    await load.stop()
    t.is(electedCount, 0, 'nobody was elected because of the clock of a follower')
    t.is(after.term, before.term, 'nor because clocks trembled')
    await agree(t, lab, load)
  }
)

/**
 * Now and then one machine, now and then all, an hour forwards and back. A leader to whom its own clock looks
 * wrong may hand over. @returns how often the term rose though only the clock of a follower was wrong
 */
async function jump(lab: Lab, load: Load, random: Random): Promise<number> {
  let electedCount = 0
  for (let count = 0; count < JUMP_COUNT; count++) {
    const offsetS = randomBelow(random, 2) === 0 ? HOUR_S : -HOUR_S
    const one = NAMES[randomBelow(random, NAMES.length)] ?? 'alder'
    const machines = count % 2 === 0 ? [one] : NAMES
    const leader = await lab.leader(NAMES)
    const { term } = await lab.status(leader)
    for (const name of machines) setClock(lab, name, offsetS)
    // a leader whose clock is far from that of the others stamps nothing, and says so, until it is right
    if (machines.length === 1) await sleep(OFF_MS)
    else await progress(load, 20)
    for (const name of machines) setClock(lab, name, 0)
    await progress(load, 20)
    const isByFollower = machines.length === 1 && one !== leader
    if (isByFollower && (await lab.status(leader)).term !== term) electedCount++
    tally({ clockJumps: 2 * machines.length })
  }
  return electedCount
}

async function strobe(lab: Lab, random: Random): Promise<void> {
  for (let count = 0; count < STROBE_COUNT; count++) {
    const name = NAMES[randomBelow(random, NAMES.length)] ?? 'alder'
    setClock(lab, name, (count % 2 === 0 ? STROBE_MS : -STROBE_MS) / 1_000)
    await sleep(STROBE_MS / 4)
  }
  for (const name of NAMES) setClock(lab, name, 0)
  tally({ clockJumps: STROBE_COUNT })
}

async function agree(t: Assert, lab: Lab, load: Load): Promise<void> {
  const { violation, acknowledgedCount } = await load.judge()
  t.is(violation, null, 'the history is that of one store')
  const hashes = await stateHashes(lab, NAMES)
  t.is(new Set(hashes).size, 1, 'all nodes hold the same state')
  t.comment(`${acknowledgedCount} acknowledged writes`)
}

function clockFile(lab: Lab, machine: string): string {
  return join(lab.root, `${machine}.clock`)
}

function setClock(lab: Lab, machine: string, offsetS: number): void {
  writeFileSync(clockFile(lab, machine), `${offsetS < 0 ? '' : '+'}${offsetS}\n`)
}

/** The environment of a node whose clock is told by that file. */
function clockOf(lab: Lab, machine: string): Record<string, string> {
  return {
    LD_PRELOAD: fakeTimeLibrary() ?? '',
    FAKETIME_TIMESTAMP_FILE: clockFile(lab, machine),
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1'
  }
}

/** What libfaketime shares among a process and its children outlives those that are killed. */
function forgetClocks(pids: readonly number[]): void {
  for (const pid of pids) {
    for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`]) {
      rmSync(join('/dev/shm', name), { force: true })
    }
  }
}
