// A new cluster of one from what one member of a lost cluster has, in the same data directory. Everything in
// its log counts, also what is not known to be committed. Each step leaves a directory that goes on with the
// next one, or with the old node:
//
//   1  recovering/          a whole new node is made in there: restoring.ts, from a backup of the old state
//   2  node.json            says `fenced`: from here on the old node never starts again
//   3  lost-<cluster>/      takes everything of the old node; its node.json says `fenced` too
//   4  the new node moves up, node.json last, and `recovering` goes
//
// The new cluster has another id and its node another key, so that no member of the lost one takes it for
// its own.

import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock, systemTimers } from '../clock.ts'
import { hexOf } from '../encoding.ts'
import { ConfigError, StorageError } from '../errors.ts'
import { MAX_APPLY_BYTES, MAX_BATCH_SIZE } from '../limits.ts'
import { LmdbLogStore } from '../log-store/lmdb-log-store.ts'
import { backingOf } from '../log-store/log-store.ts'
import type { LogStore } from '../log-store/log-store.ts'
import type { EntryId, Index } from '../raft/entry.ts'
import { genesis } from '../raft/entry.ts'
import { systemRandom } from '../random.ts'
import type { BackupHeader } from '../state-machine/backup-encoding.ts'
import { restoreStateMachine } from '../state-machine/restore-state.ts'
import { syncFile } from '../state-machine/snapshot-files.ts'
import type { SqliteStateMachine } from '../state-machine/sqlite-state-machine.ts'
import { FileBackupSource } from './backup-source.ts'
import { DataDirectory } from './data-directory.ts'
import type { Membership } from './membership.ts'
import { readMembership, writeMembership } from './membership.ts'
import type { Progress } from './options.ts'
import { restore, verifiedBackup } from './restoring.ts'

export interface Recovered {
  /** what the new cluster begins with; null when an earlier attempt had come so far */
  readonly header: BackupHeader | null
  /** entries that count from now on, and were not known to be committed: (from, to]; null likewise */
  readonly uncertain: { readonly from: Index; readonly to: Index } | null
  /** where the old node lies */
  readonly lostDir: string
}

const RECOVERING = 'recovering'
const BACKUP_FILE = 'recovered.bak'

/** The membership of a node that can be recovered from, or whose recovery can go on. @throws ConfigError */
export function recoverable(directory: DataDirectory): Membership {
  const membership = readMembership(directory)
  if (membership?.state === 'member') return membership
  if (membership?.state === 'fenced' && isReady(directory)) return membership
  throw new ConfigError({
    code: membership?.state === 'fenced' ? 'FENCED' : 'NO_CLUSTER_HERE',
    message: `there is no member of a cluster in ${directory.path} to recover from`,
    hint: "'aspen recover' runs on a machine whose node was a member of the cluster that is lost"
  })
}

/**
 * Forms the new cluster on the disk; `create` starts it.
 * @throws StorageError, ConfigError: before step 2 nothing has happened to the old node
 */
export async function recover(
  directory: DataDirectory,
  onProgress: (progress: Progress) => void
): Promise<Recovered> {
  const membership = recoverable(directory)
  const lostDir = join(directory.path, `lost-${hexOf(membership.clusterId).slice(0, 12)}`)
  if (membership.state === 'fenced') {
    moveAll(directory, lostDir)
    return { header: null, uncertain: null, lostDir }
  }
  if (existsSync(lostDir)) throw lostAlready(lostDir)
  const { header, uncertain } = await makeNew(directory, membership, onProgress)
  directory.onBoundary?.('recover.ready')
  writeMembership(directory, { ...membership, state: 'fenced' })
  directory.onBoundary?.('recover.fenced')
  moveAll(directory, lostDir)
  return { header, uncertain, lostDir }
}

/** Step 1. */
async function makeNew(
  directory: DataDirectory,
  membership: Membership,
  onProgress: (progress: Progress) => void
): Promise<{ readonly header: BackupHeader; readonly uncertain: Recovered['uncertain'] }> {
  const path = join(directory.path, RECOVERING)
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path, { mode: 0o700 })
  const backup = join(path, BACKUP_FILE)
  onProgress({ phase: 'open', text: 'applying all that the log has' })
  const uncertain = await writeState(directory, membership, backup)
  const header = await verifiedBackup(backup, onProgress)
  const next = DataDirectory.open(path, directory.onBoundary)
  try {
    const { name, bootstrap, timing, storage, settings: others } = membership
    const settings = { name, bootstrap, timing, storage, settings: others }
    await restore(next, { path: backup, header, settings, onProgress })
    const made = readMembership(next)
    // where programs of this machine find the API
    if (made !== null) writeMembership(next, { ...made, httpPort: membership.httpPort })
  } finally {
    next.close()
  }
  rmSync(backup)
  return { header, uncertain }
}

/** A backup of everything that the log amounts to, committed or not. */
async function writeState(
  directory: DataDirectory,
  { clusterId }: Membership,
  path: string
): Promise<Recovered['uncertain']> {
  let fail: (error: Error) => void = () => {}
  const failed = new Promise<never>((_resolve, reject) => (fail = reject))
  failed.catch(() => {}) // it is raced below, if at all
  const onFailed = (error: Error): void => fail(error)
  const begin = genesis(clusterId)
  const options = { directory: directory.logDir, genesis: begin, mustExist: true }
  const { store, restored } = await LmdbLogStore.open({
    ...options,
    random: systemRandom,
    onFailed,
    onBoundary: directory.onBoundary
  })
  try {
    const machine = await openMachine({ directory, store, begin, onFailed })
    // what was applied was committed, whether the log knew it on the disk or not
    const from = Math.max(restored.hardState?.commitIndex ?? 0, machine.applied().index)
    try {
      await Promise.race([applyAll(store, machine), failed])
      const source = new FileBackupSource({
        stateMachine: machine,
        folder: directory.snapshotsDir,
        clusterId,
        clock: systemClock
      })
      await Promise.race([writeBackup(source, path), failed])
    } finally {
      await machine.close()
    }
    return from < store.last.index ? { from, to: store.last.index } : null
  } finally {
    await store.close()
  }
}

interface MachineParts {
  readonly directory: DataDirectory
  readonly store: LogStore
  readonly begin: EntryId
  readonly onFailed: (error: Error) => void
}

async function openMachine({
  directory,
  store,
  begin,
  onFailed
}: MachineParts): Promise<SqliteStateMachine> {
  const { machine } = await restoreStateMachine({
    stateDir: directory.stateDir,
    snapshotsDir: directory.snapshotsDir,
    stateBase: store.stateBase,
    genesis: begin,
    clock: systemClock,
    timers: systemTimers,
    log: backingOf(store),
    shouldCheck: true,
    onFailed,
    onBoundary: directory.onBoundary
  })
  return machine
}

async function applyAll(store: LogStore, machine: SqliteStateMachine): Promise<void> {
  for (let { index } = machine.applied(); index < store.last.index;) {
    const to = Math.min(index + 1 + MAX_BATCH_SIZE, store.last.index + 1)
    const entries = store.entries(index + 1, to, MAX_APPLY_BYTES)
    await new Promise((resolve) => machine.apply(entries, resolve))
    const applied = machine.applied().index
    if (applied === index) throw stuck(index)
    index = applied
  }
}

async function writeBackup(source: FileBackupSource, path: string): Promise<void> {
  const backup = await source.make()
  const file = await open(path, 'wx', 0o600)
  try {
    for await (const piece of backup.pieces()) await file.writeFile(piece)
  } finally {
    await file.close()
    await backup.close()
  }
}

/** Whether step 1 has come to its end. */
function isReady(directory: DataDirectory): boolean {
  return existsSync(join(directory.path, RECOVERING, 'node.json'))
}

/** Steps 3 and 4, from wherever they are. What the new node has in its place has not moved up yet. */
function moveAll({ path, onBoundary }: DataDirectory, lostDir: string): void {
  const next = join(path, RECOVERING)
  if (!existsSync(lostDir)) mkdirSync(lostDir, { mode: 0o700 })
  copyFileSync(join(path, 'node.json'), join(lostDir, 'node.json'))
  syncFile(join(lostDir, 'node.json'))
  onBoundary?.('recover.begun')
  const move = (from: string, to: string): void => {
    renameSync(from, to)
    onBoundary?.('recover.moved')
  }
  for (const name of [...NEW_PARTS, ...OLD_PARTS]) {
    const isOld = OLD_PARTS.includes(name) || existsSync(join(next, name))
    if (isOld && existsSync(join(path, name))) move(join(path, name), join(lostDir, name))
  }
  syncFile(lostDir)
  for (const name of NEW_PARTS) {
    if (existsSync(join(next, name))) move(join(next, name), join(path, name))
  }
  syncFile(path)
  renameSync(join(next, 'node.json'), join(path, 'node.json'))
  onBoundary?.('recover.whole')
  syncFile(path)
  onBoundary?.('recover.durable')
  rmSync(next, { recursive: true, force: true })
}

/** What both nodes have, besides node.json. */
const NEW_PARTS = ['node.key', 'log', 'state', 'snapshots']
/** What only the old one has. */
const OLD_PARTS = ['peers.json', 'guard.json', 'api.token']

function lostAlready(lostDir: string): ConfigError {
  return new ConfigError({
    code: 'DATA_DIR_TAKEN',
    message: `${lostDir} is there already`,
    hint: 'move it elsewhere; it holds a node that was given up before'
  })
}

function stuck(index: Index): StorageError {
  const message = `the entry after index ${index} cannot be applied`
  return new StorageError({ code: 'CORRUPTED', message })
}
