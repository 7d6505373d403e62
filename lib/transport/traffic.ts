// What the transport tells of its traffic, to be counted. Called for each message: cheap, and without keeping
// what it is given.

import type { NodeId } from '../node-id.ts'
import type { DialFailure } from './dial-reason.ts'
import type { BulkChannel } from './outbox.ts'

export interface TrafficObserver {
  onSent(channel: BulkChannel, byteCount: number): void
  onReceived(channel: BulkChannel, byteCount: number): void
  /** a message of consensus did not leave: there is no link, or too much waits on it */
  onRejected(reason: 'no_link' | 'backlog', isHeartbeat: boolean): void
  /** a request to a member was answered, or never will be */
  onRequested(to: NodeId, isAnswered: boolean, durationMs: number): void
  onDialed(result: 'ok' | DialFailure): void
  /** a connection to a member became a link, or was closed before it did */
  onConnected(isLink: boolean): void
}
