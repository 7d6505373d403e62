// What both listeners share: a fastify instance with the routes, what is checked of every request
// before its body is read, how bodies are read, and the one shape of refusals.

import type {
  FastifyBaseLogger,
  FastifyError,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  RawServerDefault
} from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { fastify } from 'fastify'
import type { TypeCheck } from '@sinclair/typebox/compiler'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { TSchema } from '@sinclair/typebox'
import { AssertionError, present } from '../assert.ts'
import type { ErrorCode } from '../errors.ts'
import { AspenError } from '../errors.ts'
import {
  MAX_HTTP_BODY_BYTES,
  MAX_HTTP_HEADER_BYTES,
  MAX_HTTP_HEADERS,
  MAX_HTTP_PIPELINED
} from '../limits.ts'
import type { HttpLog } from './error-body.ts'
import { errorAnswer, refusal } from './error-body.ts'
import type { Exchange, Exchanges } from './exchanges.ts'
import type { Guard } from './guard.ts'
import type { HttpLimits } from './http-limits.ts'
import type { InFlight, Place } from './in-flight.ts'
import type { JsonDocument } from './json-reader.ts'
import { readJson } from './json-reader.ts'
import { checkQuery } from './query.ts'
import { readBody } from './read-body.ts'
import { rewrittenUrl } from './rest-path.ts'
import { schemaRefusal } from './schema-refusal.ts'
import { Slice } from './slice.ts'

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

declare module 'fastify' {
  interface FastifyRequest {
    /** null before any hook has seen it */
    exchange: Exchange | null
    /** null before it is admitted, and for routes that answer from memory */
    place: Place | null
    /** the body as it was sent */
    document: JsonDocument | null
  }
  interface FastifyContextConfig {
    /** answers from memory, also when the node is overloaded */
    isFromMemory?: boolean
    /** no body is the same as `{}` */
    mayLackBody?: boolean
    /** takes a body of any type, as it comes */
    hasRawBody?: boolean
    /** a method that the route does not take: refused whatever comes with it */
    isOtherMethod?: boolean
  }
}

export interface AppParts {
  /** null on the Unix socket */
  readonly guard: Guard | null
  readonly inFlight: InFlight
  /** of all listeners */
  readonly exchanges: Exchanges
  readonly limits: HttpLimits
  readonly log: HttpLog
  readonly isDraining: () => boolean
  /** whom this node hears, or itself */
  readonly leader: () => Promise<number | null>
}

/** A fastify instance without routes, not listening. */
export function createApp(parts: AppParts): App {
  const { limits, exchanges } = parts
  const app = fastify({
    logger: false,
    bodyLimit: MAX_HTTP_BODY_BYTES,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxRequestsPerSocket: limits.maxRequestsPerConnection,
    http: {
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
      maxHeaderSize: MAX_HTTP_HEADER_BYTES
    },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    exposeHeadRoutes: true,
    routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH },
    // set below; without this fastify loads its own first, which takes as long as opening the stores
    schemaController: { compilersFactory: { buildValidator: ownOnly, buildSerializer: ownOnly } },
    rewriteUrl: ({ method = '', url = '' }) => rewrittenUrl(method, url),
    frameworkErrors: (error, request, reply) =>
      void sendMalformed({ error, request, reply }, parts),
    clientErrorHandler: (error, socket) => onClientError(error, { socket, exchanges })
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.server.maxConnections = limits.maxConnections
  app.server.setTimeout(limits.stallMs, (socket) => onStalled(socket, exchanges))
  app.decorateRequest('exchange', null)
  app.decorateRequest('place', null).decorateRequest('document', null)
  app.setValidatorCompiler<TSchema>(({ schema, httpPart = 'request' }) => {
    const validator = validatorOf(schema)
    // a plain Error, since fastify writes its own code into it; `fromFastify` makes the refusal of it
    return (value) =>
      validator.Check(value)
        ? { value }
        : { error: new Error(schemaRefusal(validator.Errors(value), httpPart)) }
  })
  app.setSerializerCompiler(() => JSON.stringify)
  app.addHook('onRequest', async (request, reply) => admit({ request, reply }, parts))
  app.addHook('preValidation', async (request) => {
    checkQuery(request.originalUrl)
    if (request.routeOptions.config.mayLackBody === true) request.body ??= {}
  })
  app.addHook('onSend', async (_request, reply) => {
    if (parts.isDraining()) reply.header('connection', 'close')
  })
  app.removeAllContentTypeParsers()
  for (const type of ['application/json', '*']) {
    app.addContentTypeParser(type, (request: FastifyRequest) => parseBody(request))
  }
  app.setNotFoundHandler(async () => {
    throw noRoute()
  })
  app.setErrorHandler((error, request, reply) => sendError({ error, request, reply }, parts))
  return app
}

function ownOnly(): never {
  throw new AssertionError('schemas are compiled by our own compilers')
}

/** One per schema, for all listeners. */
function validatorOf(schema: TSchema): TypeCheck<TSchema> {
  const known = VALIDATORS.get(schema)
  if (known !== undefined) return known
  const validator = TypeCompiler.Compile(schema)
  VALIDATORS.set(schema, validator)
  return validator
}

const VALIDATORS = new WeakMap<TSchema, TypeCheck<TSchema>>()

/** After all routes: what they do not say, other methods are answered with 405. */
export function refuseOtherMethods(app: App, routes: ReadonlyMap<string, readonly string[]>): void {
  for (const [url, allowed] of routes) {
    const method = METHODS.filter((name) => !allowed.includes(name))
    const onRequest = async (_request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      reply.header('allow', allowed.join(', '))
      const methods = allowed.join(' or ')
      const why = allowed.includes('GET') ? '' : '; GET never changes anything'
      const hint = `send ${methods} ${url}${why}`
      throw refusal('METHOD_NOT_ALLOWED', `the route takes ${allowed.join(', ')} only`, hint)
    }
    const config = { isOtherMethod: true }
    const schema = { hide: true }
    app.route({ method, url, schema, config, onRequest, handler: onRequest })
  }
}

/** The place that the hook below gave to this request. */
export function placeOf(request: FastifyRequest): Place {
  return present(request.place, 'the place of a request')
}

/** For what a handler has to give back when its answer has left or cannot leave. */
export function exchangeOf(request: FastifyRequest): Exchange {
  return present(request.exchange, 'the exchange of a request')
}

interface Asked {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/** Everything that is decided before a body is read, in this order. @throws AspenError */
async function admit({ request, reply }: Asked, parts: AppParts): Promise<void> {
  if (request.raw.socket.destroyed) {
    // what else a closed connection has sent at once: 1,000 answers to nobody would hold everything up
    reply.hijack()
    return
  }
  const { exchange, count } = parts.exchanges.begin(request.raw, reply.raw)
  request.exchange = exchange
  if (count > MAX_HTTP_PIPELINED) {
    request.raw.socket.destroy()
    throw refusal('OVERLOADED', `a connection takes ${MAX_HTTP_PIPELINED} requests at a time`)
  }
  authorize(request, parts)
  if (request.is404) throw noRoute()
  const { isFromMemory, isOtherMethod } = request.routeOptions.config
  if (isOtherMethod === true) return
  checkBody(request)
  if (isFromMemory === true) return
  request.place = parts.inFlight.enter(exchange)
}

/** @throws AspenError */
function authorize(request: FastifyRequest, { guard, isDraining }: AppParts): void {
  const { headers } = request
  refuseIf(guard?.checkHost(request.raw))
  if (request.raw.rawHeaders.length > 2 * MAX_HTTP_HEADERS) {
    throw refusal('INVALID_REQUEST', `a request has at most ${MAX_HTTP_HEADERS} headers`)
  }
  if (request.method === 'OPTIONS') {
    throw refusal('METHOD_NOT_ALLOWED', 'nothing is told to web pages of other origins')
  }
  refuseIf(guard?.checkOrigin(headers))
  if (isDraining()) {
    throw refusal('UNAVAILABLE', 'the node is shutting down', 'ask another node')
  }
  refuseIf(guard?.checkToken(headers, request.routeOptions.url ?? ''))
}

function noRoute(): AspenError {
  const hint = 'GET /openapi.json describes all routes'
  return refusal('ROUTE_NOT_FOUND', 'there is no such route', hint)
}

function refuseIf(error: AspenError | null | undefined): void {
  if (error !== null && error !== undefined) throw error
}

/** Only application/json can not be sent by a form or a script of another origin without asking. */
function checkBody({ headers, routeOptions }: FastifyRequest): void {
  const hasBody =
    headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  if (routeOptions.schema?.body === undefined) {
    if (hasBody) throw refusal('INVALID_REQUEST', 'this route takes no body')
    return
  }
  if (routeOptions.config.hasRawBody === true) return checkRawBody(headers)
  const { 'content-type': announced } = headers
  const isLacking = !hasBody && announced === undefined
  // nobody gets here from a page: what changes anything asks for the token, and that for a preflight
  if (isLacking && routeOptions.config.mayLackBody === true) return
  const [type = ''] = (announced ?? '').split(';')
  if (type.trim().toLowerCase() !== 'application/json') {
    const hint =
      'send the header Content-Type: application/json, and {} where there is nothing to say'
    throw refusal('UNSUPPORTED_MEDIA_TYPE', 'the body must be application/json', hint)
  }
}

/** What would make of the bytes something else than they are. */
function checkRawBody(headers: IncomingHttpHeaders): void {
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding.toLowerCase() !== 'identity') {
    throw refusal(
      'UNSUPPORTED_MEDIA_TYPE',
      'a value is stored as it comes: Content-Encoding is not taken'
    )
  }
  if (headers['content-range'] !== undefined) {
    throw refusal('INVALID_REQUEST', 'a value is written as a whole: Content-Range is not taken')
  }
}

async function parseBody(request: FastifyRequest): Promise<unknown> {
  const slice = new Slice()
  const limit = request.routeOptions.bodyLimit
  const bytes = await readBody(request.raw, { limit, place: placeOf(request), slice })
  if (request.routeOptions.config.hasRawBody === true) return bytes
  if (bytes.byteLength === 0 && request.routeOptions.config.mayLackBody === true) return undefined
  request.document = await readJson(bytes, slice)
  return request.document.value
}

/** Who leads is told with each refusal, where it is known: somebody may want to go there. */
async function sendError(
  { error, request, reply }: Asked & { error: unknown },
  { log, leader }: AppParts
): Promise<void> {
  const isStranger = error instanceof AspenError && OF_STRANGERS.has(error.code)
  const known = isStranger ? null : await leader().catch(() => null)
  const answer = errorAnswer(fromFastify(error), known)
  if (!(error instanceof AspenError) && answer.status >= 500) {
    const { method, routeOptions } = request
    const fields = { event: 'http.failed', err: error, method, route: routeOptions.url }
    log.error(fields, 'a request failed')
  }
  reply.code(answer.status)
  if (answer.status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS)
  if (answer.status === 401) reply.header('www-authenticate', 'Bearer')
  await reply.send(answer.body)
}

/** Who may not ask learns nothing of the cluster. */
const OF_STRANGERS: ReadonlySet<ErrorCode> = new Set(['MISDIRECTED', 'FORBIDDEN', 'UNAUTHORIZED'])

/** A path that cannot be read belongs to no route, so no hook has seen the request. */
async function sendMalformed(asked: Asked & { error: unknown }, parts: AppParts): Promise<void> {
  try {
    authorize(asked.request, parts)
    await sendError(asked, parts)
  } catch (error) {
    await sendError({ ...asked, error }, parts)
  }
}

/** Refusals of fastify itself, all of them of malformed requests, as ours. */
function fromFastify(error: unknown): unknown {
  if (!isFastifyError(error)) return error
  const { code, statusCode } = error
  if (code === 'FST_ERR_VALIDATION') return refusal('INVALID_REQUEST', error.message)
  if (statusCode === 413) return refusal('PAYLOAD_TOO_LARGE', 'the body is too large')
  if (statusCode === 415) {
    return refusal('UNSUPPORTED_MEDIA_TYPE', 'the body must be application/json')
  }
  if (statusCode === undefined || statusCode < 400 || statusCode >= 500) return error
  return refusal('INVALID_REQUEST', 'the request is malformed')
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('FST_ERR_')
}

interface Stranded {
  readonly socket: Socket
  readonly exchanges: Exchanges
}

/**
 * What is no HTTP request at all, or did not arrive in time: fastify never sees it. Behind a request that is at
 * work nothing is said, since it would be read as the answer to that.
 */
function onClientError(error: Error & { code?: string }, { socket, exchanges }: Stranded): void {
  if (error.code === 'ECONNRESET' || !socket.writable || exchanges.isAtWork(socket)) {
    socket.destroy()
    return
  }
  const message = CLIENT_ERRORS.get(error.code ?? '') ?? 'this is not an HTTP request'
  const { body } = errorAnswer(refusal('INVALID_REQUEST', message))
  const text = JSON.stringify(body)
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
  )
}

/** Nothing has moved on the connection for `stallMs`: nobody is there, or nobody takes what is ready. */
function onStalled(socket: Socket, exchanges: Exchanges): void {
  if (!exchanges.isOpen(socket) || socket.writableLength > 0) socket.destroy()
}

const CLIENT_ERRORS: ReadonlyMap<string, string> = new Map([
  ['HPE_HEADER_OVERFLOW', `the headers are larger than ${MAX_HTTP_HEADER_BYTES} bytes`],
  ['ERR_HTTP_REQUEST_TIMEOUT', 'the request did not arrive in time']
])

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
const RETRY_AFTER_SECONDS = 1
/** Characters of a part of the path: room for a ticket's text and for saying what is wrong with it. */
const MAX_PARAMETER_LENGTH = 1_024
