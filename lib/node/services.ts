// What a node can be asked, put together over its replica and its links: the way to the leader, the
// store, the tickets, and what the node shows of itself.

import type { Clock } from '../clock.ts'
import type { ClusterTrust } from '../cluster/trust.ts'
import type { Whereabouts } from '../cluster/invites.ts'
import type { Replica } from '../replica/replica.ts'
import { ClusterControl } from '../service/cluster-control.ts'
import { ClusterView } from '../service/cluster-view.ts'
import type { ClusterViewParts } from '../service/cluster-view.ts'
import { Forwarder } from '../service/forwarding.ts'
import { ReplicatedStore } from '../service/replicated-store.ts'
import { NodeService } from '../service/node-service.ts'
import { TicketOffice } from '../service/ticket-office.ts'
import type { Transport } from '../transport/transport.ts'
import type { AssemblyParts } from './assembly-parts.ts'
import { roomOf } from './disk-duty.ts'
import type { Fitness } from './fitness.ts'

type LookedAt = Pick<ClusterViewParts, 'api' | 'isInTouch' | 'hasFailed' | 'fetching'>

export interface ServicesParts extends LookedAt {
  readonly parts: AssemblyParts
  readonly replica: Replica
  readonly transport: Transport
  readonly trust: Pick<ClusterTrust, 'configuration'>
  readonly fitness: Pick<Fitness, 'disk'>
  readonly whereabouts: () => Whereabouts
}

export class Services {
  readonly forwarder: Forwarder
  readonly tickets: TicketOffice
  readonly node: NodeService

  constructor(made: ServicesParts) {
    const { parts, replica, transport, fitness, whereabouts } = made
    const { id, clock, timers, random, stateMachine } = parts
    const request = transport.request.bind(transport)
    const room = roomOf(fitness.disk, parts)
    const forwarder = new Forwarder({ id, clock, timers, random, replica, request, ...room })
    this.forwarder = forwarder
    this.tickets = new TicketOffice({ id, clock, random, forwarder, stateMachine, whereabouts })
    const view = viewParts(made, clock)
    this.node = new NodeService({
      kv: new ReplicatedStore(forwarder, stateMachine, timers),
      cluster: new ClusterControl({ ...view, forwarder, stateMachine, log: parts.log }),
      view: new ClusterView(view),
      tickets: this.tickets,
      backups: parts.backups,
      forwarder
    })
  }
}

function viewParts(made: ServicesParts, clock: Clock): ClusterViewParts {
  const { parts, replica, transport, trust, fitness, api, isInTouch, hasFailed, fetching } = made
  const { id, keyPair, clusterId, name, version, dataDir, pid, stateMachine, log } = parts
  return {
    id,
    publicKey: keyPair.publicKey,
    clusterId,
    name: () => name,
    version,
    dataDir,
    pid,
    api,
    clock,
    startedMs: clock.nowMs(),
    replica,
    stateMachine,
    log,
    transport,
    configuration: () => trust.configuration(),
    isInTouch,
    hasFailed,
    disk: () => fitness.disk?.state ?? null,
    fetching
  }
}
