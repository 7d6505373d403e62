// Backups from the files of a node: the state machine writes one beside its snapshots, and the file loses its
// name before the first byte is handed out, so that nothing is left of it however the process ends.

import { rmSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import { StorageError } from '../errors.ts'
import { SNAPSHOT_CHUNK_BYTES } from '../limits.ts'
import type { BackupSource } from '../service/backups.ts'
import type { Backup } from '../service/node-api.ts'
import { encodeBackupHead } from '../state-machine/backup-encoding.ts'
import type { BackupOutcome, SqliteStateMachine } from '../state-machine/sqlite-state-machine.ts'
import { VERSION } from '../version.ts'

export interface BackupSourceOptions {
  readonly stateMachine: Pick<SqliteStateMachine, 'backup'>
  /** what is in there under a name that begins with `making-` is deleted at the next start */
  readonly folder: string
  readonly clusterId: Uint8Array
  readonly clock: Clock
}

export class FileBackupSource implements BackupSource {
  readonly #options: BackupSourceOptions
  #madeCount = 0

  constructor(options: BackupSourceOptions) {
    this.#options = options
  }

  async make(): Promise<Backup> {
    const { stateMachine, folder, clock } = this.#options
    const path = join(folder, `making-backup-${++this.#madeCount}.snap`)
    const madeMs = clock.wallMs()
    const outcome = await new Promise<BackupOutcome>((resolve) => {
      stateMachine.backup(path, resolve)
    })
    if (outcome.kind === 'refused') throw refusalOf(outcome)
    const head = headOf(outcome, { clusterId: this.#options.clusterId, madeMs })
    const file = await open(path, 'r')
    rmSync(path)
    const byteCount = head.byteLength + outcome.made.info.byteCount
    return { byteCount, pieces: () => pieces(head, file), close: () => file.close() }
  }
}

/** Everything of a backup before its stream. */
export function headOf(
  { applied, made }: Extract<BackupOutcome, { kind: 'backedUp' }>,
  { clusterId, madeMs }: { readonly clusterId: Uint8Array; readonly madeMs: number }
): Uint8Array {
  const { index, term, timeMs, stateHash, liveCount, liveBytes, compactedRevision } = applied
  const { byteCount, chunkCount, contentHash } = made.info
  const header = {
    clusterId,
    index,
    term,
    timeMs,
    stateHash,
    liveCount,
    liveBytes,
    compactedRevision,
    madeMs,
    version: VERSION,
    byteCount,
    chunkCount,
    contentHash
  }
  return encodeBackupHead(header, made.manifest)
}

/** A buffer of its own for each, since the taker may keep it. */
async function* pieces(head: Uint8Array, file: FileHandle): AsyncGenerator<Uint8Array> {
  yield head
  for (;;) {
    const buffer = new Uint8Array(SNAPSHOT_CHUNK_BYTES)
    const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, null)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

function refusalOf(outcome: Extract<BackupOutcome, { kind: 'refused' }>): StorageError {
  const message = `the backup could not be made: ${outcome.message}`
  if (outcome.hasNoSpace !== true) return new StorageError({ code: 'UNAVAILABLE', message })
  return new StorageError({
    code: 'DISK_SPACE_INSUFFICIENT',
    message,
    hint: 'the node writes it to its own disk first: free some space there, or ask a node that has some'
  })
}
