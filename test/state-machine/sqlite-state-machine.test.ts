// What only the SQLite state machine does: files, restarts, formats, damage, checkpoints, turns.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import Database from 'better-sqlite3'
import test from 'brittle'
import type { Assert } from 'brittle'
import type { Timers } from '../../lib/clock.ts'
import { systemClock, systemTimers } from '../../lib/clock.ts'
import { AspenError } from '../../lib/errors.ts'
import type { StorageError } from '../../lib/errors.ts'
import { CHECKPOINT_RETRY_MS, CHECKPOINT_WAL_BYTES, MAX_WAL_BYTES } from '../../lib/limits.ts'
import { genesis } from '../../lib/raft/entry.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import { all } from './implementations.ts'
import {
  LogMaker,
  admit,
  applied,
  asBytes,
  createInvite,
  databaseIn,
  del,
  found,
  isWhole,
  openSqlite,
  put,
  rethrow,
  shown
} from './samples.ts'

const WORKING = join(import.meta.dirname, 'apply-loop.js')

test('a state machine goes on where it was, with rows and trust state', async (t) => {
  const directory = await t.tmp()
  const log = new LogMaker()
  const first = openSqlite(directory)
  await applied(first, [
    log.control(found()),
    log.control(createInvite(10)),
    log.control(admit(10, 20))
  ])
  await applied(first, [log.write(put('a', '1'), put('b', '2')), log.write(del('b'))])
  const before = [first.applied(), first.trust(), all(first)]
  await first.close()
  const second = openSqlite(directory)
  t.alike([second.applied(), second.trust(), all(second)], before)
  await applied(second, [log.write(put('b', '3'), put('a', '4'))])
  t.is(shown(second.get(asBytes('b'))), '3 c6 m6 v1')
  t.is(shown(second.get(asBytes('a'))), '4 c4 m6 v2')
  t.ok(isWhole(databaseIn(directory)))
  await second.close()
})

test('every revision of a key stays in the file, and a delete is a row without value', async (t) => {
  const directory = await t.tmp()
  const path = databaseIn(directory)
  const log = new LogMaker()
  const machine = openSqlite(directory)
  await applied(machine, [
    log.write(put('x', ''), put('a', '1')),
    log.write(put('a', '2')),
    log.write(del('a'), del('no'))
  ])
  await machine.close()
  const database = new Database(path, { readonly: true })
  const rows = database
    .prepare("SELECT id, create_revision, version, value FROM revisions WHERE key = x'61'")
    .raw()
    .all()
  t.alike(rows, [
    [1_024 + 1, 1, 1, Buffer.from('1')],
    [2_048, 1, 2, Buffer.from('2')],
    [3_072, 1, 0, null]
  ])
  t.is(database.prepare('SELECT count(*) FROM revisions').pluck().get(), 4)
  t.is(database.prepare('SELECT count(*) FROM keys').pluck().get(), 1)
  database.close()
})

test('the files are for their owner alone', async (t) => {
  const directory = await t.tmp()
  const path = databaseIn(directory)
  const machine = openSqlite(directory)
  await applied(machine, [new LogMaker().empty()])
  for (const file of [path, `${path}-wal`, `${path}-shm`])
    t.is(statSync(file).mode & 0o777, 0o600, file)
  await machine.close()
  t.absent(existsSync(`${path}-wal`), 'a clean end leaves no write-ahead log')
})

test('a database of a newer format, of another cluster, or of something else is refused', async (t) => {
  const directory = await t.tmp()
  const path = databaseIn(directory)
  await openSqlite(directory).close()
  const other = genesis(new Uint8Array(16).fill(8))
  const onFailed = () => t.fail()
  refuses(t, () => openSqlite(directory, onFailed, { genesis: other }), 'WRONG_CLUSTER')
  pragma(path, 'user_version = 5')
  refuses(t, () => openSqlite(directory), 'FORMAT_NEWER')
  pragma(path, 'user_version = 3')
  refuses(t, () => openSqlite(directory), 'CORRUPTED')
  pragma(path, 'user_version = 4')
  await openSqlite(directory).close()
  pragma(path, 'application_id = 7')
  refuses(t, () => openSqlite(directory), 'CORRUPTED')
  writeFileSync(path, 'this is no database, and long enough that SQLite notices it'.repeat(100))
  refuses(t, () => openSqlite(directory), 'CORRUPTED')
  refuses(t, () => openSqlite(join(directory, 'missing')), 'OPEN_DATABASE')
  rmSync(path)
  mkdirSync(path)
  refuses(t, () => openSqlite(directory), 'OPEN_DATABASE')
})

test('a damaged row is found by the state hash', async (t) => {
  const directory = await t.tmp()
  const path = databaseIn(directory)
  const log = new LogMaker()
  const machine = openSqlite(directory)
  await applied(machine, [log.write(put('a', '1'), put('b', '2'))])
  t.ok(isWhole(databaseIn(directory)))
  for (const change of [
    "UPDATE revisions SET value = x'33' WHERE id = 1024",
    'UPDATE keys SET version = 2'
  ]) {
    const database = new Database(path)
    database.exec(change)
    database.close()
    t.absent(isWhole(databaseIn(directory)), change)
  }
  await machine.close()
})

test('a truncated file is an error of storage when it is met', async (t) => {
  const directory = await t.tmp()
  const path = databaseIn(directory)
  const log = new LogMaker()
  const machine = openSqlite(directory)
  await applied(machine, [log.write(...values(50, 20_000))])
  await machine.close()
  truncateSync(path, 100 * 4_096)
  const failures: StorageError[] = []
  try {
    const damaged = openSqlite(directory, (error) => failures.push(error))
    for (const key of ['k0', 'k49']) damaged.get(asBytes(key))
    t.fail('the damage was not met')
  } catch (error) {
    t.is(error instanceof AspenError && error.code, 'CORRUPTED')
  }
})

test('a failed write stops the machine once, and what was committed can be read', async (t) => {
  const directory = await t.tmp()
  const path = databaseIn(directory)
  const log = new LogMaker()
  const failures: StorageError[] = []
  const machine = openSqlite(directory, (error) => failures.push(error))
  await applied(machine, [log.write(put('a', '1'))])
  const other = new Database(path)
  other.exec('DROP TABLE meta')
  other.close()
  const entry = log.write(put('a', '2'))
  machine.apply([entry], () => t.fail('it is not applied'))
  await until(() => failures.length > 0)
  machine.apply([entry], () => t.fail('nothing is applied any more'))
  await turns(10)
  t.is(failures.length, 1)
  t.is(failures[0]?.code, 'CORRUPTED')
  t.is(shown(machine.get(asBytes('a'))), '1 c1 m1 v1')
  await machine.close()
})

test('a process that is killed while it applies has whole entries, and all that it has answered', async (t) => {
  const directory = await t.tmp()
  for (const answerCount of [1, 7, 20]) {
    const answered = await killedAfter(directory, answerCount)
    const machine = openSqlite(directory)
    const { index } = machine.applied()
    const { items } = all(machine)
    t.ok(index >= answered, `${answered} answered, ${index} applied`)
    t.is(items.length, 100)
    t.ok(
      items.every((item) => item.modRevision === index),
      'all rows are of the last entry'
    )
    t.ok(isWhole(databaseIn(directory)))
    await machine.close()
  }
})

test('a row is the unit of a turn of the event loop, and so is a commit', async (t) => {
  let nowMs = 0
  // whatever is done takes longer than a slice
  const clock = { ...systemClock, nowMs: () => (nowMs += 100) }
  const machine = openSqlite(await t.tmp(), rethrow, { clock })
  const log = new LogMaker()
  let turnCount = 0
  machine.apply([log.write(...values(100, 10)), log.empty()], () => {})
  for (; machine.applied().index < 2; turnCount++) await turns(1)
  // the plan, 100 rows, 100 keys, two entries, the commit
  t.ok(turnCount >= 203, `${turnCount} turns`)
  await machine.close()
})

test('the write-ahead log is checkpointed, and a close with a checkpoint in progress ends', async (t) => {
  const directory = await t.tmp()
  const path = databaseIn(directory)
  const machine = openSqlite(directory)
  const log = new LogMaker()
  const before = statSync(path).size
  await applied(machine, [log.write(...values(60, 80 * 1_024))])
  await until(() => statSync(path).size > before + CHECKPOINT_WAL_BYTES)
  await applied(machine, [log.write(...values(60, 80 * 1_024))])
  await machine.close()
  const again = openSqlite(directory)
  t.is(again.applied().index, 2)
  t.ok(isWhole(databaseIn(directory)))
  await again.close()
})

test(
  'the write-ahead log is bounded: applying waits for the checkpoint',
  { timeout: 120_000 },
  async (t) => {
    const directory = await t.tmp()
    const path = databaseIn(directory)
    const machine = openSqlite(directory)
    const log = new LogMaker()
    let longest = 0
    for (let entry = 0; entry < 16; entry++) {
      await applied(machine, [log.write(...values(100, 80 * 1_024))])
      longest = Math.max(longest, statSync(`${path}-wal`).size)
    }
    t.ok(longest < MAX_WAL_BYTES + 10 * 1_024 * 1_024, `${longest} bytes`)
    t.is(machine.applied().index, 16)
    await machine.close()
  }
)

test(
  'while another process reads, applying waits and goes on by itself',
  { timeout: 120_000 },
  async (t) => {
    const directory = await t.tmp()
    const path = databaseIn(directory)
    let waits = 0
    const timers: Timers = {
      ...systemTimers,
      start(delayMs, fn) {
        if (delayMs === CHECKPOINT_RETRY_MS) waits++
        return systemTimers.start(delayMs, fn)
      }
    }
    const machine = openSqlite(directory, (error) => t.fail(error.message), { timers })
    const log = new LogMaker()
    const reader = new Database(path, { readonly: true })
    await applied(machine, [log.write(put('a', '1'))])
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM keys').get()
    let last = 0
    const entries: Entry[] = Array.from({ length: 12 }, () => log.write(...values(100, 80 * 1_024)))
    const all12 = (async () => {
      for (const entry of entries) {
        await applied(machine, [entry])
        last = entry.index
      }
    })()
    await until(() => waits > 3)
    t.ok(last < 13, `it waits after ${last}`)
    reader.exec('COMMIT')
    reader.close()
    await all12
    t.is(machine.applied().index, 13)
    await machine.close()
  }
)

/** Starts a process that applies entries, and kills it after so many answers. @returns the last one */
async function killedAfter(path: string, answerCount: number): Promise<number> {
  const child = spawn(process.execPath, [WORKING, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let last = 0
  let count = 0
  const exited = once(child, 'exit')
  for await (const line of createInterface(child.stdout)) {
    last = Number(line)
    if (++count === answerCount) child.kill('SIGKILL')
  }
  await exited
  return last
}

function values(count: number, size: number) {
  return Array.from({ length: count }, (_, at) => put(`k${at}`, new Uint8Array(size).fill(at)))
}

function refuses(t: Assert, fn: () => unknown, code: string): void {
  try {
    fn()
    t.fail(code)
  } catch (error) {
    t.is(error instanceof AspenError ? error.code : String(error), code)
  }
}

function pragma(path: string, text: string): void {
  const database = new Database(path)
  database.pragma(text)
  database.close()
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Looks every few milliseconds; the limit of the test is the deadline. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

test('a snapshot may end while a transaction that applies is open', async (t) => {
  const log = new LogMaker()
  const machine = openSqlite(await t.tmp())
  await applied(machine, [log.write(put('a', '1'))])
  let endedCount = 0
  let inApplyCount = 0
  for (let round = 0; round < 4; round++) {
    let isEnded = false
    let isApplying = false
    await new Promise<void>((resolve) => {
      machine.snapshot({
        onBegun: resolve,
        onEnded: (info) => {
          t.ok(info !== null)
          isEnded = true
          endedCount++
          if (isApplying) inApplyCount++
        }
      })
    })
    while (!isEnded) {
      const entries = Array.from({ length: 200 }, (_, at) =>
        log.write(put(`k${at}`, 'x'.repeat(4_000)))
      )
      isApplying = true
      await applied(machine, entries)
      isApplying = false
    }
  }
  t.is(endedCount, 4)
  t.ok(inApplyCount > 0, 'it did')
  await machine.close()
})
