// What a disk may change behind SQLite's back, row by row and record by record: it is damage, from which a machine
// is made again, and never a state that differs from the others'.

import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import test from 'brittle'
import type { Assert } from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import type { StorageError } from '../../lib/errors.ts'
import { cutBackup } from '../../lib/state-machine/backup-cut.ts'
import type { RestoredState } from '../../lib/state-machine/restore-state.ts'
import { checkDatabase } from '../../lib/state-machine/snapshot-check.ts'
import { cutSnapshot } from '../../lib/state-machine/snapshot-cut.ts'
import { suspicionOf } from '../../lib/state-machine/sqlite-database.ts'
import type { SqliteStateMachine } from '../../lib/state-machine/sqlite-state-machine.ts'
import {
  LogMaker,
  applied,
  asBytes,
  cut,
  databaseIn,
  del,
  isWhole,
  openSqlite,
  put,
  restoredIn,
  shown
} from './samples.ts'

const LIMIT = { timeout: 120_000 }

/** Rows 1024 and 2048 are superseded, 3072 is live, 4096 is superseded by the tombstone 5120. */
const CHANGES = [put('a', 'first'), put('a', 'second'), put('a', 'third'), put('b', '1'), del('b')]

const OF_HISTORY = [
  "UPDATE revisions SET value = x'66' WHERE id = 1024",
  'UPDATE revisions SET value = NULL WHERE id = 2048',
  'UPDATE revisions SET version = 7 WHERE id = 1024',
  'UPDATE revisions SET create_revision = 2 WHERE id = 1024',
  'UPDATE revisions SET superseded = 0 WHERE id = 2048',
  'UPDATE revisions SET superseded = 1024 WHERE id = 3072',
  'UPDATE revisions SET id = 1025 WHERE id = 1024',
  "UPDATE revisions SET key = x'62' WHERE id = 2048",
  "UPDATE revisions SET key = x'61' WHERE id = 5120",
  "UPDATE revisions SET value = x'' WHERE id = 5120",
  "UPDATE revisions SET seal = x'00' WHERE id = 1024",
  'DELETE FROM revisions WHERE id = 1024',
  'DELETE FROM revisions WHERE id = 5120'
]

const OF_KEYS = [
  'UPDATE keys SET version = 7',
  'UPDATE keys SET create_revision = 2',
  'UPDATE keys SET value_bytes = 4',
  'UPDATE keys SET row = 2048',
  "UPDATE keys SET hash = x'00'",
  'UPDATE keys SET hash = (SELECT seal FROM revisions WHERE id = 3072)',
  'UPDATE keys SET seal = seal + 1',
  'UPDATE keys SET seal = seal + 65536',
  "UPDATE keys SET key = x'62'"
]

const OF_TABLE_KEYS = [
  'DELETE FROM keys',
  "INSERT INTO keys SELECT x'63', row, create_revision, version, value_bytes, hash, seal FROM keys"
]

/** Who reads them sees that they are not what was sealed. */
const OF_META = [
  'UPDATE meta SET head = substr(head, 1, length(head) - 1)',
  'UPDATE meta SET compacted_row = head'
]

test('a row that was changed gets into no snapshot and no backup', LIMIT, async (t) => {
  for (const change of [...OF_HISTORY, ...OF_KEYS, ...OF_TABLE_KEYS]) {
    const { directory, machine } = await machineWith(t, CHANGES)
    edit(directory, change)
    const [database, folder] = [databaseIn(directory), join(directory, 'snapshots')]
    const target = join(directory, 'target')
    const cutting = { throwIfCancelled: () => {}, onBegun: () => {} }
    const rest = { database, maxReadMs: 60_000 } as const
    isDamage(t, change, () => cutSnapshot({ kind: 'cut', folder, index: 5, ...rest }, cutting))
    isDamage(t, change, () => cutBackup({ kind: 'backup', target, ...rest }, () => {}))
    isDamage(t, change, () => checkDatabase(database, () => {}))
    t.alike([readdirSync(folder), existsSync(target)], [[], false])
    await machine.close()
  }
})

test('damage that a thread meets ends the machine, also damage of a record', LIMIT, async (t) => {
  for (const change of [OF_HISTORY[0] ?? '', ...OF_META]) {
    const { directory, machine, failure } = await machineWith(t, CHANGES)
    edit(directory, change)
    machine.snapshot({ onBegun: () => {}, onEnded: () => t.fail(`a snapshot with: ${change}`) })
    t.is((await failure).code, 'CORRUPTED', change)
    await machine.close()
  }
  const { directory, machine, failure } = await machineWith(t, CHANGES)
  edit(directory, OF_META[0] ?? '')
  machine.backup(join(directory, 'target'), () => t.fail('a backup'))
  t.is((await failure).code, 'CORRUPTED')
  await machine.close()
})

test('nothing is taken over from a key that was changed', LIMIT, async (t) => {
  const commands = [
    [put('a', 'fourth')],
    [del('a')],
    [put('a', 'fourth', { kind: 'revision', revision: 3 })],
    [put('a', 'fourth', { kind: 'absent' })],
    [put('c', '1'), put('a', 'fourth')]
  ]
  for (const change of OF_KEYS) {
    for (const command of commands) {
      const { directory, machine, log, failure } = await machineWith(t, CHANGES)
      edit(directory, change)
      const entries = [log.write(...command)]
      const outcome = await Promise.race([applied(machine, entries), failure])
      t.is('code' in outcome && outcome.code, 'CORRUPTED', change)
      t.is(machine.applied().index, CHANGES.length)
      await machine.close()
      t.ok(existsSync(suspicionOf(databaseIn(directory))))
      const { machine: again, rebuilt } = await restored(directory)
      t.ok(rebuilt?.reason.includes('damaged'), rebuilt?.reason)
      await again.close()
    }
  }
})

test('a key that was changed hides no key and ends no scan', LIMIT, async (t) => {
  const looks: readonly ((machine: SqliteStateMachine) => unknown)[] = [
    (machine) => machine.get(asBytes('a')),
    (machine) => machine.get(asBytes('c')),
    (machine) => machine.scan({ prefix: asBytes('a'), after: null, limit: 10 }),
    (machine) => machine.scan({ prefix: asBytes('c'), after: null, limit: 10 }),
    (machine) => machine.scan({ prefix: asBytes(''), after: asBytes('b'), limit: 10 })
  ]
  for (const look of looks) {
    const { directory, machine, failure } = await machineWith(t, CHANGES)
    edit(directory, "UPDATE keys SET key = x'62'")
    await t.exception(() => look(machine), /damaged/)
    t.is((await failure).code, 'CORRUPTED')
    await machine.close()
  }
})

test('tables that are gone or others are damage', LIMIT, async (t) => {
  for (const change of [
    'DROP TABLE keys',
    'DROP TABLE revisions',
    'DROP TABLE meta',
    'DROP TABLE sessions',
    'ALTER TABLE keys RENAME COLUMN version TO another',
    'DROP TABLE keys; CREATE TABLE keys (key INTEGER) STRICT'
  ]) {
    const { directory, machine } = await machineWith(t, CHANGES)
    await machine.close()
    edit(directory, change)
    const { machine: again, rebuilt } = await restored(directory)
    t.ok(rebuilt?.reason.includes('damaged'), rebuilt?.reason)
    await again.close()
  }
})

test('a compaction deletes nothing on the word of a row that was changed', LIMIT, async (t) => {
  for (const change of [
    'UPDATE revisions SET superseded = 1024 WHERE id = 3072',
    'UPDATE revisions SET value = NULL WHERE id = 3072',
    "UPDATE revisions SET value = x'' WHERE id = 5120"
  ]) {
    const { directory, machine, log, failure } = await machineWith(t, CHANGES)
    edit(directory, change)
    machine.apply([log.compact(5)], () => {})
    t.is((await failure).code, 'CORRUPTED', change)
    await machine.close()
    const database = new Database(databaseIn(directory), { readonly: true })
    t.is(database.prepare('SELECT count(*) FROM revisions').pluck().get(), 5)
    database.close()
  }
})

test(
  'after an end with damage the next start reads all rows, and only that one',
  LIMIT,
  async (t) => {
    const { directory, machine, failure } = await machineWith(t, CHANGES)
    const database = databaseIn(directory)
    edit(directory, "UPDATE revisions SET value = x'66' WHERE id = 3072")
    await t.exception(() => machine.get(asBytes('a')), /damaged/)
    t.is((await failure).code, 'CORRUPTED')
    await machine.close()
    t.ok(existsSync(suspicionOf(database)))

    const { machine: again, rebuilt } = await restored(directory)
    t.ok(rebuilt?.reason.includes('revision 3'), rebuilt?.reason)
    t.is(again.applied().index, 0, 'it begins at the genesis: the log is whole')
    await again.close()
    t.absent(existsSync(suspicionOf(database)))
  }
)

test('a database that is whole in spite of the suspicion is used as it is', LIMIT, async (t) => {
  const { directory, machine, failure } = await machineWith(t, CHANGES)
  edit(directory, "UPDATE revisions SET value = x'66' WHERE id = 3072")
  await t.exception(() => machine.get(asBytes('a')), /damaged/)
  await failure
  await machine.close()
  edit(directory, `UPDATE revisions SET value = x'${hex('third')}' WHERE id = 3072`)
  const { machine: again, rebuilt } = await restored(directory)
  t.is(rebuilt, null)
  t.is(shown(again.get(asBytes('a'))), 'third c1 m3 v3')
  await again.close()
  t.absent(existsSync(suspicionOf(databaseIn(directory))))
})

test('another failure leaves no suspicion', LIMIT, async (t) => {
  const { directory, machine, failure } = await machineWith(t, CHANGES)
  machine.backup(join(directory, 'nowhere', 'target'), () => t.fail('it cannot be written'))
  t.is((await failure).code, 'OPEN_DATABASE')
  await machine.close()
  t.absent(existsSync(suspicionOf(databaseIn(directory))))
})

test(
  'a database that was built from a snapshot passes the check, and gives the same snapshot',
  LIMIT,
  async (t) => {
    const { directory, machine, log } = await machineWith(t, CHANGES)
    await applied(machine, [log.compact(2)])
    const info = await cut(machine)
    await machine.close()
    edit(directory, OF_META[0] ?? '')
    const { machine: again, rebuilt } = await restored(directory, info?.index)
    t.is(rebuilt?.index, info?.index)
    rmSync(join(directory, 'snapshots'), { recursive: true })
    mkdirSync(join(directory, 'snapshots'))
    await again.close()
    t.ok(isWhole(databaseIn(directory)))
    const third = openSqlite(directory)
    t.alike(await cut(third), info)
    await third.close()
  }
)

function isDamage(t: Assert, change: string, act: () => unknown): void {
  try {
    act()
    t.fail(`nobody notices: ${change}`)
  } catch (error) {
    t.is(error instanceof AspenError && error.code, 'CORRUPTED', change)
  }
}

interface Damaged {
  readonly directory: string
  readonly machine: SqliteStateMachine
  readonly log: LogMaker
  readonly failure: Promise<StorageError>
}

/** One entry for each of the changes. */
async function machineWith(t: Assert, changes: typeof CHANGES): Promise<Damaged> {
  const directory = await t.tmp()
  const log = new LogMaker()
  let onFailed: (error: StorageError) => void = () => {}
  const failure = new Promise<StorageError>((resolve) => {
    onFailed = resolve
  })
  const machine = openSqlite(directory, onFailed)
  await applied(
    machine,
    changes.map((change) => log.write(change))
  )
  return { directory, machine, log, failure }
}

function edit(directory: string, sql: string): void {
  const database = new Database(databaseIn(directory))
  database.exec(sql)
  database.close()
}

function restored(directory: string, base = 0): Promise<RestoredState> {
  return restoredIn(directory, { base, shouldCheck: false })
}

function hex(text: string): string {
  return Buffer.from(text).toString('hex')
}
