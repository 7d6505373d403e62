// Runs the handshake (handshake.ts) on a connection until it is a link or ends: sends what the state
// machine says, keeps the deadline, and asks again while this node waits for its own hello.

import { assert, unreachable } from '../assert.ts'
import type { Timer, Timers } from '../clock.ts'
import { hexOf } from '../encoding.ts'
import type { ErrorDetail } from '../errors.ts'
import { HELLO_DEADLINE_MS } from '../limits.ts'
import type { Hello } from './encoding.ts'
import type { HandshakeAction } from './handshake.ts'
import { Handshake } from './handshake.ts'
import { Mux } from './mux.ts'
import type { Connection } from './network.ts'
import { MESSAGES } from './permissions.ts'
import type { Trust, Welcome } from './transport.ts'

/** How often a node that was just told what it is looks whether it can say hello. */
const POLL_MS = 10

export interface HelloSessionHandlers {
  onWelcome(welcome: Welcome): void
  /** Verified; the mux is the callee's, which must hand it over to other handlers now. */
  onAccept(hello: Hello, mux: Mux): void
  onRefused(error: ErrorDetail): void
  /** The connection is gone, or was given up; not called after `onAccept`. */
  onEnd(reason: string): void
}

export class HelloSession {
  readonly connection: Connection
  /** the other side's public key in hex */
  readonly key: string
  readonly #mux: Mux
  readonly #handshake: Handshake
  readonly #timers: Timers
  readonly #handlers: HelloSessionHandlers
  readonly #deadline: Timer
  #poll: Timer | null = null
  #isOver = false

  /** Starts the connection and the handshake. */
  constructor(
    connection: Connection,
    parts: { readonly trust: Trust; readonly timers: Timers },
    handlers: HelloSessionHandlers
  ) {
    this.connection = connection
    this.key = hexOf(connection.remotePublicKey)
    this.#timers = parts.timers
    this.#handlers = handlers
    this.#handshake = new Handshake({
      trust: parts.trust,
      remotePublicKey: connection.remotePublicKey,
      handshakeHash: connection.handshakeHash,
      isInitiator: connection.isInitiator
    })
    this.#mux = new Mux(connection, 'unproven', {
      onMessage: (channel, type, bytes) => {
        const kind = MESSAGES.hello[type]
        assert(channel === 'hello' && kind !== undefined, 'only hello messages are permitted')
        this.#carryOut(this.#handshake.receive(kind, bytes))
      },
      onDrain: () => {},
      onClose: (reason) => this.#end(reason)
    })
    this.#deadline = this.#timers.start(HELLO_DEADLINE_MS, () => this.close('no hello in time'))
    this.#mux.open('hello')
    this.#carryOut(this.#handshake.start())
    this.#pollLater()
  }

  /** Whether this side has proven itself, so that the other may call it a link by now. */
  get isProving(): boolean {
    return this.#handshake.state === 'proving'
  }

  close(reason: string): void {
    this.#mux.close(reason)
    this.#end(reason)
  }

  #pollLater(): void {
    if (this.#isOver || this.#handshake.state !== 'asking') return
    this.#poll = this.#timers.start(POLL_MS, () => {
      this.#carryOut(this.#handshake.poll())
      this.#pollLater()
    })
  }

  #carryOut(actions: readonly HandshakeAction[]): void {
    for (const action of actions) {
      if (this.#isOver) return
      this.#carryOutOne(action)
    }
  }

  #carryOutOne(action: HandshakeAction): void {
    switch (action.kind) {
      case 'send':
        this.#mux.send('hello', action.message, action.bytes)
        return
      case 'welcome':
        this.#handlers.onWelcome(action.welcome)
        this.#carryOut(this.#handshake.poll())
        return
      case 'accept':
        this.#stop()
        this.#mux.role = 'member'
        this.#handlers.onAccept(action.hello, this.#mux)
        return
      case 'refused':
        this.#handlers.onRefused(action.error)
        this.close(`refused: ${action.error.message}`)
        return
      case 'close':
        this.#mux.finish(action.reason)
        this.#end(action.reason)
        return
      default:
        unreachable(action)
    }
  }

  #end(reason: string): void {
    if (this.#isOver) return
    this.#stop()
    this.#handlers.onEnd(reason)
  }

  #stop(): void {
    this.#isOver = true
    this.#deadline.cancel()
    this.#poll?.cancel()
  }
}
