// Relays between simulated members: who has no link to another, but a chain of members that are
// linked, writes to it over these. Each hop is a link like any other: it takes its time, on the clock
// of whoever receives, and what meets a cut or a dead process is lost. Nothing keeps an order here: a
// message that went a longer way comes late.
//
// To the node, a member that it can reach so is linked by a path of the kind `relay`, and it is told
// when such a path opens and when the last one is gone, as of any other link.

import { present } from '../assert.ts'
import type { NodeId } from '../node-id.ts'
import { decodeMessage, encodeMessage } from '../raft/encoding.ts'
import type { Message } from '../raft/message.ts'
import { FEATURE_LEVEL } from '../state-machine/command.ts'
import type { RequestChannel } from '../transport/link.ts'
import type {
  LinkStatus,
  RequestAnswer,
  Transport,
  TransportHandlers
} from '../transport/transport.ts'
import { VERSION } from '../version.ts'
import type { Process } from './machine.ts'
import type { World } from './world.ts'

/** What the relay must know of a process. */
interface Port {
  /** the links of its own */
  readonly links: Transport
  readonly handlers: TransportHandlers
}

/** A way to a member without a link: over whom, in order, the member last. */
interface Route {
  readonly hops: readonly Process[]
  readonly sinceMs: number
}

interface Parcel {
  readonly hops: readonly Process[]
  readonly onArrival: (receiver: Process) => void
  readonly onLost: () => void
}

interface RelayedRequest {
  readonly from: Process
  readonly to: NodeId
  /** ends it unless it was answered */
  readonly lose: () => void
}

export class Relay {
  readonly #world: World
  readonly #ports = new Map<Process, Port>()
  /** of each process, to the members to which it has no link */
  readonly #routes = new Map<Process, ReadonlyMap<NodeId, Route>>()
  readonly #requests = new Set<RelayedRequest>()

  constructor(world: World) {
    this.#world = world
  }

  open(process: Process, port: Port): void {
    this.#ports.set(process, port)
  }

  hasRoute(from: Process, to: NodeId): boolean {
    return this.#routes.get(from)?.has(to) === true
  }

  /** The members that `process` has no link to and can write to all the same. */
  links(process: Process): readonly LinkStatus[] {
    const routes = this.#routes.get(process) ?? NO_ROUTES
    return [...routes].map(([id, { hops, sinceMs }]): LinkStatus => {
      const { machine, log } = present(hops.at(-1), 'the end of a route')
      const { publicKey } = machine.keyPair
      const unknown = { rttMs: null, path: 'relay', remoteAddress: null } as const
      const said = { boot: log.boot, featureLevel: FEATURE_LEVEL, version: VERSION }
      return { id, publicKey, sinceMs, ...said, ...unknown }
    })
  }

  send(from: Process, to: NodeId, message: Message): void {
    const bytes = encodeMessage(message)
    this.#carry(from, to, {
      onArrival: (receiver) => {
        this.#portOf(receiver).handlers.onMessage(from.machine.id, decodeMessage(bytes))
      },
      onLost: () => {}
    })
  }

  /** As over a link, it ends with the path that it was sent over. */
  request(
    from: Process,
    to: NodeId,
    call: {
      readonly channel: RequestChannel
      readonly payload: Uint8Array
      readonly onAnswer: (answer: RequestAnswer) => void
    }
  ): void {
    const { channel, payload, onAnswer } = call
    const end = (answer: RequestAnswer): void => {
      if (this.#requests.delete(request)) from.time.soon(() => onAnswer(answer))
    }
    const onLost = (): void => end({ kind: 'lost' })
    const request = { from, to, lose: onLost }
    this.#requests.add(request)
    const { id } = from.machine
    this.#carry(from, to, {
      onArrival: (receiver) => {
        const { handlers } = this.#portOf(receiver)
        const onAnswered = (answer: Uint8Array): void => {
          const onArrival = (): void => end({ kind: 'answered', payload: answer })
          this.#carry(receiver, id, { onArrival, onLost })
        }
        if (channel === 'rpc') handlers.onRequest(id, payload.slice(), onAnswered)
        else handlers.onSnapshotRequest(id, payload.slice(), onAnswered)
      },
      onLost
    })
  }

  /** A link has opened or closed somewhere. */
  look(): void {
    if (this.#world.options.network.relayCount === 0) return
    const running = this.#world.running()
    const linked = new Map(running.map((process) => [process, this.#linkedTo(process)]))
    for (const process of running) this.#update(process, this.#routesFrom(process, linked))
    for (const process of this.#routes.keys()) if (process.isDead) this.#routes.delete(process)
    for (const { from, to, lose } of this.#requests) if (!this.hasRoute(from, to)) lose()
  }

  #carry(from: Process, to: NodeId, parcel: Omit<Parcel, 'hops'>): void {
    const route = this.#routes.get(from)?.get(to)
    if (route === undefined) parcel.onLost()
    else this.#hop(from, { ...parcel, hops: route.hops })
  }

  #hop(at: Process, { hops, onArrival, onLost }: Parcel): void {
    const [next, ...rest] = hops
    if (next === undefined) {
      onArrival(at)
      return
    }
    const { hub } = this.#world
    const [from, to] = [at.machine.address, next.machine.address]
    if (next.isDead || hub.isCut(from, to)) onLost()
    else {
      next.time.start(hub.delayMs(from, to), () => {
        this.#hop(next, { hops: rest, onArrival, onLost })
      })
    }
  }

  #update(process: Process, routes: ReadonlyMap<NodeId, Route>): void {
    const { handlers, links } = this.#portOf(process)
    const before = this.#routes.get(process) ?? NO_ROUTES
    this.#routes.set(process, routes)
    for (const [id, { hops }] of routes) {
      if (before.has(id)) continue
      const over = hops.slice(0, -1).map(({ name }) => name)
      this.#world.note(`${process.name} reaches ${id} over ${over.join()}`)
      process.time.soon(() => handlers.onLinkUp(id))
    }
    const direct = new Set(links.links().map(({ id }) => id))
    for (const id of before.keys()) {
      if (routes.has(id) || direct.has(id)) continue
      this.#world.note(`${process.name} reaches ${id} no more`)
      process.time.soon(() => handlers.onLinkDown(id))
    }
  }

  /** The shortest ways, over at most as many others as the options say. */
  #routesFrom(from: Process, linked: Linked): ReadonlyMap<NodeId, Route> {
    const { relayCount } = this.#world.options.network
    const before = this.#routes.get(from) ?? NO_ROUTES
    const routes = new Map<NodeId, Route>()
    const seen = new Set([from])
    let ends: readonly (readonly Process[])[] = [[]]
    for (let count = 0; count <= relayCount; count++) {
      ends = ends.flatMap((hops) =>
        (linked.get(hops.at(-1) ?? from) ?? [])
          .filter((next) => !seen.has(next) && seen.add(next))
          .map((next) => [...hops, next])
      )
      if (count === 0) continue
      for (const hops of ends) {
        const { id } = present(hops.at(-1), 'the end of a route').machine
        const sinceMs = before.get(id)?.sinceMs ?? from.time.nowMs()
        routes.set(id, { hops, sinceMs })
      }
    }
    return routes
  }

  #linkedTo(process: Process): readonly Process[] {
    return this.#portOf(process)
      .links.links()
      .flatMap(({ id }) => this.#world.machineOf(id)?.process ?? [])
  }

  #portOf(process: Process): Port {
    return present(this.#ports.get(process), 'the port of a process')
  }
}

type Linked = ReadonlyMap<Process, readonly Process[]>

const NO_ROUTES: ReadonlyMap<NodeId, Route> = new Map()
