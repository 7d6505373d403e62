// Whole operations on the cluster, as a member asks them of whoever leads, and how they end. The leader carries
// one out from its first check to its last entry, so that what it goes by (links, progress, log time) is its
// own and of one moment.

import type { ErrorDetail } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { Index } from '../raft/entry.ts'

export type ClusterOperation =
  /** `expected`: who votes before it, or nothing is done; null: whoever does */
  | {
      readonly kind: 'changeVoters'
      readonly members: readonly NodeId[]
      readonly expected: readonly NodeId[] | null
    }
  | {
      readonly kind: 'promote'
      readonly learnerId: NodeId
      readonly replaceNode: NodeId | null
      readonly force: boolean
    }
  | { readonly kind: 'remove'; readonly id: NodeId; readonly force: boolean }
  /** null: whoever is best */
  | { readonly kind: 'transfer'; readonly target: NodeId | null }
  /** `newest`: as of which entry the newest snapshot of the asking node is; 0 for none */
  | { readonly kind: 'snapshot'; readonly newest: Index }
  /** ends when the member is in the configuration, linked and caught up */
  | { readonly kind: 'awaitLearner'; readonly id: NodeId }

/** Those that end with a configuration. */
export type ChangingOperation = Exclude<
  ClusterOperation,
  { readonly kind: 'transfer' | 'snapshot' }
>

/** What comes of an operation. */
export type ResultOf<Operation extends ClusterOperation> = Operation extends {
  readonly kind: 'transfer'
}
  ? Extract<OperationResult, { readonly kind: 'transferred' }>
  : Operation extends { readonly kind: 'snapshot' }
    ? Extract<OperationResult, { readonly kind: 'snapshotAt' }>
    : Extract<OperationResult, { readonly kind: 'changed' }>

export type OperationResult =
  | ({ readonly kind: 'changed' } & Changed)
  | { readonly kind: 'transferred'; readonly leader: NodeId }
  /** every member snapshots at this entry */
  | { readonly kind: 'snapshotAt'; readonly index: Index }

/** A configuration, once it is what was asked for. */
export interface Changed {
  /** of its entry */
  readonly index: Index
  /** log time */
  readonly timeMs: number
  /** ascending */
  readonly previousVoters: readonly NodeId[]
  /** with the addresses that are known now */
  readonly configuration: Configuration
  /** ids of the tickets that it revoked */
  readonly revokedTickets: readonly string[]
}

export type OperationEnd =
  | { readonly kind: 'done'; readonly result: OperationResult }
  | { readonly kind: 'failed'; readonly error: ErrorDetail }
  /** nothing happened: this node does not lead, or not any more */
  | { readonly kind: 'again' }

/** Whether it may be carried out twice: nothing is different after the second time. */
export function isRepeatable({ kind }: ClusterOperation): boolean {
  return kind === 'snapshot' || kind === 'awaitLearner'
}
