// What a node can be asked, put together over its replica and its links: the way to the leader, the
// store, the tickets, and what the node shows of itself.

import type { Clock } from '../clock.ts'
import type { ClusterTrust } from '../cluster/trust.ts'
import type { Whereabouts } from '../cluster/invites.ts'
import type { Status as CoreStatus } from '../raft/effects.ts'
import { Alarms } from '../service/alarms.ts'
import { ClusterView } from '../service/cluster-view.ts'
import type { ClusterViewParts } from '../service/cluster-view.ts'
import { Forwarder } from '../service/forwarding.ts'
import type { LeaderDesk } from '../service/leader-desk.ts'
import { MeasuredStore } from '../service/measured-store.ts'
import type { MetricCounts } from '../service/metric-counts.ts'
import { MetricStates } from '../service/metric-states.ts'
import type { MetricStatesParts } from '../service/metric-states.ts'
import { NodeHealth } from '../service/node-health.ts'
import type { NodeHealthParts } from '../service/node-health.ts'
import { leaderAgeMs } from '../service/raft-metrics.ts'
import { ReplicatedStore } from '../service/replicated-store.ts'
import { NodeService } from '../service/node-service.ts'
import { TicketOffice } from '../service/ticket-office.ts'
import { Unreachable } from '../service/unreachable.ts'
import type { Transport } from '../transport/transport.ts'
import { makeControl, makeDesk } from './cluster-services.ts'
import type { ClusterServicesParts } from './cluster-services.ts'
import { roomOf } from './disk-duty.ts'
import type { Fitness } from './fitness.ts'

type LookedAt = Pick<ClusterViewParts, 'api' | 'isInTouch' | 'fetching'>

export interface ServicesParts
  extends LookedAt, ClusterServicesParts, Pick<NodeHealthParts, 'hasFailed'> {
  readonly trust: ClusterServicesParts['trust'] & Pick<ClusterTrust, 'configuration'>
  readonly fitness: Pick<Fitness, 'disk' | 'whyUnfit'>
  readonly whereabouts: () => Whereabouts
  /** null: nothing is counted */
  readonly counts: MetricCounts | null
}

export class Services {
  readonly forwarder: Forwarder
  readonly tickets: TicketOffice
  readonly node: NodeService
  readonly alarms: Alarms
  readonly unreachable: Unreachable

  constructor(made: ServicesParts) {
    const { parts, replica, transport, fitness, whereabouts, counts } = made
    const { id, clock, timers, random, stateMachine } = parts
    const request = transport.request.bind(transport)
    const room = roomOf(fitness.disk, parts)
    const desk = makeDesk(made, () => forwarder.isOpen)
    const operate: LeaderDesk['carryOut'] = (...asked) => desk.carryOut(...asked)
    const observer = counts?.forwarding ?? null
    const ways = { ...parts, replica, request, observer }
    const forwarder: Forwarder = new Forwarder({ ...ways, ...room, operate })
    this.forwarder = forwarder
    this.tickets = new TicketOffice({ id, clock, random, forwarder, stateMachine, whereabouts })
    const seen = seenParts(made, clock)
    const view = new ClusterView(seen)
    const status = (): CoreStatus => replica.status
    const hasRoom = (): boolean => room.hasSpace() && room.gate.whyNoRoom() === null
    this.alarms = new Alarms({ clock, status, hasRoom })
    this.unreachable = new Unreachable({ ...unreachableParts(made), clock, status })
    const { alarms, unreachable } = this
    const read = { ...seen, view, alarms, unreachable, forwarder }
    const health = new NodeHealth(read)
    this.#tellStates({ ...read, isDraining: () => health.isDraining }, made)
    const store = new ReplicatedStore({
      forwarder,
      stateMachine,
      timers,
      leaderAgeMs: () => leaderAgeMs({ id, replica, clock })
    })
    this.node = new NodeService({
      kv: new MeasuredStore(store, clock, (note) => {
        if (note.result === 'overloaded') alarms.onOverloaded()
        counts?.onRequest(note)
      }),
      cluster: makeControl(made, { ...seen, desk, forwarder, tickets: this.tickets }),
      view,
      health,
      tickets: this.tickets,
      backups: parts.backups,
      forwarder,
      metrics: parts.metrics
    })
  }

  #tellStates(
    read: Omit<MetricStatesParts, 'isFetching' | 'pendingCount'>,
    made: ServicesParts
  ): void {
    const { parts, fetching } = made
    const { forwarder } = this
    const states = new MetricStates({
      ...read,
      isFetching: () => fetching() !== null,
      pendingCount: () => forwarder.pendingCount
    })
    parts.metrics?.addSource((metrics) => states.read(metrics))
  }
}

function unreachableParts({ parts, transport, trust }: ServicesParts) {
  const links: Transport['links'] = () => transport.links()
  return { id: parts.id, links, configuration: () => trust.configuration() }
}

function seenParts(made: ServicesParts, clock: Clock) {
  const { parts, replica, transport, trust, fitness, api, isInTouch, hasFailed, fetching } = made
  const { id, keyPair, clusterId, name, version, dataDir, pid, stateMachine, log } = parts
  const { storageBackend } = parts
  return {
    id,
    publicKey: keyPair.publicKey,
    clusterId,
    name: () => name,
    version,
    dataDir,
    pid,
    storageBackend,
    api,
    clock,
    startedMs: parts.startedMs ?? clock.nowMs(),
    replica,
    stateMachine,
    log,
    transport,
    configuration: () => trust.configuration(),
    isInTouch,
    hasFailed,
    disk: () => fitness.disk?.state ?? null,
    sizes: () => parts.sizes?.() ?? null,
    fetching
  }
}
