// The contract between the core and its driver: what goes in, what comes out, and in which order
// the driver must act. The driver is `replica/replica.ts`; there is no other.
//
//   1. `write` goes to the log store at once, in token order; several may be outstanding.
//   2. `messages` leave now. `gated` messages leave when `durable(token)` has come back for their
//      token (or a later one); at that moment and not before.
//   3. `commitIndex`: entries up to it may be applied, in order, as far as they are durable here: what a crash
//      leaves of the log never ends before what has been applied, and never is another branch.
//   4. `reads`: each may be answered from a state machine that has applied its index.
//   5. `deadlineMs`: the driver steps with `tick` at or after it.
//   6. After any failed write the core is never stepped again (B64).

import type { NodeId } from '../node-id.ts'
import type { Configuration, ConfigurationChange } from './configuration.ts'
import type { OnDisk } from './durability.ts'
import type { Entry, EntryId, Index, Term } from './entry.ts'
import type { Message } from './message.ts'

/** Time of a step: monotonic milliseconds, and the machine's wall clock for stamps. */
export interface Now {
  readonly nowMs: number
  readonly wallMs: number
}

/** Numbers that the driver made up; they come back in the answer. */
export type Ref = number

/** Increases by one with each write. `durable(k)` says that all writes up to k are durable. */
export type Token = number

export type Event =
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly from: NodeId; readonly message: Message }
  | { readonly kind: 'durable'; readonly token: Token }
  /** entries to append, all or none; answered by `proposed` ([from, to)) or `refused` */
  | {
      readonly kind: 'propose'
      readonly ref: Ref
      readonly entries: readonly { readonly kind: number; readonly payload: Uint8Array }[]
    }
  | { readonly kind: 'change'; readonly ref: Ref; readonly change: ConfigurationChange }
  /** a linearizable read: answered in `reads` or by `refused` */
  | { readonly kind: 'read'; readonly ref: Ref }
  /** hand leadership to a voter; answered by `proposed` (begun; from = to) or `refused` */
  | { readonly kind: 'transfer'; readonly ref: Ref; readonly target: NodeId }
  /** a link to a member opened: replication to it starts afresh */
  | { readonly kind: 'linkUp'; readonly id: NodeId }
  /** no path to the leader is left: forget that it was heard, keep the term */
  | { readonly kind: 'leaderLinkLost'; readonly id: NodeId }
  /** a snapshot was fetched and prepared: the log may begin after it; answered by `installed` */
  | { readonly kind: 'install'; readonly snapshot: InstalledSnapshot }

/** What a log needs to know of the snapshot after which it begins. All of it is committed. */
export interface InstalledSnapshot {
  /** the last entry that the snapshot contains */
  readonly id: EntryId
  /** that entry's stamp: stamps go on from it */
  readonly timeMs: number
  /** in force at `id`, and the index of its entry, which is at most `id.index` */
  readonly configuration: Configuration
  readonly configurationIndex: Index
}

/** A snapshot that the log begins after from now on. */
export interface Install extends InstalledSnapshot {
  /** whether the entries above it stay; else all of them go, in the same write */
  readonly keepsTail: boolean
}

/** Must be durable before any promise made from it. */
export interface HardState {
  readonly term: Term
  /** changes from a node to null only when the term grows (B62) */
  readonly votedFor: NodeId | null
  /** the commit index known at the last write: a floor, not the truth */
  readonly commitIndex: Index
}

/** One atomic durable write, in this order: hard state, snapshot, truncation, entries. */
export interface Write {
  readonly token: Token
  readonly hardState: HardState | null
  /** the log begins after this snapshot now; null for no change. Comes alone, with the hard state */
  readonly install: Install | null
  /** entries at and above this index go first; null for none */
  readonly truncateFrom: Index | null
  /** contiguous */
  readonly entries: readonly Entry[]
}

export type RefusalReason =
  /** this node does not lead; nothing was appended */
  | 'notLeader'
  /** leadership is being handed over */
  | 'transferring'
  /** an earlier configuration change is not finished, or the term's first entry is not committed */
  | 'changeInProgress'
  /** the change or target makes no sense in the present configuration */
  | 'invalidChange'
  /** more reads wait than MAX_PENDING_READS */
  | 'overloaded'
  /** a majority agrees on a time more than MAX_CLOCK_SKEW_MS from this machine's clock */
  | 'clockOff'

export interface Outgoing {
  readonly to: NodeId
  readonly message: Message
}

export interface Effects {
  readonly write: Write | null
  readonly messages: readonly Outgoing[]
  readonly gated: readonly (Outgoing & { readonly token: Token })[]
  /** the commit index after the step; never falls */
  readonly commitIndex: Index
  readonly proposed: readonly {
    readonly ref: Ref
    readonly term: Term
    readonly from: Index
    readonly to: Index
  }[]
  readonly refused: readonly { readonly ref: Ref; readonly reason: RefusalReason }[]
  readonly reads: readonly { readonly ref: Ref; readonly index: Index }[]
  /** followers whose next entry is compacted away: they need a snapshot */
  readonly snapshotsNeeded: readonly NodeId[]
  /**
   * what became of the snapshot of this step's `install`. `adopted`: the log begins after it at once, for
   * this core, and durably with the step's write. `obsolete`: nothing happened; what it contains is
   * committed here already, or this node leads, or the snapshot is of a term that this node never saw.
   * null for other events, and when it is `diverged`
   */
  readonly installed: 'adopted' | 'obsolete' | null
  /**
   * set when this step found that the leader's log and ours differ below a matching entry; null for the
   * leader where a snapshot showed it and nobody is followed
   */
  readonly diverged: { readonly leader: NodeId | null; readonly index: Index } | null
  /** set when this step was shown a second leader of the present term; once per term and claimant */
  readonly secondLeader: SecondLeader | null
  /** when to step next if nothing else happens; monotonic milliseconds */
  readonly deadlineMs: number
}

/** Two nodes that say that they lead one term: one of them is broken, or lies (R1). */
export interface SecondLeader {
  readonly term: Term
  /** who was known to lead it, maybe this node */
  readonly leader: NodeId
  readonly claimant: NodeId
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader'

/** What others may look at between steps. */
export interface Status {
  readonly role: Role
  readonly term: Term
  readonly leader: NodeId | null
  /** monotonic ms of the last message of a leader of any term; null: none in this life of the process */
  readonly leaderHeardMs: number | null
  readonly commitIndex: Index
  readonly lastIndex: Index
  readonly lastTerm: Term
  /** the last index whose write is durable */
  readonly durableIndex: Index
  /** the term on disk, and the last index of the log on disk: both of the last write that is durable */
  readonly onDisk: OnDisk
  /** in use: the last configuration entry in the log, committed or not */
  readonly configuration: Configuration
  readonly configurationIndex: Index
  /** log time: what a leader would stamp next, which goes on while nothing is written; else the last stamp here */
  readonly logTimeMs: number
  readonly transferTarget: NodeId | null
  /** leader only: voters, maybe itself, whose clocks are wrong by what a majority says ('clockOff') */
  readonly wrongClocks: readonly NodeId[]
  /** leader only */
  readonly progress: ReadonlyMap<NodeId, FollowerStatus>
}

export interface FollowerStatus {
  readonly matchIndex: Index
  readonly state: 'probe' | 'replicate' | 'snapshot'
  /** monotonic ms of the last answer, or null */
  readonly heardMs: number | null
  /** appends on the way, and the bytes in them; 0 unless replicating */
  readonly inflightCount: number
  readonly inflightBytes: number
}
