// SIGKILL of random nodes under load: every acknowledged write is there at the end. 20 kills; 100
// with ASPEN_FULL=1, and then the writers leave no pause. The seed is printed; ASPEN_SEED repeats the
// choice of victims.

import test from 'brittle'
import { setTimeout as sleep } from 'node:timers/promises'
import { bytesOf, textOf } from '../../lib/encoding.ts'
import { asAspenError } from '../../lib/errors.ts'
import { randomBelow, SeededRandom } from '../../lib/random.ts'
import { Lab, waitFor } from './lab.ts'

const NAMES = ['alder', 'birch', 'cedar']
const IS_FULL = process.env['ASPEN_FULL'] === '1'
const KILL_COUNT = IS_FULL ? 100 : 20
const WRITERS_PER_NODE = 2
/** Other tests run beside the short form; about half of the writers wait for an answer at any time. */
const WRITE_PAUSE_MS = IS_FULL ? 0 : 5

interface Ledger {
  /** key → the serial that was acknowledged last */
  readonly acknowledged: Map<string, number>
  /** key → serials tried after it, whose outcome nobody knows */
  readonly unknown: Map<string, Set<number>>
  acknowledgedCount: number
}

test(
  `${KILL_COUNT} kills of random nodes under load lose no acknowledged write`,
  { timeout: KILL_COUNT * 30_000 },
  async (t) => {
    const seed = Number(process.env['ASPEN_SEED'] ?? Date.now() % 1_000_000)
    t.comment(`seed ${seed}: ASPEN_SEED=${seed} repeats the choice of victims`)
    const random = new SeededRandom(seed)
    const lab = await Lab.open()
    t.teardown(() => lab.close(), { force: true })
    await lab.cluster(NAMES, ['--timing', 'lan'])
    await lab.voters('alder', 3)

    const ledger: Ledger = { acknowledged: new Map(), unknown: new Map(), acknowledgedCount: 0 }
    const stop = { isStopped: false }
    const writers = NAMES.flatMap((name) =>
      Array.from({ length: WRITERS_PER_NODE }, (_, index) =>
        write(lab, name, { key: `${name}/${index}`, ledger, stop })
      )
    )
    for (let count = 0; count < KILL_COUNT; count++) {
      const victim = NAMES[randomBelow(random, NAMES.length)] ?? 'alder'
      const before = ledger.acknowledgedCount
      await waitFor('writes to go on', () => ledger.acknowledgedCount > before + 20, 60_000)
      await sleep(randomBelow(random, 200))
      await lab.kill(victim)
      await sleep(randomBelow(random, 500))
      await restart(lab, victim)
    }
    const before = ledger.acknowledgedCount
    await waitFor(
      'writes after the last kill',
      () => ledger.acknowledgedCount > before + 50,
      60_000
    )
    stop.isStopped = true
    await Promise.all(writers)

    let wrongCount = 0
    for (const name of NAMES) wrongCount += await countWrong(lab, name, ledger)
    t.comment(`${ledger.acknowledgedCount} acknowledged writes, ${KILL_COUNT} kills`)
    t.ok(ledger.acknowledgedCount > KILL_COUNT * 20)
    t.is(wrongCount, 0, 'every node has the last acknowledged write of every key, or a later try')
  }
)

/** In the foreground, without a command beside it; resolves when the node answers. */
async function restart(lab: Lab, machine: string): Promise<void> {
  const child = lab.start(machine, ['start', '--foreground'])
  child.stdout?.resume()
  child.stderr?.resume()
  await waitFor(`${machine} to answer`, async () => {
    const status = await lab.status(machine).catch(() => null)
    return status?.pid === child.pid
  })
}

/** One key, one serial after the other; what is unknown is remembered and not repeated. */
async function write(
  lab: Lab,
  machine: string,
  { key, ledger, stop }: { key: string; ledger: Ledger; stop: { isStopped: boolean } }
): Promise<void> {
  const client = lab.client(machine)
  const unknown = new Set<number>()
  ledger.unknown.set(key, unknown)
  for (let serial = 1; !stop.isStopped; serial++) {
    try {
      await client.kv.put(bytesOf(key), bytesOf(String(serial)), { timeoutMs: 5_000 })
      ledger.acknowledged.set(key, serial)
      ledger.acknowledgedCount++
      unknown.clear()
      if (WRITE_PAUSE_MS > 0) await sleep(WRITE_PAUSE_MS)
    } catch (error) {
      if (asAspenError(error).outcome === 'unknown') unknown.add(serial)
      await sleep(20)
    }
  }
  client.close()
}

/** A read must show the last acknowledged serial, or one that was tried after it and may have been done. */
async function countWrong(lab: Lab, machine: string, ledger: Ledger): Promise<number> {
  const client = lab.client(machine)
  let wrongCount = 0
  for (const [key, serial] of ledger.acknowledged) {
    const { item } = await client.kv.get(bytesOf(key), { timeoutMs: 20_000 })
    const found = Number(textOf(item?.value ?? new Uint8Array(0)))
    const mayBe = found === serial || ledger.unknown.get(key)?.has(found) === true
    if (!mayBe) wrongCount++
  }
  client.close()
  return wrongCount
}
