// STO-01: one node alone is killed at random moments, again and again: under load, while it starts, and a
// moment after it has started. What it has acknowledged is there after the next start, and no other.

import test from 'brittle'
import type { Assert } from 'brittle'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomBelow } from '../../lib/random.ts'
import type { Random } from '../../lib/random.ts'
import { Lab } from '../e2e/lab.ts'
import { Load } from './load.ts'
import { progress } from './members.ts'
import { IS_FULL, seeded } from './seed.ts'
import { tally } from './tally.ts'
import { TestNode } from './test-node.ts'

const LIMIT = { timeout: IS_FULL ? 3_500_000 : 590_000 }
const CYCLE_COUNT = IS_FULL ? 1_000 : 12
/** Kills of one history: the checkers look at each as a whole. */
const CYCLES_PER_ROUND = 20
const MACHINE = 'alder'
/** One in so many is killed before it is known to be ready. */
const EARLY_SHARE = 4
const MAX_LIFE_MS = 400
/** Every other one lives at least until so many more writes were acknowledged. */
const PROGRESS_COUNT = 10

test(
  `STO-01: SIGKILL of a node alone at random moments, ${CYCLE_COUNT} times, loses nothing`,
  LIMIT,
  async (t) => {
    const random = seeded(t)
    const lab = await Lab.open()
    t.teardown(() => lab.close(), { force: true })
    let node = new TestNode({ lab, machine: MACHINE, command: 'create', isAlone: true })
    t.ok((await node.ready) !== null, 'it begins')
    let left = CYCLE_COUNT
    let acknowledgedCount = 0
    while (left > 0) {
      const load = loadOf(lab, { random, prefix: `${left}/` })
      load.start()
      const end = Math.max(0, left - CYCLES_PER_ROUND)
      for (; left > end; left--) node = await cycle(t, { lab, random, load, node })
      await load.stop()
      const judged = await load.judge()
      t.is(judged.violation, null, `nothing is lost or wrong, ${left} kills are left`)
      acknowledgedCount += judged.acknowledgedCount
    }
    t.comment(`${acknowledgedCount} acknowledged writes`)
    t.ok(acknowledgedCount > CYCLE_COUNT, 'there was something to lose')
  }
)

interface Cycle {
  readonly lab: Lab
  readonly random: Random
  readonly load: Load
  readonly node: TestNode
}

/** Kills the node, and some of its successors while they start. @returns one that is ready */
async function cycle(t: Assert, { node, ...lasting }: Cycle): Promise<TestNode> {
  const { lab, random } = lasting
  await sleep(randomBelow(random, MAX_LIFE_MS))
  await node.kill()
  tally({ kills: 1 })
  const next = new TestNode({ lab, machine: MACHINE, command: 'start', isAlone: true })
  if (randomBelow(random, EARLY_SHARE) === 0) return await cycle(t, { ...lasting, node: next })
  if ((await next.ready) === null) t.fail(`it does not start again:\n${next.log}`)
  else if (randomBelow(random, 2) === 0) await progress(lasting.load, PROGRESS_COUNT)
  return next
}

function loadOf(
  lab: Lab,
  { random, prefix }: { readonly random: Random; readonly prefix: string }
) {
  return new Load({
    machines: [MACHINE],
    clientOf: (machine) => lab.client(machine),
    random,
    clientsPerMachine: 3,
    prefix,
    keyCount: 10,
    pauseMs: 0
  })
}
