// What a node can be asked, as one object that stays the same while who answers changes: first a node
// without a cluster (lobby.ts), then the member that it has become. The HTTP API is open all the time.

import type { ClusterController } from '../service/cluster-controller.ts'
import type {
  Health,
  Members,
  NewTicket,
  NodeInfo,
  Probe,
  ReadyCheck,
  Status,
  Survey,
  Tickets
} from '../service/documents.ts'
import type {
  Backup,
  KeyValueApi,
  NodeApi,
  ReadOptions,
  RequestOptions,
  TicketOptions
} from '../service/node-api.ts'

export class NodeFront implements NodeApi {
  readonly kv: KeyValueApi
  readonly cluster: ClusterController
  #behind: NodeApi

  constructor(first: NodeApi) {
    this.#behind = first
    this.kv = kvOf(() => this.#behind.kv)
    this.cluster = clusterOf(() => this.#behind.cluster)
  }

  /** From now on `next` answers; what was asked before is answered by whoever was asked. */
  become(next: NodeApi): void {
    this.#behind = next
  }

  status(): Status {
    return this.#behind.status()
  }

  members(): Members {
    return this.#behind.members()
  }

  nodeInfo(): NodeInfo {
    return this.#behind.nodeInfo()
  }

  health(): Health {
    return this.#behind.health()
  }

  livez(): Probe {
    return this.#behind.livez()
  }

  readyz(checks?: readonly ReadyCheck[]): Promise<Probe> {
    return this.#behind.readyz(checks)
  }

  createTicket(options?: TicketOptions): Promise<NewTicket> {
    return this.#behind.createTicket(options)
  }

  listTickets(options?: RequestOptions): Promise<Tickets> {
    return this.#behind.listTickets(options)
  }

  revokeTicket(id: string, options?: RequestOptions): Promise<void> {
    return this.#behind.revokeTicket(id, options)
  }

  backup(options?: ReadOptions): Promise<Backup> {
    return this.#behind.backup(options)
  }

  metrics(): Promise<string> {
    return this.#behind.metrics()
  }

  survey(): Promise<Survey> {
    return this.#behind.survey()
  }
}

function kvOf(behind: () => KeyValueApi): KeyValueApi {
  return {
    write: (...asked) => behind().write(...asked),
    get: (...asked) => behind().get(...asked),
    scan: (...asked) => behind().scan(...asked)
  }
}

function clusterOf(behind: () => ClusterController): ClusterController {
  return {
    init: (...asked) => behind().init(...asked),
    addLearner: (...asked) => behind().addLearner(...asked),
    changeMembership: (...asked) => behind().changeMembership(...asked),
    currentState: (...asked) => behind().currentState(...asked),
    getMetrics: () => behind().getMetrics(),
    getLeader: () => behind().getLeader(),
    triggerSnapshot: (...asked) => behind().triggerSnapshot(...asked),
    promoteLearner: (...asked) => behind().promoteLearner(...asked),
    removeMember: (...asked) => behind().removeMember(...asked),
    transferLeadership: (...asked) => behind().transferLeadership(...asked)
  }
}
