// The files of snapshots and of prepared states: what the disk refuses, what is damaged twice, what is left behind,
// and threads that read a database which another one replaces.

import fs, { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { basename, join } from 'node:path'
import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { AspenError } from '../../lib/errors.ts'
import type { StorageError } from '../../lib/errors.ts'
import { SNAPSHOT_CHUNK_BYTES } from '../../lib/limits.ts'
import { inspectSnapshots } from '../../lib/state-machine/inspect.ts'
import {
  encodeManifest,
  findSnapshots,
  incomingPathsOf,
  pathsOf
} from '../../lib/state-machine/snapshot-files.ts'
import type { BackupOutcome } from '../../lib/state-machine/sqlite-state-machine.ts'
import type { SnapshotEvent } from '../../lib/state-machine/state-machine.ts'
import { backupOf } from './backups.ts'
import { flip, machineWith } from './files.ts'
import {
  LogMaker,
  adopted,
  applied,
  chunkAt,
  cut,
  manifestOf,
  openSqlite,
  prepared,
  put,
  rethrow,
  transferred
} from './samples.ts'

const LIMIT = { timeout: 120_000 }

test('a snapshot that is here and is being fetched too is listed once', LIMIT, async (t) => {
  const directory = await t.tmp()
  const folder = join(directory, 'snapshots')
  const { machine, info } = await machineWith(directory, 2)
  const manifest = present(await manifestOf(machine, info), 'the manifest')
  await machine.close()
  const incoming = incomingPathsOf(folder, info)
  writeFileSync(incoming.manifest, encodeManifest({ info, manifest }))
  writeFileSync(incoming.part, '')
  writeFileSync(incoming.have, new Uint8Array(info.chunkCount))
  const { snapshots, incoming: left } = findSnapshots(folder)
  t.alike(
    snapshots.map((each) => each.info),
    [info]
  )
  t.alike(left?.info, info)
})

test('what was prepared and is not adopted is deleted with the next fetch', LIMIT, async (t) => {
  const { machine: source, info, log } = await machineWith(await t.tmp(), 2)
  const directory = await t.tmp()
  const database = join(directory, 'state', `${info.index}.db`)
  const machine = openSqlite(directory)
  await transferred(source, info, machine)
  t.ok(existsSync(database))
  await applied(source, [log.write(put('later', '1'))])
  const newer = present(await cut(source), 'a newer snapshot')
  const manifest = present(await manifestOf(source, newer), 'the manifest')
  const incoming = present(machine.snapshots.receive(newer, manifest), 'an incoming snapshot')
  t.absent(existsSync(database))
  incoming.discard()
  // the same once more, and it is adopted
  const snapshot = await transferred(source, info, machine)
  await adopted(machine, snapshot)
  machine.snapshots.receive(newer, manifest)?.discard()
  t.ok(existsSync(database), 'what is in use stays')
  t.is(machine.applied().index, info.index)
  await machine.close()
  await source.close()
})

test('a snapshot with two damaged chunks is given up once', LIMIT, async (t) => {
  const directory = await t.tmp()
  const folder = join(directory, 'snapshots')
  const events: SnapshotEvent[] = []
  const { machine, info } = await machineWith(directory, 4, (event) => events.push(event))
  for (const at of [1, 2]) flip(pathsOf(folder, info).snap, at * SNAPSHOT_CHUNK_BYTES + 5)
  t.alike(await Promise.all([1, 2].map((at) => chunkAt(machine, info, at))), [null, null])
  t.is(events.length, 1)
  await machine.close()
})

test('a snapshot whose files cannot be renamed is a failure of the disk', LIMIT, async (t) => {
  const directory = await t.tmp()
  const folder = join(directory, 'snapshots')
  const { machine: first, info } = await machineWith(directory, 4)
  await first.close()
  const failures: StorageError[] = []
  const machine = openSqlite(directory, (error) => failures.push(error))
  const { snap } = pathsOf(folder, info)
  mkdirSync(join(folder, `gone-${basename(snap)}`, 'taken'), { recursive: true })
  flip(snap, 5)
  t.is(await chunkAt(machine, info, 0), null)
  t.alike(
    failures.map(({ code }) => code),
    ['IO_ERROR']
  )
  await machine.close()
})

test('a chunk that cannot be noted as missing is a failure of the disk', LIMIT, async (t) => {
  const { machine: source, info } = await machineWith(await t.tmp(), 3)
  const directory = await t.tmp()
  const failures: StorageError[] = []
  const machine = openSqlite(directory, (error) => failures.push(error))
  const manifest = present(await manifestOf(source, info), 'the manifest')
  const incoming = present(machine.snapshots.receive(info, manifest), 'an incoming snapshot')
  for (const at of incoming.missing())
    incoming.put(at, present(await chunkAt(source, info, at), 'a chunk'))
  const { part, have } = incomingPathsOf(join(directory, 'snapshots'), info)
  while (fs.readFileSync(have).includes(0)) await new Promise((resolve) => setTimeout(resolve, 5))
  flip(part, 5)
  const { writeSync } = fs
  fs.writeSync = () => {
    throw Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO', syscall: 'write' })
  }
  syncBuiltinESMExports()
  try {
    t.is(await prepared(incoming), null)
  } finally {
    fs.writeSync = writeSync
    syncBuiltinESMExports()
  }
  t.is(failures[0]?.code, 'IO_ERROR')
  await machine.close()
  await source.close()
})

test('backups that begin while a snapshot is adopted come to their end', LIMIT, async (t) => {
  const { machine: source, info } = await machineWith(await t.tmp(), 2)
  const directory = await t.tmp()
  const machine = openSqlite(directory, rethrow)
  await applied(machine, [new LogMaker().write(put('old', 'state'))])
  const snapshot = await transferred(source, info, machine)
  const isAdopted = adopted(machine, snapshot)
  const backups = Array.from(
    { length: 6 },
    async (_, at) =>
      await new Promise<BackupOutcome>((resolve) => {
        machine.backup(join(directory, `backup-${at}`), resolve)
      })
  )
  await isAdopted
  for (const { kind } of await Promise.all(backups)) t.is(kind, 'backedUp')
  await machine.close()
  t.alike(
    readdirSync(join(directory, 'state')).filter((name) => name.startsWith('0.db')),
    [],
    'and then the old files go'
  )
  await source.close()
})

test('a backup for which the disk has no room is refused as such', LIMIT, async (t) => {
  const directory = await t.tmp()
  const machine = openSqlite(directory)
  symlinkSync('/dev/full', join(directory, 'making-backup-1.snap'))
  try {
    await backupOf(machine, directory)
    t.fail('it was made')
  } catch (error) {
    t.is(error instanceof AspenError && error.code, 'DISK_SPACE_INSUFFICIENT')
  }
  await machine.close()
})

test('of a damaged last chunk only the bytes that it has are named', LIMIT, async (t) => {
  const directory = await t.tmp()
  const folder = join(directory, 'snapshots')
  const { machine, info } = await machineWith(directory, 2)
  await machine.close()
  flip(pathsOf(folder, info).snap, info.byteCount - 1)
  const [found] = inspectSnapshots(folder)
  const from = (info.chunkCount - 1) * SNAPSHOT_CHUNK_BYTES
  t.is(found?.faults[0]?.where, `bytes ${from} to ${info.byteCount - 1}`)
})
