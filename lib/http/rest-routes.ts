// `/kv/{key}`: the values as they are, with their revision as ETag; and `GET /kv`, a page of them. What
// conditions and headers say follows RFC 9110, as far as one write can be decided by it.

import { Type } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import { MAX_INDEX, MAX_REQUEST_TIMEOUT_MS, MAX_SCAN_LIMIT } from '../limits.ts'
import { present } from '../assert.ts'
import { bytesOf } from '../encoding.ts'
import { ErrorBody } from '../service/documents.ts'
import { notFoundError } from '../service/key-value-store.ts'
import type { PutAnswer } from '../service/kv-documents.ts'
import * as documents from '../service/kv-documents.ts'
import { bytesFrom, keyJson } from '../service/kv-json.ts'
import type { Got, KeyValueApi, ReadMeta, ReadOptions, ScanOptions } from '../service/node-api.ts'
import type { Condition } from '../state-machine/command.ts'
import type { Revision } from '../state-machine/state-machine.ts'
import type { App } from './app.ts'
import { placeOf } from './app.ts'
import { refusal } from './error-body.ts'
import { sendPage } from './kv-routes.ts'
import { ReadQuery, TimeoutQuery, readOptionsFrom, timeoutFrom, wholeFrom } from './query.ts'
import { encodedKeyOf, KEY_ROUTE, keyFromPath } from './rest-path.ts'

export function addRestRoutes(app: App, kv: KeyValueApi): void {
  app.addHook('preValidation', async (request) => {
    if (request.routeOptions.url === KEY_ROUTE) {
      request.params = { key: encodedKeyOf(request.originalUrl) }
    }
  })
  addGet(app, kv)
  addPut(app, kv)
  addDelete(app, kv)
  addPage(app, kv)
}

const Params = Type.Object({
  key: Type.String({ description: 'bytes, percent-encoded; `/` may stand for itself' })
})
const RawQuery = Type.Object(
  { ...ReadQuery.properties, max_age_ms: Type.Optional(Type.String()) },
  { additionalProperties: false }
)
const IfMatch = Type.Optional(Type.String({ description: 'one ETag: "<revision>"' }))
const IfNoneMatch = Type.Optional(
  Type.String({ description: '`*`: only when there is no such key' })
)
const BINARY = { type: 'string', format: 'binary' } as const
const Value = Type.Unsafe<Buffer>(BINARY)

function addGet(app: App, kv: KeyValueApi): void {
  const schema = {
    summary: 'The value of a key, as it is',
    tags: ['kv'],
    params: Params,
    querystring: RawQuery,
    headers: Type.Object({ 'if-none-match': Type.Optional(Type.String()) }),
    produces: ['application/octet-stream'],
    response: { 200: Value, 304: Type.Null(), default: ErrorBody }
  }
  app.route({
    method: 'GET',
    url: KEY_ROUTE,
    schema,
    handler: async (request, reply) => {
      const key = keyFromPath(request.params.key)
      const options = rawOptionsFrom(request.query)
      const got = await placeOf(request).run(options.timeoutMs, () => kv.get(key, options))
      describeRead(reply, got)
      const { item } = got
      if (item === null) throw notFoundError(key, got)
      describeItem(reply, item)
      // of a 304 too: caches take its headers over
      reply.type('application/octet-stream').header('x-content-type-options', 'nosniff')
      if (isListed(request.headers['if-none-match'], item.modRevision)) {
        return reply.code(304).send(null)
      }
      const { buffer, byteOffset, byteLength } = item.value
      return reply.send(Buffer.from(buffer, byteOffset, byteLength))
    }
  })
}

function addPut(app: App, kv: KeyValueApi): void {
  const schema = {
    summary: 'Write the value of a key, as it comes',
    tags: ['kv'],
    params: Params,
    querystring: TimeoutQuery,
    headers: Type.Object({ 'if-match': IfMatch, 'if-none-match': IfNoneMatch }),
    consumes: ['application/octet-stream'],
    body: Type.Unknown(BINARY),
    response: { 200: documents.PutAnswer, 201: documents.PutAnswer, default: ErrorBody }
  }
  app.route({
    method: 'PUT',
    url: KEY_ROUTE,
    schema,
    config: { hasRawBody: true },
    handler: async (request, reply): Promise<PutAnswer> => {
      const key = keyFromPath(request.params.key)
      const timeoutMs = timeoutFrom(request.query.timeout_ms)
      const { 'if-match': match, 'if-none-match': noneMatch } = request.headers
      const condition = conditionFrom(match, noneMatch)
      const value = request.body instanceof Uint8Array ? request.body : bytesOf('')
      const change = { kind: 'put', key, value, condition } as const
      const written = await placeOf(request).run(timeoutMs, () =>
        kv.write({ changes: [change] }, { timeoutMs })
      )
      const { revision } = written
      const { previousRevision } = present(written.changes[0], 'the result of the put')
      reply.code(previousRevision === 0 ? 201 : 200).header('etag', etagOf(revision))
      reply.header('x-aspen-revision', revision)
      return { ...keyJson(key), revision, previous_revision: previousRevision }
    }
  })
}

function addDelete(app: App, kv: KeyValueApi): void {
  const schema = {
    summary: 'Delete a key; 200 also when there was none',
    tags: ['kv'],
    params: Params,
    querystring: TimeoutQuery,
    headers: Type.Object({ 'if-match': IfMatch }),
    response: { 200: documents.DeleteAnswer, default: ErrorBody }
  }
  app.route({
    method: 'DELETE',
    url: KEY_ROUTE,
    schema,
    handler: async (request, reply): Promise<documents.DeleteAnswer> => {
      const key = keyFromPath(request.params.key)
      const timeoutMs = timeoutFrom(request.query.timeout_ms)
      if (request.raw.headers['if-none-match'] !== undefined) {
        throw refusal('INVALID_REQUEST', 'a delete takes If-Match only')
      }
      const condition = conditionFrom(request.headers['if-match'], undefined)
      const change = { kind: 'delete', key, condition } as const
      const { revision, changes } = await placeOf(request).run(timeoutMs, () =>
        kv.write({ changes: [change] }, { timeoutMs })
      )
      const { previousRevision } = present(changes[0], 'the result of the delete')
      reply.header('x-aspen-revision', revision)
      return { ...keyJson(key), deleted: previousRevision > 0, revision }
    }
  })
}

function addPage(app: App, kv: KeyValueApi): void {
  const PageQuery = Type.Object(
    {
      ...RawQuery.properties,
      prefix: Type.Optional(Type.String()),
      prefix_b64: Type.Optional(Type.String()),
      after: Type.Optional(Type.String()),
      after_b64: Type.Optional(Type.String()),
      limit: Type.Optional(Type.String())
    },
    { additionalProperties: false }
  )
  const schema = {
    summary: 'A page of keys and values by prefix; all of them without one',
    tags: ['kv'],
    querystring: PageQuery,
    response: { 200: documents.ScanAnswer, default: ErrorBody }
  }
  app.route({
    method: 'GET',
    url: '/kv',
    schema,
    handler: async (request, reply) => {
      const { prefix, prefix_b64, after, after_b64, limit } = request.query
      const options = rawOptionsFrom(request.query)
      const count = wholeFrom('limit', limit, MAX_SCAN_LIMIT)
      const isAll = prefix === undefined && prefix_b64 === undefined
      const hasAfter = after !== undefined || after_b64 !== undefined
      const scan: ScanOptions = {
        prefix: isAll ? bytesOf('') : bytesFrom('prefix', prefix, prefix_b64),
        ...(hasAfter && { after: bytesFrom('after', after, after_b64) }),
        ...(count !== null && { limit: count })
      }
      const page = await placeOf(request).run(options.timeoutMs, () => kv.scan(scan, options))
      describeRead(reply, page)
      return sendPage(reply, page)
    }
  })
}

function rawOptionsFrom(
  query: Parameters<typeof readOptionsFrom>[0] & { readonly max_age_ms?: string }
): ReadOptions & { readonly timeoutMs: number } {
  const maxAgeMs = wholeFrom('max_age_ms', query.max_age_ms, MAX_REQUEST_TIMEOUT_MS)
  return { ...readOptionsFrom(query), ...(maxAgeMs !== null && { maxAgeMs }) }
}

/** What an answer is worth, also that there is no such key. */
function describeRead(reply: FastifyReply, meta: ReadMeta): void {
  const { consistency, revision, leaderContactMs } = meta
  reply.header('cache-control', 'no-cache').header('x-aspen-consistency', consistency)
  reply.header('x-aspen-applied-index', revision)
  if (leaderContactMs !== null) reply.header('x-aspen-leader-contact-ms', leaderContactMs)
}

function describeItem(reply: FastifyReply, item: NonNullable<Got['item']>): void {
  reply.header('etag', etagOf(item.modRevision)).header('x-aspen-revision', item.modRevision)
  reply.header('x-aspen-create-revision', item.createRevision)
  reply.header('x-aspen-version', item.version)
}

function etagOf(revision: Revision): string {
  return `"${revision}"`
}

/** Whether If-None-Match names the revision, weakly or not, or says `*` (RFC 9110, 13.1.2). */
function isListed(header: string | undefined, revision: Revision): boolean {
  if (header === undefined) return false
  const tags = header.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return tags.includes('*') || tags.includes(etagOf(revision))
}

/** @throws AspenError INVALID_REQUEST for what one write cannot be decided by */
function conditionFrom(match: string | undefined, noneMatch: string | undefined): Condition | null {
  if (match !== undefined && noneMatch !== undefined) {
    throw refusal('INVALID_REQUEST', 'If-Match and If-None-Match exclude each other')
  }
  if (noneMatch !== undefined) {
    if (noneMatch.trim() === '*') return { kind: 'absent' }
    throw refusal('INVALID_REQUEST', 'a write takes If-None-Match: * only')
  }
  if (match === undefined) return null
  const revision = Number(/^"([1-9][0-9]{0,15})"$/.exec(match.trim())?.[1] ?? 0)
  if (revision >= 1 && revision <= MAX_INDEX) return { kind: 'revision', revision }
  throw refusal(
    'INVALID_REQUEST',
    'If-Match names one revision, in quotes',
    'the ETag of the value that was read; any value of a key cannot be asked for'
  )
}
