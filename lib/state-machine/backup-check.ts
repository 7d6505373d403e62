// Verifies a backup as its bytes come, in pieces of any size: from a node, or from a file. Damage does not
// end it: every damaged chunk is named. What is behind a damaged header or manifest cannot be judged.

import b4a from 'b4a'
import { hash, HASH_BYTES } from '../crypto.ts'
import { ProtocolError } from '../errors.ts'
import { genesis } from '../raft/entry.ts'
import { BACKUP_PREFIX_BYTES, backupHeadBytes, decodeBackupHead } from './backup-encoding.ts'
import type { BackupHeader } from './backup-encoding.ts'
import type { SnapshotRecord } from './snapshot-encoding.ts'
import { chunkBytesAt, hashAt, isManifestOf, SnapshotReader } from './snapshot-stream.ts'
import { ContentCheck } from './stream-content.ts'
import type { StreamContent } from './stream-content.ts'

/** What is wrong, and where. */
export interface Fault {
  readonly what: string
  /** `bytes 131072 to 196607` */
  readonly where: string
}

export interface CheckedBackup {
  /** null when it cannot be read */
  readonly header: BackupHeader | null
  /** null when something is wrong */
  readonly content: StreamContent | null
  /** none: the backup is whole */
  readonly faults: readonly Fault[]
}

export class BackupCheck {
  readonly #onRecord: (each: SnapshotRecord) => void
  readonly #reader = new SnapshotReader()
  readonly #content = new ContentCheck()
  readonly #faults: Fault[] = []
  #stage: 'prefix' | 'head' | 'manifest' | 'stream' | 'end' | 'lost' = 'prefix'
  /** what has come of the piece that is not complete */
  #piece = new Uint8Array(BACKUP_PREFIX_BYTES)
  #held = 0
  /** bytes of the file before the piece */
  #offset = 0
  #header: BackupHeader | null = null
  #manifest: Uint8Array = new Uint8Array(0)
  #position = 0
  #surplus = 0

  /** `onRecord` gets the records of a stream that is whole up to there. */
  constructor(onRecord: (each: SnapshotRecord) => void = () => {}) {
    this.#onRecord = onRecord
  }

  /** Known when the beginning has come and is whole. */
  get header(): BackupHeader | null {
    return this.#header
  }

  /** @throws StorageError FORMAT_NEWER; ProtocolError when it is no backup at all */
  push(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.byteLength) {
      if (this.#stage === 'lost') return
      if (this.#stage === 'end') {
        this.#surplus += bytes.byteLength - at
        return
      }
      const size = Math.min(bytes.byteLength - at, this.#piece.byteLength - this.#held)
      this.#piece.set(bytes.subarray(at, at + size), this.#held)
      this.#held += size
      at += size
      if (this.#held === this.#piece.byteLength) this.#takePiece()
    }
  }

  /** All has come. @throws ProtocolError when it is no backup at all */
  end(): CheckedBackup {
    if (this.#stage === 'prefix') throw new ProtocolError('this is not a backup of aspen')
    const end = this.#offset + this.#held
    if (this.#stage !== 'end' && this.#stage !== 'lost') {
      const missing = this.#byteCount === null ? '' : `, ${this.#byteCount - end} bytes are missing`
      this.#fault(`the file ends too early${missing}`, end, end)
    }
    if (this.#surplus > 0)
      this.#fault(
        `${this.#surplus} bytes follow that do not belong to it`,
        end,
        end + this.#surplus
      )
    const content = this.#faults.length === 0 ? this.#whole() : null
    return { header: this.#header, content, faults: this.#faults }
  }

  /** Of the whole file; null while the header is not known. */
  get #byteCount(): number | null {
    const header = this.#header
    if (header === null) return null
    return this.#streamStart + header.byteCount
  }

  #streamStart = 0

  #takePiece(): void {
    const piece = this.#piece
    this.#held = 0
    if (this.#stage === 'prefix') this.#takePrefix(piece)
    else if (this.#stage === 'head') this.#takeHead(piece)
    else if (this.#stage === 'manifest') this.#takeManifest(piece)
    else this.#takeChunk(piece)
  }

  #takePrefix(piece: Uint8Array): void {
    const larger = new Uint8Array(backupHeadBytes(piece))
    larger.set(piece)
    this.#piece = larger
    this.#held = piece.byteLength
    this.#stage = 'head'
  }

  #takeHead(piece: Uint8Array): void {
    try {
      const header = decodeBackupHead(piece)
      if (header.chunkCount === 0) throw new ProtocolError('the backup is empty')
      this.#header = header
      this.#offset = piece.byteLength
      this.#piece = new Uint8Array(header.chunkCount * HASH_BYTES)
      this.#streamStart = this.#offset + this.#piece.byteLength
      this.#stage = 'manifest'
    } catch (error) {
      this.#lose(error, piece.byteLength)
    }
  }

  #takeManifest(piece: Uint8Array): void {
    const { header } = this
    if (header === null) return
    const { contentHash, byteCount, chunkCount, index, term } = header
    const info = { index, term, chainHash: contentHash, contentHash, byteCount, chunkCount }
    if (!isManifestOf(info, piece)) {
      this.#lose(new ProtocolError('the list of its hashes is damaged'), piece.byteLength)
      return
    }
    this.#manifest = piece
    this.#offset += piece.byteLength
    this.#nextChunk()
  }

  #nextChunk(): void {
    const { header } = this
    const isLast = header === null || this.#position === header.chunkCount
    this.#stage = isLast ? 'end' : 'stream'
    if (!isLast) this.#piece = new Uint8Array(chunkBytesAt(this.#position, header.byteCount))
  }

  #takeChunk(piece: Uint8Array): void {
    const from = this.#offset
    this.#offset += piece.byteLength
    if (!b4a.equals(hash(piece), hashAt(this.#manifest, this.#position)))
      this.#fault('these bytes are not what was written', from, this.#offset)
    else if (this.#faults.length === 0) this.#takeRecords(piece, from)
    this.#position++
    this.#nextChunk()
  }

  #takeRecords(piece: Uint8Array, from: number): void {
    try {
      for (const each of this.#reader.push(piece)) {
        this.#content.take(each)
        this.#onRecord(each)
      }
    } catch (error) {
      this.#fault(messageOf(error), from, this.#offset)
    }
  }

  /** Nothing was damaged; whether what was written makes sense. */
  #whole(): StreamContent | null {
    try {
      this.#reader.end()
      const content = this.#content.end()
      const problem = this.#header === null ? null : contradictionOf(this.#header, content)
      if (problem !== null) throw new ProtocolError(problem)
      return content
    } catch (error) {
      this.#fault(messageOf(error), this.#streamStart, this.#offset)
      return null
    }
  }

  #lose(error: unknown, size: number): void {
    this.#stage = 'lost'
    this.#fault(messageOf(error), this.#header === null ? 0 : this.#offset, this.#offset + size)
  }

  #fault(what: string, from: number, to: number): void {
    const where = to > from ? `bytes ${from} to ${to - 1}` : `at byte ${from}`
    this.#faults.push({ what, where })
  }
}

/** The header was made from the head. */
function contradictionOf(header: BackupHeader, { head }: StreamContent): string | null {
  const { applied, genesisHash } = head
  const isSame =
    b4a.equals(genesis(header.clusterId).hash, genesisHash) &&
    applied.index === header.index &&
    applied.term === header.term &&
    applied.timeMs === header.timeMs &&
    b4a.equals(applied.stateHash, header.stateHash) &&
    applied.liveCount === header.liveCount &&
    applied.liveBytes === header.liveBytes &&
    applied.compactedRevision === header.compactedRevision
  return isSame ? null : 'the header is of another backup'
}

/** @throws what is no fault of the bytes */
function messageOf(error: unknown): string {
  if (error instanceof ProtocolError) return error.message
  throw error
}
