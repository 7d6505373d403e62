// What a thread is asked to do with a snapshot, and what it says. Both cross the border between threads.

import type { Boundary, OnBoundary } from '../boundary.ts'
import { isRecord } from '../encoding.ts'
import type { ErrorDetail } from '../errors.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { Index } from '../raft/entry.ts'
import type { Manifested } from './snapshot-files.ts'
import type { Applied } from './state-machine.ts'

export type SnapshotTask =
  /** the state in a database as a snapshot in a folder */
  | {
      readonly kind: 'cut'
      readonly database: string
      readonly folder: string
      /** as of which entry the database is */
      readonly index: Index
      readonly maxReadMs: number
    }
  /** the state in a database without what is secret, as a stream in a file */
  | {
      readonly kind: 'backup'
      readonly database: string
      readonly target: string
      readonly maxReadMs: number
    }
  /** a new database from a stream */
  | {
      readonly kind: 'build'
      readonly stream: string
      readonly snapshot: Manifested
      readonly genesisHash: Uint8Array
      /** the file that it becomes, when it is whole and durable */
      readonly target: string
      /** where the stream becomes a snapshot then; null: it is one */
      readonly publishIn: string | null
    }
  /** whether a database is whole: its structure, and the rows against the state hash */
  | { readonly kind: 'check'; readonly database: string }

export type TaskAnswer =
  /** the read transaction is open */
  | { readonly kind: 'begun' }
  | { readonly kind: 'made'; readonly made: Manifested }
  | { readonly kind: 'backedUp'; readonly made: Manifested; readonly applied: Applied }
  | {
      readonly kind: 'built'
      readonly timeMs: number
      readonly configuration: Configuration
      readonly configurationIndex: Index
    }
  | { readonly kind: 'good' }
  /** these chunks are not what the manifest says */
  | { readonly kind: 'damaged'; readonly positions: readonly number[] }
  /** it cannot be done, and nothing else is wrong */
  | { readonly kind: 'refused'; readonly message: string; readonly hasNoSpace?: boolean }
  /** the storage has failed */
  | { readonly kind: 'failed'; readonly error: ErrorDetail }

/** What to call while reading: it throws when the task was given up, or has taken too long. */
export function deadlineOf(maxReadMs: number, throwIfCancelled: () => void): () => void {
  const untilMs = performance.now() + maxReadMs
  return () => {
    throwIfCancelled()
    if (performance.now() > untilMs)
      throw new TaskRefusal(`reading took longer than ${maxReadMs} ms`)
  }
}

/** What a thread posts. */
export type ThreadMessage =
  | TaskAnswer
  /** it has come to a boundary, and waits until somebody has heard of it */
  | { readonly kind: 'boundary'; readonly name: Boundary }

/** What a task looks at and calls on its way. */
export interface TaskWatch {
  readonly throwIfCancelled: () => void
  readonly onBoundary?: OnBoundary | undefined
}

/** What a thread is started with. */
export interface ThreadData {
  readonly task: SnapshotTask
  /** an Int32; not 0: give it up */
  readonly cancelled: SharedArrayBuffer
  /** an Int32 that counts the boundaries that were heard of; null: nobody listens */
  readonly heard: SharedArrayBuffer | null
}

/** A task is given up, for a reason that is no fault of the storage. */
export class TaskRefusal extends Error {
  override readonly name = 'TaskRefusal'
}

const MESSAGES = new Set([
  'boundary',
  'begun',
  'made',
  'backedUp',
  'built',
  'good',
  'damaged',
  'refused',
  'failed'
])

/** Only our own threads post here. */
export function isThreadMessage(value: unknown): value is ThreadMessage {
  return isRecord(value) && typeof value['kind'] === 'string' && MESSAGES.has(value['kind'])
}

export function isThreadData(value: unknown): value is ThreadData {
  return (
    isRecord(value) && isRecord(value['task']) && value['cancelled'] instanceof SharedArrayBuffer
  )
}
