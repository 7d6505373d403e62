// What only the SQLite state machine does about snapshots: files, restarts in the middle, damage on the disk,
// and a database that is made again.

import { readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { AspenError } from '../../lib/errors.ts'
import type { StorageError } from '../../lib/errors.ts'
import { CHECKPOINT_WAL_BYTES, SNAPSHOT_CHUNK_BYTES } from '../../lib/limits.ts'
import type { SnapshotEvent, StateMachine } from '../../lib/state-machine/state-machine.ts'
import { flip, machineWith } from './files.ts'
import { all } from './implementations.ts'
import {
  LogMaker,
  adopted,
  applied,
  asBytes,
  chunkAt,
  cut,
  databaseIn,
  del,
  isWhole,
  manifestOf,
  openSqlite,
  prepared,
  put,
  rethrow,
  transferred
} from './samples.ts'

test('snapshots are found again, and what is half-made or belongs to nothing is deleted', async (t) => {
  const directory = await t.tmp()
  const folder = join(directory, 'snapshots')
  const { machine, info } = await machineWith(directory, 4)
  await machine.close()
  const [manifest = '', snap = ''] = readdirSync(folder).toSorted()
  t.is(snap, manifest.replace('.manifest', '.snap'))
  for (const name of [manifest, snap]) t.is(statSync(join(folder, name)).mode & 0o777, 0o600)
  for (const name of ['making-3.snap', '9-0123456789abcdef.snap', 'x.manifest', 'incoming-1.part'])
    writeFileSync(join(folder, name), 'something')
  const again = openSqlite(directory)
  t.alike(again.snapshots.list(), [info])
  t.alike(readdirSync(folder).toSorted(), [manifest, snap])
  await again.close()

  truncateSync(join(folder, snap), info.byteCount - 1)
  const third = openSqlite(directory)
  t.alike(third.snapshots.list(), [], 'a stream that is too short')
  t.alike(readdirSync(folder), [])
  await third.close()
})

test('a manifest with a flipped bit is no manifest', async (t) => {
  const directory = await t.tmp()
  const { machine } = await machineWith(directory, 2)
  await machine.close()
  flip(inFolder(join(directory, 'snapshots'), '.manifest'), 60)
  const again = openSqlite(directory)
  t.alike(again.snapshots.list(), [])
  await again.close()
})

test('a damaged chunk is handed to nobody, and the snapshot is gone', async (t) => {
  const directory = await t.tmp()
  const events: SnapshotEvent[] = []
  const { machine, info } = await machineWith(directory, 4, (event) => events.push(event))
  const snap = inFolder(join(directory, 'snapshots'), '.snap')
  flip(snap, 2 * SNAPSHOT_CHUNK_BYTES + 5)
  t.ok(await chunkAt(machine, info, 1))
  t.absent(await chunkAt(machine, info, 2))
  t.alike(machine.snapshots.list(), [])
  t.absent(await chunkAt(machine, info, 1))
  t.alike(
    events.map((event) => event.event),
    ['damaged']
  )
  const second = present(await cut(machine), 'it is made again')
  t.alike(second, info)
  t.ok(await chunkAt(machine, second, 2))
  await machine.close()
})

test('a fetch goes on after a restart, and finds what the disk has damaged', async (t) => {
  const { machine: source, info } = await machineWith(await t.tmp(), 6)
  const manifest = present(await manifestOf(source, info), 'the manifest')
  const chunks = await Promise.all(
    Array.from({ length: info.chunkCount }, (_, at) => chunkAt(source, info, at))
  )
  const directory = await t.tmp()
  const events: SnapshotEvent[] = []
  const options = { onSnapshotEvent: (event: SnapshotEvent) => void events.push(event) }
  const first = openSqlite(directory, rethrow, options)
  const begun = present(first.snapshots.receive(info, manifest), 'an incoming snapshot')
  for (const at of [0, 2, 3]) t.is(begun.put(at, present(chunks[at], 'a chunk')), 'kept')
  await first.close()

  flip(inFolder(join(directory, 'snapshots'), '.part'), 2 * SNAPSHOT_CHUNK_BYTES + 9)
  const second = openSqlite(directory, rethrow, options)
  const incoming = present(second.snapshots.receive(info, manifest), 'an incoming snapshot')
  t.alike(incoming.missing(), [1, 4, 5, 6])
  for (const at of incoming.missing()) incoming.put(at, present(chunks[at], 'a chunk'))
  t.is(await prepared(incoming), null)
  t.alike(incoming.missing(), [2], 'the damaged one is missing again')
  t.alike(
    events.map((event) => event.event),
    ['damaged']
  )
  incoming.put(2, present(chunks[2], 'a chunk'))
  await adopted(second, present(await prepared(incoming), 'a prepared snapshot'))
  t.alike(viewOf(second), viewOf(source))
  t.ok(isWhole(join(directory, 'state', `${info.index}.db`)))
  t.is(second.durableAppliedIndex, info.index)
  t.absent(readdirSync(join(directory, 'snapshots')).some((name) => name.includes('incoming')))
  await source.close()
  await second.close()
})

test('STO-24: which state is in force is said by the base, and the other one is deleted', async (t) => {
  const { machine: source, info } = await machineWith(await t.tmp(), 2)
  for (const stateBase of [0, info.index]) {
    const directory = await t.tmp()
    const log = new LogMaker()
    const machine = openSqlite(directory)
    await applied(machine, [log.write(put('old', 'state'))])
    await transferred(source, info, machine)
    await machine.close()
    t.alike(databases(directory), ['0.db', `${info.index}.db`], 'before the pointer moves')
    const again = openSqlite(directory, rethrow, { stateBase })
    t.alike(databases(directory), [`${stateBase}.db`])
    t.is(again.applied().index, stateBase === 0 ? 1 : info.index)
    t.alike(again.snapshots.list(), [info], 'the snapshot itself stays')
    await again.close()
  }
  const directory = await t.tmp()
  try {
    openSqlite(directory, rethrow, { stateBase: 5 })
    t.fail('it opened')
  } catch (error) {
    t.is(error instanceof AspenError && error.code, 'CORRUPTED', 'a state that is not there')
  }
  await source.close()
})

test('after an adoption the old files are gone, and the new ones go on over a restart', async (t) => {
  const { machine: source, info, log } = await machineWith(await t.tmp(), 2)
  const directory = await t.tmp()
  const machine = openSqlite(directory)
  const other = new LogMaker()
  await applied(machine, [other.write(put('old', new Uint8Array(1e6))), other.write(put('x', '1'))])
  const snapshot = await transferred(source, info, machine)
  t.ok(machine.get(asBytes('x')))
  await adopted(machine, snapshot)
  t.absent(machine.get(asBytes('x')))
  const entry = log.write(put('b', 'after'))
  await applied(machine, [entry])
  await machine.close()
  t.alike(databases(directory), [`${info.index}.db`])
  const again = openSqlite(directory, rethrow, { stateBase: info.index })
  await applied(source, [entry])
  t.alike(viewOf(again), viewOf(source))
  await again.close()
  await source.close()
})

test('beyond the limits no snapshot is made, and an event says so', async (t) => {
  for (const limits of [
    { maxEntries: 1, maxBytes: 1_000 },
    { maxEntries: 2, maxBytes: 19 }
  ]) {
    const events: SnapshotEvent[] = []
    const onSnapshotEvent = (event: SnapshotEvent): void => void events.push(event)
    const machine = openSqlite(await t.tmp(), rethrow, { limits, onSnapshotEvent })
    const log = new LogMaker()
    await applied(machine, [log.write(put('a', '123456789'), put('b', '123456789'))])
    t.is(await cut(machine), null)
    t.is(events[0]?.event, 'refused')
    t.ok(events[0]?.message.includes('limited to'), events[0]?.message ?? '')
    t.alike(machine.snapshots.list(), [])
    await applied(machine, [log.write(del('a'))])
    t.ok(await cut(machine), 'below the limits again')
    await machine.close()
  }
})

test('a snapshot that takes too long is given up', async (t) => {
  const directory = await t.tmp()
  const events: SnapshotEvent[] = []
  const onSnapshotEvent = (event: SnapshotEvent): void => void events.push(event)
  const machine = openSqlite(directory, rethrow, { maxSnapshotReadMs: 0, onSnapshotEvent })
  await applied(machine, [new LogMaker().write(...values(5, 80_000))])
  t.is(await cut(machine), null)
  t.is(events[0]?.event, 'failed')
  t.ok(events[0]?.message.includes('longer than 0 ms'), events[0]?.message ?? '')
  t.alike(readdirSync(join(directory, 'snapshots')), [])
  await machine.close()
})

test('a snapshot ends in the middle of whatever is applied meanwhile', async (t) => {
  const directory = await t.tmp()
  const machine = openSqlite(directory)
  const log = new LogMaker()
  await applied(machine, [log.write(...values(50, 50_000))])
  for (let round = 0; round < 3; round++) {
    let isOver = false
    let writing: Promise<void> = Promise.resolve()
    const write = async (): Promise<void> => {
      while (!isOver) await applied(machine, [log.write(...values(100, 20_000))])
    }
    const { index } = machine.applied()
    const info = await cut(machine, () => {
      writing = write()
    })
    t.is(info?.index, index)
    isOver = true
    await writing
    t.ok(machine.applied().index > index)
  }
  t.ok(isWhole(databaseIn(directory)))
  await machine.close()
})

test('a damaged row gets into no snapshot', async (t) => {
  const directory = await t.tmp()
  const failures: StorageError[] = []
  const machine = openSqlite(directory, (error) => failures.push(error))
  await applied(machine, [new LogMaker().write(put('a', '1'), put('b', '2'))])
  const database = new Database(databaseIn(directory))
  database.exec("UPDATE revisions SET value = x'33' WHERE id = 1024")
  database.close()
  machine.snapshot({ onBegun: () => {}, onEnded: () => t.fail('it ended') })
  await until(() => failures.length > 0)
  t.is(failures[0]?.code, 'CORRUPTED')
  await machine.close()
  t.alike(readdirSync(join(directory, 'snapshots')), [])
})

test('what has been checkpointed is durable, and nothing before', async (t) => {
  const machine = openSqlite(await t.tmp())
  const log = new LogMaker()
  await applied(machine, [log.write(put('a', '1'))])
  t.is(machine.durableAppliedIndex, 0)
  await applied(machine, [log.write(...values(60, CHECKPOINT_WAL_BYTES / 40))])
  await until(() => machine.durableAppliedIndex === 2)
  await applied(machine, [log.write(put('a', '2'))])
  t.is(machine.durableAppliedIndex, 2)
  await machine.close()
})

test('a close in the middle of everything ends, and the next start goes on', async (t) => {
  const { machine: source, info } = await machineWith(await t.tmp(), 3)
  const directory = await t.tmp()
  const machine = openSqlite(directory)
  const log = new LogMaker()
  await applied(machine, [log.write(...values(20, 50_000)), log.write(put('a', '2'))])
  await applied(machine, [log.compact(2)])
  const manifest = present(await manifestOf(source, info), 'the manifest')
  const incoming = present(machine.snapshots.receive(info, manifest), 'an incoming snapshot')
  for (const at of incoming.missing())
    incoming.put(at, present(await chunkAt(source, info, at), 'a chunk'))
  incoming.prepare(() => t.fail('prepared'))
  machine.snapshot({ onBegun: () => {}, onEnded: () => t.fail('ended') })
  await machine.close()
  const again = openSqlite(directory)
  t.is(again.applied().index, 3)
  t.ok(isWhole(databaseIn(directory)))
  t.ok(await cut(again))
  await again.close()
  await source.close()
})

function viewOf(machine: StateMachine): unknown {
  return { applied: machine.applied(), trust: machine.trust(), rows: all(machine) }
}

function databases(directory: string): readonly string[] {
  return readdirSync(join(directory, 'state'))
    .filter((name) => name.endsWith('.db'))
    .toSorted()
}

/** The one file with this ending. */
function inFolder(folder: string, ending: string): string {
  const name = readdirSync(folder).find((each) => each.endsWith(ending))
  return join(folder, present(name, ending))
}

function values(count: number, size: number) {
  return Array.from({ length: count }, (_, at) => put(`k${at}`, new Uint8Array(size).fill(at)))
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}
