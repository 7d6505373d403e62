// `aspen ticket show`: what a ticket says, decoded on this machine. Neither its text nor its secret
// is printed: the output can be shown to others.

import { decodeTicket, ticketFingerprint } from '../../tickets/tickets.ts'
import type { Ticket } from '../../tickets/tickets.ts'
import { formatAddress } from '../address.ts'
import { hexOf } from '../encoding.ts'
import { EXIT } from '../errors.ts'
import type { Invocation } from './invocation.ts'
import type { Style } from './style.ts'
import { formatRelative } from './text.ts'
import { readTicket } from './ticket-input.ts'

export async function showTicket(invocation: Invocation): Promise<number> {
  const { host, output } = invocation
  const ticket = decodeTicket(await readTicket(invocation))
  const id = ticketFingerprint(ticket)
  output.result({
    human: (style) => ticketText(ticket, { id, style, nowMs: host.nowMs() }),
    json: () => ticketDocument(ticket, id),
    quiet: () => id
  })
  return EXIT.ok
}

function ticketText(
  ticket: Ticket,
  { id, style, nowMs }: { readonly id: string; readonly style: Style; readonly nowMs: number }
): string[] {
  const hasExpired = ticket.expiresMs <= nowMs
  const expiry = `${hasExpired ? 'expired' : 'expires'} ${formatRelative(ticket.expiresMs, nowMs)}`
  const rows: [string, string][] = [
    ['ticket', id],
    ['role', ticket.role],
    ['cluster', hexOf(ticket.clusterId)],
    [
      'expiry',
      `${hasExpired ? style.colour('red', expiry) : expiry} (${new Date(ticket.expiresMs).toISOString()})`
    ],
    ...ticket.memberKeys.map((key): [string, string] => ['member', hexOf(key)]),
    ['addresses', list(ticket.addresses.map(formatAddress))],
    ['bootstrap', list(ticket.bootstrap.map(formatAddress), 'the public DHT')]
  ]
  return rows.map(([title, text]) => `${style.bold(title.padEnd(11))}${text}`)
}

function list(items: readonly string[], none = 'none'): string {
  return items.length === 0 ? none : items.join(', ')
}

function ticketDocument(ticket: Ticket, id: string): object {
  return {
    id,
    role: ticket.role,
    cluster: { id: hexOf(ticket.clusterId) },
    expires_at: new Date(ticket.expiresMs).toISOString(),
    members: ticket.memberKeys.map(hexOf),
    addresses: ticket.addresses.map(formatAddress),
    bootstrap: ticket.bootstrap.map(formatAddress)
  }
}
