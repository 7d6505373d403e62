// Machines with files, and damage to these, for the tests.

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { present } from '../../lib/assert.ts'
import { SNAPSHOT_CHUNK_BYTES } from '../../lib/limits.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import type { SqliteStateMachine } from '../../lib/state-machine/sqlite-state-machine.ts'
import type { SnapshotEvent, SnapshotInfo } from '../../lib/state-machine/state-machine.ts'
import { LogMaker, applied, cut, del, openSqlite, put, rethrow } from './samples.ts'

/** A machine with big and small rows, and its snapshot, which has `chunkCount` chunks and a bit. */
export async function machineWith(
  directory: string,
  chunkCount: number,
  onSnapshotEvent: (event: SnapshotEvent) => void = () => {}
): Promise<{ machine: SqliteStateMachine; log: LogMaker; info: SnapshotInfo }> {
  const log = new LogMaker()
  const machine = openSqlite(directory, rethrow, { onSnapshotEvent })
  const entries: Entry[] = Array.from({ length: chunkCount }, (_, at) =>
    log.write(put(`big${at}`, new Uint8Array(SNAPSHOT_CHUNK_BYTES).fill(at)))
  )
  await applied(machine, [...entries, log.write(put('a', '1'), put('b', '2')), log.write(del('a'))])
  return { machine, log, info: present(await cut(machine), 'a snapshot') }
}

export function flip(path: string, at: number): void {
  const byte = readFileSync(path)[at] ?? 0
  overwrite(path, at, Uint8Array.of(byte ^ (1 << (at % 8))))
}

export function overwrite(path: string, at: number, bytes: Uint8Array): void {
  const file = openSync(path, 'r+')
  writeSync(file, bytes, 0, bytes.byteLength, at)
  closeSync(file)
}
