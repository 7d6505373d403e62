// A node of one, in memory: a real NodeApi over a Map, with the limits and conditions of the store,
// for the tests of the HTTP API and of the client. `fail` makes the next operation fail, `hold` makes
// operations wait until they are let go.

import { KeyValueStoreError, TicketError } from '../../lib/errors.ts'
import type { ErrorCode } from '../../lib/errors.ts'
import {
  DEFAULT_SCAN_LIMIT,
  MAX_BATCH_BYTES,
  MAX_KEY_SIZE,
  MAX_SETMULTI_KEYS,
  MAX_VALUE_SIZE
} from '../../lib/limits.ts'
import { READY_CHECKS } from '../../lib/service/documents.ts'
import type {
  Health,
  LogLevel,
  Members,
  NewTicket,
  NodeInfo,
  Probe,
  Status,
  Survey,
  TicketRow,
  Tickets
} from '../../lib/service/documents.ts'
import type {
  Backup,
  Got,
  KeyValueApi,
  NodeAdmin,
  NodeApi,
  ReadOptions,
  RequestOptions,
  Scanned,
  ScanOptions,
  TicketOptions,
  Written
} from '../../lib/service/node-api.ts'
import type { Change, ChangeSet } from '../../lib/state-machine/command.ts'
import type { KeyValue } from '../../lib/state-machine/state-machine.ts'
import { MemoryController } from './memory-controller.ts'

export class MemoryNode implements NodeApi {
  readonly kv: KeyValueApi
  readonly cluster = new MemoryController((options, operation) => this.#run(options, operation))
  /** operations that began */
  calls = 0
  lastOptions: RequestOptions | ReadOptions | undefined
  lastCommand: ChangeSet | undefined
  healthStatus: Health['status'] = 'healthy'
  isOk = true
  #items = new Map<string, KeyValue>()
  #tickets: TicketRow[] = []
  #revision = 10
  #failure: unknown = null
  #held: Array<() => void> | null = null

  constructor() {
    this.kv = {
      write: (command, options) => this.#run(options, () => this.#write(command)),
      get: (key, options) => this.#run(options, () => this.#get(key, options)),
      scan: (request, options) => this.#run(options, () => this.#scan(request, options))
    }
  }

  /** The next operation fails with this. */
  fail(error: unknown): void {
    this.#failure = error
  }

  /** Operations wait from now on, until the returned function is called. */
  hold(): () => void {
    const held: Array<() => void> = []
    this.#held = held
    return () => {
      this.#held = null
      for (const go of held) go()
    }
  }

  survey(): Promise<Survey> {
    const log = { last_term: 2, last_index: 10, commit_index: 10, applied_index: 10 }
    const row = { id: 1, key: 'ab'.repeat(32), name: 'alder', role: 'voter' as const }
    const members = [{ ...row, is_self: true, log }]
    return this.#run(undefined, () => ({
      cluster: { id: 'cd'.repeat(16) },
      has_quorum: this.isOk,
      members
    }))
  }

  metrics(): Promise<string> {
    return this.#run(undefined, () => 'aspen_raft_term 2\n')
  }

  /** backups that were closed */
  closedBackups = 0

  /** 100,000 bytes in pieces. */
  backup(options?: ReadOptions): Promise<Backup> {
    return this.#run(options, () => ({
      byteCount: 100_000,
      pieces: async function* () {
        for (let at = 0; at < 100; at++) yield new Uint8Array(1_000).fill(at)
      },
      close: async () => {
        this.closedBackups++
      }
    }))
  }

  status(): Status {
    this.#throwFailure()
    return {
      node: { id: 1, key: 'ab'.repeat(32), name: 'alder' },
      cluster: { id: 'cd'.repeat(16) },
      role: 'voter',
      data_dir: '/data',
      pid: 1,
      api: { socket: '/data/aspen.sock', http: 'http://127.0.0.1:7070' },
      leader: 1,
      term: 2,
      commit_index: this.#revision,
      applied_index: this.#revision,
      state_hash: '00'.repeat(32),
      voters: [1],
      learners: [],
      state: 'healthy',
      failure_tolerance: 0,
      version: '0.1.0',
      uptime_ms: 5,
      discovery: { online: true, announced: false, gossip: true },
      addresses: ['127.0.0.1:4000'],
      storage: {
        backend: 'inmemory',
        keys: 0,
        bytes: 0,
        compacted_revision: 0,
        log_base: 0,
        log_last: 1,
        snapshot: null,
        fetching: null
      },
      disk: null
    }
  }

  members(): Members {
    const row = {
      id: 1,
      key: 'ab'.repeat(32),
      name: 'alder',
      role: 'voter' as const,
      is_leader: true,
      is_self: true,
      linked: true,
      path: null,
      rtt_ms: null,
      lag: 0,
      version: '0.1.0',
      addresses: []
    }
    return { members: [row] }
  }

  nodeInfo(): NodeInfo {
    return { id: 1, key: 'ab'.repeat(32), addresses: ['127.0.0.1:4000'] }
  }

  /** levels and checkpoints that were asked for */
  readonly admin: NodeAdmin = {
    setLogLevel: (level) => {
      const previous = this.#logLevel
      this.#logLevel = level
      return { level, previous }
    },
    checkpoint: () =>
      this.#run(undefined, () => ({
        status: 'success',
        pages_checkpointed: 3,
        wal_size_before_bytes: 12_360,
        wal_size_after_bytes: 12_360,
        wal_pending_before_bytes: 12_360,
        wal_pending_after_bytes: 0
      }))
  }
  #logLevel: LogLevel = 'info'

  health(): Health {
    return {
      status: this.healthStatus,
      state: 'Leader',
      current_leader: 1,
      term: 2,
      node_id: 1,
      raft_node_id: 1,
      uptime_seconds: 1.5,
      failure_tolerance: 0,
      alarms: [],
      supervision: {
        status: 'healthy',
        consecutive_failures: 0,
        circuit_state: 'Closed',
        enabled: false
      },
      checks: { storage: { status: 'ok' } }
    }
  }

  livez(): Probe {
    const reasons = this.isOk ? {} : { loop: 'late' }
    return { ok: this.isOk, checks: { loop: this.isOk, disk: true }, reasons }
  }

  async readyz(checks: readonly string[] = READY_CHECKS): Promise<Probe> {
    const isOk = (check: string): boolean => this.isOk || check !== 'leader_known'
    const failed = checks.filter((check) => !isOk(check))
    return {
      ok: failed.length === 0,
      checks: Object.fromEntries(checks.map((check) => [check, isOk(check)])),
      reasons: Object.fromEntries(failed.map((check) => [check, 'No leader elected']))
    }
  }

  createTicket(options: TicketOptions = {}): Promise<NewTicket> {
    return this.#run(options, () => {
      const uses = options.uses ?? 16
      const row: TicketRow = {
        id: (this.#tickets.length + 1).toString(16).padStart(8, '0'),
        role: options.role ?? 'voter',
        state: 'open',
        uses,
        uses_left: uses,
        created_by: 1,
        created_at: new Date(0).toISOString(),
        expires_at: new Date(options.ttlMs ?? 86_400_000).toISOString()
      }
      this.#tickets.push(row)
      return { ticket: `aspen1${row.id}`, ...row }
    })
  }

  listTickets(options?: RequestOptions): Promise<Tickets> {
    return this.#run(options, () => ({ tickets: this.#tickets }))
  }

  revokeTicket(id: string, options?: RequestOptions): Promise<void> {
    return this.#run(options, () => {
      const row = this.#tickets.find((ticket) => ticket.id === id || `aspen1${ticket.id}` === id)
      if (row === undefined) {
        throw new TicketError({ code: 'TICKET_NOT_FOUND', message: 'there is no such ticket' })
      }
      this.#tickets = this.#tickets.map((ticket) =>
        ticket === row ? { ...ticket, state: 'revoked' } : ticket
      )
    })
  }

  async #run<T>(options: RequestOptions | undefined, operation: () => T): Promise<T> {
    this.calls++
    this.lastOptions = options
    const held = this.#held
    if (held !== null) await new Promise<void>((resolve) => held.push(resolve))
    this.#throwFailure()
    return operation()
  }

  #throwFailure(): void {
    const failure = this.#failure
    this.#failure = null
    if (failure !== null) throw failure
  }

  #write(command: ChangeSet): Written {
    this.lastCommand = command
    const { changes } = command
    if (changes.length === 0) throw refused('INVALID_REQUEST')
    if (changes.length > MAX_SETMULTI_KEYS) throw refused('BATCH_TOO_LARGE')
    let size = 0
    for (const change of changes) size += this.#check(change)
    if (size > MAX_BATCH_BYTES) throw refused('BATCH_BYTES_TOO_LARGE')
    if (new Set(changes.map(({ key }) => nameOf(key))).size < changes.length)
      throw refused('DUPLICATE_KEY')
    const revision = ++this.#revision
    return { revision, changes: changes.map((change) => this.#apply(change, revision)) }
  }

  #check(change: Change): number {
    const { key, condition } = change
    const valueSize = change.kind === 'put' ? change.value.byteLength : 0
    if (key.byteLength === 0) throw refused('INVALID_REQUEST')
    if (key.byteLength > MAX_KEY_SIZE) throw refused('KEY_TOO_LARGE')
    if (valueSize > MAX_VALUE_SIZE) throw refused('VALUE_TOO_LARGE')
    const revision = this.#items.get(nameOf(key))?.modRevision ?? 0
    const wanted = condition?.kind === 'revision' ? condition.revision : 0
    if (condition !== null && revision !== wanted) {
      throw refused('CONDITION_FAILED', { revision })
    }
    return key.byteLength + valueSize
  }

  #apply(change: Change, revision: number): { previousRevision: number } {
    const name = nameOf(change.key)
    const old = this.#items.get(name)
    this.#items.delete(name)
    if (change.kind === 'put') {
      this.#items.set(name, {
        key: change.key,
        value: change.value,
        createRevision: old?.createRevision ?? revision,
        modRevision: revision,
        version: (old?.version ?? 0) + 1
      })
    }
    return { previousRevision: old?.modRevision ?? 0 }
  }

  #get(key: Uint8Array, options: ReadOptions = {}): Got {
    const item = this.#items.get(nameOf(key)) ?? null
    return { item, revision: this.#revision, ...this.#meta(options) }
  }

  #scan(request: ScanOptions, options: ReadOptions = {}): Scanned {
    const { prefix, after, limit = DEFAULT_SCAN_LIMIT } = request
    const from = after === undefined ? '' : nameOf(after)
    const names = [...this.#items.keys()]
      .filter((name) => name.startsWith(nameOf(prefix)) && name > from)
      .toSorted()
    const items = names.slice(0, limit).flatMap((name) => this.#items.get(name) ?? [])
    return {
      items,
      hasMore: names.length > limit,
      revision: this.#revision,
      ...this.#meta(options)
    }
  }

  /** how long ago a leader was heard, for stale reads */
  contactMs: number | null = 40

  #meta({ consistency = 'linearizable', maxAgeMs = Infinity }: ReadOptions) {
    if (consistency !== 'stale') return { consistency, leaderContactMs: null }
    if ((this.contactMs ?? Infinity) > maxAgeMs) throw refused('UNAVAILABLE')
    return { consistency, leaderContactMs: this.contactMs }
  }
}

/** Hex keeps the order of bytes. */
function nameOf(key: Uint8Array): string {
  return Buffer.from(key).toString('hex')
}

function refused(code: ErrorCode, fields: Record<string, number> = {}): KeyValueStoreError {
  return new KeyValueStoreError({ code, message: `refused: ${code}`, hint: 'a hint', fields })
}
