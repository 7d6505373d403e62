// The joiner's end of `aspen/join`: with the keys of an invite, find any member of its cluster, let it
// prove that it is one, and ask to be let in.
//
// All members of the ticket are dialled at once, by address and through the DHT; those who announce
// the invite's topic are tried as they are found. Silence and BUSY are tried again until the deadline:
// only a reason from a proven member ends it earlier.

import type { Address } from '../address.ts'
import { unreachable } from '../assert.ts'
import type { Clock, Timer, Timers } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import { equalSecret, sign } from '../crypto.ts'
import { decode, encode, hexOf } from '../encoding.ts'
import type { AspenError } from '../errors.ts'
import { CODES, ProtocolError, TicketError, TransportError } from '../errors.ts'
import { JOIN_DEADLINE_MS, MAX_JOIN_CANDIDATES, MAX_MEMBER_ADDRESSES } from '../limits.ts'
import type { JoinReply } from './encoding.ts'
import { joinReplyEncoding, joinRequestEncoding, Parts, proofEncoding } from './encoding.ts'
import { joinStatement, sponsorProof } from './join-proofs.ts'
import { Mux } from './mux.ts'
import type { Connection, Dial, DialTarget, Network } from './network.ts'
import type { Welcome } from './transport.ts'

/** Pauses before the same member is asked again. */
const BUSY_PAUSE_MS = 500
const SILENCE_PAUSE_MS = 1_000
/** Between two looks at who announces the topic. */
const LOOKUP_PAUSE_MS = 2_000
/** How long after the request an answer may take; the member answers within JOIN_DEADLINE_MS. */
const ANSWER_MS = JOIN_DEADLINE_MS + 1_000

/** How far a join has come; it may go back. */
export type JoinPhase = 'lookup' | 'connect' | 'admission'

/** What a ticket says (tickets/) and the keys of its invite. */
export interface InviteTicket {
  readonly clusterId: Uint8Array
  readonly keyPair: KeyPair
  readonly proofKey: Uint8Array
  readonly topic: Uint8Array
  readonly memberKeys: readonly Uint8Array[]
  readonly addresses: readonly Address[]
}

export interface AdmissionOptions {
  /** open; need not listen */
  readonly network: Network
  readonly ticket: InviteTicket
  /** the node's own keys, which it will have as a member */
  readonly keyPair: KeyPair
  readonly name: string
  readonly version: string
  /** on `clock`'s monotonic time */
  readonly deadlineMs: number
  readonly clock: Clock
  readonly timers: Timers
  readonly onPhase: (phase: JoinPhase, text: string) => void
}

/**
 * Asks the cluster of the ticket to admit this node.
 * @throws TicketError with the cluster's reason
 * @throws TransportError NO_PEER_FOUND at the deadline, with the phase that was not passed, and why
 */
export function requestAdmission(options: AdmissionOptions): Promise<Welcome> {
  return new Promise((resolve, reject) => {
    new Admission(options, { resolve, reject }).start()
  })
}

interface Candidate {
  readonly target: DialTarget
  /** the dial or conversation in progress; ends it */
  stop: (() => void) | null
}

interface Outcome {
  resolve(welcome: Welcome): void
  reject(error: AspenError): void
}

const NOBODY_ANSWERED = 'no member of the ticket answered'

class Admission {
  readonly #options: AdmissionOptions
  readonly #outcome: Outcome
  readonly #candidates = new Map<string, Candidate>()
  readonly #timers = new Set<Timer>()
  #lookup: Dial | null = null
  #phase: JoinPhase = 'lookup'
  /** why the last attempt failed */
  #cause = NOBODY_ANSWERED
  #isOver = false

  constructor(options: AdmissionOptions, outcome: Outcome) {
    this.#options = options
    this.#outcome = outcome
  }

  start(): void {
    const { ticket, deadlineMs, clock } = this.#options
    this.#enter('connect', 'dialling the members of the ticket')
    this.#later(Math.max(0, deadlineMs - clock.nowMs()), () => this.#fail())
    for (const publicKey of ticket.memberKeys) {
      this.#addCandidate({ publicKey, addresses: ticket.addresses })
    }
    this.#later(LOOKUP_PAUSE_MS / 4, () => this.#lookUp())
  }

  /** Who else waits for this joiner; again and again until somebody has answered. */
  #lookUp(): void {
    if (this.#phase === 'connect') this.#enter('lookup', 'looking for other members')
    this.#lookup?.cancel()
    this.#lookup = this.#options.network.lookup(this.#options.ticket.topic, (target) => {
      if (!this.#isOver) this.#addCandidate(target)
    })
    this.#later(LOOKUP_PAUSE_MS, () => this.#lookUp())
  }

  #addCandidate(target: DialTarget): void {
    const key = hexOf(target.publicKey)
    if (this.#candidates.has(key) || this.#candidates.size >= MAX_JOIN_CANDIDATES) return
    const candidate: Candidate = { target, stop: null }
    this.#candidates.set(key, candidate)
    this.#dial(candidate)
  }

  #dial(candidate: Candidate): void {
    const { network, ticket } = this.#options
    const target = { ...candidate.target, keyPair: ticket.keyPair }
    const dial = network.dial(target, (result) => {
      candidate.stop = null
      if (result.kind === 'connected') this.#ask(candidate, result.connection)
      else this.#retry(candidate, SILENCE_PAUSE_MS, result.reason)
    })
    candidate.stop = () => dial.cancel()
  }

  #retry(candidate: Candidate, pauseMs: number, cause: string): void {
    if (this.#isOver) return
    this.#cause = cause
    this.#later(pauseMs, () => this.#dial(candidate))
  }

  /** Speaks with somebody who took the connection. */
  #ask(candidate: Candidate, connection: Connection): void {
    if (this.#isOver) {
      connection.close('not needed')
      return
    }
    this.#enter('admission', 'connected; asking to be let in')
    if (this.#cause === NOBODY_ANSWERED) this.#cause = 'it has not answered yet'
    const parts = new Parts()
    let isProven = false
    const mux = new Mux(connection, 'sponsor', {
      onMessage: (_channel, type, bytes) => {
        if (type === PROOF_TYPE) {
          this.#checkProof(connection, bytes)
          isProven = true
          mux.send('join', 'request', this.#request(connection))
          return
        }
        const whole = parts.add(bytes)
        if (whole === null) return
        const reply = decode(joinReplyEncoding, whole)
        // a closed invite is refused without a proof: believed of the members in the ticket only
        const isPinned = this.#isPinned(connection.remotePublicKey)
        if (!isProven && (reply.kind === 'admitted' || !isPinned)) {
          throw new ProtocolError('an answer from a stranger')
        }
        finish()
        this.#onReply(candidate, reply)
      },
      onDrain: () => {},
      onClose: (reason) => {
        if (candidate.stop !== finish) return
        finish()
        this.#retry(candidate, SILENCE_PAUSE_MS, reason)
      }
    })
    const deadline = this.#later(ANSWER_MS, () => mux.close('no answer in time'))
    const finish = (): void => {
      candidate.stop = null
      this.#cancel(deadline)
      mux.close('done')
    }
    candidate.stop = finish
    mux.open('join')
  }

  #isPinned(publicKey: Uint8Array): boolean {
    return this.#options.ticket.memberKeys.some((key) => equalSecret(key, publicKey))
  }

  /** @throws ProtocolError when the other side does not belong to the ticket's cluster */
  #checkProof({ handshakeHash, remotePublicKey }: Connection, bytes: Uint8Array): void {
    const proof = decode(proofEncoding, bytes)
    const expected = sponsorProof(this.#options.ticket.proofKey, handshakeHash, remotePublicKey)
    if (!equalSecret(proof, expected))
      throw new ProtocolError('not a member of the ticket’s cluster')
  }

  #request({ handshakeHash }: Connection): Uint8Array {
    const { ticket, keyPair, name, version, network } = this.#options
    const statement = joinStatement(handshakeHash, ticket.clusterId, keyPair.publicKey)
    return encode(joinRequestEncoding, {
      clusterId: ticket.clusterId,
      publicKey: keyPair.publicKey,
      name,
      version,
      addresses: network.addresses().slice(0, MAX_MEMBER_ADDRESSES),
      signature: sign(statement, keyPair.secretKey)
    })
  }

  #onReply(candidate: Candidate, reply: JoinReply): void {
    switch (reply.kind) {
      case 'admitted':
        this.#end(() => this.#outcome.resolve(reply.welcome))
        return
      case 'busy':
        this.#retry(candidate, BUSY_PAUSE_MS, 'the cluster was busy or had no leader')
        return
      case 'refused':
        if (CODES[reply.error.code].isRetryable) {
          this.#retry(candidate, BUSY_PAUSE_MS, reply.error.message)
        } else {
          this.#end(() => this.#outcome.reject(new TicketError(reply.error)))
        }
        return
      default:
        unreachable(reply)
    }
  }

  #fail(): void {
    const isConnected = this.#phase === 'admission'
    const what = isConnected
      ? 'a member was reached, but did not let this node in in time'
      : 'no member of the cluster could be reached'
    this.#end(() =>
      this.#outcome.reject(
        new TransportError({
          code: 'NO_PEER_FOUND',
          message: `${what}: ${this.#cause}`,
          hint: isConnected
            ? "see on a member with 'aspen status' whether the cluster has a leader, then join again"
            : 'check that a member is running and that this machine has a network, then join again',
          fields: { phase: this.#phase, cause: this.#cause }
        })
      )
    )
  }

  #end(settle: () => void): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const timer of this.#timers) timer.cancel()
    this.#lookup?.cancel()
    for (const candidate of this.#candidates.values()) candidate.stop?.()
    settle()
  }

  #enter(phase: JoinPhase, text: string): void {
    if (this.#phase === 'admission' || this.#isOver) return
    this.#phase = phase
    this.#options.onPhase(phase, text)
  }

  #later(delayMs: number, fn: () => void): Timer {
    const timer = this.#options.timers.start(delayMs, () => {
      this.#timers.delete(timer)
      if (!this.#isOver) fn()
    })
    this.#timers.add(timer)
    return timer
  }

  #cancel(timer: Timer): void {
    timer.cancel()
    this.#timers.delete(timer)
  }
}

/** Wire type of the member's proof on `aspen/join`. */
const PROOF_TYPE = 0
