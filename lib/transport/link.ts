// One verified connection to a member: messages of consensus on `aspen/raft`, requests and answers on
// `aspen/rpc` and `aspen/snapshot`, all through one outbox. Ends with its connection.

import { assert, unreachable } from '../assert.ts'
import type { Clock, Timer, Timers } from '../clock.ts'
import { hexOf } from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import {
  MAX_APPEND_BYTES,
  MAX_FRAGMENT_BYTES,
  MAX_INFLIGHT_REQUESTS,
  MAX_INFLIGHT_SNAPSHOT_REQUESTS,
  MAX_LINK_BACKLOG_BYTES,
  MAX_REQUEST_TIMEOUT_MS,
  MAX_RPC_MESSAGE_SIZE,
  MAX_UNSENT_ACKS
} from '../limits.ts'
import { decodeMessage, encodeLarge, encodeMessage } from '../raft/encoding.ts'
import type { Append, Message } from '../raft/message.ts'
import type { Hello } from './encoding.ts'
import { Inbox } from './inbox.ts'
import type { Mux } from './mux.ts'
import type { BulkChannel, Bytes } from './outbox.ts'
import { BULK_CHANNELS, Joined, Outbox } from './outbox.ts'
import type { ChannelName } from './permissions.ts'
import { MESSAGES } from './permissions.ts'
import { Requests } from './requests.ts'
import type { TrafficObserver } from './traffic.ts'
import type { LinkStatus, RequestAnswer } from './transport.ts'

/** Bytes around a fragment: channel, type, length of the whole, and the encryption's own. */
const FRAME_OVERHEAD_BYTES = 64

/** Channels of requests. */
export type RequestChannel = 'rpc' | 'snapshot'

export interface LinkHandlers {
  onMessage(message: Message): void
  onRequest(
    channel: RequestChannel,
    payload: Uint8Array,
    answer: (payload: Uint8Array) => void
  ): void
  /** Once; the link sends and delivers nothing any more. */
  onEnd(reason: string): void
}

export interface LinkParts {
  readonly mux: Mux
  readonly hello: Hello
  readonly clock: Clock
  readonly timers: Timers
  readonly handlers: LinkHandlers
  /** null: nothing is counted */
  readonly traffic: TrafficObserver | null
}

export class Link {
  readonly hello: Hello
  readonly mux: Mux
  /** the other side's public key in hex */
  readonly key: string
  readonly sinceMs: number
  readonly #parts: LinkParts
  readonly #outbox: Outbox
  readonly #inboxes: Record<BulkChannel, Inbox> = {
    raft: new Inbox(),
    rpc: new Inbox(),
    snapshot: new Inbox()
  }
  readonly #requests: Readonly<Record<RequestChannel, Requests>>
  /** acknowledgements written since the connection last took all that was written */
  #unsentAckCount = 0
  #sweep: Timer | null = null
  #isOver = false

  /** Takes over `mux`, whose hello channel has just accepted the other side. */
  constructor(parts: LinkParts) {
    this.#parts = parts
    this.mux = parts.mux
    this.key = hexOf(parts.mux.connection.remotePublicKey)
    this.hello = parts.hello
    this.sinceMs = parts.clock.nowMs()
    this.#outbox = new Outbox({
      write: (channel, kind, bytes) => parts.mux.send(channel, kind, bytes),
      clock: parts.clock,
      timers: parts.timers
    })
    this.#requests = {
      rpc: this.#requestsOn('rpc', MAX_INFLIGHT_REQUESTS),
      snapshot: this.#requestsOn('snapshot', MAX_INFLIGHT_SNAPSHOT_REQUESTS)
    }
    parts.mux.connection.setFrameLimit(MAX_FRAGMENT_BYTES + FRAME_OVERHEAD_BYTES)
    parts.mux.handOver({
      onMessage: (channel, type, bytes) => this.#onFrame(channel, type, bytes),
      onDrain: () => this.#onDrain(),
      onClose: (reason) => this.#end(reason)
    })
    for (const channel of BULK_CHANNELS) parts.mux.open(channel)
    this.#sweepLater()
  }

  get isInitiator(): boolean {
    return this.mux.connection.isInitiator
  }

  send(message: Message): void {
    if (this.#isOver) return
    const bytes = isLarge(message) ? new Joined(...encodeLarge(message)) : encodeMessage(message)
    assert(bytes.byteLength <= MAX_RPC_MESSAGE_SIZE, `a message of ${bytes.byteLength} bytes`)
    this.#put('raft', bytes, message.kind === 'append')
  }

  request(
    channel: RequestChannel,
    payload: Uint8Array,
    onAnswer: (answer: RequestAnswer) => void
  ): void {
    this.#requests[channel].request(payload, onAnswer)
  }

  status(): LinkStatus {
    const { connection } = this.mux
    return {
      id: this.hello.id,
      publicKey: connection.remotePublicKey,
      sinceMs: this.sinceMs,
      rttMs: connection.rttMs(),
      path: 'direct',
      remoteAddress: connection.remoteAddress,
      boot: this.hello.boot,
      featureLevel: this.hello.featureLevel,
      version: this.hello.version
    }
  }

  close(reason: string): void {
    this.mux.close(reason)
    this.#end(reason)
  }

  #onFrame(channel: ChannelName, type: number, bytes: Uint8Array): void {
    if (this.#isOver || channel === 'hello' || channel === 'join') return
    const kind = MESSAGES[channel][type]
    assert(kind !== undefined, 'only known messages are permitted')
    switch (kind) {
      case 'whole':
        // frames belong to the connection, and what is decoded may be a view
        this.#onMessage(channel, bytes.slice())
        return
      case 'ack':
        if (!this.#outbox.onAck()) throw new ProtocolError('an acknowledgement of nothing')
        return
      case 'first':
      case 'next': {
        const whole = this.#inboxes[channel][kind](bytes)
        this.#acknowledge(channel)
        if (whole !== null && !this.#isOver) this.#onMessage(channel, whole)
        return
      }
      default:
        unreachable(kind)
    }
  }

  #onMessage(channel: BulkChannel, bytes: Uint8Array): void {
    this.#parts.traffic?.onReceived(channel, bytes.byteLength)
    if (channel === 'raft') this.#parts.handlers.onMessage(decodeMessage(bytes))
    else this.#requests[channel].onMessage(bytes)
  }

  #requestsOn(channel: RequestChannel, maxInFlight: number): Requests {
    const { clock, handlers } = this.#parts
    return new Requests({
      clock,
      maxInFlight,
      hasRoom: (byteCount) => this.#outbox.hasRoom(byteCount),
      send: (envelope) => this.#put(channel, envelope, false),
      onRequest: (payload, answer) => handlers.onRequest(channel, payload, answer)
    })
  }

  #put(channel: BulkChannel, bytes: Bytes, isDroppable: boolean): void {
    const isTaken = this.#outbox.send(channel, bytes, isDroppable)
    if (isTaken) this.#parts.traffic?.onSent(channel, bytes.byteLength)
    else this.#parts.traffic?.onRejected('backlog', false)
    if (this.#outbox.backlogBytes > MAX_LINK_BACKLOG_BYTES) this.close(DOES_NOT_READ)
  }

  /** Past the outbox: an acknowledgement never waits for what it lets the other side send. */
  #acknowledge(channel: BulkChannel): void {
    if (this.mux.send(channel, 'ack', EMPTY)) return
    this.#unsentAckCount++
    if (this.#unsentAckCount > MAX_UNSENT_ACKS) this.close(DOES_NOT_READ)
  }

  #onDrain(): void {
    this.#unsentAckCount = 0
    this.#outbox.onDrain()
  }

  /** Forgets requests that nobody answers any more. */
  #sweepLater(): void {
    this.#sweep = this.#parts.timers.start(MAX_REQUEST_TIMEOUT_MS / 10, () => {
      for (const requests of Object.values(this.#requests)) requests.sweep()
      if (!this.#isOver) this.#sweepLater()
    })
  }

  #end(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#sweep?.cancel()
    this.#outbox.close()
    this.#parts.handlers.onEnd(reason)
    for (const requests of Object.values(this.#requests)) requests.end()
  }
}

/** What several entries make is at most MAX_APPEND_BYTES; a larger append is one entry. */
function isLarge(message: Message): message is Append {
  if (message.kind !== 'append') return false
  const [entry] = message.entries
  return entry !== undefined && entry.payload.byteLength > MAX_APPEND_BYTES
}

const EMPTY = new Uint8Array(0)

const DOES_NOT_READ = 'the other side does not read what is for it'
