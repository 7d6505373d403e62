// Backups for the tests: a machine in which everything that a snapshot holds comes up, and the file of its
// backup.

import b4a from 'b4a'
import type { Assert } from 'brittle'
import { systemClock } from '../../lib/clock.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import { FileBackupSource } from '../../lib/node/backup-source.ts'
import type { SqliteStateMachine } from '../../lib/state-machine/sqlite-state-machine.ts'
import {
  LogMaker,
  admit,
  applied,
  createInvite,
  del,
  found,
  key32,
  openSqlite,
  put,
  requestOf
} from './samples.ts'

/** Of the genesis of the samples. */
export const CLUSTER_ID: Uint8Array = new Uint8Array(16).fill(7)

/** A log with values of `bigBytes`, tombstones, history that is forgotten, and everything secret. */
export function richLog(log: LogMaker, bigBytes = 10): Entry[] {
  const member = { id: 1, publicKey: key32(200), role: 'voter', addresses: [] } as const
  return [
    log.configuration({ members: [member], outgoing: [] }),
    log.control(found()),
    log.control(createInvite(10)),
    log.control(createInvite(11, { uses: 1 })),
    log.control(admit(11, 21)),
    log.write(put('a', '1'), put('b', '2'), put('c', '3')),
    log.request(requestOf(0x5e_c2_e7_01, 1), put('a', 'eins')),
    log.write(del('b')),
    log.write(put('b', 'again')),
    log.write(put('big', new Uint8Array(bigBytes).fill(7))),
    log.write(del('c')),
    log.compact(9),
    log.write(put('a', '3'), put('empty', ''))
  ]
}

/** A machine that has applied the log. */
export async function richMachine(t: Assert, bigBytes?: number): Promise<SqliteStateMachine> {
  const machine = openSqlite(await t.tmp())
  t.teardown(() => machine.close())
  await applied(machine, richLog(new LogMaker(), bigBytes))
  return machine
}

/** The file that a node would send. */
export async function backupOf(machine: SqliteStateMachine, folder: string): Promise<Uint8Array> {
  const source = new FileBackupSource({
    stateMachine: machine,
    folder,
    clusterId: CLUSTER_ID,
    clock: systemClock
  })
  const backup = await source.make()
  const pieces: Uint8Array[] = []
  for await (const piece of backup.pieces()) pieces.push(piece)
  await backup.close()
  return b4a.concat(pieces)
}
