// Requests over kept connections, and what may be concluded when one breaks.
//
// While the system has not taken the last byte of a request, the node cannot have had all of it, so
// nothing happened; on a kept connection that the node ended meanwhile it is sent again, on a new one.
// After that byte a write may have been carried out whether its answer comes or not: it is never sent
// again, and its outcome is unknown. A read has no effect and is sent again once.

import { Agent, request as httpRequest } from 'node:http'
import { ConfigError, KeyValueStoreError, ProtocolError } from '../errors.ts'
import type { AspenError, ErrorCode } from '../errors.ts'
import {
  CLIENT_GRACE_MS,
  DEFAULT_REQUEST_TIMEOUT_MS,
  HTTP_KEEP_ALIVE_TIMEOUT_MS,
  MAX_CLIENT_CONNECTIONS,
  MAX_CLIENT_IN_FLIGHT,
  MAX_HTTP_ANSWER_BYTES
} from '../limits.ts'
import { kindOf, receive } from './exchange.ts'
import type { Answer, Failure, SystemError, Target } from './outcome.ts'
import { download } from './download.ts'
import type { Download, Downloaded } from './download.ts'
import { errorFrom } from './error-from.ts'
import type { Shape } from './shapes.ts'
import { shapes } from './shapes.ts'

export type ClientTarget =
  | { readonly socketPath: string }
  /** `http://127.0.0.1:7070` and the node's bearer token */
  | { readonly url: string; readonly token: string }

export interface Question<T> {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: object
  /** of the answer, whatever its status; everything else must be an ErrorBody */
  readonly shape: Shape<T>
  /** whether it must not be carried out twice */
  readonly isWrite?: boolean
  readonly timeoutMs?: number | undefined
  /** the node answers at once and is told no deadline, so nothing is added to it */
  readonly isImmediate?: boolean
}

export class Connection {
  readonly #target: Target
  readonly #agent: Agent
  /** for messages */
  readonly #place: string
  #inFlight = 0
  #isClosed = false

  /** @throws ConfigError CONFIG_INVALID */
  constructor(target: ClientTarget) {
    this.#target =
      'socketPath' in target ? { socketPath: target.socketPath, headers: {} } : tcpOptions(target)
    this.#place = 'socketPath' in target ? target.socketPath : target.url
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: MAX_CLIENT_CONNECTIONS,
      scheduling: 'lifo',
      timeout: HTTP_KEEP_ALIVE_TIMEOUT_MS / 2
    })
  }

  /** @throws AspenError what the node answered, or NODE_NOT_RUNNING, UNAVAILABLE, OUTCOME_UNKNOWN, TIMEOUT, PROTOCOL */
  async ask<T>(question: Question<T>): Promise<T> {
    if (this.#inFlight >= MAX_CLIENT_IN_FLIGHT) {
      throw failure('OVERLOADED', `${MAX_CLIENT_IN_FLIGHT} requests of this client are in progress`)
    }
    this.#inFlight++
    try {
      return answerOf(question, await this.#exchange(question))
    } finally {
      this.#inFlight--
    }
  }

  /**
   * A body that is taken as it comes, over a connection of its own. Its bytes end with an error where it
   * is not complete.
   * @throws AspenError as `ask`
   */
  async download(question: Download): Promise<Downloaded> {
    const outcome = await download(this.#target, question)
    if (outcome.kind === 'begun') return outcome.downloaded
    const asked = { ...question, method: 'GET', shape: shapes.error } as const
    if (outcome.kind === 'answer') throw errorFrom(answerOf(asked, outcome))
    throw this.#errorOf({ wasSent: true, wasReused: false, ...outcome }, asked)
  }

  close(): void {
    this.#isClosed = true
    this.#agent.destroy()
  }

  async #exchange(question: Question<unknown>): Promise<Answer> {
    const body = question.body === undefined ? null : Buffer.from(JSON.stringify(question.body))
    const graceMs = question.isImmediate === true ? 0 : CLIENT_GRACE_MS
    const deadlineMs = performance.now() + timeoutOf(question) + graceMs
    const first = await this.#attempt({ question, body, deadlineMs })
    if (first.kind === 'answer') return first
    const last = mayRepeat(first, question)
      ? await this.#attempt({ question, body, deadlineMs })
      : first
    if (last.kind === 'answer') return last
    throw this.#errorOf(last, question)
  }

  #attempt({ question, body, deadlineMs }: Attempt): Promise<Answer | Failure> {
    if (this.#isClosed) return Promise.resolve(CLOSED)
    return new Promise((resolve) => {
      const headers = { ...this.#target.headers, ...(body !== null && bodyHeaders(body)) }
      const { method, path } = question
      const request = httpRequest({ ...this.#target, agent: this.#agent, method, path, headers })
      const timer = setTimeout(() => fail('timeout'), Math.max(0, deadlineMs - performance.now()))
      let isFinished = false
      const finish = (result: Answer | Failure): void => {
        clearTimeout(timer)
        resolve(result)
      }
      const fail = (kind: Failure['kind'], cause?: SystemError): void => {
        // 'finish' also comes after a failed write, which the error then tells
        const wasSent = isFinished && cause?.syscall !== 'write'
        finish({ kind, wasSent, wasReused: request.reusedSocket, cause })
        request.destroy()
      }
      request.on('finish', () => (isFinished = true))
      request.on('error', (error) =>
        fail(this.#isClosed ? 'closed' : kindOf(error, request), error)
      )
      request.on('response', (response) => receive(response, { finish, fail }))
      request.end(body ?? undefined)
    })
  }

  #errorOf({ kind, wasSent, cause }: Failure, question: Question<unknown>): AspenError {
    const { isWrite = false } = question
    const what = WHAT_FAILED[kind]
    if (kind === 'absent') {
      const message = `no node answers at ${this.#place}`
      return new ConfigError(
        { code: 'NODE_NOT_RUNNING', message, hint: "'aspen start' starts it" },
        { cause }
      )
    }
    if (kind === 'forbidden') return failure('FORBIDDEN', `${this.#place}: ${what}`, cause)
    if (kind === 'timeout') return noAnswer(timeoutOf(question), isWrite && wasSent)
    if (isWrite && wasSent) return failure('OUTCOME_UNKNOWN', what, cause)
    if (kind === 'tooLarge') return new ProtocolError(what, { cause })
    return failure('UNAVAILABLE', what, cause)
  }
}

interface Attempt {
  readonly question: Question<unknown>
  readonly body: Buffer | null
  readonly deadlineMs: number
}

const WHAT_FAILED: Readonly<Record<Failure['kind'], string>> = {
  absent: 'nobody listens',
  forbidden: 'another user owns it',
  lost: 'the connection to the node broke before the answer came',
  timeout: 'the node did not answer in time',
  tooLarge: `the answer is larger than ${MAX_HTTP_ANSWER_BYTES} bytes`,
  closed: 'the client was closed'
}

const CLOSED: Failure = { kind: 'closed', wasSent: false, wasReused: false }

function mayRepeat({ kind, wasSent, wasReused }: Failure, { isWrite }: Question<unknown>): boolean {
  return kind === 'lost' && (isWrite !== true || (!wasSent && wasReused))
}

/** @throws AspenError when the answer is a refusal, or is not what it should be */
function answerOf<T>(question: Question<T>, { status, text }: Answer): T {
  const value = parse(text)
  if (question.shape.check(value)) return value
  if (shapes.error.check(value)) throw errorFrom(value)
  const message = `the answer (status ${status}) is not one of a node of this version`
  if (question.isWrite === true) throw failure('OUTCOME_UNKNOWN', message)
  throw new ProtocolError(message)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function tcpOptions({ url, token }: { url: string; token: string }): Target {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (parsed?.protocol !== 'http:' || parsed.pathname !== '/' || /[\r\n]/.test(token)) {
    const message = `${JSON.stringify(url)} is not the URL of a node's API`
    throw new ConfigError({ code: 'CONFIG_INVALID', message, hint: 'http://127.0.0.1:7070' })
  }
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1')
  return { host, port: parsed.port, headers: { authorization: `Bearer ${token}` } }
}

function bodyHeaders(body: Buffer): Record<string, string | number> {
  return { 'content-type': 'application/json', 'content-length': body.byteLength }
}

function timeoutOf({ timeoutMs = DEFAULT_REQUEST_TIMEOUT_MS }: Question<unknown>): number {
  return timeoutMs
}

/** A read without an answer has had no effect; a write that has left may have. */
function noAnswer(timeoutMs: number, isUnknown: boolean): KeyValueStoreError {
  const message = `the node did not answer within ${timeoutMs / 1_000} s`
  const why = "its process may be stopped or overloaded: 'aspen status' and 'aspen logs' say more"
  const fields = { is_unanswered: true, duration_ms: timeoutMs }
  if (!isUnknown) return new KeyValueStoreError({ code: 'UNAVAILABLE', message, hint: why, fields })
  return new KeyValueStoreError({
    code: 'TIMEOUT',
    message: `${message}; the write may or may not have happened`,
    hint: `read before you write again; ${why}`,
    fields
  })
}

function failure(code: ErrorCode, message: string, cause?: Error): KeyValueStoreError {
  return new KeyValueStoreError({ code, message }, { cause })
}
