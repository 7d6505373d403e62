// A snapshot as the beginning of a damaged log, in place of what cannot be read: one that is here, or one that
// other members have. As when a running node installs one: first the database is built beside the old one, then
// one transaction of the log makes it the state.

import { existsSync, mkdirSync } from 'node:fs'
import type { AspenError } from '../errors.ts'
import type { LmdbDamagedLog } from '../log-store/lmdb-damaged-log.ts'
import type { Index } from '../raft/entry.ts'
import { genesis } from '../raft/entry.ts'
import { FileSnapshots } from '../state-machine/file-snapshots.ts'
import { databasePath } from '../state-machine/sqlite-database.ts'
import type { PreparedSnapshot, SnapshotInfo } from '../state-machine/state-machine.ts'
import type { EventLog } from './assembly-parts.ts'
import type { Premises } from './opening.ts'

export interface RepairSnapshotsParts {
  readonly premises: Premises
  readonly log: LmdbDamagedLog
  readonly events: EventLog
  readonly onFailed: (error: AspenError) => void
}

export class RepairSnapshots {
  readonly #parts: RepairSnapshotsParts
  readonly #snapshots: FileSnapshots

  /** @throws StorageError */
  constructor(parts: RepairSnapshotsParts) {
    this.#parts = parts
    const { premises, events, onFailed } = parts
    const { directory, membership } = premises
    if (!existsSync(directory.stateDir)) mkdirSync(directory.stateDir, { mode: 0o700 })
    this.#snapshots = new FileSnapshots({
      folder: directory.snapshotsDir,
      genesisHash: genesis(membership.clusterId).hash,
      databaseOf: (index) => databasePath(directory.stateDir, index),
      appliedIndex: () => parts.log.last.index,
      onEvent: ({ event, index, message }) =>
        events.warn({ event: `storage.snapshot_${event}`, index }, message),
      onFailed
    })
  }

  /** Where one that is fetched goes. */
  readonly receive = (
    info: SnapshotInfo,
    manifest: Uint8Array
  ): ReturnType<FileSnapshots['receive']> => this.#snapshots.receive(info, manifest)

  /** Begins the log after the newest snapshot that is here, whole, and not before `from`. @returns whether there is one */
  async installOwn(from: Index): Promise<boolean> {
    const { base } = this.#parts.log
    const useful = this.#snapshots
      .list()
      .filter(({ index }) => index >= from && index >= base.index)
    for (const info of useful) {
      const prepared = await this.#prepared(info)
      if (prepared !== null && (await this.install(prepared))) return true
    }
    return false
  }

  /** Begins the log after it. @returns whether it does; not when the disk fails */
  install({ info, ...rest }: PreparedSnapshot): Promise<boolean> {
    const { log, events } = this.#parts
    const { index, term, chainHash } = info
    return new Promise((resolve) => {
      const id = { index, term, hash: chainHash }
      const isPossible = log.install({ id, ...rest }, () => {
        events.warn(
          { event: 'storage.snapshot_installed', index },
          `what the log lost lies before a snapshot: it begins after ${index} now`
        )
        resolve(true)
      })
      if (isPossible) void log.settled().then(() => resolve(false))
      else resolve(false)
    })
  }

  async close(): Promise<void> {
    await this.#snapshots.close()
  }

  /** Null when it is damaged. */
  #prepared(info: SnapshotInfo): Promise<PreparedSnapshot | null> {
    return new Promise((resolve) => {
      this.#snapshots.manifest(info, (manifest) => {
        const incoming = manifest === null ? null : this.#snapshots.receive(info, manifest)
        if (incoming === null) resolve(null)
        else incoming.prepare(resolve)
      })
    })
  }
}
