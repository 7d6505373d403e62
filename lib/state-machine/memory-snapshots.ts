// Snapshots in memory: they lie on the disk of a machine, whole, with their chunks.

import b4a from 'b4a'
import { assert, present } from '../assert.ts'
import { hash } from '../crypto.ts'
import { ProtocolError } from '../errors.ts'
import type { Index } from '../raft/entry.ts'
import { decodeImage } from './memory-state-image.ts'
import type { StateImage } from './memory-state-image.ts'
import { chunkBytesAt, hashAt, isManifestOf, isSameSnapshot, keptOf } from './snapshot-stream.ts'
import type {
  IncomingSnapshot,
  PreparedSnapshot,
  SnapshotEvent,
  SnapshotInfo,
  SnapshotName,
  Snapshots
} from './state-machine.ts'

/** A snapshot on a disk. Its chunks may be damaged, by whoever tests that. */
export interface StoredSnapshot {
  readonly info: SnapshotInfo
  readonly manifest: Uint8Array
  readonly chunks: Map<number, Uint8Array>
}

/** The part of a machine's disk that is about snapshots. */
export interface SnapshotShelf {
  /** newest first */
  snapshots: readonly StoredSnapshot[]
  incoming: StoredSnapshot | null
}

export interface MemorySnapshotsOptions {
  readonly shelf: SnapshotShelf
  readonly genesisHash: Uint8Array
  readonly appliedIndex: () => Index
  readonly defer: (fn: () => void) => void
  readonly onEvent: (event: SnapshotEvent) => void
  /** A state is whole and durable beside the one in use. */
  readonly onPrepared: (image: StateImage) => void
}

export class MemorySnapshots implements Snapshots {
  readonly #options: MemorySnapshotsOptions

  constructor(options: MemorySnapshotsOptions) {
    this.#options = options
  }

  list(): readonly SnapshotInfo[] {
    return this.#options.shelf.snapshots.map((each) => each.info)
  }

  manifest(name: SnapshotName, onRead: (manifest: Uint8Array | null) => void): void {
    this.#options.defer(() => onRead(this.#find(name)?.manifest.slice() ?? null))
  }

  chunk(name: SnapshotName, position: number, onRead: (bytes: Uint8Array | null) => void): void {
    this.#options.defer(() => onRead(this.#read(name, position)))
  }

  receive(info: SnapshotInfo, manifest: Uint8Array): IncomingSnapshot | null {
    if (!isManifestOf(info, manifest)) return null
    const { shelf } = this.#options
    const known = this.#find(info)
    if (known !== null) return new MemoryIncoming(this.#options, known)
    if (shelf.incoming === null || !isSameSnapshot(shelf.incoming.info, info))
      shelf.incoming = { info, manifest: manifest.slice(), chunks: new Map() }
    return new MemoryIncoming(this.#options, shelf.incoming)
  }

  #find(name: SnapshotName): StoredSnapshot | null {
    return this.#options.shelf.snapshots.find(({ info }) => isSameSnapshot(info, name)) ?? null
  }

  #read(name: SnapshotName, position: number): Uint8Array | null {
    const { shelf, onEvent } = this.#options
    const found = this.#find(name)
    if (found === null || position >= found.info.chunkCount) return null
    if (isGood(found, position)) return present(found.chunks.get(position), 'a chunk').slice()
    shelf.snapshots = shelf.snapshots.filter((each) => each !== found)
    const { index } = found.info
    onEvent({ event: 'damaged', index, message: `chunk ${position} is not what the manifest says` })
    return null
  }
}

/** Puts a snapshot among those of a disk, and forgets the oldest. */
export function keepSnapshot(
  shelf: SnapshotShelf,
  made: StoredSnapshot,
  appliedIndex: Index
): void {
  const others = shelf.snapshots.filter((each) => !isSameSnapshot(each.info, made.info))
  shelf.snapshots = keptOf([made, ...others], appliedIndex)
}

class MemoryIncoming implements IncomingSnapshot {
  readonly #options: MemorySnapshotsOptions
  readonly #stored: StoredSnapshot

  constructor(options: MemorySnapshotsOptions, stored: StoredSnapshot) {
    this.#options = options
    this.#stored = stored
  }

  get info(): SnapshotInfo {
    return this.#stored.info
  }

  missing(): readonly number[] {
    const { info, chunks } = this.#stored
    return [...Array(info.chunkCount).keys()].filter((position) => !chunks.has(position))
  }

  put(position: number, bytes: Uint8Array): 'kept' | 'bad' {
    const { info, manifest, chunks } = this.#stored
    if (position < 0 || position >= info.chunkCount) return 'bad'
    if (chunks.has(position)) return 'kept'
    const isRight =
      bytes.byteLength === chunkBytesAt(position, info.byteCount) &&
      b4a.equals(hash(bytes), hashAt(manifest, position))
    if (!isRight) return 'bad'
    chunks.set(position, bytes.slice())
    return 'kept'
  }

  prepare(onPrepared: (prepared: PreparedSnapshot | null) => void): void {
    assert(this.missing().length === 0, 'all of a snapshot is here when it is prepared')
    this.#options.defer(() => onPrepared(this.#prepared()))
  }

  discard(): void {
    const { shelf } = this.#options
    if (shelf.incoming === this.#stored) shelf.incoming = null
  }

  #prepared(): PreparedSnapshot | null {
    const { info, chunks } = this.#stored
    const { shelf, genesisHash, appliedIndex, onEvent, onPrepared } = this.#options
    for (const position of chunks.keys())
      if (!isGood(this.#stored, position)) chunks.delete(position)
    if (chunks.size < info.chunkCount) {
      onEvent({ event: 'damaged', index: info.index, message: 'fetched chunks were damaged' })
      return null
    }
    try {
      const image = decodeImage(this.#inOrder())
      const { index, term, hash: chainHash, timeMs } = image.applied
      const isNamed =
        index === info.index && term === info.term && b4a.equals(chainHash, info.chainHash)
      if (!isNamed || !b4a.equals(image.genesisHash, genesisHash))
        throw new ProtocolError('the snapshot is another one than its name says')
      onPrepared(image)
      keepSnapshot(shelf, this.#stored, appliedIndex())
      this.discard()
      const { configuration, configurationIndex } = image.applied
      return { info, timeMs, configuration, configurationIndex }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      onEvent({ event: 'failed', index: info.index, message: error.message })
      this.discard()
      return null
    }
  }

  *#inOrder(): Generator<Uint8Array> {
    const { info, chunks } = this.#stored
    for (let position = 0; position < info.chunkCount; position++)
      yield present(chunks.get(position), 'a chunk')
  }
}

/** The chunks in their order; null when one is missing or damaged. */
export function wholeChunks(stored: StoredSnapshot): readonly Uint8Array[] | null {
  const positions = [...Array(stored.info.chunkCount).keys()]
  if (!positions.every((position) => isGood(stored, position))) return null
  return positions.map((position) => present(stored.chunks.get(position), 'a chunk'))
}

function isGood({ manifest, chunks }: StoredSnapshot, position: number): boolean {
  const bytes = chunks.get(position)
  return bytes !== undefined && b4a.equals(hash(bytes), hashAt(manifest, position))
}
