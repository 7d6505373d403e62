// One disk of three that does not keep what it was given, with real nodes under load: flipped bits and
// zeroed sectors anywhere (STO-08), copies of the hard state that are lost (STO-20), an entry in the place of
// another one (STO-21), and a state that is whole and wrong. The others give back what can be given back; a
// node that cannot be sure of what it has promised does not start; whatever is served is right.

import { cpSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { EXIT } from '../../lib/errors.ts'
import type { Random } from '../../lib/random.ts'
import { randomBelow } from '../../lib/random.ts'
import { Lab } from '../e2e/lab.ts'
import { editEntries, editState, flipLastByte } from '../log-store/lmdb-damage.ts'
import { damageFile, damageText, drawDamage } from './damage.ts'
import { killNodes, progress, startNode, stateHashes } from './members.ts'
import { IS_FULL, seeded } from './seed.ts'
import { SMALL_STORAGE_FLAGS } from './small-storage.ts'
import { divergeState } from './state-edit.ts'
import { tally } from './tally.ts'
import { TestNode } from './test-node.ts'
import { underLoad } from './under-load.ts'

const NAMES = ['alder', 'birch', 'cedar'] as const
const LIMIT = { timeout: IS_FULL ? 3_500_000 : 590_000 }
const ROUND_COUNT = IS_FULL ? 200 : 2
const MAX_DAMAGE_COUNT = 8
const DIVERGED_LIMIT_MS = 60_000
/** Members look at each other's state 2 s after a snapshot, which comes every 20 entries. */
const WRITE_PAUSE_MS = 200
const READY_LIMIT_MS = 60_000
const MAX_LOG_SHOWN = 2_000

const lab = await Lab.open()
const EVERYBODY = { lab, machines: NAMES }
await lab.cluster(NAMES, ['--timing', 'lan', ...SMALL_STORAGE_FLAGS])
await lab.voters('alder', 3)

test(
  `STO-08: damage to the files of one member under load, ${ROUND_COUNT} times, is never served`,
  LIMIT,
  async (t) => {
    const random = seeded(t)
    let refusedCount = 0
    await underLoad(t, { ...EVERYBODY, random, prefix: 'flip/' }, async (load) => {
      for (let count = 0; count < ROUND_COUNT; count++) {
        await progress(load, 20)
        const victim = NAMES[randomBelow(random, NAMES.length)] ?? 'alder'
        await killNodes(lab, [victim])
        const putBack = kept(victim)
        const text = damageSome(victim, random)
        await progress(load, 20)
        const reason = await whyNotStarted(victim)
        if (reason === null) continue
        // nobody has heard of it meanwhile: with the bytes that were there it goes on
        refusedCount++
        t.comment(`${text}: ${reason}`)
        putBack()
        await startNode(lab, victim)
      }
    })
    t.comment(`${refusedCount} of ${ROUND_COUNT} did not start, the others were whole again`)
  }
)

test(
  'STO-20: one copy of the hard state is enough, and without any nobody starts',
  LIMIT,
  async (t) => {
    const random = seeded(t)
    await underLoad(t, { ...EVERYBODY, random, prefix: 'state/' }, async (load) => {
      for (const copy of ['state-a', 'state-b']) {
        await killNodes(lab, ['birch'])
        await editState(logOf('birch'), [copy], flipLastByte)
        tally({ flips: 1 })
        await startNode(lab, 'birch')
        await progress(load, 20)
      }
      await killNodes(lab, ['birch'])
      const putBack = kept('birch')
      await editState(logOf('birch'), ['state-a', 'state-b'], flipLastByte)
      tally({ flips: 2 })
      const node = new TestNode({ lab, machine: 'birch', command: 'start' })
      const { code } = await node.ended
      t.is(code, EXIT.integrity, 'a node that does not know how it has voted does not start')
      await progress(load, 20)
      putBack()
      await startNode(lab, 'birch')
    })
  }
)

test(
  'STO-21: an entry in the place of another one is given back by the others',
  LIMIT,
  async (t) => {
    const random = seeded(t)
    await underLoad(t, { ...EVERYBODY, random, prefix: 'before/' }, (load) => progress(load, 20))
    // nobody writes meanwhile, so that the others keep the last entries in their logs
    await killNodes(lab, ['birch'])
    await editEntries(logOf('birch'), async (entries) => {
      const [to, from] = [...entries.getKeys()].slice(-2)
      const record = present(entries.getBinary(present(from, 'an entry')), 'its record')
      await entries.put(present(to, 'another entry'), Uint8Array.from(record))
    })
    tally({ flips: 1 })
    const node = new TestNode({ lab, machine: 'birch', command: 'start' })
    const ready = await Promise.race([node.ready, sleep(READY_LIMIT_MS, 'not ready')])
    t.is(ready, '', node.log.slice(-MAX_LOG_SHOWN))
    t.ok(node.log.includes('the log is whole again'), 'it says so')
    await underLoad(t, { ...EVERYBODY, random, prefix: 'after/' }, (load) => progress(load, 20))
  }
)

test(
  'a member whose state is another one than its cluster has ends, and never starts again',
  LIMIT,
  async (t) => {
    t.teardown(() => lab.close(), { force: true })
    const random = seeded(t)
    const machines = NAMES.filter((name) => name !== 'birch')
    // no later write replaces it
    await lab.put('alder', 'a', 'a key that stays as it is')
    await stateHashes(lab, NAMES)
    await killNodes(lab, ['birch'])
    divergeState(lab.dataDir('birch'))
    tally({ flips: 1 })
    const odd = new TestNode({ lab, machine: 'birch', command: 'start' })
    t.ok((await odd.ready) !== null, 'nothing in it says that it is wrong')
    const endMs = performance.now() + DIVERGED_LIMIT_MS
    for (let count = 0; !odd.hasEnded && performance.now() < endMs; count++) {
      await lab.put('alder', 'more', String(count))
      await sleep(WRITE_PAUSE_MS)
    }
    t.is((await Promise.race([odd.ended, sleep(0, null)]))?.code, EXIT.integrity)
    t.ok(odd.log.includes('STATE_DIVERGED'), odd.log.slice(-MAX_LOG_SHOWN))
    await underLoad(t, { lab, machines, random, prefix: 'odd/' }, (load) => progress(load, 20))
    const again = await lab.aspen('birch', ['start'])
    t.is(again.code, EXIT.integrity, 'it does not start again')
    t.ok(/another one than its cluster has/.test(again.stderr), again.stderr)
    t.ok(/join again as a new node/.test(again.stderr), 'and says what to do')
  }
)

function logOf(machine: string): string {
  return join(lab.dataDir(machine), 'log')
}

/** @returns how to put everything back as it is now */
function kept(machine: string): () => void {
  const folder = lab.dataDir(machine)
  const copy = `${folder}.kept`
  rmSync(copy, { recursive: true, force: true })
  rmSync(join(folder, 'aspen.sock'), { force: true })
  cpSync(folder, copy, { recursive: true })
  return () => {
    rmSync(folder, { recursive: true })
    cpSync(copy, folder, { recursive: true })
  }
}

/** One to MAX_DAMAGE_COUNT flips and zeroed sectors in one of the files that hold data. @returns which */
function damageSome(machine: string, random: Random): string {
  const folder = lab.dataDir(machine)
  const files = ['log/data.mdb', ...['state', 'snapshots'].flatMap((name) => filesIn(folder, name))]
  const file = files[randomBelow(random, files.length)] ?? 'log/data.mdb'
  const damages = Array.from({ length: 1 + randomBelow(random, MAX_DAMAGE_COUNT) }, () =>
    drawDamage(randomBelow(random, 2) === 0 ? 'flip' : 'zeros', file, random)
  )
  for (const damage of damages) damageFile(folder, damage)
  tally({ flips: damages.length })
  return damages.map(damageText).join(', ')
}

function filesIn(folder: string, name: string): string[] {
  return readdirSync(join(folder, name)).map((file) => `${name}/${file}`)
}

/** What is damaged may also end it inside lmdb. @returns null: it became ready */
async function whyNotStarted(machine: string): Promise<string | null> {
  const node = new TestNode({ lab, machine, command: 'start' })
  const ready = await Promise.race([node.ready, sleep(READY_LIMIT_MS, 'waiting')])
  if (ready === '') return null
  // it waits for an entry that nobody has any more
  if (ready === 'waiting') await node.kill()
  const { code, signal } = await node.ended
  const said = node.log.trim().split('\n').at(-1) ?? ''
  const isRefusal = code === EXIT.integrity || code === EXIT.ioError || signal !== null
  if (isRefusal) return `${code ?? signal}: ${said}`
  throw new Error(`${machine} ended with ${code}:\n${node.log}`)
}
