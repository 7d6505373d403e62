// Requests and their answers, by connection: from when its headers are here, an exchange is open until its answer
// has left or cannot leave any more. A client may send requests before the one ahead is answered (pipelining).
// Node answers in order, and holds all answers behind one that waits; of those it tells no end where the
// connection breaks. So they are counted here, and end with it.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** One request and its answer. */
export interface Exchange {
  /** Called once, when it ends; at once when it has. */
  onEnd(listener: () => void): void
}

export class Exchanges {
  readonly #open = new WeakMap<Socket, Set<OpenExchange>>()

  /** A request whose headers have arrived; `count`: how many of its connection are open now. */
  begin(request: IncomingMessage, response: ServerResponse): { exchange: Exchange; count: number } {
    const { socket } = request
    const all = this.#open.get(socket) ?? this.#watch(socket)
    const exchange = new OpenExchange(request)
    all.add(exchange)
    response.once('close', () => {
      all.delete(exchange)
      exchange.end()
    })
    return { exchange, count: all.size }
  }

  /** Whether anything is open on the connection. */
  isOpen(socket: Socket): boolean {
    return (this.#open.get(socket)?.size ?? 0) > 0
  }

  /**
   * Whether what is sent next on the connection would be read as the answer to a request that may be at work:
   * one that has arrived as a whole.
   */
  isAtWork(socket: Socket): boolean {
    return [...(this.#open.get(socket) ?? [])].some((exchange) => exchange.hasArrived)
  }

  #watch(socket: Socket): Set<OpenExchange> {
    const all = new Set<OpenExchange>()
    this.#open.set(socket, all)
    socket.once('close', () => endAll(all))
    return all
  }
}

function endAll(all: Set<OpenExchange>): void {
  for (const exchange of all) exchange.end()
  all.clear()
}

class OpenExchange implements Exchange {
  readonly #request: IncomingMessage
  #listeners: (() => void)[] | null = []

  constructor(request: IncomingMessage) {
    this.#request = request
  }

  get hasArrived(): boolean {
    return this.#request.complete
  }

  onEnd(listener: () => void): void {
    if (this.#listeners === null) listener()
    else this.#listeners.push(listener)
  }

  end(): void {
    const listeners = this.#listeners ?? []
    this.#listeners = null
    for (const listener of listeners) listener()
  }
}
