// Backups: what is in one, what is not, and that no damage of any kind passes for a backup.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import b4a from 'b4a'
import test from 'brittle'
import fc from 'fast-check'
import { present } from '../../lib/assert.ts'
import { hexOf } from '../../lib/encoding.ts'
import { ProtocolError, StorageError } from '../../lib/errors.ts'
import { SNAPSHOT_CHUNK_BYTES } from '../../lib/limits.ts'
import { BackupCheck } from '../../lib/state-machine/backup-check.ts'
import type { CheckedBackup } from '../../lib/state-machine/backup-check.ts'
import { cutBackup } from '../../lib/state-machine/backup-cut.ts'
import { encodeBackupHead } from '../../lib/state-machine/backup-encoding.ts'
import type { BackupHeader } from '../../lib/state-machine/backup-encoding.ts'
import type { SnapshotRecord } from '../../lib/state-machine/snapshot-encoding.ts'
import type { TaskAnswer } from '../../lib/state-machine/snapshot-task.ts'
import { backupOf, CLUSTER_ID, richMachine } from './backups.ts'
import {
  applied,
  cut,
  databaseIn,
  key32,
  LogMaker,
  openSqlite,
  put,
  requestOf,
  streamOf
} from './samples.ts'

test('a backup says what it holds, and is found whole in pieces of any size', async (t) => {
  const machine = await richMachine(t, 200_000)
  const folder = await t.tmp()
  const bytes = await backupOf(machine, folder)
  t.alike(readdirSync(folder), [], 'its file has no name any more')
  for (const size of [1, 7, 65_536, bytes.byteLength]) {
    const { header, content, faults } = checked(bytes, size)
    t.alike(faults, [])
    const { index, liveCount, liveBytes, stateHash, timeMs, compactedRevision } = machine.applied()
    t.is(header?.index, index)
    t.alike(header?.clusterId, CLUSTER_ID)
    t.alike([header?.liveCount, header?.liveBytes, header?.timeMs], [liveCount, liveBytes, timeMs])
    t.alike(header?.stateHash, stateHash)
    t.is(header?.compactedRevision, compactedRevision)
    t.is(content?.counts.keys, 4)
  }
})

test('OPS-08: a backup holds no invite, no sealed secret and no session', async (t) => {
  const machine = await richMachine(t)
  const folder = await t.tmp()
  const info = present(await cut(machine), 'a snapshot')
  const snapshot = await streamOf(machine, info)
  const bytes = await backupOf(machine, folder)
  const secrets = {
    'key of an invite': key32(10),
    'proof key of an invite': key32(60),
    'topic of an invite': key32(110),
    'key of a used invite': key32(11),
    'sealed secret of the founder': new Uint8Array(80).fill(1),
    'sealed secret of a joiner': new Uint8Array(80).fill(2),
    'id of a client': requestOf(0x5e_c2_e7_01, 1).clientId.subarray(0, 4)
  }
  for (const [name, secret] of Object.entries(secrets)) {
    t.ok(holds(snapshot, secret), `the snapshot has the ${name}`)
    t.absent(holds(bytes, secret), `the backup has no ${name}`)
  }
  const kinds = new Map<string, number>()
  const check = new BackupCheck((each) => kinds.set(each.kind, (kinds.get(each.kind) ?? 0) + 1))
  check.push(bytes)
  t.alike(check.end().faults, [])
  t.is(kinds.get('node'), 2)
  t.absent(kinds.has('invite') || kinds.has('session'))
})

test('history that is forgotten and not deleted yet is left out', async (t) => {
  const folder = await t.tmp()
  const machine = openSqlite(folder)
  t.teardown(() => machine.close())
  const log = new LogMaker()
  const writes = Array.from({ length: 3_000 }, (_, at) => log.write(put(`k${at % 10}`, `${at}`)))
  for (let at = 0; at < writes.length; at += 1_000)
    await applied(machine, writes.slice(at, at + 1_000))
  const target = join(folder, 'target')
  const task = { kind: 'backup', database: databaseIn(folder), target, maxReadMs: 60_000 } as const
  const early = await new Promise<TaskAnswer>((resolve) => {
    // in the same turn: the compaction has only begun
    machine.apply([log.compact(2_990)], () => resolve(cutBackup(task, () => {})))
  })
  t.is(present(await cut(machine), 'a snapshot').index, 3_001, 'the compaction has ended')
  const late = cutBackup(task, () => {})
  if (early.kind !== 'backedUp' || late.kind !== 'backedUp') throw new Error('no backup')
  t.is(early.applied.compactedRevision, 2_990)
  t.alike(early.made, late.made)
  const rows = recordsOf(await backupOf(machine, folder)).filter((each) => each.kind === 'row')
  t.is(rows.length, 20, 'the newest of each key at the compaction, and what came after')
})

test('every flipped bit is found', async (t) => {
  const machine = await richMachine(t)
  const bytes = await backupOf(machine, await t.tmp())
  let found = 0
  for (let at = 0; at < bytes.byteLength; at++) {
    const damaged = bytes.slice()
    damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8))
    if (isRefused(damaged)) found++
    else t.fail(`byte ${at} is flipped, and nobody notices`)
  }
  t.is(found, bytes.byteLength, `${found} flips`)
})

test('every truncation is found, and everything that follows the end', async (t) => {
  const machine = await richMachine(t)
  const bytes = await backupOf(machine, await t.tmp())
  for (let size = 0; size < bytes.byteLength; size++) {
    if (!isRefused(bytes.subarray(0, size))) t.fail(`the first ${size} bytes pass for a backup`)
  }
  const { faults } = checked(b4a.concat([bytes, Uint8Array.of(0)]))
  t.alike(faults, [
    {
      what: '1 bytes follow that do not belong to it',
      where: `bytes ${bytes.byteLength} to ${bytes.byteLength}`
    }
  ])
})

test('each damaged chunk is named with its place, and damage ends nothing', async (t) => {
  const machine = await richMachine(t, 200_000)
  const bytes = (await backupOf(machine, await t.tmp())).slice()
  const { header } = checked(bytes)
  const stream = bytes.byteLength - present(header, 'a header').byteCount
  for (const at of [stream + 5, stream + 2 * SNAPSHOT_CHUNK_BYTES + 9])
    bytes[at] = (bytes[at] ?? 0) ^ 0xff
  const second = stream + 2 * SNAPSHOT_CHUNK_BYTES
  t.alike(
    checked(bytes).faults.map(({ where }) => where),
    [
      `bytes ${stream} to ${stream + SNAPSHOT_CHUNK_BYTES - 1}`,
      `bytes ${second} to ${second + SNAPSHOT_CHUNK_BYTES - 1}`
    ]
  )
})

test('a file of another kind or of a newer format is refused as such', async (t) => {
  const machine = await richMachine(t)
  const bytes = (await backupOf(machine, await t.tmp())).slice()
  await t.exception(() => checked(new Uint8Array(100)), /not a backup of aspen/)
  await t.exception(() => checked(new Uint8Array(0)), /not a backup of aspen/)
  bytes[8] = 2
  try {
    checked(bytes)
    t.fail('a newer format was read')
  } catch (error) {
    t.ok(error instanceof StorageError && error.code === 'FORMAT_NEWER')
  }
})

test('a header that does not belong to the stream is found', async (t) => {
  const machine = await richMachine(t)
  const bytes = await backupOf(machine, await t.tmp())
  const header = present(checked(bytes).header, 'a header')
  const stream = bytes.subarray(bytes.byteLength - header.byteCount)
  const manifest = bytes.subarray(bytes.byteLength - header.byteCount - 32 * header.chunkCount)
  const others: Partial<BackupHeader>[] = [
    { clusterId: new Uint8Array(16).fill(8) },
    { index: header.index + 1 },
    { liveCount: 3 },
    { stateHash: key32(3) },
    { timeMs: 5 }
  ]
  for (const other of others) {
    const head = encodeBackupHead(
      { ...header, ...other },
      manifest.subarray(0, 32 * header.chunkCount)
    )
    const { faults } = checked(b4a.concat([head, stream]))
    t.is(faults[0]?.what, 'the header is of another backup', Object.keys(other).join())
  }
})

test('random damage never passes and never throws anything else', async (t) => {
  const machine = await richMachine(t, 100_000)
  const bytes = await backupOf(machine, await t.tmp())
  const seed = Date.now()
  t.comment(`seed ${seed}`)
  fc.assert(
    fc.property(
      fc.nat(bytes.byteLength - 1),
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      (at, noise) => {
        const damaged = bytes.slice()
        damaged.set(noise.subarray(0, damaged.byteLength - at), at)
        return b4a.equals(damaged, bytes) || isRefused(damaged)
      }
    ),
    { seed, numRuns: 200 }
  )
})

test('a disk that does not take the backup is a failure of the disk', async (t) => {
  const folder = await t.tmp()
  const failed = new Promise<StorageError>((resolve) => {
    const machine = openSqlite(folder, resolve)
    t.teardown(() => machine.close())
    machine.backup(`${folder}/nowhere/target`, () => t.fail('it cannot be written'))
  })
  t.is((await failed).code, 'OPEN_DATABASE')
})

function checked(bytes: Uint8Array, size = 1_000): CheckedBackup {
  const check = new BackupCheck()
  for (let at = 0; at < bytes.byteLength; at += size) check.push(bytes.subarray(at, at + size))
  return check.end()
}

function isRefused(bytes: Uint8Array): boolean {
  try {
    return checked(bytes).faults.length > 0
  } catch (error) {
    if (error instanceof ProtocolError) return true
    if (error instanceof StorageError && error.code === 'FORMAT_NEWER') return true
    throw error
  }
}

/** Without what depends on the moment; bytes as text. */
function recordsOf(bytes: Uint8Array): SnapshotRecord[] {
  const records: SnapshotRecord[] = []
  const check = new BackupCheck((each) => records.push(structuredClone(each)))
  check.push(bytes)
  if (check.end().faults.length > 0) throw new Error('the backup is damaged')
  return records
}

function holds(bytes: Uint8Array, part: Uint8Array): boolean {
  return hexOf(bytes).includes(hexOf(part))
}
