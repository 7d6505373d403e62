// A server over a MemoryNode in a folder of its own, and plain requests to it.

import { request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders, RequestOptions } from 'node:http'
import { join } from 'node:path'
import type { Assert } from 'brittle'
import { HttpServer } from '../../lib/http/http-server.ts'
import type { HttpServerOptions } from '../../lib/http/http-server.ts'
import { MemoryNode } from './memory-node.ts'

export const TOKEN = 'test-token-'.padEnd(64, '0')

export interface Opened {
  readonly node: MemoryNode
  readonly server: HttpServer
  readonly port: number
  /** what the server logged */
  readonly logged: object[]
}

export async function openServer(
  t: Assert,
  options: Partial<HttpServerOptions> = {}
): Promise<Opened> {
  const node = new MemoryNode()
  const logged: object[] = []
  const folder = await t.tmp()
  const server = await HttpServer.open({
    api: node,
    admin: node.admin,
    socketPath: join(folder, 'aspen.sock'),
    tcp: { host: '127.0.0.1', port: 0, firstPort: 7070, tries: 1 },
    token: TOKEN,
    log: { error: (fields) => logged.push(fields) },
    ...options
  })
  t.teardown(() => server.close(), { force: true })
  return { node, server, port: Number(new URL(server.url).port), logged }
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** the body as JSON; null when it is not */
  readonly json: unknown
}

/** One request on a connection of its own. */
export function send(options: RequestOptions, body?: string | Buffer): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ agent: false, ...options }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: parse(text)
        })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** A POST of JSON over the socket. */
export function post(opened: Opened, path: string, body: unknown): Promise<Reply> {
  return postRaw(opened, path, JSON.stringify(body))
}

/** A POST of any text, said to be JSON, over the socket. */
export function postRaw(opened: Opened, path: string, body: string | Buffer): Promise<Reply> {
  const headers = { 'content-type': 'application/json' }
  return send({ socketPath: opened.server.socketPath, method: 'POST', path, headers }, body)
}

export function get(opened: Opened, path: string): Promise<Reply> {
  return send({ socketPath: opened.server.socketPath, method: 'GET', path })
}

/** The code of a refusal; null when the body is not one. */
export function codeOf({ json }: Reply): string | null {
  const error = field(json, 'error')
  const code = field(error, 'code')
  return typeof code === 'string' ? code : null
}

export function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !(name in value)) return undefined
  return Object.entries(value).find(([key]) => key === name)?.[1]
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
