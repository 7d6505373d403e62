// The transport: one link per member, kept by dialling and accepting over a network. A connection
// comes in (or is dialled), says hello (hello-session.ts), and becomes a link (link.ts); connections
// with an invite's key go to the reception and never become links.
//
// Two members may dial each other at the same moment. Both see both connections and must keep the
// same one: the one that the larger key initiated. A link that is older than any hello in progress,
// or whose process is another one, is dead on the other side: the new connection replaces it.

import { assert, unreachable } from '../assert.ts'
import type { Address } from '../address.ts'
import type { Clock, Timers } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import { hexOf } from '../encoding.ts'
import { HELLO_DEADLINE_MS, MAX_PEERS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Message } from '../raft/message.ts'
import type { Random } from '../random.ts'
import { Dialer } from './dialer.ts'
import type { Hello } from './encoding.ts'
import { Gate } from './gate.ts'
import type { Place } from './gate.ts'
import { HelloSession } from './hello-session.ts'
import { Link } from './link.ts'
import type { RequestChannel } from './link.ts'
import type { Mux } from './mux.ts'
import type { Connection, Discovery, Network } from './network.ts'
import type { Conversation } from './reception.ts'
import { receiveJoiner, refuse, turnAway } from './reception.ts'
import type { TrafficObserver } from './traffic.ts'
import type {
  LinkStatus,
  Peer,
  RequestAnswer,
  Transport,
  TransportHandlers,
  Trust
} from './transport.ts'

export interface LinksOptions {
  readonly network: Network
  readonly keyPair: KeyPair
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly trust: Trust
  readonly handlers: TransportHandlers
  /** null: nothing is counted */
  readonly traffic: TrafficObserver | null
}

interface Call {
  readonly to: NodeId
  readonly payload: Uint8Array
  readonly onAnswer: (answer: RequestAnswer) => void
}

export class Links implements Transport {
  readonly #options: LinksOptions
  readonly #gate: Gate
  readonly #dialer: Dialer
  readonly #peers = new Map<string, Peer>()
  readonly #links = new Map<NodeId, Link>()
  /** connections that are saying hello, the oldest first */
  readonly #sessions = new Set<HelloSession>()
  readonly #conversations = new Set<Conversation>()
  #closing: Promise<void> | null = null

  constructor(options: LinksOptions) {
    this.#options = options
    this.#gate = new Gate(options.trust, options.clock)
    this.#dialer = new Dialer({
      network: options.network,
      clock: options.clock,
      timers: options.timers,
      random: options.random,
      isReached: (publicKey) => this.#isReached(publicKey),
      onConnection: (connection) => this.#onConnection(connection),
      onDialed: (result) => options.traffic?.onDialed(result)
    })
  }

  async open(): Promise<void> {
    const { network } = this.#options
    await network.open()
    await network.listen({
      onKnock: (publicKey) => this.#closing === null && this.#gate.mayKnock(publicKey),
      onConnection: (connection) => this.#onConnection(connection),
      onFound: (publicKey) => this.#shouldDial(publicKey),
      onNetworkChange: () => this.#dialer.wake()
    })
    this.#dialer.wake()
  }

  setPeers(peers: readonly Peer[]): void {
    assert(peers.length <= MAX_PEERS, `at most ${MAX_PEERS} peers`)
    const own = hexOf(this.#options.keyPair.publicKey)
    this.#peers.clear()
    for (const peer of peers) {
      const key = hexOf(peer.publicKey)
      if (key !== own) this.#peers.set(key, peer)
    }
    for (const link of this.#links.values()) {
      // a member that is in no configuration yet may stay
      if (!this.#mayBeMember(link.mux.connection.remotePublicKey)) link.close('no longer a peer')
      else if (this.#isOthers(link.hello.id, link.key)) link.close('another id than the log says')
    }
    if (this.#closing === null) this.#dialer.setPeers([...this.#peers.values()])
  }

  setTopics(topics: readonly Uint8Array[]): void {
    if (this.#closing !== null) return
    this.#options.network.setTopics(topics)
    this.#dialer.wake()
  }

  send(to: NodeId, message: Message): void {
    const link = this.#links.get(to)
    if (link === undefined)
      this.#options.traffic?.onRejected('no_link', message.kind === 'heartbeat')
    else link.send(message)
  }

  request(to: NodeId, payload: Uint8Array, onAnswer: (answer: RequestAnswer) => void): void {
    this.#requestOn('rpc', { to, payload, onAnswer })
  }

  requestSnapshot(
    to: NodeId,
    payload: Uint8Array,
    onAnswer: (answer: RequestAnswer) => void
  ): void {
    this.#requestOn('snapshot', { to, payload, onAnswer })
  }

  links(): readonly LinkStatus[] {
    return [...this.#links.values()].map((link) => link.status())
  }

  isLinked(id: NodeId): boolean {
    return this.#links.has(id)
  }

  addresses(): readonly Address[] {
    return this.#options.network.addresses()
  }

  discovery(): Discovery {
    return this.#options.network.discovery()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#dialer.close()
    for (const session of this.#sessions) session.close('closing')
    for (const conversation of this.#conversations) conversation.close('closing')
    for (const link of this.#links.values()) link.close('closing')
    await this.#options.network.close()
  }

  #requestOn(channel: RequestChannel, { to, payload, onAnswer }: Call): void {
    const link = this.#links.get(to)
    if (link === undefined) queueMicrotask(() => onAnswer({ kind: 'notSent', reason: 'noLink' }))
    else link.request(channel, payload, this.#timed(to, onAnswer))
  }

  #timed(to: NodeId, onAnswer: Call['onAnswer']): Call['onAnswer'] {
    const { traffic, clock } = this.#options
    if (traffic === null) return onAnswer
    const beganMs = clock.nowMs()
    return (answer) => {
      traffic.onRequested(to, answer.kind === 'answered', clock.nowMs() - beganMs)
      onAnswer(answer)
    }
  }

  #onConnection(connection: Connection): void {
    const { trust, timers } = this.#options
    if (connection.isInitiator) {
      this.#greet(connection, null)
      return
    }
    const standing = trust.standing(connection.remotePublicKey)
    switch (standing.kind) {
      case 'member':
        this.#greet(connection, null)
        return
      case 'unproven': {
        const place = this.#gate.enterUnproven()
        if (place === null) connection.close('too many unproven connections')
        else this.#greet(connection, place)
        return
      }
      case 'invite':
        this.#receive(connection, standing.proofKey)
        return
      case 'refused':
        this.#converse((place) => refuse(connection, standing.error, { timers, place }), NO_PLACE)
        return
      case 'stranger':
        connection.close('a stranger')
        return
      default:
        unreachable(standing)
    }
  }

  /** A connection with somebody who may be a member. */
  #greet(connection: Connection, place: Place | null): void {
    const { trust, timers, handlers } = this.#options
    const key = connection.remotePublicKey
    if (this.#closing !== null || !this.#isOfUse(connection)) {
      place?.free()
      connection.close('not needed')
      return
    }
    this.#endOldestSession(key)
    const session: HelloSession = new HelloSession(
      connection,
      { trust, timers },
      {
        onWelcome: (welcome) => handlers.onWelcome(welcome),
        onAccept: (hello, mux) => {
          leave()
          this.#accept(hello, mux)
        },
        onRefused: (error) => {
          this.#dialer.onRefused(key)
          if (this.#peers.has(hexOf(key))) handlers.onRefused(key, error)
        },
        onEnd: () => {
          leave()
          this.#options.traffic?.onConnected(false)
        }
      }
    )
    const leave = (): void => {
      this.#sessions.delete(session)
      place?.free()
    }
    this.#sessions.add(session)
  }

  /** Few connections of one key say hello at once; the oldest goes. */
  #endOldestSession(key: Uint8Array): void {
    const sessions = this.#sessionsOf(hexOf(key))
    if (sessions.length < MAX_SESSIONS_PER_KEY) return
    sessions[0]?.close('replaced by a newer connection')
  }

  #accept(hello: Hello, mux: Mux): void {
    const { clock, timers, handlers, trust } = this.#options
    const { id } = hello
    const { remotePublicKey } = mux.connection
    const key = hexOf(remotePublicKey)
    const existing = this.#links.get(id)
    if (this.#isOthers(id, key)) {
      mux.close(`node ${id} has another key, or this key another id`)
      return
    }
    // since its hello came, it was removed, or another process of that key was let in; its next hello is told
    const standing = trust.standing(remotePublicKey)
    const refusal =
      standing.kind === 'refused' ? standing.error : trust.refusalOf(remotePublicKey, hello)
    if (refusal !== null) {
      mux.close(refusal.message)
      return
    }
    trust.onVerified(remotePublicKey, hello)
    if (existing === undefined && this.#links.size >= MAX_PEERS) {
      mux.close('too many links')
      return
    }
    if (existing !== undefined && this.#isPreferred(existing, hello, mux)) {
      mux.close('a second connection')
      return
    }
    existing?.close('replaced by a newer connection')
    const link: Link = new Link({
      mux,
      hello,
      clock,
      timers,
      traffic: this.#options.traffic,
      handlers: {
        onMessage: (message) => handlers.onMessage(id, message),
        onRequest: (channel, payload, answer) => {
          if (channel === 'rpc') handlers.onRequest(id, payload, answer)
          else handlers.onSnapshotRequest(id, payload, answer)
        },
        onEnd: () => this.#onLinkEnd(id, link)
      }
    })
    this.#links.set(id, link)
    this.#options.traffic?.onConnected(true)
    handlers.onLinkUp(id)
  }

  #onLinkEnd(id: NodeId, link: Link): void {
    if (this.#links.get(id) !== link) return
    this.#links.delete(id)
    this.#options.handlers.onLinkDown(id)
    if (this.#closing === null) this.#dialer.wake()
  }

  /** Whether the id belongs to another key, or the key to another id, as a peer or by a link. */
  #isOthers(id: NodeId, key: string): boolean {
    const isOther = (otherId: NodeId, otherKey: string): boolean =>
      (otherId === id) !== (otherKey === key)
    const links = [...this.#links.values()]
    if (links.some((link) => isOther(link.hello.id, link.key))) return true
    return [...this.#peers].some(([peerKey, peer]) => isOther(peer.id, peerKey))
  }

  /** Whether `existing` stays rather than the connection whose hello was just verified. */
  #isPreferred(existing: Link, hello: Hello, mux: Mux): boolean {
    if (hexOf(existing.hello.instance) !== hexOf(hello.instance)) return false
    const ageMs = this.#options.clock.nowMs() - existing.sinceMs
    const isSameSide = existing.isInitiator === mux.connection.isInitiator
    if (ageMs > HELLO_DEADLINE_MS || isSameSide) return false
    const own = hexOf(this.#options.keyPair.publicKey)
    return existing.isInitiator === own > existing.key
  }

  #receive(connection: Connection, proofKey: Uint8Array): void {
    const { keyPair, trust, timers, handlers } = this.#options
    const place = this.#gate.enterInvite(connection.remotePublicKey)
    if (place === null) {
      this.#converse(
        (busy) => turnAway(connection, { timers, place: busy }),
        this.#gate.enterBusy()
      )
      return
    }
    const onJoin = handlers.onJoin.bind(handlers)
    const { clusterId } = trust
    const parts = { clusterId, publicKey: keyPair.publicKey, timers, onJoin }
    this.#converse((free) => receiveJoiner(connection, { proofKey, place: free }, parts), place)
  }

  /** Keeps a conversation until its place is freed, so that `close` finds it. */
  #converse(begin: (place: Place) => Conversation, place: Place): void {
    const conversation: Conversation = begin({
      free: () => {
        place.free()
        this.#conversations.delete(conversation)
      }
    })
    this.#conversations.add(conversation)
  }

  #isReached(publicKey: Uint8Array): boolean {
    const key = hexOf(publicKey)
    return this.#linkOf(key) !== undefined || this.#sessionsOf(key).length > 0
  }

  /**
   * Whether a connection that just opened is of use. When two dials cross, the side with the larger
   * key decides, and for its own one: would both give way, neither would be left. One that it has
   * already proven itself on may be a link over there, and stays.
   */
  #isOfUse({ isInitiator, remotePublicKey }: Connection): boolean {
    const key = hexOf(remotePublicKey)
    const isOwnLarger = hexOf(this.#options.keyPair.publicKey) > key
    const rivals = this.#sessionsOf(key)
    if (!isInitiator) return !isOwnLarger || !rivals.some((each) => each.connection.isInitiator)
    if (this.#linkOf(key) !== undefined || !this.#mayBeMember(remotePublicKey)) return false
    const areBeaten = rivals.every(
      ({ connection, isProving }) => isOwnLarger && !connection.isInitiator && !isProving
    )
    if (areBeaten) for (const rival of rivals) rival.close('crossed by the own dial')
    return areBeaten
  }

  #shouldDial(publicKey: Uint8Array): boolean {
    return this.#closing === null && !this.#isReached(publicKey) && this.#mayBeMember(publicKey)
  }

  #linkOf(key: string): Link | undefined {
    return [...this.#links.values()].find((link) => link.key === key)
  }

  #sessionsOf(key: string): readonly HelloSession[] {
    return [...this.#sessions].filter((each) => each.key === key)
  }

  #mayBeMember(publicKey: Uint8Array): boolean {
    const { kind } = this.#options.trust.standing(publicKey)
    return this.#peers.has(hexOf(publicKey)) || kind === 'member' || kind === 'unproven'
  }
}

/** Two dials that cross, and one of a process that died. */
const MAX_SESSIONS_PER_KEY = 4

const NO_PLACE: Place = { free: () => {} }
