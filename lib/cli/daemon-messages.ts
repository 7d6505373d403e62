// What the waiting command and the background node say to each other over the IPC channel of the
// child process. Both are the same program, so the check is that a message has a known kind and
// the parts that are read from it.

import { assert } from '../assert.ts'
import type { ErrorBody, NodeInfo, Status } from '../service/documents.ts'
import type { Opened, Progress } from '../node/options.ts'
import type { Environment } from './style.ts'

/** In the environment of a background node: it reports over IPC, logs NDJSON, and is of this kind. */
export const BACKGROUND_MARK = 'ASPEN_BACKGROUND'

/** A detached node outlives the command that started it; an attached one ends with it. */
export type BackgroundKind = 'detached' | 'attached'

/** What kind of background node this process is to be; null when it is none. */
export function backgroundKind(env: Environment): BackgroundKind | null {
  const kind = env[BACKGROUND_MARK]
  if (process.send === undefined) return null
  return kind === 'detached' || kind === 'attached' ? kind : null
}

/** The first message to the child. */
export interface Begin {
  readonly kind: 'begin'
  readonly ticket: string | null
}

/** From the child, in this order: progress, then one of the other two. */
export type Report =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'ready'; readonly ready: Ready }
  | { readonly kind: 'failed'; readonly body: ErrorBody }

export type Ready = MemberReady | WaitingReady

/** A node that belongs to a cluster. */
export interface MemberReady extends Opened {
  readonly status: Status
}

/** Of a process that was started to be a member. */
export function asMember(ready: Ready): MemberReady {
  assert(
    ready.status !== null,
    'a node that creates or joins belongs to a cluster when it is ready'
  )
  return ready
}

/** One that waits until it is to belong to one. */
export interface WaitingReady extends Opened {
  readonly status: null
  readonly waiting: Waiting
}

export interface Waiting {
  readonly info: NodeInfo
  /** empty while there is no API */
  readonly api: Status['api']
  readonly pid: number
}

export function isBegin(message: unknown): message is Begin {
  if (!isRecord(message) || message['kind'] !== 'begin') return false
  return message['ticket'] === null || typeof message['ticket'] === 'string'
}

export function isReport(message: unknown): message is Report {
  if (!isRecord(message)) return false
  switch (message['kind']) {
    case 'progress':
      return isRecord(message['progress']) && typeof message['progress']['text'] === 'string'
    case 'ready':
      return isReady(message['ready'])
    case 'failed':
      return isRecord(message['body']) && isRecord(message['body']['error'])
    default:
      return false
  }
}

function isReady(ready: unknown): boolean {
  return isRecord(ready) && (isRecord(ready['status']) || isRecord(ready['waiting']))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
