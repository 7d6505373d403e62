// A node inside a program: what bootstrap.ts opens, with everything that a node can be asked as its methods.

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
import type {
  Backup,
  NodeApi,
  ReadOptions,
  RequestOptions,
  TicketOptions
} from '../service/node-api.ts'
import type { BootstrapHandle } from './bootstrap.ts'
import { bootstrapNode } from './bootstrap.ts'
import type { NodeOptions, Opened } from './options.ts'

export class AspenNode implements Omit<NodeApi, 'kv'> {
  /** Reads and writes through this node. */
  readonly kv: KeyValueStore
  readonly opened: Opened
  /** Resolves with the process's exit code when the node has ended: by `close` (0), or by itself. */
  readonly closed: Promise<number>
  readonly #handle: BootstrapHandle

  private constructor(handle: BootstrapHandle) {
    this.#handle = handle
    this.kv = new KeyValueStore(handle.node.kv)
    this.opened = handle.opened
    this.closed = handle.closed
  }

  /**
   * Opens a node as `options.intent` says.
   * @throws ConfigError, StorageError, TransportError, TicketError: nothing is left running then
   */
  static async open(options: NodeOptions): Promise<AspenNode> {
    return new AspenNode(await bootstrapNode(options))
  }

  get cluster(): ClusterController {
    return this.#node.cluster
  }

  /** `kv`: in this process, so that there is nothing to connect or to close. */
  client(): KeyValueStore {
    return this.kv
  }

  status(): Status {
    return this.#node.status()
  }

  members(): Members {
    return this.#node.members()
  }

  nodeInfo(): NodeInfo {
    return this.#node.nodeInfo()
  }

  health(): Health {
    return this.#node.health()
  }

  livez(): Probe {
    return this.#node.livez()
  }

  readyz(): Promise<Probe> {
    return this.#node.readyz()
  }

  createTicket(options?: TicketOptions): Promise<NewTicket> {
    return this.#node.createTicket(options)
  }

  listTickets(options?: RequestOptions): Promise<Tickets> {
    return this.#node.listTickets(options)
  }

  revokeTicket(id: string, options?: RequestOptions): Promise<void> {
    return this.#node.revokeTicket(id, options)
  }

  backup(options?: ReadOptions): Promise<Backup> {
    return this.#node.backup(options)
  }

  survey(): Promise<Survey> {
    return this.#node.survey()
  }

  metrics(): Promise<string> {
    return this.#node.metrics()
  }

  /** Hands leadership over, closes everything, releases the directory. May be called twice. */
  close(): Promise<void> {
    return this.#handle.shutdown()
  }

  get #node(): NodeApi {
    return this.#handle.node
  }
}
