// `/status`, `/members` and `/tickets`: what a node says of itself and of its cluster.

import { Type } from '@sinclair/typebox'
import {
  DEFAULT_REQUEST_TIMEOUT_MS,
  MAX_INVITE_TTL_MS,
  MAX_INVITE_USES,
  MAX_REQUEST_TIMEOUT_MS
} from '../limits.ts'
import { ErrorBody, Members, NewTicket, Status, TicketRole, Tickets } from '../service/documents.ts'
import { TimeoutMs } from '../service/kv-documents.ts'
import type { NodeApi } from '../service/node-api.ts'
import type { App } from './app.ts'
import { placeOf } from './app.ts'
import { refusal } from './error-body.ts'

export function addNodeRoutes(app: App, api: NodeApi): void {
  addDescriptions(app, api)
  addTickets(app, api)
}

function addDescriptions(app: App, api: NodeApi): void {
  const config = { isFromMemory: true }
  const status = { querystring: NoQuery, response: { 200: Status, default: ErrorBody } }
  app.route({
    method: 'GET',
    url: '/status',
    schema: status,
    config,
    handler: async () => api.status()
  })

  const members = { querystring: NoQuery, response: { 200: Members, default: ErrorBody } }
  app.route({
    method: 'GET',
    url: '/members',
    schema: members,
    config,
    handler: async () => api.members()
  })
}

function addTickets(app: App, api: NodeApi): void {
  const create = { body: TicketBody, response: { 200: NewTicket, default: ErrorBody } }
  app.route({
    method: 'POST',
    url: '/tickets',
    schema: create,
    handler: async (request) => {
      const {
        role,
        ttl_ms: ttlMs,
        uses,
        timeout_ms: timeoutMs = DEFAULT_REQUEST_TIMEOUT_MS
      } = request.body
      const options = {
        timeoutMs,
        ...(role !== undefined && { role }),
        ...(ttlMs !== undefined && { ttlMs }),
        ...(uses !== undefined && { uses })
      }
      return placeOf(request).run(timeoutMs, () => api.createTicket(options))
    }
  })

  const list = { querystring: TimeoutQuery, response: { 200: Tickets, default: ErrorBody } }
  app.route({
    method: 'GET',
    url: '/tickets',
    schema: list,
    handler: async (request) => {
      const timeoutMs = timeoutFrom(request.query.timeout_ms)
      return placeOf(request).run(timeoutMs, () => api.listTickets({ timeoutMs }))
    }
  })

  const revoke = {
    params: Type.Object({ id: Type.String({ minLength: 1 }) }),
    querystring: TimeoutQuery,
    response: { 200: Revoked, default: ErrorBody }
  }
  app.route({
    method: 'DELETE',
    url: '/tickets/:id',
    schema: revoke,
    handler: async (request): Promise<Revoked> => {
      const { id } = request.params
      const timeoutMs = timeoutFrom(request.query.timeout_ms)
      await placeOf(request).run(timeoutMs, () => api.revokeTicket(id, { timeoutMs }))
      return { revoked: true }
    }
  })
}

const strict = { additionalProperties: false } as const
const NoQuery = Type.Object({}, strict)
const TimeoutQuery = Type.Object({ timeout_ms: Type.Optional(Type.String()) }, strict)

const TicketBody = Type.Object(
  {
    role: Type.Optional(TicketRole),
    ttl_ms: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_INVITE_TTL_MS })),
    uses: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_INVITE_USES })),
    timeout_ms: Type.Optional(TimeoutMs)
  },
  strict
)

const Revoked = Type.Object({ revoked: Type.Literal(true) }, strict)
interface Revoked {
  revoked: true
}

/** @throws AspenError INVALID_REQUEST */
export function timeoutFrom(text: string | undefined): number {
  if (text === undefined) return DEFAULT_REQUEST_TIMEOUT_MS
  const value = /^[1-9][0-9]{0,8}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= MAX_REQUEST_TIMEOUT_MS) return value
  throw refusal('INVALID_REQUEST', `timeout_ms is an integer from 1 to ${MAX_REQUEST_TIMEOUT_MS}`)
}
