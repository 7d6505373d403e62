// A node's whole API: what is asked of which part, when a node calls itself ready, how a ticket is named.

import test from 'brittle'
import type { Health, Members, NewTicket, Status, Tickets } from '../../lib/service/documents.ts'
import type { KeyValueApi } from '../../lib/service/node-api.ts'
import { NodeService } from '../../lib/service/node-service.ts'
import { encodeTicket, inviteIdOf, inviteKeysOf } from '../../tickets/tickets.ts'
import { MemoryController } from '../http/memory-controller.ts'
import { Desk, fateOf } from './leader.ts'

const STATUS: Status = {
  node: { id: 2, key: 'ab'.repeat(32), name: 'alder' },
  cluster: { id: 'cd'.repeat(16) },
  role: 'voter',
  data_dir: '/data',
  pid: 42,
  api: { socket: '', http: '' },
  leader: null,
  term: 3,
  commit_index: 5,
  applied_index: 5,
  state_hash: 'ef'.repeat(32),
  voters: [2],
  learners: [],
  state: 'healthy',
  failure_tolerance: 0,
  version: '1.0.0',
  uptime_ms: 9,
  discovery: { online: true, announced: false, gossip: true },
  addresses: [],
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
const MEMBERS: Members = { members: [] }
const HEALTH: Health = {
  status: 'healthy',
  state: 'Leader',
  current_leader: 2,
  term: 3,
  node_id: 2,
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
  checks: {}
}
const LIVE = { ok: true, checks: { event_loop: true }, reasons: {} }
const TICKETS: Tickets = { tickets: [] }
const MADE: NewTicket = {
  ticket: 'aspen1…',
  id: '00000001',
  role: 'learner',
  state: 'open',
  uses: 1,
  uses_left: 1,
  created_by: 2,
  created_at: '2026-01-01T00:00:00.000Z',
  expires_at: '2026-01-02T00:00:00.000Z'
}

/** A service over parts that note what they are asked. */
function open() {
  const desk = new Desk()
  const asked: unknown[] = []
  const unused = () => Promise.reject(new Error('nobody asks the store here'))
  const kv: KeyValueApi = { write: unused, get: unused, scan: unused }
  const cluster = new MemoryController((_options, operation) => Promise.resolve(operation()))
  const service = new NodeService({
    kv,
    cluster,
    view: {
      status: () => ({ ...STATUS, leader: desk.replica.status.leader }),
      members: () => MEMBERS
    },
    health: {
      health: () => HEALTH,
      livez: () => LIVE,
      readyz: (checks) => {
        asked.push(['readyz', checks])
        return Promise.resolve(LIVE)
      },
      drain: () => asked.push('drain')
    },
    backups: null,
    metrics: null,
    tickets: {
      create: (options) => {
        asked.push(['create', options])
        return Promise.resolve(MADE)
      },
      list: (options) => {
        asked.push(['list', options])
        return Promise.resolve(TICKETS)
      },
      revoke: (id, options) => {
        asked.push(['revoke', id, options])
        return Promise.resolve()
      }
    },
    forwarder: desk.forwarder
  })
  /** Answers the read that waits, on the node itself. */
  const confirm = (): void => desk.replica.reads.at(-1)?.({ kind: 'ready', index: 0 })
  return { desk, service, kv, asked, confirm }
}

test('each question goes to the part that knows, with the options as they are', async (t) => {
  const { service, kv, asked } = open()
  t.is(service.kv, kv)
  t.alike(service.status(), STATUS)
  t.is(service.members(), MEMBERS)
  t.is(service.health(), HEALTH)
  t.is(service.livez(), LIVE)
  const options = { role: 'learner', uses: 1, ttlMs: 1_000, timeoutMs: 7 } as const
  t.is(await service.createTicket(options), MADE)
  t.is(await service.listTickets({ timeoutMs: 8 }), TICKETS)
  await service.revokeTicket('0000000a', { timeoutMs: 9 })
  t.alike(asked, [
    ['create', options],
    ['list', { timeoutMs: 8 }],
    ['revoke', '0000000a', { timeoutMs: 9 }]
  ])
})

test('a ticket is named by its id or its text, in any case, and nothing else is asked for', async (t) => {
  const { service, asked } = open()
  const secret = new Uint8Array(16).fill(5)
  const text = encodeTicket({
    role: 'voter',
    clusterId: new Uint8Array(16).fill(7),
    secret,
    expiresMs: 1_900_000_000_000,
    memberKeys: [new Uint8Array(32).fill(2)],
    addresses: [],
    bootstrap: []
  })
  const id = inviteIdOf(inviteKeysOf(secret).keyPair.publicKey)
  for (const name of [id, id.toUpperCase(), text, text.toUpperCase(), ` ${text}\n`]) {
    await service.revokeTicket(name)
  }
  const one = ['revoke', id, undefined]
  t.alike(asked, [one, one, one, one, one])
  asked.length = 0
  const endOf = async (name: string): Promise<string | null> => {
    const fate = fateOf(service.revokeTicket(name))
    await new Promise<void>((resolve) => {
      queueMicrotask(resolve)
    })
    return fate.code
  }
  const last = text.at(-1) === 'q' ? 'p' : 'q'
  t.is(await endOf(text.slice(0, -1) + last), 'TICKET_DAMAGED')
  for (const name of ['', '0000000', '000000001', 'g0000000', 'alder', '0000 000']) {
    t.is(await endOf(name), 'TICKET_NOT_FOUND', `'${name}'`)
  }
  t.alike(asked, [])
})
