// The contract of the transport: what the layers above may ask of it, and what it asks of them.
// One implementation (`links.ts`) speaks the protocol over a `Network`; a network is Hyperswarm or,
// in memory, a table of queues (`network.ts`).
//
// A link exists only after both hellos were verified, and there is at most one per member. Messages
// to a member without a link are dropped: consensus sends again, requests are told at once.

import type { Address } from '../address.ts'
import type { ErrorDetail } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Message } from '../raft/message.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { Discovery } from './network.ts'

/** A member that this node wants a link to. */
export interface Peer {
  readonly id: NodeId
  readonly publicKey: Uint8Array
  /** last known, newest first; may be empty */
  readonly addresses: readonly Address[]
}

export interface Transport {
  /** Resolves when this node can be dialled by address; never waits for the DHT. */
  open(): Promise<void>
  /** The members to keep links with; replaces the set before. Links to others are closed. */
  setPeers(peers: readonly Peer[]): void
  /** The topics to announce (open invites, the member topic); replaces the set before. */
  setTopics(topics: readonly Uint8Array[]): void
  /** Sends if there is a link. Never throws, never waits. */
  send(to: NodeId, message: Message): void
  /** One request over `aspen/rpc`. `onAnswer` is called exactly once, never synchronously. */
  request(to: NodeId, payload: Uint8Array, onAnswer: (answer: RequestAnswer) => void): void
  /** As `request`, over `aspen/snapshot`: for what is big and can wait. Fewer are in flight. */
  requestSnapshot(to: NodeId, payload: Uint8Array, onAnswer: (answer: RequestAnswer) => void): void
  /** Live links. */
  links(): readonly LinkStatus[]
  /** Whether one of them goes to this member; as cheap with a thousand links as with one. */
  isLinked(id: NodeId): boolean
  /** Where others can try to reach this node: bound port with each local IPv4 address, and what the DHT saw. */
  addresses(): readonly Address[]
  /** Whether a query on the DHT has been answered, and whether the topics are announced. */
  discovery(): Discovery
  close(): Promise<void>
}

export type RequestAnswer =
  | { readonly kind: 'answered'; readonly payload: Uint8Array }
  /** nothing left this node: no link, or too many requests in flight */
  | { readonly kind: 'notSent'; readonly reason: 'noLink' | 'busy' }
  /** the link ended before the answer; the request may have been carried out */
  | { readonly kind: 'lost' }

export interface LinkStatus {
  readonly id: NodeId
  readonly publicKey: Uint8Array
  readonly sinceMs: number
  readonly rttMs: number | null
  readonly path: 'direct' | 'relay'
  readonly remoteAddress: Address | null
  /** what the peer's hello said */
  readonly boot: number
  readonly featureLevel: number
  readonly version: string
}

/** What happens below is told upward through these, given at construction. */
export interface TransportHandlers {
  onMessage(from: NodeId, message: Message): void
  /** Answer at most once, within MAX_REQUEST_TIMEOUT_MS; the link may be gone by then. */
  onRequest(from: NodeId, payload: Uint8Array, answer: (payload: Uint8Array) => void): void
  /** As `onRequest`, for requests over `aspen/snapshot`. */
  onSnapshotRequest(from: NodeId, payload: Uint8Array, answer: (payload: Uint8Array) => void): void
  onLinkUp(id: NodeId): void
  onLinkDown(id: NodeId): void
  /** Somebody holds an open invite and has proved its node key. */
  onJoin(request: VerifiedJoinRequest, answer: (answer: JoinAnswer) => void): void
  /** This node was told what it is: keep it durably before it is used. `sealedSecret` opens with the node key. */
  onWelcome(welcome: Welcome): void
  /** A peer refused this node for good (removed, data lost, fenced). */
  onRefused(by: Uint8Array, error: ErrorDetail): void
}

/** What the transport must know of the cluster at each handshake; answered at once from memory. */
export interface Trust {
  readonly clusterId: Uint8Array
  /** Fields of this node's own hello, at this moment; null while it has no welcome yet. */
  hello(): OwnHello | null
  /** Secret of an epoch that this node still accepts; 32 bytes. */
  epochSecret(epoch: number): Uint8Array | null
  /** What a key may do here. */
  standing(publicKey: Uint8Array): Standing
  /** Answer to a current member that asks what it is; null for anybody else. */
  welcomeFor(publicKey: Uint8Array): Welcome | null
  /** Why a process of that key is not let in that says this: DATA_LOST, FENCED; null when it is. */
  refusalOf(publicKey: Uint8Array, hello: OwnHello): ErrorDetail | null
  /** The hello was verified, and its process is let in. */
  onVerified(publicKey: Uint8Array, hello: OwnHello): void
}

export type Standing =
  | { readonly kind: 'member'; readonly id: NodeId }
  /** not known here, but this node is out of touch with its cluster: a MAC under the current epoch decides */
  | { readonly kind: 'unproven' }
  | { readonly kind: 'invite'; readonly proofKey: Uint8Array }
  /** one rate-limited answer with the reason */
  | { readonly kind: 'refused'; readonly error: ErrorDetail }
  /** silence */
  | { readonly kind: 'stranger' }

export interface OwnHello {
  readonly id: NodeId
  /** boot counter of the storage; grows by one with each start */
  readonly boot: number
  /** random per process, 16 bytes */
  readonly instance: Uint8Array
  /** random per log store, 16 bytes: one that was made anew is another one */
  readonly storageEpoch: Uint8Array
  readonly epoch: number
  /** term and last index of the log, as one durable write left them (amnesia guard, DESIGN §4) */
  readonly durableTerm: number
  readonly lastIndex: number
  /** the highest feature level that the program knows */
  readonly featureLevel: number
  /** program version, for people */
  readonly version: string
}

/** What a node must know to say hello and to find its leader. */
export interface Welcome {
  readonly id: NodeId
  readonly epoch: number
  /** the epoch's secret, sealed to the node's key (crypto.ts seal) */
  readonly sealedSecret: Uint8Array
  readonly configuration: Configuration
}

export interface JoinRequest {
  /** the key that the node will have as a member; its signature over the handshake is checked */
  readonly publicKey: Uint8Array
  readonly name: string
  readonly version: string
  readonly addresses: readonly Address[]
}

export interface VerifiedJoinRequest extends JoinRequest {
  readonly invitePublicKey: Uint8Array
}

export type JoinAnswer =
  /** all that the joiner needs to say its first hello as a member */
  | { readonly kind: 'admitted'; readonly welcome: Welcome }
  | { readonly kind: 'refused'; readonly error: ErrorDetail }
  /** try again: too many joiners, or no leader at the moment */
  | { readonly kind: 'busy' }
