// A new cluster of one from a backup. What `create` would begin empty begins here with a state: the stream
// becomes a snapshot and a database of the new cluster, and the log begins after it. Until everything is
// durable node.json says `restoring`, and nobody starts such a directory; then it says `creating`, and
// from there on it is a cluster like any that `create` has begun.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError, ProtocolError, StorageError } from '../errors.ts'
import { LmdbLogStore } from '../log-store/lmdb-log-store.ts'
import type { Member } from '../raft/configuration.ts'
import { genesis } from '../raft/entry.ts'
import type { EntryId } from '../raft/entry.ts'
import { randomBytes, systemRandom } from '../random.ts'
import { readBackup } from '../state-machine/backup-file.ts'
import type { BackupHeader } from '../state-machine/backup-encoding.ts'
import type { Manifested } from '../state-machine/snapshot-files.ts'
import { SnapshotThread } from '../state-machine/snapshot-thread.ts'
import type { TaskAnswer } from '../state-machine/snapshot-task.ts'
import { databasePath } from '../state-machine/sqlite-database.ts'
import { newBaseId, Rebasing } from '../state-machine/stream-rebase.ts'
import type { DataDirectory } from './data-directory.ts'
import { CLUSTER_ID_BYTES, FOUNDER_ID } from './founding.ts'
import type { Membership } from './membership.ts'
import { newMembership, readMembership, writeMembership } from './membership.ts'
import type { NodeOptions, Progress } from './options.ts'
import { planOf } from './plan.ts'

export interface RestoreOptions {
  /** a backup that was verified */
  readonly path: string
  readonly header: BackupHeader
  /** what `create` would be given */
  readonly settings: Pick<NodeOptions, 'name' | 'bootstrap' | 'timing' | 'storage' | 'settings'>
  readonly onProgress: (progress: Progress) => void
}

/**
 * Verifies a backup. @throws StorageError CORRUPTED naming the first fault, FORMAT_NEWER; what the file
 * system throws
 */
export async function verifiedBackup(
  path: string,
  onProgress: (progress: Progress) => void
): Promise<BackupHeader> {
  const { header, faults } = await readingBackup(path, {
    onProgress: (byteCount, total) => {
      const percent = Math.floor((100 * byteCount) / total)
      onProgress({ phase: 'open', text: `verifying the backup  ${percent} %` })
    }
  })
  const [fault] = faults
  if (fault === undefined && header !== null) return header
  throw new StorageError({
    code: 'CORRUPTED',
    message: `the backup is damaged: ${fault?.what ?? ''} (${fault?.where ?? ''})`,
    hint: "'aspen verify' names everything that is wrong with it; restore another one"
  })
}

/**
 * Makes everything of the new cluster that is on the disk; `create` goes on from there.
 * @throws StorageError, ConfigError DATA_DIR_TAKEN
 */
export async function restore(directory: DataDirectory, options: RestoreOptions): Promise<void> {
  const { path, header, onProgress } = options
  const before = readMembership(directory)
  if (before !== null && before.state !== 'restoring') throw taken(directory.path)
  if (before !== null) clear(directory)
  const membership = membershipOf(directory, options)
  writeMembership(directory, membership)
  const { publicKey } = directory.keyPair(systemRandom)
  const begin = genesis(membership.clusterId)
  const base = { genesis: begin, id: newBaseId(begin, header) }
  const member: Member = { id: FOUNDER_ID, publicKey, role: 'voter', addresses: [] }
  const configuration = { members: [member], outgoing: [] }
  makeFolder(directory.snapshotsDir)
  makeFolder(directory.stateDir)
  const stream = join(directory.snapshotsDir, 'making-restored.snap')
  onProgress({ phase: 'open', text: 'writing the state of the new cluster' })
  const snapshot = await rebased(path, stream, { ...base, configuration })
  directory.onBoundary?.('restore.written')
  onProgress({ phase: 'open', text: 'building the database' })
  await build(directory, { stream, snapshot, genesisHash: begin.hash })
  await foundLogAfter(directory, { ...base, member, timeMs: header.timeMs })
  writeMembership(directory, { ...membership, state: 'creating' })
}

function membershipOf(directory: DataDirectory, { settings }: RestoreOptions): Membership {
  const intent = { kind: 'create' } as const
  const plan = planOf({ intent, ...settings }, null, directory)
  const clusterId = randomBytes(systemRandom, CLUSTER_ID_BYTES)
  return newMembership(plan, { state: 'restoring', clusterId, id: FOUNDER_ID, welcome: null })
}

/** What an earlier attempt has left. */
function clear({ logDir, stateDir, snapshotsDir }: DataDirectory): void {
  for (const folder of [logDir, stateDir, snapshotsDir])
    rmSync(folder, { recursive: true, force: true })
}

function makeFolder(path: string): void {
  mkdirSync(path, { mode: 0o700 })
}

async function rebased(
  path: string,
  stream: string,
  base: ConstructorParameters<typeof Rebasing>[1]
): Promise<Manifested> {
  const rebasing = new Rebasing(stream, base)
  try {
    const { faults } = await readingBackup(path, { onRecord: (each) => rebasing.add(each) })
    if (faults.length === 0) return rebasing.end()
    const message = 'the backup has changed while it was read'
    throw new StorageError({ code: 'CORRUPTED', message })
  } finally {
    rebasing.close()
  }
}

/** @throws StorageError CORRUPTED when the file is no backup */
async function readingBackup(
  ...args: Parameters<typeof readBackup>
): ReturnType<typeof readBackup> {
  try {
    return await readBackup(...args)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw new StorageError({ code: 'CORRUPTED', message: error.message }, { cause: error })
  }
}

/** @throws StorageError */
async function build(
  { stateDir, snapshotsDir, onBoundary }: DataDirectory,
  task: {
    readonly stream: string
    readonly snapshot: Manifested
    readonly genesisHash: Uint8Array
  }
): Promise<void> {
  const target = databasePath(stateDir, task.snapshot.info.index)
  const answer = await new Promise<TaskAnswer>((resolve) => {
    const building = { kind: 'build', ...task, target, publishIn: snapshotsDir } as const
    new SnapshotThread(building, resolve, onBoundary).keepAlive()
  })
  if (answer.kind === 'built') return
  if (answer.kind === 'failed') throw new StorageError(answer.error)
  const message = answer.kind === 'refused' ? answer.message : 'the stream does not stay as it is'
  const code = answer.kind === 'refused' && answer.hasNoSpace === true ? 'NO_SPACE' : 'CORRUPTED'
  throw new StorageError({ code, message: `the backup could not be restored: ${message}` })
}

interface BaseOfLog {
  readonly genesis: EntryId
  readonly id: EntryId
  readonly member: Member
  readonly timeMs: number
}

/** A log without entries, which begins after the restored state; its only voter has committed all of that. */
async function foundLogAfter(
  { logDir: directory, onBoundary }: DataDirectory,
  { genesis: begin, id, member, timeMs }: BaseOfLog
): Promise<void> {
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<never>((_resolve, reject) => (fail = reject))
  failed.catch(() => {}) // it is raced below, if at all
  const { store } = await LmdbLogStore.open({
    directory,
    genesis: begin,
    random: systemRandom,
    onFailed: (error) => fail(error),
    onBoundary
  })
  try {
    const configuration = { members: [member], outgoing: [] }
    const install = { id, timeMs, configuration, configurationIndex: id.index, keepsTail: false }
    const hardState = { term: id.term, votedFor: member.id, commitIndex: id.index }
    const durable = new Promise<void>((resolve) => {
      store.write({ hardState, install, truncateFrom: null, entries: [] }, resolve)
    })
    await Promise.race([durable, failed])
  } finally {
    await store.close()
  }
}

function taken(dataDir: string): ConfigError {
  return new ConfigError({
    code: 'DATA_DIR_TAKEN',
    message: `there is a node in ${dataDir} already`,
    hint: 'a backup becomes a cluster in a folder of its own; name another one with --name or --data-dir'
  })
}
