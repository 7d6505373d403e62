// The ticket of a join: one that lets machines in. A ticket for clients opens something else.

import { TicketError } from '../errors.ts'
import { decodeTicket } from '../../tickets/tickets.ts'
import type { Ticket } from '../../tickets/tickets.ts'

/** @throws TicketError as decodeTicket does, and TICKET_WRONG_ROLE */
export function joinTicketOf(text: string): Ticket {
  const ticket = decodeTicket(text)
  if (ticket.role === 'voter' || ticket.role === 'learner') return ticket
  throw new TicketError({
    code: 'TICKET_WRONG_ROLE',
    message: `this ticket is for clients (${ticket.role}); it makes no machine a member`,
    hint: "ask for one that does; 'aspen ticket create' makes it",
    fields: { role: ticket.role }
  })
}
