// Opens the database of a state machine, and makes it again when it is damaged: a view of the log may be
// thrown away. One in which damage was met is read whole first: opening it reads little of it. What makes it
// whole is the newest snapshot of an entry that the log has; from there the log is applied. (One that was fetched
// and never adopted may be ahead of the log: promises are missing between the two.) A database that belongs to
// another cluster or a newer version, or that cannot be reached, is never touched.

import { existsSync, rmSync } from 'node:fs'
import type { OnBoundary } from '../boundary.ts'
import { REJOIN_HINT, StorageError } from '../errors.ts'
import type { Index } from '../raft/entry.ts'
import { findSnapshots, pathsOf } from './snapshot-files.ts'
import type { Manifested } from './snapshot-files.ts'
import type { SnapshotTask, TaskAnswer } from './snapshot-task.ts'
import { SnapshotThread } from './snapshot-thread.ts'
import { databasePath, filesOf, suspicionOf, tidyStateDir } from './sqlite-database.ts'
import { storageErrorOf } from './sqlite-errors.ts'
import { SqliteStateMachine } from './sqlite-state-machine.ts'
import type { SqliteStateMachineOptions } from './sqlite-state-machine.ts'
import type { Backing } from './state-machine.ts'

export interface RestoredState {
  readonly machine: SqliteStateMachine
  /** null: the database was good */
  readonly rebuilt: {
    /** what was wrong */
    readonly reason: string
    /** the snapshot from which it was built; 0: it begins at the genesis */
    readonly index: Index
  } | null
}

export interface RestoreOptions extends SqliteStateMachineOptions {
  readonly log: Backing
  /** whether all rows are read first also where no machine has met damage */
  readonly shouldCheck: boolean
}

/** @throws StorageError as `open`; CORRUPTED only where nothing is left to make it whole */
export async function restoreStateMachine(options: RestoreOptions): Promise<RestoredState> {
  const problem = await damageOf(options)
  if (problem === null) {
    const opened = await tryOpen(options)
    if (opened.machine !== null) return { machine: opened.machine, rebuilt: null }
    return await rebuilt(options, opened.problem)
  }
  return await rebuilt(options, problem)
}

/** What a check of the whole database finds; null: nothing, or there is no reason for one. */
async function damageOf(options: RestoreOptions): Promise<string | null> {
  const { stateDir, stateBase, shouldCheck, onBoundary } = options
  const database = databasePath(stateDir, stateBase)
  const isSuspect = existsSync(suspicionOf(database))
  if (!existsSync(database) || !(shouldCheck || isSuspect)) return null
  const answer = await run({ kind: 'check', database }, onBoundary)
  if (answer.kind === 'good') rmSync(suspicionOf(database), { force: true })
  if (answer.kind !== 'failed') return null
  if (answer.error.code !== 'CORRUPTED') throw new StorageError(answer.error)
  return answer.error.message
}

type Opening =
  { readonly machine: SqliteStateMachine } | { readonly machine: null; readonly problem: string }

async function tryOpen(options: RestoreOptions): Promise<Opening> {
  try {
    const machine = SqliteStateMachine.open(options)
    const { index } = machine.applied()
    if (index >= options.log.base) return { machine }
    await machine.close()
    const problem = `it has applied entries up to ${index}, and the log begins after ${options.log.base}`
    return { machine: null, problem }
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== 'CORRUPTED') throw error
    return { machine: null, problem: error.message }
  }
}

async function rebuilt(options: RestoreOptions, reason: string): Promise<RestoredState> {
  const { stateDir, stateBase, log } = options
  const target = databasePath(stateDir, stateBase)
  tidyStateDir(stateDir, stateBase)
  const index = log.base === 0 ? 0 : await build(options, target, reason)
  if (index === 0)
    for (const path of filesOf(target)) rmSync(path, { force: true, recursive: true })
  return { machine: SqliteStateMachine.open(options), rebuilt: { reason, index } }
}

/** From the newest snapshot that makes a database. @returns its index */
async function build(options: RestoreOptions, target: string, reason: string): Promise<Index> {
  const { snapshotsDir, genesis, log, onBoundary } = options
  const { base, holds } = log
  for (const snapshot of snapshotsIn(snapshotsDir)) {
    if (snapshot.info.index < base) break
    const { term, chainHash: hash } = snapshot.info
    if (!holds({ index: snapshot.info.index, term, hash })) continue
    const stream = pathsOf(snapshotsDir, snapshot.info).snap
    const genesisHash = genesis.hash
    const task = { kind: 'build', stream, snapshot, genesisHash, target, publishIn: null } as const
    const answer = await run(task, onBoundary)
    if (answer.kind === 'failed') throw new StorageError(answer.error)
    if (answer.kind === 'built') return snapshot.info.index
  }
  throw new StorageError({
    code: 'CORRUPTED',
    message: `the state machine is damaged (${reason}), and this node has no good snapshot at or after ${base}`,
    hint: `start it where a member is in reach, which sends one; else ${REJOIN_HINT}`,
    fields: { variant: STATE_LOST }
  })
}

/** Whether a member that has a snapshot could help. */
export function isLostState(error: unknown): error is StorageError {
  return error instanceof StorageError && error.detail.fields?.['variant'] === STATE_LOST
}

const STATE_LOST = 'StateLost'

function snapshotsIn(folder: string): readonly Manifested[] {
  try {
    return findSnapshots(folder).snapshots
  } catch (error) {
    throw storageErrorOf(error, 'cannot read the snapshots')
  }
}

/** The last answer of a task. */
async function run(task: SnapshotTask, onBoundary?: OnBoundary): Promise<TaskAnswer> {
  return await new Promise((resolve) => {
    const take = (answer: TaskAnswer): void => {
      // the thread must not hold a file that is opened next
      void thread.ended.then(() => resolve(answer))
    }
    const thread = new SnapshotThread(task, take, onBoundary)
    thread.keepAlive()
  })
}
