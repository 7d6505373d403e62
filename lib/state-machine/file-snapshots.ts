// Snapshots in files. Chunks are read by position and checked against the manifest, which is in memory; whole
// files are read in a thread. Files are deleted in the background: what is left of them, the next start deletes.

import { existsSync, renameSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import b4a from 'b4a'
import { assert, present } from '../assert.ts'
import type { OnBoundary } from '../boundary.ts'
import { hash } from '../crypto.ts'
import { StorageError } from '../errors.ts'
import { SNAPSHOT_CHUNK_BYTES } from '../limits.ts'
import type { Index } from '../raft/entry.ts'
import { IncomingFiles } from './incoming-files.ts'
import { findSnapshots, pathsOf } from './snapshot-files.ts'
import type { Manifested } from './snapshot-files.ts'
import { chunkBytesAt, hashAt, isManifestOf, isSameSnapshot, keptOf } from './snapshot-stream.ts'
import type { SnapshotTask, TaskAnswer } from './snapshot-task.ts'
import { SnapshotThread } from './snapshot-thread.ts'
import { filesOf } from './sqlite-database.ts'
import { isStorageFailure, storageErrorOf } from './sqlite-errors.ts'
import type {
  IncomingSnapshot,
  SnapshotEvent,
  SnapshotInfo,
  SnapshotName,
  Snapshots
} from './state-machine.ts'

export interface FileSnapshotsOptions {
  /** made if need be */
  readonly folder: string
  readonly genesisHash: Uint8Array
  /** the file that a prepared snapshot becomes */
  readonly databaseOf: (index: Index) => string
  /** that a state which is made again comes back to, with the log */
  readonly appliedIndex: () => Index
  readonly onEvent: (event: SnapshotEvent) => void
  readonly onFailed: (error: StorageError) => void
  readonly onBoundary?: OnBoundary | undefined
}

export class FileSnapshots implements Snapshots {
  readonly #options: FileSnapshotsOptions
  /** newest first */
  #snapshots: readonly Manifested[]
  #incoming: IncomingFiles | null = null
  /** left by an earlier process */
  #left: Manifested | null
  /** whose database is made and not in use */
  #prepared: Index | null = null
  readonly #threads = new Set<SnapshotThread>()
  #isClosed = false

  /** @throws StorageError */
  constructor(options: FileSnapshotsOptions) {
    this.#options = options
    try {
      const { snapshots, incoming } = findSnapshots(options.folder)
      this.#snapshots = snapshots
      this.#left = incoming
    } catch (error) {
      throw storageErrorOf(error, 'cannot read the snapshots')
    }
  }

  get folder(): string {
    return this.#options.folder
  }

  list(): readonly SnapshotInfo[] {
    return this.#snapshots.map((each) => each.info)
  }

  manifest(name: SnapshotName, onRead: (manifest: Uint8Array | null) => void): void {
    this.#later(() => onRead(this.#find(name)?.manifest.slice() ?? null))
  }

  chunk(name: SnapshotName, position: number, onRead: (bytes: Uint8Array | null) => void): void {
    const found = this.#find(name)
    if (found === null || position < 0 || position >= found.info.chunkCount) {
      this.#later(() => onRead(null))
      return
    }
    // what it resolves with is handled, and what it rejects with is a fault of the disk
    void readChunk(pathsOf(this.folder, found.info).snap, found.info, position).then(
      (bytes) => this.#isClosed || onRead(this.#checked(found, position, bytes)),
      (error: unknown) => this.#unreadable(error, () => onRead(null))
    )
  }

  receive(info: SnapshotInfo, manifest: Uint8Array): IncomingSnapshot | null {
    assert(!this.#isClosed, 'the state machine is open')
    if (!isManifestOf(info, manifest)) return null
    const known = this.#find(info)
    if (this.#incoming?.isFor(info) === true && known === null) return this.#incoming
    this.#incoming?.discard()
    const unused = this.#prepared
    this.#prepared = null
    if (unused !== null) this.#remove(filesOf(this.#options.databaseOf(unused)))
    try {
      const incoming = new IncomingFiles(this.#incomingParts(), {
        snapshot: { info, manifest: manifest.slice() },
        isHere: known !== null,
        left: this.#left
      })
      this.#left = null
      this.#incoming = incoming
      return incoming
    } catch (error) {
      this.#unwritable(error, info.index)
      return null
    }
  }

  /** A snapshot is durable: it is in the list from now on, and the oldest may go. */
  add(made: Manifested): void {
    const others = this.#snapshots.filter((each) => !isSameSnapshot(each.info, made.info))
    const all = [made, ...others]
    this.#snapshots = keptOf(all, this.#options.appliedIndex())
    for (const each of all) if (!this.#snapshots.includes(each)) this.#delete(each)
  }

  /** The prepared snapshot is in use. */
  onAdopted(): void {
    this.#prepared = null
  }

  /** Runs a task in a thread; a failure of the storage goes to `onFailed` and nowhere else. */
  run(task: SnapshotTask, onAnswer: (answer: TaskAnswer) => void): SnapshotThread {
    const { onFailed, onBoundary } = this.#options
    const take = (answer: TaskAnswer): void => {
      if (this.#isClosed) return
      if (answer.kind === 'failed') onFailed(new StorageError(answer.error))
      else onAnswer(answer)
    }
    const thread = new SnapshotThread(task, take, onBoundary)
    this.#threads.add(thread)
    void thread.ended.then(() => this.#threads.delete(thread))
    return thread
  }

  /** Resolves when no thread is left. What was asked for is not answered any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#threads].map((thread) => thread.close()))
    await this.#incoming?.close()
  }

  #incomingParts() {
    const { genesisHash, databaseOf, onEvent, onFailed, onBoundary } = this.#options
    return {
      folder: this.folder,
      genesisHash,
      databaseOf,
      onEvent,
      onFailed,
      onBoundary,
      run: (task: SnapshotTask, onAnswer: (answer: TaskAnswer) => void): void => {
        this.run(task, onAnswer)
      },
      onBuilt: (index: Index): void => {
        this.#prepared = index
      },
      onKept: (made: Manifested): void => this.add(made),
      onDamaged: (snapshot: Manifested, positions: readonly number[]): void =>
        this.#damaged(snapshot, positions),
      onGone: (incoming: IncomingFiles): void => {
        if (this.#incoming === incoming) this.#incoming = null
      }
    }
  }

  #find(name: SnapshotName): Manifested | null {
    return this.#snapshots.find(({ info }) => isSameSnapshot(info, name)) ?? null
  }

  #checked(found: Manifested, position: number, bytes: Uint8Array): Uint8Array | null {
    if (b4a.equals(hash(bytes), hashAt(found.manifest, position))) return bytes
    this.#damaged(found, [position])
    return null
  }

  #damaged(found: Manifested, positions: readonly number[]): void {
    // more than one may read it
    if (!this.#snapshots.includes(found)) return
    this.#snapshots = this.#snapshots.filter((each) => each !== found)
    this.#delete(found)
    const what =
      positions.length === 1 ? `chunk ${positions[0]} is` : `${positions.length} chunks are`
    const message = `${what} not what the manifest says`
    this.#options.onEvent({ event: 'damaged', index: found.info.index, message })
  }

  #unreadable(error: unknown, onMissing: () => void): void {
    if (this.#isClosed) return
    if (!isStorageFailure(error)) throw error
    // it was deleted between the look and the reading
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') onMissing()
    else this.#options.onFailed(storageErrorOf(error, 'cannot read a snapshot'))
  }

  #unwritable(error: unknown, index: Index): void {
    if (!isStorageFailure(error)) throw error
    const failure = storageErrorOf(error, 'cannot make the files of a snapshot')
    const { onEvent, onFailed } = this.#options
    if (failure.code === 'NO_SPACE') onEvent({ event: 'failed', index, message: failure.message })
    else onFailed(failure)
  }

  #delete({ info }: Manifested): void {
    const { manifest, snap } = pathsOf(this.folder, info)
    this.#remove([manifest, snap])
  }

  /** They lose their names at once, so that others may have them; the next start deletes what is left of them. */
  #remove(paths: readonly string[]): void {
    const isLeft = paths.filter((path) => existsSync(path))
    const gone = isLeft.map((path) => join(dirname(path), `gone-${basename(path)}`))
    try {
      for (const [at, path] of isLeft.entries()) renameSync(path, present(gone[at], 'a name'))
    } catch (error) {
      // nobody above could do anything about it
      if (!isStorageFailure(error)) throw error
      this.#options.onFailed(storageErrorOf(error, 'cannot delete a snapshot'))
    }
    this.#options.onBoundary?.('snapshot.gone')
    void Promise.allSettled(gone.map((path) => rm(path, { force: true })))
  }

  #later(answer: () => void): void {
    setImmediate(() => {
      if (!this.#isClosed) answer()
    })
  }
}

async function readChunk(path: string, info: SnapshotInfo, position: number): Promise<Uint8Array> {
  const file = await open(path, 'r')
  try {
    const bytes = new Uint8Array(chunkBytesAt(position, info.byteCount))
    const { bytesRead } = await file.read(
      bytes,
      0,
      bytes.byteLength,
      position * SNAPSHOT_CHUNK_BYTES
    )
    return bytes.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
