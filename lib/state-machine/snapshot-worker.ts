// The thread that does one thing with a snapshot (snapshot-task.ts), which takes as long as it takes, while
// the event loop of the node goes on. It ends when it is done.

import { parentPort, workerData } from 'node:worker_threads'
import { assert, present } from '../assert.ts'
import type { Boundary } from '../boundary.ts'
import { ProtocolError } from '../errors.ts'
import { cutBackup } from './backup-cut.ts'
import { checkDatabase } from './snapshot-check.ts'
import { buildDatabase } from './snapshot-build.ts'
import { cutSnapshot } from './snapshot-cut.ts'
import { TaskRefusal, isThreadData } from './snapshot-task.ts'
import type { SnapshotTask, TaskAnswer, TaskWatch, ThreadMessage } from './snapshot-task.ts'
import { isStorageFailure, storageErrorOf } from './sqlite-errors.ts'

const port = present(parentPort, 'the port of the parent thread')
const data: unknown = workerData
assert(isThreadData(data), 'the thread is told what to do')
const cancelled = new Int32Array(data.cancelled)
const heard = data.heard === null ? null : new Int32Array(data.heard)
const watch: TaskWatch = { throwIfCancelled, onBoundary: heard === null ? undefined : cross }

port.postMessage(answered(data.task))

function answered(task: SnapshotTask): TaskAnswer {
  try {
    return carriedOut(task)
  } catch (error) {
    const isOfNoUse = error instanceof ProtocolError && task.kind === 'build'
    if (error instanceof TaskRefusal || isOfNoUse)
      return { kind: 'refused', message: error.message }
    // what our own database says and cannot be read is damage
    if (!isStorageFailure(error) && !(error instanceof ProtocolError)) throw error
    const { detail } = storageErrorOf(error, 'cannot make or install a snapshot')
    // the disk may have room again; the log, which matters more, finds out for itself
    if (detail.code === 'NO_SPACE')
      return { kind: 'refused', message: detail.message, hasNoSpace: true }
    return { kind: 'failed', error: detail }
  }
}

function carriedOut(task: SnapshotTask): TaskAnswer {
  switch (task.kind) {
    case 'cut':
      return cutSnapshot(task, {
        ...watch,
        onBegun: () => port.postMessage({ kind: 'begun' } satisfies TaskAnswer)
      })
    case 'backup':
      return cutBackup(task, throwIfCancelled)
    case 'build':
      return buildDatabase(task, watch)
    case 'check':
      return checkDatabase(task.database, throwIfCancelled)
  }
}

function throwIfCancelled(): void {
  if (Atomics.load(cancelled, 0) !== 0) throw new TaskRefusal('it was given up')
}

/** Waits until the other thread has heard of it. */
function cross(name: Boundary): void {
  const count = present(heard, 'the count of what was heard of')
  const before = Atomics.load(count, 0)
  port.postMessage({ kind: 'boundary', name } satisfies ThreadMessage)
  Atomics.wait(count, 0, before)
}
