// A node's whole API in one object: the store, the view of the cluster, the tickets.

import { TicketError } from '../errors.ts'
import { decodeTicket, inviteIdOf, inviteKeysOf } from '../../tickets/tickets.ts'
import type { ClusterController } from './cluster-controller.ts'
import type { ClusterView } from './cluster-view.ts'
import type {
  Health,
  Members,
  NewTicket,
  NodeInfo,
  Probe,
  Status,
  Survey,
  Tickets
} from './documents.ts'
import type { LogPosition } from './encoding.ts'
import type { Forwarder } from './forwarding.ts'
import type { Metrics } from './metrics.ts'
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
  readonly view: Pick<ClusterView, 'status' | 'members' | 'health' | 'livez'>
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
  readonly #tickets: NodeServiceParts['tickets']
  readonly #backups: Backups
  readonly #forwarder: NodeServiceParts['forwarder']
  readonly #metrics: NodeServiceParts['metrics']
  #isDraining = false

  constructor(parts: NodeServiceParts) {
    this.kv = parts.kv
    this.cluster = parts.cluster
    this.#view = parts.view
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
    return this.#view.health()
  }

  livez(): Probe {
    return this.#view.livez()
  }

  async readyz(): Promise<Probe> {
    const isReadable = await this.#forwarder.confirmRead(READY_WITHIN_MS).then(
      () => true,
      () => false
    )
    const checks = {
      leader_known: this.status().leader !== null,
      linearizable_read: isReadable,
      not_draining: !this.#isDraining
    }
    return { ok: Object.values(checks).every(Boolean), checks }
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
    this.#isDraining = true
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

/** How long a linearizable read may take on a node that calls itself ready. */
const READY_WITHIN_MS = 1_000

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
