// The typed client of a node, for the command line and for programs: the HTTP API over the node's
// Unix socket, or over TCP with its token. Start reading here; kv-client.ts has reads and writes on the
// wire, connection.ts what happens when a connection breaks.

import { BACKUP_MAKING_MS, DEFAULT_REQUEST_TIMEOUT_MS } from '../limits.ts'
import type { ClusterController } from '../service/cluster-controller.ts'
import type {
  Health,
  Members,
  NewTicket,
  NodeInfo,
  Probe,
  Status,
  Survey,
  Tickets
} from '../service/documents.ts'
import { KeyValueStore } from '../service/key-value-store.ts'
import type { ReadOptions, RequestOptions, TicketOptions } from '../service/node-api.ts'
import { ClusterClient } from './cluster-client.ts'
import type { ClientTarget } from './connection.ts'
import { Connection } from './connection.ts'
import type { Downloaded } from './download.ts'
import { KeyValueClient } from './kv-client.ts'
import type { Shape } from './shapes.ts'
import { shapes } from './shapes.ts'

export type { ClientTarget } from './connection.ts'
export type { Downloaded } from './download.ts'
export type * from '../service/cluster-controller.ts'
export type * from '../service/key-value-store.ts'
export type * from '../service/write-request.ts'

/**
 * What a node can be asked, from another process.
 *
 * ```ts
 * const client = Client.connect({ socketPath: '/home/me/.local/share/aspen/alder/aspen.sock' })
 * const { revision } = await client.kv.put('app/port', '8080')
 * client.close()
 * ```
 *
 * Each method fails with the AspenError that the node raised, or with NODE_NOT_RUNNING (nobody
 * listens), UNAVAILABLE (nothing happened), OUTCOME_UNKNOWN or TIMEOUT (it may have happened).
 */
export class Client {
  readonly kv: KeyValueStore
  /** Members, voters, leadership, snapshots: what any node does for the whole cluster. */
  readonly cluster: ClusterController
  readonly #connection: Connection

  private constructor(connection: Connection) {
    this.#connection = connection
    this.kv = new KeyValueStore(new KeyValueClient(connection))
    this.cluster = new ClusterClient(connection)
  }

  /**
   * Connects with the first request, not before.
   * @throws ConfigError CONFIG_INVALID when the URL is not `http://host:port`
   */
  static connect(target: ClientTarget): Client {
    return new Client(new Connection(target))
  }

  status({ timeoutMs }: RequestOptions = {}): Promise<Status> {
    return this.#look('/status', shapes.status, timeoutMs)
  }

  members({ timeoutMs }: RequestOptions = {}): Promise<Members> {
    return this.#look('/members', shapes.members, timeoutMs)
  }

  /** Its key and its addresses; also of a node that belongs to no cluster, whose `id` is null. */
  nodeInfo({ timeoutMs }: RequestOptions = {}): Promise<NodeInfo> {
    return this.#look('/node-info', shapes.nodeInfo, timeoutMs)
  }

  /** Also when the node is unhealthy. */
  health(): Promise<Health> {
    return this.#look('/health', shapes.health)
  }

  /** Also when it is not `ok`. */
  livez(): Promise<Probe> {
    return this.#look('/livez', shapes.probe)
  }

  /** Also when it is not `ok`. */
  readyz(): Promise<Probe> {
    return this.#connection.ask({ method: 'GET', path: '/readyz', shape: shapes.probe })
  }

  createTicket(options: TicketOptions = {}): Promise<NewTicket> {
    const { role, ttlMs, uses, timeoutMs } = options
    return this.#connection.ask({
      method: 'POST',
      path: '/tickets',
      body: { role, ttl_ms: ttlMs, uses, timeout_ms: timeoutMs },
      shape: shapes.newTicket,
      isWrite: true,
      timeoutMs
    })
  }

  listTickets({ timeoutMs }: RequestOptions = {}): Promise<Tickets> {
    const path = `/tickets${timeoutQuery(timeoutMs)}`
    return this.#connection.ask({ method: 'GET', path, shape: shapes.tickets, timeoutMs })
  }

  /** `id` as listed, or a ticket's text. */
  async revokeTicket(id: string, { timeoutMs }: RequestOptions = {}): Promise<void> {
    const path = `/tickets/${encodeURIComponent(id)}${timeoutQuery(timeoutMs)}`
    const request = { method: 'DELETE', path, shape: shapes.revoked, isWrite: true } as const
    await this.#connection.ask({ ...request, timeoutMs })
  }

  /** Which members are in reach of the node, and what they have. */
  survey({ timeoutMs }: RequestOptions = {}): Promise<Survey> {
    return this.#connection.ask({
      method: 'GET',
      path: '/admin/survey',
      shape: shapes.survey,
      timeoutMs
    })
  }

  /**
   * A backup of what the node holds, to be verified by whoever takes it (state-machine/backup-check.ts):
   * its bytes end with an error where the connection breaks.
   */
  backup(options: ReadOptions = {}): Promise<Downloaded> {
    const { consistency = 'linearizable', timeoutMs = DEFAULT_REQUEST_TIMEOUT_MS } = options
    const path = `/admin/backup?consistency=${consistency}&timeout_ms=${timeoutMs}`
    return this.#connection.download({ path, timeoutMs: timeoutMs + BACKUP_MAKING_MS })
  }

  /** Ends all connections; requests in progress fail. May be called twice. */
  close(): void {
    this.#connection.close()
  }

  /** What the node knows without asking anybody. */
  #look<T>(path: string, shape: Shape<T>, timeoutMs?: number): Promise<T> {
    return this.#connection.ask({ method: 'GET', path, shape, timeoutMs, isImmediate: true })
  }
}

function timeoutQuery(timeoutMs: number | undefined): string {
  return timeoutMs === undefined ? '' : `?timeout_ms=${timeoutMs}`
}
