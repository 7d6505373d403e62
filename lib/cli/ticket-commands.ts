// `aspen ticket create|list|revoke`: ask the node. `ticket show` asks nobody (ticket-show.ts).

import { EXIT } from '../errors.ts'
import { MAX_INVITE_TTL_MS, MAX_INVITE_USES } from '../limits.ts'
import type { TicketRow } from '../service/documents.ts'
import type { TicketOptions } from '../service/node-api.ts'
import { withNode } from './connect.ts'
import type { Invocation } from './invocation.ts'
import { requestTimeoutMs } from './invocation.ts'
import { renderTable } from './table.ts'
import { formatRelative } from './text.ts'
import { readTicket } from './ticket-input.ts'
import { ticketLines } from './ticket-lines.ts'

const MIN_TTL_MS = 1_000

export async function createTicket(invocation: Invocation): Promise<number> {
  const { flags, host, output } = invocation
  const role = flags.choice('role', ['voter', 'learner'])
  const ttlMs = flags.duration('ttl', { min: MIN_TTL_MS, max: MAX_INVITE_TTL_MS })
  const uses = flags.integer('uses', { min: 1, max: MAX_INVITE_USES })
  const options: TicketOptions = {
    timeoutMs: requestTimeoutMs(invocation),
    ...(role === null ? {} : { role }),
    ...(ttlMs === null ? {} : { ttlMs }),
    ...(uses === null ? {} : { uses })
  }
  const ticket = await withNode(invocation, (node) => node.createTicket(options))
  output.result({
    human: (style) => ticketLines(ticket, { style, nowMs: host.nowMs() }),
    json: () => ticket,
    quiet: () => ticket.ticket
  })
  return EXIT.ok
}

export async function listTickets(invocation: Invocation): Promise<number> {
  const { host, output } = invocation
  const timeoutMs = requestTimeoutMs(invocation)
  const document = await withNode(invocation, (node) => node.listTickets({ timeoutMs }))
  output.result({
    human: (style) => {
      const rows = document.tickets.map((row) => cells(row, host.nowMs()))
      return renderTable(TICKET_COLUMNS, rows, style)
    },
    json: () => document,
    quiet: () => document.tickets.map((row) => row.id).join('\n') || null
  })
  return EXIT.ok
}

const TICKET_COLUMNS = [
  { title: 'ID' },
  { title: 'ROLE' },
  { title: 'STATE' },
  { title: 'USES LEFT', isNumber: true },
  { title: 'EXPIRES' },
  { title: 'MADE', isOptional: true },
  { title: 'BY NODE', isNumber: true, isOptional: true }
]

function cells(row: TicketRow, nowMs: number): string[] {
  return [
    row.id,
    row.role,
    row.state.replace('_', ' '),
    `${row.uses_left} of ${row.uses}`,
    formatRelative(Date.parse(row.expires_at), nowMs),
    formatRelative(Date.parse(row.created_at), nowMs),
    String(row.created_by)
  ]
}

export async function revokeTicket(invocation: Invocation): Promise<number> {
  const { output } = invocation
  const typed = await readTicket(invocation)
  const timeoutMs = requestTimeoutMs(invocation)
  await withNode(invocation, (node) => node.revokeTicket(typed, { timeoutMs }))
  const isId = /^[0-9a-f]{8}$/.test(typed)
  output.result({
    human: (style) => [
      `${style.symbol('ok')} ticket${isId ? ` ${typed}` : ''} revoked; members that it let in stay`
    ],
    json: () => ({ revoked: true, ...(isId ? { id: typed } : {}) }),
    quiet: () => null
  })
  return EXIT.ok
}
