// One verified connection to a member: messages of consensus on `aspen/raft`, requests and answers
// on `aspen/rpc`, both through one outbox. Ends with its connection.

import { assert, unreachable } from '../assert.ts'
import type { Clock, Timer, Timers } from '../clock.ts'
import { hexOf } from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import {
  MAX_APPEND_BYTES,
  MAX_FRAGMENT_BYTES,
  MAX_INFLIGHT_REQUESTS,
  MAX_LINK_BACKLOG_BYTES,
  MAX_REQUEST_TIMEOUT_MS,
  MAX_RPC_MESSAGE_SIZE,
  MAX_UNSENT_ACKS
} from '../limits.ts'
import { decodeMessage, encodeLarge, encodeMessage } from '../raft/encoding.ts'
import type { Append, Message } from '../raft/message.ts'
import type { Envelope, Hello } from './encoding.ts'
import { decodeEnvelope, encodeEnvelope, ENVELOPE_BYTES } from './encoding.ts'
import { Inbox } from './inbox.ts'
import type { Mux } from './mux.ts'
import type { BulkChannel, Bytes } from './outbox.ts'
import { Joined, Outbox } from './outbox.ts'
import type { ChannelName } from './permissions.ts'
import { MESSAGES } from './permissions.ts'
import type { LinkStatus, RequestAnswer } from './transport.ts'

/** Bytes around a fragment: channel, type, length of the whole, and the encryption's own. */
const FRAME_OVERHEAD_BYTES = 64
/** Bytes of the largest payload of a request or answer. */
export const MAX_REQUEST_BYTES = MAX_RPC_MESSAGE_SIZE - ENVELOPE_BYTES

export interface LinkHandlers {
  onMessage(message: Message): void
  onRequest(payload: Uint8Array, answer: (payload: Uint8Array) => void): void
  /** Once; the link sends and delivers nothing any more. */
  onEnd(reason: string): void
}

export interface LinkParts {
  readonly mux: Mux
  readonly hello: Hello
  readonly clock: Clock
  readonly timers: Timers
  readonly handlers: LinkHandlers
}

interface Pending {
  readonly onAnswer: (answer: RequestAnswer) => void
  readonly untilMs: number
}

export class Link {
  readonly hello: Hello
  readonly mux: Mux
  /** the other side's public key in hex */
  readonly key: string
  readonly sinceMs: number
  readonly #parts: LinkParts
  readonly #outbox: Outbox
  readonly #inboxes: Record<BulkChannel, Inbox> = { raft: new Inbox(), rpc: new Inbox() }
  /** requests of this side, by id */
  readonly #pending = new Map<number, Pending>()
  #nextId = 0
  /** requests of the other side that are not answered yet: id to the time at which they are forgotten */
  readonly #inHand = new Map<number, number>()
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
    parts.mux.connection.setFrameLimit(MAX_FRAGMENT_BYTES + FRAME_OVERHEAD_BYTES)
    parts.mux.handOver({
      onMessage: (channel, type, bytes) => this.#onFrame(channel, type, bytes),
      onDrain: () => this.#onDrain(),
      onClose: (reason) => this.#end(reason)
    })
    parts.mux.open('raft')
    parts.mux.open('rpc')
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

  request(payload: Uint8Array, onAnswer: (answer: RequestAnswer) => void): void {
    assert(
      payload.byteLength <= MAX_REQUEST_BYTES,
      `a request has at most ${MAX_REQUEST_BYTES} bytes`
    )
    const isBusy =
      this.#pending.size >= MAX_INFLIGHT_REQUESTS || !this.#outbox.hasRoom(payload.byteLength)
    if (isBusy || this.#isOver) {
      const reason = this.#isOver ? 'noLink' : 'busy'
      queueMicrotask(() => onAnswer({ kind: 'notSent', reason }))
      return
    }
    const id = this.#freeId()
    const untilMs = this.#parts.clock.nowMs() + MAX_REQUEST_TIMEOUT_MS
    this.#pending.set(id, { onAnswer, untilMs })
    this.#sendEnvelope({ kind: 'request', id, payload })
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
      version: this.hello.version
    }
  }

  close(reason: string): void {
    this.mux.close(reason)
    this.#end(reason)
  }

  #onFrame(channel: ChannelName, type: number, bytes: Uint8Array): void {
    if (this.#isOver || (channel !== 'raft' && channel !== 'rpc')) return
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
    if (channel === 'raft') this.#parts.handlers.onMessage(decodeMessage(bytes))
    else this.#onEnvelope(decodeEnvelope(bytes))
  }

  #onEnvelope(envelope: Envelope): void {
    if (envelope.kind === 'request') {
      this.#onRequest(envelope.id, envelope.payload)
      return
    }
    const pending = this.#pending.get(envelope.id)
    // an answer that came after its request was given up
    if (pending === undefined) return
    this.#pending.delete(envelope.id)
    const answer: RequestAnswer =
      envelope.kind === 'busy'
        ? { kind: 'notSent', reason: 'busy' }
        : { kind: 'answered', payload: envelope.payload }
    pending.onAnswer(answer)
  }

  #onRequest(id: number, payload: Uint8Array): void {
    if (this.#inHand.has(id)) throw new ProtocolError('two requests with one id')
    if (this.#inHand.size >= MAX_INFLIGHT_REQUESTS || !this.#outbox.hasRoom(0)) {
      this.#sendEnvelope({ kind: 'busy', id, payload: EMPTY })
      return
    }
    this.#inHand.set(id, this.#parts.clock.nowMs() + MAX_REQUEST_TIMEOUT_MS)
    let isAnswered = false
    this.#parts.handlers.onRequest(payload, (answer) => {
      assert(!isAnswered, 'a request is answered once')
      isAnswered = true
      this.#answer(id, answer)
    })
  }

  #answer(id: number, payload: Uint8Array): void {
    assert(
      payload.byteLength <= MAX_REQUEST_BYTES,
      `an answer has at most ${MAX_REQUEST_BYTES} bytes`
    )
    if (this.#isOver || !this.#inHand.delete(id)) return
    this.#sendEnvelope({ kind: 'answer', id, payload })
  }

  #sendEnvelope(envelope: Envelope): void {
    this.#put('rpc', encodeEnvelope(envelope), false)
  }

  #put(channel: BulkChannel, bytes: Bytes, isDroppable: boolean): void {
    this.#outbox.send(channel, bytes, isDroppable)
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

  #freeId(): number {
    do this.#nextId = (this.#nextId + 1) >>> 0
    while (this.#pending.has(this.#nextId))
    return this.#nextId
  }

  /** Forgets requests that nobody answers any more. */
  #sweepLater(): void {
    this.#sweep = this.#parts.timers.start(MAX_REQUEST_TIMEOUT_MS / 10, () => {
      const nowMs = this.#parts.clock.nowMs()
      for (const [id, untilMs] of this.#inHand) if (untilMs <= nowMs) this.#inHand.delete(id)
      for (const [id, pending] of this.#pending) {
        if (pending.untilMs > nowMs) continue
        this.#pending.delete(id)
        pending.onAnswer({ kind: 'lost' })
      }
      if (!this.#isOver) this.#sweepLater()
    })
  }

  #end(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#sweep?.cancel()
    this.#outbox.close()
    this.#parts.handlers.onEnd(reason)
    const lost = [...this.#pending.values()]
    this.#pending.clear()
    for (const { onAnswer } of lost) queueMicrotask(() => onAnswer({ kind: 'lost' }))
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
