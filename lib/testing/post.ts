// The carrier of consensus messages between simulated nodes. Most go over the links, in order. Some
// are lost, come twice, or come long after, when the link over which they were sent, or the process
// that sent them, is gone: what datagrams and relays do to them.

import type { NodeId } from '../node-id.ts'
import { decodeMessage, encodeMessage } from '../raft/encoding.ts'
import type { Message } from '../raft/message.ts'
import type { Transport, TransportHandlers } from '../transport/transport.ts'
import { Dice } from './dice.ts'
import type { Process } from './machine.ts'
import type { World } from './world.ts'

export interface Posting {
  readonly process: Process
  readonly links: Transport
  readonly to: NodeId
  readonly message: Message
}

export class Post {
  readonly #world: World
  readonly #dice: Dice
  readonly #handlers = new Map<Process, TransportHandlers>()

  constructor(world: World) {
    this.#world = world
    this.#dice = Dice.of(world.options.seed, 'post')
  }

  /** A process can be written to from now on, as long as it lives. */
  open(process: Process, handlers: TransportHandlers): void {
    this.#handlers.set(process, handlers)
  }

  send(posting: Posting): void {
    const { message } = posting
    const world = this.#world
    const { lossChance, repeatChance, lateChance, lateMs } = world.options.network
    if (message.kind === 'append') world.coverage.count('appends')
    if (!world.isFaulty) return this.#carry(posting)
    const dice = this.#dice
    if (repeatChance > 0 && dice.chance(repeatChance)) {
      world.coverage.count('repeatedMessages')
      this.#deliverIn(dice.scale(0.1, lateMs), posting)
    }
    if (lossChance > 0 && dice.chance(lossChance)) {
      world.coverage.count('lostMessages')
    } else if (lateChance > 0 && dice.chance(lateChance)) {
      world.coverage.count('lateMessages')
      this.#deliverIn(dice.scale(1, lateMs), posting)
    } else {
      this.#carry(posting)
    }
  }

  #carry({ process, links, to, message }: Posting): void {
    const { relay } = this.#world
    if (relay.hasRoute(process, to)) relay.send(process, to, message)
    else links.send(to, message)
  }

  /** To whatever process runs there by then. */
  #deliverIn(delayMs: number, { process, links, to, message }: Posting): void {
    const from = process.machine
    // nobody can write to a member that it has no path to
    const isLinked = links.links().some((link) => link.id === to)
    if (!isLinked && !this.#world.relay.hasRoute(process, to)) return
    const bytes = encodeMessage(message)
    this.#world.time.start(delayMs, () => {
      const receiver = this.#world.machineOf(to)?.process
      if (receiver === undefined || receiver === null) return
      receiver.time.soon(() => {
        this.#handlers.get(receiver)?.onMessage(from.id, decodeMessage(bytes))
      })
    })
  }
}
