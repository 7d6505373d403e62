// A node's whole API in one object: the store, the view of the cluster, the tickets.

import { TicketError } from '../errors.ts'
import { READY_WITHIN_MS } from '../health-limits.ts'
import { decodeTicket, inviteIdOf, inviteKeysOf } from '../../tickets/tickets.ts'
import type { ClusterController } from './cluster-controller.ts'
import type { ClusterView } from './cluster-view.ts'
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
} from './documents.ts'
import type { LogPosition } from './encoding.ts'
import type { Forwarder } from './forwarding.ts'
import type { Metrics } from './metrics.ts'
import type { NodeHealth } from './node-health.ts'
import { Backups } from './backups.ts'
import type { BackupSource } from './backups.ts'
import type {
  Backup,
  KeyValueApi,
  NodeApi,
  ReadOptions,
  RequestOptions,
  TicketOptions
} from './node-api.ts'
import type { TicketOffice } from './ticket-office.ts'

export interface NodeServiceParts {
  readonly kv: KeyValueApi
  readonly cluster: ClusterController
  readonly view: Pick<ClusterView, 'status' | 'members'>
  readonly health: Pick<NodeHealth, 'health' | 'livez' | 'readyz' | 'drain'>
  readonly tickets: Pick<TicketOffice, 'create' | 'list' | 'revoke'>
  /** null where nothing is on a disk */
  readonly backups: BackupSource | null
  readonly forwarder: Pick<Forwarder, 'confirmRead' | 'checkOpen' | 'logOf'>
  /** null where nothing is counted */
  readonly metrics: Pick<Metrics, 'render'> | null
}

export class NodeService implements NodeApi {
  readonly kv: KeyValueApi
  readonly cluster: ClusterController
  readonly #view: NodeServiceParts['view']
  readonly #health: NodeServiceParts['health']
  readonly #tickets: NodeServiceParts['tickets']
  readonly #backups: Backups
  readonly #forwarder: NodeServiceParts['forwarder']
  readonly #metrics: NodeServiceParts['metrics']

  constructor(parts: NodeServiceParts) {
    this.kv = parts.kv
    this.cluster = parts.cluster
    this.#view = parts.view
    this.#health = parts.health
    this.#tickets = parts.tickets
    this.#backups = new Backups(parts.forwarder, parts.backups)
    this.#forwarder = parts.forwarder
    this.#metrics = parts.metrics
  }

  status(): Status {
    return this.#view.status()
  }

  members(): Members {
    return this.#view.members()
  }

  nodeInfo(): NodeInfo {
    const { node, addresses } = this.#view.status()
    return { id: node.id, key: node.key, addresses }
  }

  health(): Health {
    return this.#health.health()
  }

  livez(): Probe {
    return this.#health.livez()
  }

  readyz(checks?: readonly ReadyCheck[]): Promise<Probe> {
    return this.#health.readyz(checks)
  }

  createTicket(options?: TicketOptions): Promise<NewTicket> {
    return this.#tickets.create(options)
  }

  listTickets(options?: RequestOptions): Promise<Tickets> {
    return this.#tickets.list(options)
  }

  async revokeTicket(id: string, options?: RequestOptions): Promise<void> {
    await this.#tickets.revoke(idOfTicket(id), options)
  }

  backup(options?: ReadOptions): Promise<Backup> {
    return this.#backups.make(options)
  }

  async metrics(): Promise<string> {
    return (await this.#metrics?.render()) ?? ''
  }

  async survey(): Promise<Survey> {
    const confirmed = this.#forwarder.confirmRead(READY_WITHIN_MS).then(
      () => true,
      () => false
    )
    const rows = this.members().members.map(async ({ id, key, name, role, is_self }) => {
      const position = await this.#forwarder.logOf(id)
      return { id, key, name, role, is_self, log: position === null ? null : documentOf(position) }
    })
    const members = await Promise.all(rows)
    return { cluster: this.status().cluster, has_quorum: await confirmed, members }
  }

  /** From now on `readyz` says no. */
  drain(): void {
    this.#health.drain()
  }
}

function documentOf(position: LogPosition): NonNullable<Survey['members'][number]['log']> {
  const { lastTerm, lastIndex, commitIndex, appliedIndex } = position
  return {
    last_term: lastTerm,
    last_index: lastIndex,
    commit_index: commitIndex,
    applied_index: appliedIndex
  }
}

/** @throws TicketError for what begins like a ticket and is none */
function idOfTicket(text: string): string {
  if (/^[0-9a-f]{8}$/i.test(text)) return text.toLowerCase()
  if (text.trim().toLowerCase().startsWith('aspen1')) {
    return inviteIdOf(inviteKeysOf(decodeTicket(text).secret).keyPair.publicKey)
  }
  throw new TicketError({
    code: 'TICKET_NOT_FOUND',
    message: 'a ticket is named by its id (8 hex digits) or by its text',
    hint: "'aspen ticket list' shows them"
  })
}
