// A database that is damaged, gone or behind the log is made again.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import test from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import { SeededRandom, randomBelow } from '../../lib/random.ts'
import type { EntryId } from '../../lib/raft/entry.ts'
import { isLostState } from '../../lib/state-machine/restore-state.ts'
import type { RestoredState } from '../../lib/state-machine/restore-state.ts'
import type { Backing, StateMachine } from '../../lib/state-machine/state-machine.ts'
import { flip, machineWith, overwrite } from './files.ts'
import { all } from './implementations.ts'
import {
  LogMaker,
  applied,
  cut,
  databaseIn,
  del,
  isWhole,
  openSqlite,
  put,
  restoredIn
} from './samples.ts'

test(
  'STO-16: a database that is flipped, zeroed, cut or gone is made again',
  { timeout: 900_000 },
  async (t) => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
    const runCount = process.env['ASPEN_FULL'] === '1' ? 500 : 8
    t.comment(`SEED=${seed}`)
    const random = new SeededRandom(seed)
    const log = new LogMaker()
    const entries = Array.from({ length: 60 }, (_, at) =>
      at % 7 === 3
        ? log.write(del(`k${at - 3}`))
        : log.write(put(`k${at % 20}`, `value ${at}`), put(`k${at}`, 'x'))
    )
    const origin = await t.tmp()
    const machine = openSqlite(origin)
    await applied(machine, entries.slice(0, 40))
    await cut(machine)
    await applied(machine, entries.slice(40))
    const expected = plainOf(viewOf(machine))
    await machine.close()
    const counts = { good: 0, rebuilt: 0 }
    for (let run = 0; run < runCount; run++) {
      const directory = await t.tmp()
      copyState(origin, directory)
      const what = damage(databaseIn(directory), random)
      // with and without a log that begins after a snapshot
      const base = run % 2 === 0 ? 0 : 30
      const { machine: again, rebuilt } = await restored(directory, base)
      counts[rebuilt === null ? 'good' : 'rebuilt']++
      if (rebuilt !== null && rebuilt.index !== (base === 0 ? 0 : 40))
        t.fail(`from ${rebuilt.index}`)
      await applied(again, entries.slice(again.applied().index))
      if (plainOf(viewOf(again)) !== expected) t.fail(`${what}: another state`)
      if (!isWhole(databaseIn(directory))) t.fail(`${what}: the state hash`)
      await again.close()
    }
    t.comment(
      `${runCount} damaged databases: ${counts.rebuilt} made again, ${counts.good} harmless`
    )
    t.ok(counts.rebuilt > 0)
  }
)

test('a row of meta that is gone, or shorter, is damage like any other', async (t) => {
  for (const change of ['DELETE FROM meta', "UPDATE meta SET head = x'00'"]) {
    const directory = await t.tmp()
    const { machine, info } = await machineWith(directory, 1)
    await machine.close()
    const database = new Database(databaseIn(directory))
    database.exec(change)
    database.close()
    const { machine: again, rebuilt } = await restored(directory, info.index)
    t.is(rebuilt?.index, info.index, change)
    await again.close()
  }
})

test('a state that is behind the log is made again, and without a snapshot it is said', async (t) => {
  const directory = await t.tmp()
  const { machine, info } = await machineWith(directory, 1)
  await machine.close()
  rmSync(databaseIn(directory))
  const { machine: again, rebuilt } = await restored(directory, info.index)
  t.is(rebuilt?.index, info.index)
  t.ok(rebuilt?.reason.includes(`the log begins after ${info.index}`))
  t.is(again.applied().index, info.index)
  await again.close()
  rmSync(databaseIn(directory))
  try {
    await restored(directory, info.index + 1)
    t.fail('opened')
  } catch (error) {
    t.is(error instanceof AspenError && error.code, 'CORRUPTED')
    t.ok(error instanceof Error && error.message.includes('no good snapshot'))
  }
})

test('a state is never made of a snapshot that is ahead of the log, or of another log', async (t) => {
  const directory = await t.tmp()
  const { machine, info } = await machineWith(directory, 1)
  await machine.close()
  rmSync(databaseIn(directory))
  const asked: EntryId[] = []
  try {
    await restored(directory, 1, (id) => {
      asked.push(id)
      return false
    })
    t.fail('opened')
  } catch (error) {
    t.ok(isLostState(error), 'a member may have one that fits')
  }
  const { index, term, chainHash: hash } = info
  t.alike(asked, [{ index, term, hash }])
  const { rebuilt } = await restored(directory, 1)
  t.is(rebuilt?.index, index, 'it is the log that it did not fit')
})

function restored(
  directory: string,
  base: number,
  holds?: Backing['holds']
): Promise<RestoredState> {
  return restoredIn(directory, { base, ...(holds && { holds }), shouldCheck: true })
}

function viewOf(machine: StateMachine): unknown {
  return { applied: machine.applied(), trust: machine.trust(), rows: all(machine) }
}

function plainOf(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    each instanceof Uint8Array ? Buffer.from(each).toString('hex') : sorted(each)
  )
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** Damages the file in one place. @returns how */
function damage(path: string, random: SeededRandom): string {
  const { size } = statSync(path)
  const at = randomBelow(random, size)
  const kind = randomBelow(random, 4)
  if (kind === 0) rmSync(path)
  if (kind === 1) truncateSync(path, at)
  if (kind === 2) overwrite(path, at - (at % 512), new Uint8Array(512))
  if (kind === 3) flip(path, at)
  return `${['deleted', 'cut', 'zeroed', 'flipped'][kind] ?? ''} at ${at}`
}

function copyState(from: string, to: string): void {
  // a machine that opens makes the folders
  for (const folder of ['state', 'snapshots']) {
    if (!existsSync(join(to, folder))) mkdirSync(join(to, folder))
    for (const name of readdirSync(join(from, folder)))
      copyFileSync(join(from, folder, name), join(to, folder, name))
  }
}
