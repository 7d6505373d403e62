// The ports of a simulated node, watched: each call passes the oracles and the points at which the
// process may die, then goes to the real thing. After the death of its process a port does nothing:
// what still unwinds has no effect on anything.

import type { Address } from '../address.ts'
import type { LogStore } from '../log-store/log-store.ts'
import type { NodeId } from '../node-id.ts'
import type { RaftOptions, Restored } from '../raft/core.ts'
import type { Effects, Event, Now, Status, Write } from '../raft/effects.ts'
import type { Entry, EntryId, Index } from '../raft/entry.ts'
import type { Message } from '../raft/message.ts'
import { Raft } from '../raft/raft.ts'
import type { ConsensusCore } from '../replica/consensus-core.ts'
import { Links } from '../transport/links.ts'
import type { LinksOptions } from '../transport/links.ts'
import type { Discovery } from '../transport/network.ts'
import type {
  LinkStatus,
  Peer,
  RequestAnswer,
  Transport,
  TransportHandlers
} from '../transport/transport.ts'
import type { Process } from './machine.ts'
import type { ObservedCore } from './oracle.ts'
import type { World } from './world.ts'

interface WatchedCoreParts {
  readonly world: World
  readonly process: Process
  readonly options: RaftOptions
  readonly restored: Restored
}

/** The real core; the oracles see each step. */
export class WatchedCore implements ConsensusCore, ObservedCore {
  readonly id: NodeId
  readonly boot: number
  readonly #world: World
  readonly #process: Process
  readonly #raft: Raft
  #status: Status

  constructor({ world, process, options, restored }: WatchedCoreParts) {
    this.id = options.id
    this.boot = options.boot
    this.#world = world
    this.#process = process
    this.#raft = new Raft({ ...options, limits: world.options.limits }, restored)
    this.#status = this.#raft.status()
    const { logDisk } = process.machine
    world.oracles.onOpen(options.id, logDisk)
  }

  step(event: Event, now: Now): Effects {
    const { oracles } = this.#world
    oracles.beforeStep(this, event)
    const before = this.#status
    const effects = this.#raft.step(event, now)
    const after = this.#raft.status()
    this.#status = after
    this.#note(event, effects, after)
    oracles.afterStep({ core: this, event, before, after, effects })
    return effects
  }

  entries(from: Index, to: Index, maxBytes: number): readonly Entry[] {
    return this.#raft.entries(from, to, maxBytes)
  }

  status(): Status {
    return this.#status
  }

  idAt(index: Index): EntryId | 'compacted' | 'missing' {
    return this.#raft.idAt(index)
  }

  knownAt(index: Index): EntryId | null {
    const id = this.#raft.idAt(index)
    return typeof id === 'object' ? id : null
  }

  get baseIndex(): Index {
    return this.#process.log.base.index
  }

  #note(event: Event, { write, messages, gated }: Effects, after: Status): void {
    const { role, term, lastIndex, commitIndex } = after
    const written = write === null ? '' : ` w${write.token}+${write.entries.length}`
    const sent = `${messages.length}/${gated.length}`
    this.#world.note(
      `${this.#process.name} ${textOf(event)} → ${role} ${term} ${lastIndex}/${commitIndex}${written} ${sent}`
    )
  }
}

function textOf(event: Event): string {
  if (event.kind === 'message') return `${event.message.kind} of ${event.from}`
  if (event.kind === 'durable') return `durable ${event.token}`
  if (event.kind === 'propose') return `propose ${event.entries.length}`
  return event.kind
}

export class WatchedLog implements LogStore {
  readonly #world: World
  readonly #process: Process
  readonly #log: LogStore
  readonly boot: number
  readonly storageEpoch: Uint8Array

  constructor(world: World, process: Process, log: LogStore) {
    this.#world = world
    this.#process = process
    this.#log = log
    this.boot = log.boot
    this.storageEpoch = log.storageEpoch
  }

  get base(): EntryId {
    return this.#log.base
  }

  get last(): EntryId {
    return this.#log.last
  }

  get baseTimeMs(): number {
    return this.#log.baseTimeMs
  }

  get stateBase(): Index {
    return this.#log.stateBase
  }

  write(write: Omit<Write, 'token'>, onDurable: () => void): void {
    const [world, process] = [this.#world, this.#process]
    world.boundary(process, 'write')
    if (process.isDead) return
    this.#log.write(write, () => {
      world.boundary(process, 'durable')
      if (!process.isDead) onDurable()
    })
    world.boundary(process, 'written')
  }

  entries(from: Index, to: Index, maxBytes: number): readonly Entry[] {
    return this.#log.entries(from, to, maxBytes)
  }

  idAt(index: Index): EntryId | 'compacted' | 'missing' {
    return this.#log.idAt(index)
  }

  compact(to: Index, onDone: () => void): void {
    const [world, process] = [this.#world, this.#process]
    world.boundary(process, 'compact')
    if (process.isDead) return
    world.onCompact(process, to)
    this.#log.compact(to, () => {
      world.boundary(process, 'compacted')
      if (!process.isDead) onDone()
    })
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}

/**
 * The real links; consensus messages go through the post, which may lose, repeat and delay them. What is
 * for a member without a link goes over others, where the world has relays.
 */
export class WatchedTransport implements Transport {
  readonly handlers: TransportHandlers
  readonly #world: World
  readonly #process: Process
  readonly #links: Transport

  constructor(world: World, process: Process, options: LinksOptions) {
    this.handlers = options.handlers
    this.#world = world
    this.#process = process
    const { handlers } = options
    this.#links = new Links({
      ...options,
      handlers: {
        ...handlers,
        onLinkUp: (id) => {
          handlers.onLinkUp(id)
          world.relay.look()
        },
        onLinkDown: (id) => {
          handlers.onLinkDown(id)
          world.relay.look()
        }
      }
    })
    world.post.open(process, handlers)
    world.relay.open(process, { links: this.#links, handlers })
  }

  send(to: NodeId, message: Message): void {
    const [world, process] = [this.#world, this.#process]
    world.boundary(process, 'send')
    if (process.isDead) return
    world.oracles.onSend(process.machine.id, to, message)
    world.post.send({ process, links: this.#links, to, message })
    world.boundary(process, 'sent')
  }

  request(to: NodeId, payload: Uint8Array, onAnswer: (answer: RequestAnswer) => void): void {
    const { relay } = this.#world
    const process = this.#process
    if (process.isDead) return
    const call = { channel: 'rpc', payload, onAnswer } as const
    if (relay.hasRoute(process, to)) relay.request(process, to, call)
    else this.#links.request(to, payload, onAnswer)
  }

  requestSnapshot(
    to: NodeId,
    payload: Uint8Array,
    onAnswer: (answer: RequestAnswer) => void
  ): void {
    const { relay } = this.#world
    const process = this.#process
    if (process.isDead) return
    const call = { channel: 'snapshot', payload, onAnswer } as const
    if (relay.hasRoute(process, to)) relay.request(process, to, call)
    else this.#links.requestSnapshot(to, payload, onAnswer)
  }

  open(): Promise<void> {
    return this.#links.open()
  }

  setPeers(peers: readonly Peer[]): void {
    this.#links.setPeers(peers)
  }

  setTopics(topics: readonly Uint8Array[]): void {
    this.#links.setTopics(topics)
  }

  links(): readonly LinkStatus[] {
    return [...this.#links.links(), ...this.#world.relay.links(this.#process)]
  }

  isLinked(id: NodeId): boolean {
    return this.#links.isLinked(id) || this.links().some((link) => link.id === id)
  }

  addresses(): readonly Address[] {
    return this.#links.addresses()
  }

  discovery(): Discovery {
    return this.#links.discovery()
  }

  close(): Promise<void> {
    return this.#links.close()
  }
}
