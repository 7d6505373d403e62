// The parts of a node that work on the cluster itself: the desk where it carries operations out as the leader,
// and the controller that asks whoever leads.

import { admitKey } from '../cluster/admission-by-key.ts'
import type { ClusterTrust } from '../cluster/trust.ts'
import type { Replica } from '../replica/replica.ts'
import { ClusterControl } from '../service/cluster-control.ts'
import type { ClusterControlParts } from '../service/cluster-control.ts'
import type { Forwarder } from '../service/forwarding.ts'
import { LeaderDesk } from '../service/leader-desk.ts'
import type { LeaderDeskParts } from '../service/leader-desk.ts'
import { OperationLane } from '../service/operation-lane.ts'
import { SnapshotMaker } from '../service/snapshot-maker.ts'
import type { SnapshotMakerParts } from '../service/snapshot-maker.ts'
import type { TicketOffice } from '../service/ticket-office.ts'
import type { Transport } from '../transport/transport.ts'
import type { AssemblyParts } from './assembly-parts.ts'
import type { Fitness } from './fitness.ts'

export interface ClusterServicesParts {
  readonly parts: AssemblyParts
  readonly replica: Replica
  readonly transport: Transport
  readonly trust: Pick<ClusterTrust, 'epoch' | 'epochSecret'>
  readonly fitness: Pick<Fitness, 'whyUnfit'>
  readonly handOver: LeaderDeskParts['handOver']
  readonly snapshots: LeaderDeskParts['snapshots'] & Pick<SnapshotMakerParts, 'failedCount'>
  readonly onChange: LeaderDeskParts['onChange']
}

/** `isOpen`: the node has not ended. */
export function makeDesk(made: ClusterServicesParts, isOpen: () => boolean): LeaderDesk {
  const { parts, replica, transport, fitness, handOver, snapshots, onChange } = made
  const { id, clock, timers, timing, stateMachine, events } = parts
  return new LeaderDesk({
    id,
    clock,
    timers,
    heartbeatMs: timing.heartbeatMs,
    replica,
    stateMachine,
    isLinked: (other) => transport.isLinked(other),
    isOpen,
    handOver,
    whyUnfit: (other) => fitness.whyUnfit(other),
    snapshots,
    onChange,
    events
  })
}

export interface ControlParts extends Pick<
  ClusterControlParts,
  'configuration' | 'isInTouch' | 'hasFailed'
> {
  readonly desk: LeaderDesk
  readonly forwarder: Forwarder
  readonly tickets: TicketOffice
}

export function makeControl(made: ClusterServicesParts, control: ControlParts): ClusterControl {
  const { parts, replica, transport, trust, snapshots } = made
  const { id, clock, timers, random, stateMachine, log } = parts
  const { desk, forwarder, tickets } = control
  const isOpen = (): boolean => forwarder.isOpen
  const request = transport.request.bind(transport)
  const lane = new OperationLane({ id, clock, timers, replica, request, desk, isOpen })
  const maker = new SnapshotMaker({
    clock,
    timers,
    lane,
    list: () => stateMachine.snapshots.list(),
    failedCount: snapshots.failedCount,
    appliedIndex: () => replica.appliedIndex,
    isOpen
  })
  const submit: TicketOffice['submit'] = (...asked) => tickets.submit(...asked)
  return new ClusterControl({
    ...control,
    id,
    clock,
    replica,
    stateMachine,
    log,
    lane,
    snapshots: maker,
    admit: (spec, timeoutMs) => admitKey({ trust, random, submit }, spec, timeoutMs)
  })
}
