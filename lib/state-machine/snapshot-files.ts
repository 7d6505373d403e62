// The files of snapshots in their folder. A snapshot is two files, for their owner alone:
//
//   <index>-<first 16 hex digits of the content hash>.snap       the stream
//   <the same>.manifest   'aspenman' ‖ version u8 (1) ‖ index ‖ term ‖ chainHash 32 B ‖ contentHash 32 B
//                         ‖ byteCount ‖ chunkCount ‖ the hashes of the chunks ‖ BLAKE2b-256 over all before it
//
// The manifest is renamed to its name last: a snapshot without one is half-made. What is being made is called
// `making-…`, what is being fetched `incoming-…`; the latter stays over a restart. In its own manifest:
//
//   incoming-<index>-<16 digits>.part    chunks where they belong
//   incoming-<index>-<16 digits>.have    one byte per chunk: 1 when it has been written
//   incoming-<index>-<16 digits>.manifest

import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync
} from 'node:fs'
import { basename, join } from 'node:path'
import b4a from 'b4a'
import type { OnBoundary } from '../boundary.ts'
import { HASH_BYTES, hash } from '../crypto.ts'
import { boundedUint, bytesOf, encode, fixedBytes, hexOf } from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import { MAX_INDEX, MAX_SNAPSHOT_CHUNKS, MAX_TERM, SNAPSHOT_CHUNK_BYTES } from '../limits.ts'
import { record } from '../record.ts'
import { isManifestOf } from './snapshot-stream.ts'
import type { SnapshotInfo, SnapshotName } from './state-machine.ts'

/** A snapshot with its manifest. */
export interface Manifested {
  readonly info: SnapshotInfo
  readonly manifest: Uint8Array
}

/** Without folder and ending. */
export function baseNameOf({ index, contentHash }: SnapshotName): string {
  return `${index}-${hexOf(contentHash).slice(0, 16)}`
}

export interface SnapshotPaths {
  readonly snap: string
  readonly manifest: string
}

export function pathsOf(folder: string, name: SnapshotName): SnapshotPaths {
  const base = join(folder, baseNameOf(name))
  return { snap: `${base}.snap`, manifest: `${base}.manifest` }
}

export interface IncomingPaths {
  readonly part: string
  readonly have: string
  readonly manifest: string
}

export function incomingPathsOf(folder: string, name: SnapshotName): IncomingPaths {
  const base = join(folder, `incoming-${baseNameOf(name)}`)
  return { part: `${base}.part`, have: `${base}.have`, manifest: `${base}.manifest` }
}

export interface FoundSnapshots {
  /** newest first */
  readonly snapshots: readonly Manifested[]
  readonly incoming: Manifested | null
}

/**
 * What is in the folder, which is made if need be. What is half-made or belongs to nothing is deleted.
 * Manifests are verified, streams only by their size.
 */
export function findSnapshots(folder: string): FoundSnapshots {
  if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 })
  const names = readdirSync(folder)
  const manifestedIn = (pattern: RegExp): readonly Manifested[] =>
    names
      .filter((name) => pattern.test(name))
      .map((name) => readManifest(join(folder, name)))
      .filter((each) => typeof each !== 'string')
  const snapshots = manifestedIn(SNAPSHOT_MANIFEST)
    .filter((each) => isThere(folder, each, names))
    .toSorted((a, b) => b.info.index - a.info.index)
  const incoming = manifestedIn(/^incoming-.*\.manifest$/).find(({ info }) =>
    names.includes(`incoming-${baseNameOf(info)}.manifest`)
  )
  const kept = new Set(
    [
      ...snapshots.flatMap(({ info }) => Object.values(pathsOf(folder, info))),
      ...(incoming === undefined ? [] : Object.values(incomingPathsOf(folder, incoming.info)))
    ].map((path) => basename(path))
  )
  for (const name of names) if (!kept.has(name)) rmSync(join(folder, name), { force: true })
  return { snapshots, incoming: incoming ?? null }
}

/** Names of manifests of snapshots that are whole. */
export const SNAPSHOT_MANIFEST = /^\d+-.*\.manifest$/

/** Or what is wrong with it. @throws what the file system throws */
export function readManifest(path: string): Manifested | string {
  if (!existsSync(path)) return 'it is not there'
  try {
    return decodeManifest(readFileSync(path))
  } catch (error) {
    if (error instanceof ProtocolError) return error.message
    throw error
  }
}

function isThere(folder: string, { info }: Manifested, names: readonly string[]): boolean {
  const base = baseNameOf(info)
  if (!names.includes(`${base}.manifest`) || !names.includes(`${base}.snap`)) return false
  return statSync(join(folder, `${base}.snap`)).size === info.byteCount
}

export interface Publishing {
  readonly folder: string
  /** the file that has the stream, in the folder */
  readonly stream: string
  readonly onBoundary?: OnBoundary | undefined
}

/** Writes the manifest, makes both files durable and gives them their names. */
export function publish(
  { folder, stream, onBoundary }: Publishing,
  { info, manifest }: Manifested
): void {
  const paths = pathsOf(folder, info)
  const making = join(folder, `making-${baseNameOf(info)}.manifest`)
  onBoundary?.('snapshot.written')
  syncFile(stream)
  writeDurably(making, encodeManifest({ info, manifest }))
  onBoundary?.('snapshot.synced')
  renameSync(stream, paths.snap)
  onBoundary?.('snapshot.named')
  renameSync(making, paths.manifest)
  onBoundary?.('snapshot.published')
  syncFile(folder)
  onBoundary?.('snapshot.durable')
}

/** A file or a folder. */
export function syncFile(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

export function writeDurably(path: string, bytes: Uint8Array): void {
  const file = openSync(path, 'w', 0o600)
  try {
    writeAll(file, bytes)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** A write may be short. */
export function writeAll(file: number, bytes: Uint8Array): void {
  let at = 0
  while (at < bytes.byteLength) at += writeSync(file, bytes, at)
}

const MAGIC = Uint8Array.of(...bytesOf('aspenman'), 1)

const infoEncoding = record<SnapshotInfo>({
  index: boundedUint(MAX_INDEX),
  term: boundedUint(MAX_TERM),
  chainHash: fixedBytes(HASH_BYTES),
  contentHash: fixedBytes(HASH_BYTES),
  byteCount: boundedUint(MAX_SNAPSHOT_CHUNKS * SNAPSHOT_CHUNK_BYTES),
  chunkCount: boundedUint(MAX_SNAPSHOT_CHUNKS)
})

export function encodeManifest({ info, manifest }: Manifested): Uint8Array {
  const body = b4a.concat([MAGIC, encode(infoEncoding, info), manifest])
  return b4a.concat([body, hash(body)])
}

/** @throws ProtocolError */
export function decodeManifest(bytes: Uint8Array): Manifested {
  const body = bytes.subarray(0, bytes.byteLength - HASH_BYTES)
  const isOurs =
    body.byteLength > MAGIC.byteLength && b4a.equals(body.subarray(0, MAGIC.byteLength), MAGIC)
  if (!isOurs || !b4a.equals(hash(body), bytes.subarray(body.byteLength)))
    throw new ProtocolError('not the manifest of a snapshot')
  const state = { start: MAGIC.byteLength, end: body.byteLength, buffer: new Uint8Array(body) }
  const info = infoEncoding.decode(state)
  const manifest = new Uint8Array(body.subarray(state.start))
  if (!isManifestOf(info, manifest)) throw new ProtocolError('not the manifest of a snapshot')
  return { info, manifest }
}
