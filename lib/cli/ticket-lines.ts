// A new ticket for people: the one place besides its JSON where its text is shown.

import type { NewTicket } from '../service/documents.ts'
import type { Style } from './style.ts'
import { formatRelative, plural } from './text.ts'

/** How a new ticket is handed to people: the whole next command, then what it is worth. */
export function ticketLines(
  ticket: NewTicket,
  { style, nowMs }: { readonly style: Style; readonly nowMs: number }
): string[] {
  const expires = formatRelative(Date.parse(ticket.expires_at), nowMs)
  const worth = `id ${ticket.id}, ${ticket.role}, expires ${expires}, ${plural(ticket.uses_left, 'use')}`
  return [
    '  Join another machine with:',
    '',
    `    ${style.bold(`aspen join ${ticket.ticket}`)}`,
    '',
    `  ${style.dim(worth)}`
  ]
}
