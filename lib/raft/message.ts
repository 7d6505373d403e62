// What members say to each other. Every message names its sender's term; the sender itself is the
// connection's key, never a field. Layout: encoding.ts. Meaning: README.md, table role × message.

import type { Entry, Index, Term } from './entry.ts'

export type Message =
  | PreVote
  | PreVoteAnswer
  | Vote
  | VoteAnswer
  | Append
  | AppendAnswer
  | Heartbeat
  | HeartbeatAnswer
  | TimeoutNow

/** Would you vote for me in `term`? Changes no state at either end. */
export interface PreVote {
  readonly kind: 'preVote'
  /** the term that the sender would campaign in: one above its own */
  readonly term: Term
  readonly lastIndex: Index
  readonly lastTerm: Term
}

export interface PreVoteAnswer {
  readonly kind: 'preVoteAnswer'
  /** the term that was asked for */
  readonly term: Term
  readonly isGranted: boolean
  /** the answering node's own term */
  readonly ownTerm: Term
}

export interface Vote {
  readonly kind: 'vote'
  readonly term: Term
  readonly lastIndex: Index
  readonly lastTerm: Term
  /** set only after TimeoutNow of the term before: overrules "I hear a leader" */
  readonly isTransfer: boolean
}

export interface VoteAnswer {
  readonly kind: 'voteAnswer'
  readonly term: Term
  readonly isGranted: boolean
}

export interface Append {
  readonly kind: 'append'
  readonly term: Term
  /** the replication session of this leader with this follower; answers repeat it */
  readonly session: number
  readonly previousIndex: Index
  readonly previousTerm: Term
  /** chain hash of the entry at previousIndex */
  readonly previousHash: Uint8Array
  /** contiguous from previousIndex + 1; empty when probing */
  readonly entries: readonly Entry[]
  readonly commitIndex: Index
}

export interface AppendAnswer {
  readonly kind: 'appendAnswer'
  readonly term: Term
  readonly session: number
  readonly result:
    | { readonly kind: 'matched'; readonly matchIndex: Index }
    /** the follower's log does not contain (previousIndex, previousTerm) */
    | {
        readonly kind: 'rejected'
        /** the previousIndex that was refused */
        readonly previousIndex: Index
        /** the highest index at or below previousIndex whose term is at most previousTerm … */
        readonly hintIndex: Index
        /** … and that entry's term */
        readonly hintTerm: Term
      }
}

export interface Heartbeat {
  readonly kind: 'heartbeat'
  readonly term: Term
  /** boot counter of the leader and its round in this boot: never used twice (B51) */
  readonly boot: number
  readonly round: number
  /** min(commit index, what this follower is known to hold) */
  readonly commitIndex: Index
}

export interface HeartbeatAnswer {
  readonly kind: 'heartbeatAnswer'
  readonly term: Term
  readonly boot: number
  readonly round: number
  /** the answering node's wall clock, for the log's time */
  readonly wallMs: number
}

/** The leader asks a caught-up voter to campaign at once (thesis 3.10). */
export interface TimeoutNow {
  readonly kind: 'timeoutNow'
  readonly term: Term
}
