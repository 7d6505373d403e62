// The port below the protocol: authenticated connections that carry frames between public keys, and
// a directory of topics. Two implementations: Hyperswarm on UDP (`hyperswarm-network.ts`), and a
// table of queues (`memory-network.ts`). Everything that Aspen says is said above this line, so one
// conformance suite runs the whole protocol over both.
//
// A network knows keys and addresses. It knows nothing of members, invites or clusters: whom to let
// in is asked through `onKnock`.

import type { Address } from '../address.ts'
import type { KeyPair } from '../crypto.ts'
import type { DialFailure } from './dial-reason.ts'

/** What the owner of a listening network decides and is told. */
export interface NetworkHandlers {
  /** Whether a key that wants to connect is answered at all; asked before anything is sent to it. */
  onKnock(publicKey: Uint8Array): boolean
  /** A connection opened that no `dial` of this side asked for. `start` it at once. */
  onConnection(connection: Connection): void
  /** Whether to dial a key that was found under a topic. */
  onFound(publicKey: Uint8Array): boolean
  /** The machine's addresses changed: what failed before may work now. */
  onNetworkChange(): void
}

export interface DialTarget {
  readonly publicKey: Uint8Array
  /** who to be; the network's own key when absent */
  readonly keyPair?: KeyPair
  /** hints, tried before any directory */
  readonly addresses: readonly Address[]
}

export type DialResult =
  | { readonly kind: 'connected'; readonly connection: Connection }
  | { readonly kind: 'failed'; readonly failure: DialFailure; readonly reason: string }

export interface Dial {
  /** Gives up; `onDone` is not called any more. */
  cancel(): void
}

export interface Discovery {
  /** a query on the DHT has been answered */
  readonly isOnline: boolean
  /** every topic is announced; true when there is none */
  readonly isAnnounced: boolean
  /** topics are announced and looked up at all */
  readonly usesTopics: boolean
}

export interface Network {
  readonly publicKey: Uint8Array
  /** Binds; idempotent. After it `addresses` is known and `dial` works. Never waits for the DHT. */
  open(): Promise<void>
  /** Starts to answer those who dial this node's key. */
  listen(handlers: NetworkHandlers): Promise<void>
  /**
   * One attempt. `onDone` is called at most once, never synchronously, and not after `close`; a
   * connection must be started at once.
   */
  dial(target: DialTarget, onDone: (result: DialResult) => void): Dial
  /** The topics to be found under; replaces the set before. */
  setTopics(topics: readonly Uint8Array[]): void
  /** Announces the topics again, and looks up who else is there. */
  refreshTopics(): void
  /** Looks once for those who announce a topic. `onFound` may be called with one key several times. */
  lookup(topic: Uint8Array, onFound: (target: DialTarget) => void): Dial
  /** Where others can try to reach this node. */
  addresses(): readonly Address[]
  discovery(): Discovery
  /** Closes all connections and leaves no handle; within CLOSE_DEADLINE_MS. May be called twice. */
  close(): Promise<void>
}

export interface ConnectionHandlers {
  /** One frame; `bytes` is the callee's only until it returns. */
  onFrame(bytes: Uint8Array): void
  /** `write` may go on after it returned false. */
  onDrain(): void
  /** Called exactly once, never inside a call of this interface. */
  onClose(reason: string): void
}

/** An open connection between two keys: ordered frames, encrypted and authenticated by them. */
export interface Connection {
  readonly remotePublicKey: Uint8Array
  /** 64 bytes, the same on both sides, never twice */
  readonly handshakeHash: Uint8Array
  readonly isInitiator: boolean
  readonly remoteAddress: Address | null
  /** Takes over the connection; once, and in the turn in which it was handed out. */
  start(handlers: ConnectionHandlers): void
  /** Room for a frame of `byteCount`, which `write` then takes without a copy. */
  allocate(byteCount: number): Uint8Array
  /** Queues a frame; false when more is buffered than is good, until `onDrain`. */
  write(frame: Uint8Array): boolean
  pause(): void
  resume(): void
  /** A larger frame from the other side closes the connection. MAX_HELLO_BYTES at first. */
  setFrameLimit(byteCount: number): void
  /** Smoothed round trip, or null before it was measured. */
  rttMs(): number | null
  /** Closes without regard to what is still on its way. No frame is delivered after it. */
  close(reason: string): void
  /** Closes when what was written has arrived, or after FINISH_DEADLINE_MS. No frame is delivered after it. */
  finish(reason: string): void
}
