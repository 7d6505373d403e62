// The file of a backup: a snapshot stream without secrets, behind a header that names it. Format 1.
//
//   file   = 'aspenbak' ‖ format u8 (1) ‖ size of the header u32, little-endian ‖ header
//            ‖ BLAKE2b-256 of all before ‖ manifest ‖ stream
//   header = cluster id 16 B ‖ index ‖ term ‖ log time ‖ state hash 32 B ‖ live keys ‖ their bytes
//            ‖ compacted revision ‖ made at ‖ version of the program, text ‖ bytes of the stream ‖ its chunks
//            ‖ content hash 32 B
//
// The manifest has the hash of each chunk of the stream, and the content hash is the hash of the manifest: so
// every bit of the file is under one of two hashes, and damage is found with the place where it is. The stream
// is that of snapshot-encoding.ts, of what `withoutSecrets` keeps.

import b4a from 'b4a'
import { HASH_BYTES, hash } from '../crypto.ts'
import { boundedText, boundedUint, bytesOf, decode, encode, fixedBytes } from '../encoding.ts'
import { ProtocolError, StorageError } from '../errors.ts'
import {
  MAX_INDEX,
  MAX_SNAPSHOT_CHUNKS,
  MAX_TERM,
  MAX_VERSION_SIZE,
  SNAPSHOT_CHUNK_BYTES
} from '../limits.ts'
import type { Index, Term } from '../raft/entry.ts'
import { record } from '../record.ts'
import type { Revision } from './state-machine.ts'

export interface BackupHeader {
  readonly clusterId: Uint8Array
  /** the entry as of which it is */
  readonly index: Index
  readonly term: Term
  /** log time at that entry */
  readonly timeMs: number
  readonly stateHash: Uint8Array
  readonly liveCount: number
  /** of live keys and values */
  readonly liveBytes: number
  readonly compactedRevision: Revision
  /** by the clock of the machine that made it */
  readonly madeMs: number
  /** of the program that made it */
  readonly version: string
  readonly byteCount: number
  readonly chunkCount: number
  readonly contentHash: Uint8Array
}

export const BACKUP_MAGIC: Uint8Array = bytesOf('aspenbak')
/** The format that this version writes. */
export const BACKUP_FORMAT = 1
/** Magic, format and the size of the header. */
export const BACKUP_PREFIX_BYTES = 13
const MAX_HEADER_BYTES = 4_096

const count = boundedUint(Number.MAX_SAFE_INTEGER)
const hashed = fixedBytes(HASH_BYTES)

const headerEncoding = record<BackupHeader>({
  clusterId: fixedBytes(16),
  index: boundedUint(MAX_INDEX),
  term: boundedUint(MAX_TERM),
  timeMs: count,
  stateHash: hashed,
  liveCount: count,
  liveBytes: count,
  compactedRevision: boundedUint(MAX_INDEX),
  madeMs: count,
  version: boundedText(MAX_VERSION_SIZE),
  byteCount: boundedUint(MAX_SNAPSHOT_CHUNKS * SNAPSHOT_CHUNK_BYTES),
  chunkCount: boundedUint(MAX_SNAPSHOT_CHUNKS),
  contentHash: hashed
})

/** Everything that precedes the stream. */
export function encodeBackupHead(header: BackupHeader, manifest: Uint8Array): Uint8Array {
  const body = encode(headerEncoding, header)
  const size = new Uint8Array(4)
  new DataView(size.buffer).setUint32(0, body.byteLength, true)
  const head = b4a.concat([BACKUP_MAGIC, Uint8Array.of(BACKUP_FORMAT), size, body])
  return b4a.concat([head, hash(head), manifest])
}

/**
 * Bytes of prefix, header and checksum together, of a file that begins with `prefix`.
 * @throws ProtocolError when it is no backup; StorageError FORMAT_NEWER
 */
export function backupHeadBytes(prefix: Uint8Array): number {
  const isBackup =
    prefix.byteLength >= BACKUP_PREFIX_BYTES &&
    b4a.equals(prefix.subarray(0, BACKUP_MAGIC.byteLength), BACKUP_MAGIC)
  if (!isBackup) throw new ProtocolError('this is not a backup of aspen')
  const format = prefix[BACKUP_MAGIC.byteLength] ?? 0
  if (format > BACKUP_FORMAT) throw newer(format)
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength)
  const size = view.getUint32(BACKUP_MAGIC.byteLength + 1, true)
  if (format < BACKUP_FORMAT || size > MAX_HEADER_BYTES)
    throw new ProtocolError('the header of the backup is damaged')
  return BACKUP_PREFIX_BYTES + size + HASH_BYTES
}

/** @param head as many bytes as `backupHeadBytes` says @throws ProtocolError */
export function decodeBackupHead(head: Uint8Array): BackupHeader {
  const bodyEnd = head.byteLength - HASH_BYTES
  if (!b4a.equals(hash(head.subarray(0, bodyEnd)), head.subarray(bodyEnd)))
    throw new ProtocolError('the header of the backup is damaged')
  return decode(headerEncoding, head.subarray(BACKUP_PREFIX_BYTES, bodyEnd))
}

function newer(format: number): StorageError {
  return new StorageError({
    code: 'FORMAT_NEWER',
    message: `the backup has format ${format}; this version of aspen reads up to ${BACKUP_FORMAT}`,
    hint: 'use the newer aspen that made it; if none did, the file is damaged',
    fields: { format, supported: BACKUP_FORMAT }
  })
}
