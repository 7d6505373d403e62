// One node put together from its ports, in order, and taken apart in reverse. Knows nothing of
// files, processes or command lines: given in-memory ports and a virtual clock, the same assembly is
// a node of the simulator.

import type { Address } from '../address.ts'
import { Admission } from '../cluster/admission.ts'
import { GuardKeeper } from '../cluster/guard-keeper.ts'
import { LeaderDuties } from '../cluster/leader-duties.ts'
import { LeaderLink } from '../cluster/leader-link.ts'
import { SelfDescription } from '../cluster/self-description.ts'
import { ClusterTrust, mayLetIn } from '../cluster/trust.ts'
import type { NodeId } from '../node-id.ts'
import type { Status as CoreStatus } from '../raft/effects.ts'
import type { Entry } from '../raft/entry.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { ConsensusCore } from '../replica/consensus-core.ts'
import { Replica } from '../replica/replica.ts'
import type { Alarms } from '../service/alarms.ts'
import type { Forwarder } from '../service/forwarding.ts'
import { MetricCounts } from '../service/metric-counts.ts'
import type { NodeService } from '../service/node-service.ts'
import type { TicketOffice } from '../service/ticket-office.ts'
import type { ApplyResult } from '../state-machine/state-machine.ts'
import { Links } from '../transport/links.ts'
import type { LinksOptions } from '../transport/links.ts'
import type { Transport } from '../transport/transport.ts'
import type { AssemblyParts } from './assembly-parts.ts'
import { makeCore } from './core-making.ts'
import { endOfRefused, endOfRemoved } from './fenced.ts'
import { Fitness } from './fitness.ts'
import { handOver } from './hand-over.ts'
import { Peering } from './peering.ts'
import { Services } from './services.ts'
import { SnapshotDuty } from './snapshot-duty.ts'
import { StatusLog } from './status-log.ts'

export class Assembly {
  readonly service: NodeService
  readonly tickets: TicketOffice
  readonly replica: Replica
  readonly alarms: Alarms
  readonly #parts: AssemblyParts
  readonly #core: ConsensusCore
  readonly #transport: Transport
  readonly #trust: ClusterTrust
  readonly #forwarder: Forwarder
  readonly #services: Services
  readonly #counts: MetricCounts | null
  readonly #duties: LeaderDuties
  readonly #leaderLink: LeaderLink
  readonly #description: SelfDescription
  readonly #statusLog: StatusLog
  readonly #peering: Peering
  readonly #fitness: Fitness
  readonly #snapshots: SnapshotDuty
  readonly #guard: GuardKeeper
  #api = { socket: '', http: '' }
  #hasFailed = false
  #isHalted = false
  #closing: Promise<void> | null = null
  #handingOver: Promise<void> = Promise.resolve()

  constructor(parts: AssemblyParts) {
    const { timers, random } = parts
    this.#parts = parts
    this.#counts = parts.metrics === null ? null : new MetricCounts(parts.metrics)
    this.#statusLog = new StatusLog(parts.events)
    this.#core = makeCore(parts)
    this.replica = this.#makeReplica()
    const links: Transport['links'] = () => this.#transport.links()
    const status = (): CoreStatus => this.replica.status
    this.#guard = new GuardKeeper({ timers, store: parts.memories, links, status })
    this.#trust = this.#makeTrust()
    this.#transport = this.#makeTransport()
    const { replica } = this
    const transport = this.#transport
    const request = transport.request.bind(transport)
    const giveTo = (mayTake: (other: NodeId) => boolean): Promise<void> => this.handOver(mayTake)
    this.#fitness = new Fitness({ ...parts, status, request, handOver: giveTo })
    this.#peering = new Peering({ ...parts, trust: this.#trust, transport })
    const services = this.#makeServices()
    this.#forwarder = services.forwarder
    this.tickets = services.tickets
    this.service = services.node
    this.#services = services
    this.alarms = services.alarms
    this.#snapshots = this.#makeSnapshots()
    this.#duties = this.#makeDuties()
    this.#leaderLink = new LeaderLink({
      timers,
      random,
      isLinked: (member) => this.#isLinked(member),
      onLost: (member) => replica.onLinkLost(member)
    })
    this.#description = this.#makeDescription()
  }

  /** Listens, dials, votes. Never waits for peers or for the DHT. */
  async start(): Promise<void> {
    await this.#transport.open()
    if (this.#maybeEndRemoved()) return
    this.#refreshPeers()
    this.replica.start()
    this.#description.start()
    this.#fitness.start()
  }

  /** Leads, and has applied the first entry of its term: all that earlier leaders committed. */
  isLeading(): boolean {
    const { role, term } = this.replica.status
    return role === 'leader' && this.#parts.stateMachine.applied().term === term
  }

  /** Where the API listens, once it does. */
  onApi(api: { readonly socket: string; readonly http: string }): void {
    this.#api = api
  }

  get addresses(): readonly Address[] {
    return this.#transport.addresses()
  }

  /** Whether nobody else is in the cluster. */
  get isAlone(): boolean {
    const { id } = this.#parts
    return this.#trust.configuration().members.every((member) => member.id === id)
  }

  get epoch(): number {
    return this.#parts.stateMachine.trust().epoch
  }

  /** Leads, or hears who does. */
  isInTouch(): boolean {
    return this.replica.status.leader !== null
  }

  /** Whether this node has applied what was committed when the call came, and is a member there. */
  async isCaughtUp(timeoutMs: number): Promise<boolean> {
    const index = await this.#forwarder.confirmRead(timeoutMs).catch(() => null)
    return index !== null && this.service.status().role !== 'none'
  }

  /** If this node leads and another voter is in reach, hands leadership over; each call takes a second at most. */
  handOver(mayTake: (id: NodeId) => boolean = () => true): Promise<void> {
    const { clock, timers, events } = this.#parts
    const { replica } = this
    const links = () => this.#transport.links()
    const onBegin = (target: NodeId): void =>
      events.info({ event: 'raft.transfer', target }, 'handing leadership over')
    const once = () => handOver({ replica, links, clock, timers, onBegin, mayTake })
    // one after the other: whoever ended the first would let the second one's proposals in
    this.#handingOver = this.#handingOver.then(once, once)
    return this.#handingOver
  }

  /** Whether this node has ended, by `close` or by a failure. */
  get isHalted(): boolean {
    return this.#isHalted
  }

  /** A store has failed: from this call on nothing is sent, written or answered with success (B64). */
  fail(): void {
    this.#hasFailed = true
    this.#counts?.onStorageFailed()
    this.#halt()
  }

  /** Ends what runs here; the ports given at construction are closed too. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#halt()
    try {
      await this.#transport.close()
    } finally {
      const { stateMachine, log } = this.#parts
      await Promise.all([this.#guard.close(), stateMachine.close(), log.close()])
    }
  }

  #halt(): void {
    if (this.#isHalted) return
    this.#isHalted = true
    this.#description.close()
    this.#fitness.close()
    this.#snapshots.close()
    this.#duties.close()
    this.#leaderLink.close()
    this.#forwarder.close()
    this.replica.close()
  }

  #makeReplica(): Replica {
    const { id, log, stateMachine, clock, timers } = this.#parts
    return new Replica({
      id,
      core: this.#core,
      log,
      stateMachine,
      clock,
      timers,
      send: (to, message) => this.#transport.send(to, message),
      onStatus: (status) => this.#onStatus(status),
      observer: this.#counts?.replica ?? null,
      onSecondLeader: (claim) => this.#statusLog.tellSecondLeader(claim),
      onApplied: (entries, results) => this.#onApplied(entries, results),
      keepEntries: this.#parts.storagePolicy.keepEntries,
      maxPendingProposals: this.#parts.maxPendingProposals,
      onSnapshotsNeeded: (ids) => this.#snapshots.onSnapshotsNeeded(ids),
      onSnapshot: (snapshot, durationMs) => this.#snapshots.onSnapshot(snapshot, durationMs),
      onFailed: this.#parts.onFailed
    })
  }

  #makeTrust(): ClusterTrust {
    const { clusterId, keyPair, id, log, instance, version, welcome, stateMachine } = this.#parts
    return new ClusterTrust({
      guard: this.#guard,
      storageEpoch: log.storageEpoch,
      clusterId,
      keyPair,
      id,
      boot: log.boot,
      instance,
      version,
      welcome,
      trustState: () => stateMachine.trust(),
      status: () => this.replica.status,
      isInTouch: () => this.isInTouch()
    })
  }

  #makeTransport(): Transport {
    const { network, keyPair, clock, timers, random } = this.#parts
    const admission = new Admission({
      trust: this.#trust,
      clock,
      timers,
      random,
      submit: (command, timeoutMs) => this.tickets.submit(command, timeoutMs),
      onAdmitted: ({ name }) => this.#statusLog.tellAdmitted(name),
      onAnswered: (answer) => this.#counts?.onAdmission(answer)
    })
    const options: LinksOptions = {
      network,
      keyPair,
      clock,
      timers,
      random,
      trust: this.#trust,
      traffic: this.#counts?.traffic ?? null,
      handlers: {
        onMessage: (from, message) => this.replica.onMessage(from, message),
        onRequest: (from, payload, answer) => this.#forwarder.onRequest(from, payload, answer),
        onSnapshotRequest: (from, payload, answer) =>
          this.#snapshots.onRequest(from, payload, answer),
        onLinkUp: (id) => this.#onLinkUp(id),
        onLinkDown: (id) => this.#onLinkDown(id),
        onJoin: (request, answer) => admission.onJoin(request, answer),
        // this version knows one epoch, whose secret every node has from its admission, so that there is no
        // welcome with news in it; one that comes anyway is dropped, and said
        onWelcome: ({ epoch }) => this.#statusLog.tellWelcome(epoch),
        onRefused: (_by, error) => {
          this.#statusLog.tellRefused(error)
          const end = endOfRefused(error, this.#parts.clusterId)
          if (end !== null) this.#parts.onFailed(end)
        }
      }
    }
    return this.#parts.makeTransport?.(options) ?? new Links(options)
  }

  #makeDuties(): LeaderDuties {
    const { clock, timers, targetVoters, stateMachine } = this.#parts
    return new LeaderDuties({
      clock,
      timers,
      targetVoters,
      status: () => this.replica.status,
      trustState: () => stateMachine.trust(),
      applied: () => stateMachine.applied(),
      isLinked: (id) => this.#isLinked(id),
      heartbeatMs: this.#parts.timing.heartbeatMs,
      change: (change, onEnd) =>
        this.replica.change(change, (outcome) => onEnd(outcome.kind === 'done')),
      onChange: (change) => this.#statusLog.tellChange(change)
    })
  }

  #makeSnapshots(): SnapshotDuty {
    return new SnapshotDuty({
      ...this.#parts,
      replica: this.replica,
      core: this.#core,
      transport: this.#transport,
      onAdopted: () => this.#onTrustChanged(),
      counts: this.#counts
    })
  }

  #makeDescription(): SelfDescription {
    const { id, name, version, clock, timers } = this.#parts
    return new SelfDescription({
      clock,
      timers,
      record: () => (this.isInTouch() ? this.#trust.nodeRecord(id) : undefined),
      own: () => ({ id, name, version, addresses: this.#transport.addresses() }),
      submit: (command, timeoutMs) => this.tickets.submit(command, timeoutMs)
    })
  }

  #makeServices(): Services {
    return new Services({
      parts: this.#parts,
      replica: this.replica,
      transport: this.#transport,
      trust: this.#trust,
      fitness: this.#fitness,
      counts: this.#counts,
      whereabouts: () => this.#peering.whereabouts(),
      handOver: (mayTake) => this.handOver(mayTake),
      snapshots: {
        failedCount: () => this.#snapshots.failedCount,
        isSupported: () => this.#snapshots.isSupported(),
        propose: (onOutcome) => this.#snapshots.propose(onOutcome)
      },
      onChange: (change) => this.#statusLog.tellChange(change),
      api: () => this.#api,
      isInTouch: () => this.isInTouch(),
      hasFailed: () => this.#hasFailed,
      fetching: () => this.#snapshots.fetching
    })
  }

  #onStatus(status: CoreStatus): void {
    this.#counts?.onStatus(status)
    this.#statusLog.tell(status)
    this.#forwarder.onStatus(status)
    this.#onTrustChanged()
    this.#snapshots.look()
  }

  #onApplied(entries: readonly Entry[], results: readonly ApplyResult[]): void {
    const { stateMachine } = this.#parts
    this.#counts?.onApplied(this.replica.status.commitIndex, results, stateMachine.trust())
    this.#guard.collect()
    const changesTrust = results.some(mayLetIn)
    this.#snapshots.onApplied(entries)
    const isNews = ({ kind, payload }: Entry): boolean =>
      payload.byteLength === 0 || kind === ENTRY_KIND.configuration
    // not at once: who has just been removed, and asked for it, is answered before its link is closed
    if (changesTrust || entries.some(isNews)) {
      this.#parts.timers.soon(() => this.#onTrustChanged())
    }
  }

  #onTrustChanged(): void {
    this.#refreshPeers()
    this.#duties.look()
    this.#maybeEndRemoved()
  }

  /** What it has applied says that it belongs here no more: nobody has to tell it. */
  #maybeEndRemoved(): boolean {
    const removal = this.#isHalted ? null : this.#trust.ownRemoval()
    if (removal === null) return false
    this.#parts.onFailed(endOfRemoved(removal))
    return true
  }

  #onLinkUp(id: NodeId): void {
    const link = this.#transport.links().find((one) => one.id === id)
    this.#statusLog.tellLinkUp(id, link?.path)
    const address = link?.remoteAddress ?? null
    if (link !== undefined && address !== null) this.#parts.onAddress(link.publicKey, address)
    this.replica.onLinkUp(id)
    this.#forwarder.onLinkUp()
    this.#duties.look()
  }

  #onLinkDown(id: NodeId): void {
    this.#statusLog.tellLinkDown(id)
    this.#services.unreachable.onLinkDown(id)
    this.#leaderLink.onLinkDown(id)
    this.#duties.look()
  }

  #refreshPeers(): void {
    if (!this.#isHalted) this.#peering.refresh()
  }

  #isLinked(id: NodeId): boolean {
    return this.#transport.isLinked(id)
  }
}
