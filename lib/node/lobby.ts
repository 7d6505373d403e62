// What a node without a cluster can be asked: who it is, whether it lives, and to found a cluster. Everything
// else is refused with NOT_INITIALIZED, which nothing has happened for.

import { formatAddress } from '../address.ts'
import type { Address } from '../address.ts'
import type { Clock } from '../clock.ts'
import { hexOf } from '../encoding.ts'
import { ControlPlaneError } from '../errors.ts'
import type { ClusterController, InitRequest } from '../service/cluster-controller.ts'
import type { ClusterState, Health, NodeInfo, Probe } from '../service/documents.ts'
import type { KeyValueApi, NodeApi, RequestOptions } from '../service/node-api.ts'
import { NO_SUPERVISION } from '../service/node-health.ts'

export interface LobbyParts {
  readonly publicKey: Uint8Array
  readonly addresses: () => readonly Address[]
  readonly clock: Clock
  readonly startedMs: number
  readonly renderMetrics: () => Promise<string>
  /** founds a cluster here */
  readonly init: (request: InitRequest, options?: RequestOptions) => Promise<ClusterState>
}

export class Lobby implements NodeApi {
  readonly kv: KeyValueApi = { write: refuseLater, get: refuseLater, scan: refuseLater }
  readonly cluster: ClusterController
  readonly #parts: LobbyParts

  constructor(parts: LobbyParts) {
    this.#parts = parts
    this.cluster = {
      init: (request, options) => parts.init(request, options),
      addLearner: refuseLater,
      changeMembership: refuseLater,
      currentState: refuseLater,
      getMetrics: refuseLater,
      getLeader: refuseLater,
      triggerSnapshot: refuseLater,
      promoteLearner: refuseLater,
      removeMember: refuseLater,
      transferLeadership: refuseLater
    }
  }

  nodeInfo(): NodeInfo {
    const { publicKey, addresses } = this.#parts
    return { id: null, key: hexOf(publicKey), addresses: addresses().map(formatAddress) }
  }

  health(): Health {
    const { clock, startedMs } = this.#parts
    return {
      status: 'degraded',
      state: 'Uninitialized',
      current_leader: null,
      term: 0,
      node_id: null,
      raft_node_id: null,
      uptime_seconds: (clock.nowMs() - startedMs) / 1000,
      failure_tolerance: 0,
      alarms: [],
      supervision: NO_SUPERVISION,
      checks: { raft_cluster: { status: 'warning', message: NO_CLUSTER } }
    }
  }

  livez(): Probe {
    return { ok: true, checks: { event_loop: true }, reasons: {} }
  }

  readyz(): Promise<Probe> {
    const reasons = { initialized: NO_CLUSTER }
    return Promise.resolve({ ok: false, checks: { initialized: false }, reasons })
  }

  metrics(): Promise<string> {
    return this.#parts.renderMetrics()
  }

  status(): never {
    throw notInitialized()
  }

  members(): never {
    throw notInitialized()
  }

  readonly createTicket = refuseLater
  readonly listTickets = refuseLater
  readonly revokeTicket = refuseLater
  readonly backup = refuseLater
  readonly survey = refuseLater
}

const NO_CLUSTER = 'this node belongs to no cluster'

async function refuseLater(): Promise<never> {
  throw notInitialized()
}

/** The refusal of all that needs a cluster. */
export function notInitialized(): ControlPlaneError {
  return new ControlPlaneError({
    code: 'NOT_INITIALIZED',
    message: NO_CLUSTER,
    hint: "'aspen members add' with its key on a member that it has as a peer lets it in; POST /cluster/init founds a cluster here"
  })
}
