// The asker's end of `askWelcome`, for a node that has an identity and nothing else: no log, no cluster id, no
// epoch. It knows a member by its key. Once an operator has admitted the node by its own key, that member says
// what cluster it is in, what id it has and how it comes to the epoch's secret; until then, nothing.
//
// It is the hello of the two channels that any member opens (handshake.ts), of which this side says one message:
// the member's hello names the cluster, `askWelcome` for that cluster is answered with the welcome, and the
// connection ends. The handshake of the network proves both keys, so no MAC is needed and none is possible yet.
// What comes is believed of the pinned member only, and only if it names this node's key and opens with it.

import b4a from 'b4a'
import type { Address } from '../address.ts'
import type { Clock, Timer, Timers } from '../clock.ts'
import type { KeyPair } from '../crypto.ts'
import { openSealed } from '../crypto.ts'
import { decode, encode } from '../encoding.ts'
import type { ErrorDetail } from '../errors.ts'
import { CODES, ProtocolError, TransportError } from '../errors.ts'
import { HELLO_DEADLINE_MS } from '../limits.ts'
import { memberOf } from '../raft/configuration.ts'
import { askWelcomeEncoding, errorEncoding, helloEncoding, Parts } from './encoding.ts'
import { welcomeEncoding } from './encoding.ts'
import { whyVersionsDiffer } from './handshake.ts'
import { Mux } from './mux.ts'
import type { Connection, Dial, Network } from './network.ts'
import { MESSAGES } from './permissions.ts'
import type { Welcome } from './transport.ts'

/** Before the same member is asked again. */
const ASK_PAUSE_MS = 1_000

export interface WelcomeOptions {
  /** open, with the node's own key; need not listen */
  readonly network: Network
  /** the member that is asked; only what it says counts */
  readonly memberKey: Uint8Array
  /** where it may be; empty: found by its key */
  readonly addresses: readonly Address[]
  /** the node's own keys */
  readonly keyPair: KeyPair
  /** on `clock`'s monotonic time */
  readonly deadlineMs: number
  readonly clock: Clock
  readonly timers: Timers
  /** ends it earlier */
  readonly signal?: AbortSignal
}

export interface ToldWelcome {
  readonly clusterId: Uint8Array
  /** in its configuration this node is a member, and its secret opens with this node's key */
  readonly welcome: Welcome
}

/**
 * Asks a member what this node is, again each second until it says so.
 * @returns null when the deadline has come or the signal: this node has not been admitted, or the member cannot be reached
 * @throws TransportError with the member's reason when it refuses for good: MEMBER_REMOVED, VERSION_MISMATCH
 */
export function requestWelcome(options: WelcomeOptions): Promise<ToldWelcome | null> {
  return new Promise((resolve, reject) => {
    new WelcomeRequest(options, { resolve, reject }).start()
  })
}

interface Outcome {
  resolve(told: ToldWelcome | null): void
  reject(error: TransportError): void
}

class WelcomeRequest {
  readonly #options: WelcomeOptions
  readonly #outcome: Outcome
  readonly #onAbort = (): void => this.#end(() => this.#outcome.resolve(null))
  #deadline: Timer | null = null
  #pause: Timer | null = null
  #dialing: Dial | null = null
  #conversation: Question | null = null
  #isOver = false

  constructor(options: WelcomeOptions, outcome: Outcome) {
    this.#options = options
    this.#outcome = outcome
  }

  start(): void {
    const { deadlineMs, clock, timers, signal } = this.#options
    if (signal?.aborted === true) {
      this.#onAbort()
      return
    }
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    const leftMs = Math.max(0, deadlineMs - clock.nowMs())
    this.#deadline = timers.start(leftMs, this.#onAbort)
    this.#dial()
  }

  #dial(): void {
    const { network, memberKey: publicKey, addresses } = this.#options
    this.#dialing = network.dial({ publicKey, addresses }, (result) => {
      this.#dialing = null
      if (result.kind === 'connected') this.#ask(result.connection)
      else this.#again()
    })
  }

  #ask(connection: Connection): void {
    const { keyPair, timers } = this.#options
    const conversation = new Question({ connection, keyPair, timers }, (answer) => {
      if (this.#conversation !== conversation) return
      this.#conversation = null
      if (answer.kind === 'told') this.#end(() => this.#outcome.resolve(answer))
      else if (answer.kind === 'refused')
        this.#end(() => this.#outcome.reject(new TransportError(answer.error)))
      else this.#again()
    })
    this.#conversation = conversation
  }

  #again(): void {
    if (this.#isOver) return
    this.#pause = this.#options.timers.start(ASK_PAUSE_MS, () => this.#dial())
  }

  #end(settle: () => void): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#deadline?.cancel()
    this.#pause?.cancel()
    this.#dialing?.cancel()
    this.#conversation?.close()
    settle()
  }
}

type Answer =
  | ({ readonly kind: 'told' } & ToldWelcome)
  | { readonly kind: 'refused'; readonly error: ErrorDetail }
  /** nothing that this node could begin with */
  | { readonly kind: 'nothing' }

interface QuestionParts {
  readonly connection: Connection
  readonly keyPair: KeyPair
  readonly timers: Timers
}

/** One connection; answers once, never before the constructor returns. */
class Question {
  readonly #keyPair: KeyPair
  readonly #mux: Mux
  readonly #deadline: Timer
  readonly #welcomeParts = new Parts()
  readonly #onAnswer: (answer: Answer) => void
  /** which the member's hello named */
  #clusterId: Uint8Array | null = null
  #isAnswered = false

  constructor({ connection, keyPair, timers }: QuestionParts, onAnswer: (answer: Answer) => void) {
    this.#keyPair = keyPair
    this.#onAnswer = onAnswer
    this.#mux = new Mux(connection, 'asked', {
      onMessage: (_channel, type, bytes) => this.#receive(type, bytes),
      onDrain: () => {},
      onClose: () => this.#answer({ kind: 'nothing' })
    })
    this.#deadline = timers.start(HELLO_DEADLINE_MS, () => this.#answer({ kind: 'nothing' }))
    this.#mux.open('hello')
  }

  /** Gives it up without an answer. */
  close(): void {
    this.#isAnswered = true
    this.#deadline.cancel()
    this.#mux.close('not needed')
  }

  #answer(answer: Answer): void {
    if (this.#isAnswered) return
    this.close()
    this.#onAnswer(answer)
  }

  /** @throws ProtocolError, which ends the connection */
  #receive(type: number, bytes: Uint8Array): void {
    const kind = MESSAGES.hello[type]
    if (kind === 'hello') this.#onHello(bytes)
    else if (kind === 'welcome') this.#onWelcome(bytes)
    else this.#onRefusal(decode(errorEncoding, bytes))
  }

  #onHello(bytes: Uint8Array): void {
    if (this.#clusterId !== null) throw new ProtocolError('a second hello')
    const hello = decode(helloEncoding, bytes)
    const error = whyVersionsDiffer(hello)
    if (error !== null) {
      this.#onRefusal(error)
      return
    }
    this.#clusterId = hello.clusterId.slice()
    this.#mux.send('hello', 'askWelcome', encode(askWelcomeEncoding, this.#clusterId))
  }

  #onWelcome(bytes: Uint8Array): void {
    if (this.#clusterId === null) throw new ProtocolError('a welcome that was not asked for')
    const whole = this.#welcomeParts.add(bytes)
    if (whole === null) return
    const welcome = decode(welcomeEncoding, whole)
    const { publicKey } = this.#keyPair
    if (openSealed(welcome.sealedSecret, this.#keyPair) === null)
      throw new ProtocolError('a welcome for another key')
    const self = memberOf(welcome.configuration, welcome.id)
    const isMember = self !== undefined && b4a.equals(self.publicKey, publicKey)
    // admitted, and not in a configuration yet: it would not be known to the others
    if (!isMember) this.#answer({ kind: 'nothing' })
    else this.#answer({ kind: 'told', clusterId: this.#clusterId, welcome })
  }

  #onRefusal(error: ErrorDetail): void {
    const { isRetryable } = CODES[error.code]
    this.#answer(isRetryable ? { kind: 'nothing' } : { kind: 'refused', error })
  }
}
