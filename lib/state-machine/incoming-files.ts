// A snapshot that is being fetched, in files (snapshot-files.ts). Each chunk is checked when it comes and
// written in the background; all are read again before a state is made of them, so what a loss of power has
// taken of the file is found then, and missing again.

import { closeSync, existsSync, openSync, readFileSync, rmSync, write, writeSync } from 'node:fs'
import b4a from 'b4a'
import { assert, present } from '../assert.ts'
import type { OnBoundary } from '../boundary.ts'
import { hash } from '../crypto.ts'
import type { StorageError } from '../errors.ts'
import { MAX_INCOMING_BACKLOG_BYTES, SNAPSHOT_CHUNK_BYTES } from '../limits.ts'
import type { Index } from '../raft/entry.ts'
import { encodeManifest, incomingPathsOf, pathsOf, writeDurably } from './snapshot-files.ts'
import type { Manifested } from './snapshot-files.ts'
import { chunkBytesAt, hashAt, isSameSnapshot } from './snapshot-stream.ts'
import type { SnapshotTask, TaskAnswer } from './snapshot-task.ts'
import { isStorageFailure, storageErrorOf } from './sqlite-errors.ts'
import type {
  IncomingSnapshot,
  PreparedSnapshot,
  SnapshotEvent,
  SnapshotInfo,
  SnapshotName
} from './state-machine.ts'

export interface IncomingParts {
  readonly folder: string
  readonly genesisHash: Uint8Array
  readonly databaseOf: (index: Index) => string
  readonly onEvent: (event: SnapshotEvent) => void
  readonly onFailed: (error: StorageError) => void
  readonly run: (task: SnapshotTask, onAnswer: (answer: TaskAnswer) => void) => void
  /** The database is there. */
  readonly onBuilt: (index: Index) => void
  /** It is a snapshot of this member now. */
  readonly onKept: (made: Manifested) => void
  /** The snapshot that was here already is not what its manifest says. */
  readonly onDamaged: (snapshot: Manifested, positions: readonly number[]) => void
  readonly onGone: (incoming: IncomingFiles) => void
  readonly onBoundary?: OnBoundary | undefined
}

export interface IncomingSource {
  readonly snapshot: Manifested
  /** it is among the snapshots already: nothing has to be fetched */
  readonly isHere: boolean
  /** what an earlier process was fetching */
  readonly left: Manifested | null
}

export class IncomingFiles implements IncomingSnapshot {
  readonly #parts: IncomingParts
  readonly #snapshot: Manifested
  readonly #isHere: boolean
  /** open while chunks are missing or being written; null when there is nothing to fetch */
  #files: OpenFiles | null
  /** by position: 1 when the chunk is written or on its way to the disk */
  readonly #have: Uint8Array
  #backlogBytes = 0
  /** called when nothing is on its way to the disk */
  readonly #onIdle: (() => void)[] = []
  #isPreparing = false
  #isDiscarded = false

  /** @throws what the file system throws */
  constructor(parts: IncomingParts, { snapshot, isHere, left }: IncomingSource) {
    this.#parts = parts
    this.#snapshot = snapshot
    this.#isHere = isHere
    const isLeft = !isHere && left !== null && isSameSnapshot(left.info, snapshot.info)
    if (left !== null && !isLeft) removeFiles(parts.folder, left.info)
    this.#files = isHere ? null : openFiles(parts.folder, snapshot, isLeft)
    if (!isHere) parts.onBoundary?.('incoming.begun')
    this.#have = this.#files?.have ?? new Uint8Array(snapshot.info.chunkCount).fill(1)
  }

  get info(): SnapshotInfo {
    return this.#snapshot.info
  }

  isFor(name: SnapshotName): boolean {
    return isSameSnapshot(this.info, name)
  }

  missing(): readonly number[] {
    const positions: number[] = []
    for (let at = this.#have.indexOf(0); at !== -1; at = this.#have.indexOf(0, at + 1))
      positions.push(at)
    return positions
  }

  put(position: number, bytes: Uint8Array): 'kept' | 'bad' {
    const { info, manifest } = this.#snapshot
    if (position < 0 || position >= info.chunkCount) return 'bad'
    if (this.#have[position] === 1) return 'kept'
    const isRight =
      bytes.byteLength === chunkBytesAt(position, info.byteCount) &&
      b4a.equals(hash(bytes), hashAt(manifest, position))
    if (!isRight) return 'bad'
    this.#have[position] = 1
    this.#write(position, bytes)
    return 'kept'
  }

  prepare(onPrepared: (prepared: PreparedSnapshot | null) => void): void {
    assert(!this.#isPreparing, 'a snapshot is prepared once at a time')
    assert(!this.#have.includes(0), 'all of a snapshot is here when it is prepared')
    this.#isPreparing = true
    this.#whenIdle(() => this.#build(onPrepared))
  }

  discard(): void {
    this.#isDiscarded = true
    this.#parts.onGone(this)
    // a thread reads the file
    if (this.#isPreparing) return
    this.#whenIdle(() => {
      this.#guarded(() => {
        this.#closeFiles()
        if (!this.#isHere) removeFiles(this.#parts.folder, this.info)
      })
    })
  }

  /** The files stay, for the next process. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenIdle(() => {
        this.#guarded(() => this.#closeFiles())
        resolve()
      })
    })
  }

  #build(onPrepared: (prepared: PreparedSnapshot | null) => void): void {
    const { folder, genesisHash, databaseOf, run } = this.#parts
    const stream = this.#isHere
      ? pathsOf(folder, this.info).snap
      : incomingPathsOf(folder, this.info).part
    const snapshot = this.#snapshot
    const publishIn = this.#isHere ? null : folder
    const target = databaseOf(this.info.index)
    if (!this.#isHere) this.#parts.onBoundary?.('incoming.whole')
    run({ kind: 'build', stream, snapshot, genesisHash, target, publishIn }, (answer) => {
      this.#isPreparing = false
      if (answer.kind === 'built') this.#parts.onBuilt(this.info.index)
      if (!this.#isDiscarded) {
        onPrepared(this.#prepared(answer))
        return
      }
      if (answer.kind === 'built' && !this.#isHere) this.#parts.onKept(this.#snapshot)
      this.discard()
    })
  }

  #prepared(answer: TaskAnswer): PreparedSnapshot | null {
    const { info } = this
    const { onEvent, onKept, onDamaged } = this.#parts
    if (answer.kind === 'built') {
      if (!this.#isHere) onKept(this.#snapshot)
      this.discard()
      const { timeMs, configuration, configurationIndex } = answer
      return { info, timeMs, configuration, configurationIndex }
    }
    if (answer.kind === 'damaged' && this.#isHere) {
      onDamaged(this.#snapshot, answer.positions)
      this.discard()
      return null
    }
    if (answer.kind === 'damaged') {
      for (const position of answer.positions) this.#forget(position)
      const message = `${answer.positions.length} fetched chunks were damaged on the disk`
      onEvent({ event: 'damaged', index: info.index, message })
      return null
    }
    const message = answer.kind === 'refused' ? answer.message : answer.kind
    onEvent({ event: 'failed', index: info.index, message })
    this.discard()
    return null
  }

  /** Copies `bytes`, unless too much waits for the disk: then this waits for it too. */
  #write(position: number, bytes: Uint8Array): void {
    const { part } = present(this.#files, 'the files of a snapshot that is being fetched')
    const at = position * SNAPSHOT_CHUNK_BYTES
    const size = bytes.byteLength
    if (this.#backlogBytes + size > MAX_INCOMING_BACKLOG_BYTES) {
      try {
        this.#written(position, writeSync(part, bytes, 0, size, at) === size)
      } catch (error) {
        this.#unwritten(position, error)
      }
      return
    }
    this.#backlogBytes += size
    write(part, bytes.slice(), 0, size, at, (error, count) => {
      this.#backlogBytes -= size
      if (error === null) this.#written(position, count === size)
      else this.#unwritten(position, error)
      if (this.#backlogBytes === 0) for (const onIdle of this.#onIdle.splice(0)) onIdle()
    })
  }

  #written(position: number, isWhole: boolean): void {
    if (!isWhole) {
      this.#forget(position)
      return
    }
    try {
      this.#flag(position, 1)
    } catch (error) {
      this.#unwritten(position, error)
    }
  }

  #unwritten(position: number, error: unknown): void {
    const failure = storageErrorOf(error, 'cannot keep a chunk of a snapshot')
    this.#have[position] = 0
    if (failure.code !== 'NO_SPACE') this.#parts.onFailed(failure)
    else this.#parts.onEvent({ event: 'failed', index: this.info.index, message: failure.message })
  }

  #forget(position: number): void {
    this.#have[position] = 0
    this.#guarded(() => this.#flag(position, 0))
  }

  /** What the file system refuses is a failure of the storage: nobody above could do anything about it. */
  #guarded(act: () => void): void {
    try {
      act()
    } catch (error) {
      if (!isStorageFailure(error)) throw error
      this.#parts.onFailed(storageErrorOf(error, 'cannot change the files of a snapshot'))
    }
  }

  #flag(position: number, value: 0 | 1): void {
    if (this.#files !== null) writeSync(this.#files.flags, Uint8Array.of(value), 0, 1, position)
  }

  #whenIdle(act: () => void): void {
    if (this.#backlogBytes === 0) act()
    else this.#onIdle.push(act)
  }

  #closeFiles(): void {
    if (this.#files === null) return
    closeSync(this.#files.part)
    closeSync(this.#files.flags)
    this.#files = null
  }
}

interface OpenFiles {
  readonly part: number
  readonly flags: number
  readonly have: Uint8Array
}

/** The files of an earlier process, if they are left and whole, or new ones. */
function openFiles(folder: string, snapshot: Manifested, isLeft: boolean): OpenFiles {
  const { part, have, manifest } = incomingPathsOf(folder, snapshot.info)
  const { chunkCount } = snapshot.info
  const known = isLeft && existsSync(part) && existsSync(have) ? readFileSync(have) : null
  const isUsable = known !== null && known.byteLength === chunkCount
  if (!isUsable) {
    removeFiles(folder, snapshot.info)
    writeDurably(have, new Uint8Array(chunkCount))
    closeSync(openSync(part, 'w', 0o600))
    writeDurably(manifest, encodeManifest(snapshot))
  }
  const flags = isUsable ? new Uint8Array(known) : new Uint8Array(chunkCount)
  return { part: openSync(part, 'r+'), flags: openSync(have, 'r+'), have: flags }
}

function removeFiles(folder: string, name: SnapshotName): void {
  for (const path of Object.values(incomingPathsOf(folder, name))) rmSync(path, { force: true })
}
