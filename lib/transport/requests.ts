// Requests and answers of one link on one channel. Each request of this side is answered, lost with
// its link, or not sent: exactly once and never at once. The other side's are counted while they are
// in hand, so that neither can make the other keep more than the channel allows.

import { assert } from '../assert.ts'
import type { Clock } from '../clock.ts'
import { ProtocolError } from '../errors.ts'
import { MAX_REQUEST_TIMEOUT_MS, MAX_RPC_MESSAGE_SIZE } from '../limits.ts'
import type { Envelope } from './encoding.ts'
import { decodeEnvelope, encodeEnvelope, ENVELOPE_BYTES } from './encoding.ts'
import type { RequestAnswer } from './transport.ts'

/** Bytes of the largest payload of a request or answer. */
export const MAX_REQUEST_BYTES = MAX_RPC_MESSAGE_SIZE - ENVELOPE_BYTES

export interface RequestsParts {
  readonly clock: Clock
  /** in each direction; beyond: busy */
  readonly maxInFlight: number
  readonly hasRoom: (byteCount: number) => boolean
  readonly send: (envelope: Uint8Array) => void
  readonly onRequest: (payload: Uint8Array, answer: (payload: Uint8Array) => void) => void
}

interface Pending {
  readonly onAnswer: (answer: RequestAnswer) => void
  readonly untilMs: number
}

export class Requests {
  readonly #parts: RequestsParts
  /** requests of this side, by id */
  readonly #pending = new Map<number, Pending>()
  #nextId = 0
  /** requests of the other side that are not answered yet: id to the time at which they are forgotten */
  readonly #inHand = new Map<number, number>()
  #isOver = false

  constructor(parts: RequestsParts) {
    this.#parts = parts
  }

  request(payload: Uint8Array, onAnswer: (answer: RequestAnswer) => void): void {
    assert(
      payload.byteLength <= MAX_REQUEST_BYTES,
      `a request has at most ${MAX_REQUEST_BYTES} bytes`
    )
    const { maxInFlight, hasRoom, clock } = this.#parts
    const isBusy = this.#pending.size >= maxInFlight || !hasRoom(payload.byteLength)
    if (isBusy || this.#isOver) {
      const reason = this.#isOver ? 'noLink' : 'busy'
      queueMicrotask(() => onAnswer({ kind: 'notSent', reason }))
      return
    }
    const id = this.#freeId()
    this.#pending.set(id, { onAnswer, untilMs: clock.nowMs() + MAX_REQUEST_TIMEOUT_MS })
    this.#send({ kind: 'request', id, payload })
  }

  /** What came on the channel; may be kept. @throws ProtocolError */
  onMessage(bytes: Uint8Array): void {
    const envelope = decodeEnvelope(bytes)
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

  /** Forgets requests that nobody answers any more. */
  sweep(): void {
    const nowMs = this.#parts.clock.nowMs()
    for (const [id, untilMs] of this.#inHand) if (untilMs <= nowMs) this.#inHand.delete(id)
    for (const [id, pending] of this.#pending) {
      if (pending.untilMs > nowMs) continue
      this.#pending.delete(id)
      pending.onAnswer({ kind: 'lost' })
    }
  }

  /** The link is gone: nothing is sent any more, and what is not answered is lost. */
  end(): void {
    this.#isOver = true
    const lost = [...this.#pending.values()]
    this.#pending.clear()
    for (const { onAnswer } of lost) queueMicrotask(() => onAnswer({ kind: 'lost' }))
  }

  #onRequest(id: number, payload: Uint8Array): void {
    const { clock, maxInFlight, hasRoom, onRequest } = this.#parts
    if (this.#inHand.has(id)) throw new ProtocolError('two requests with one id')
    if (this.#inHand.size >= maxInFlight || !hasRoom(0)) {
      this.#send({ kind: 'busy', id, payload: EMPTY })
      return
    }
    this.#inHand.set(id, clock.nowMs() + MAX_REQUEST_TIMEOUT_MS)
    let isAnswered = false
    onRequest(payload, (answer) => {
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
    this.#send({ kind: 'answer', id, payload })
  }

  #send(envelope: Envelope): void {
    this.#parts.send(encodeEnvelope(envelope))
  }

  #freeId(): number {
    do this.#nextId = (this.#nextId + 1) >>> 0
    while (this.#pending.has(this.#nextId))
    return this.#nextId
  }
}

const EMPTY = new Uint8Array(0)
