// Requests to a node as any program may make them: headers as given, bodies as given.

import { request } from 'node:http'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lab } from './lab.ts'

export interface Ask {
  readonly method?: string
  readonly path: string
  /** an object is sent as JSON */
  readonly body?: object | string
  readonly headers?: Readonly<Record<string, string>>
  /** bytes of a body that is announced and never sent: an early answer breaks one that is on its way */
  readonly announcedBytes?: number
}

export interface Answered {
  readonly status: number
  readonly text: string
  /** of an ErrorBody; null for any other answer */
  readonly code: string | null
}

/** Where to ask a node. */
export interface Place {
  readonly host?: string
  readonly port?: number
  readonly socketPath?: string
  /** sent with each request unless it has others */
  readonly headers?: Readonly<Record<string, string>>
}

/** The machine's Unix socket. */
export function socketOf(lab: Lab, machine: string): Place {
  return { socketPath: join(lab.dataDir(machine), 'aspen.sock') }
}

/** The machine's TCP port, with its token. */
export async function portOf(
  lab: Lab,
  machine: string
): Promise<Place & { readonly port: number }> {
  const { api } = await lab.status(machine)
  const token = readFileSync(join(lab.dataDir(machine), 'api.token'), 'utf8').trim()
  const port = Number(new URL(api.http).port)
  return { host: '127.0.0.1', port, headers: { authorization: `Bearer ${token}` } }
}

export function ask(place: Place, question: Ask): Promise<Answered> {
  const { method, path, body, headers = {}, announcedBytes } = question
  const { headers: usual = {}, ...where } = place
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  const type = text === undefined ? {} : { 'content-type': 'application/json' }
  const options = {
    ...where,
    path,
    method: method ?? (text === undefined ? 'GET' : 'POST'),
    headers: { ...usual, ...type, ...headers }
  }
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const answer = Buffer.concat(chunks).toString()
        resolve({ status: response.statusCode ?? 0, text: answer, code: codeOf(answer) })
        if (announcedBytes !== undefined) sent.destroy()
      })
    })
    sent.on('error', reject)
    if (announcedBytes === undefined) sent.end(text)
    else sent.setHeader('content-length', announcedBytes).flushHeaders()
  })
}

function codeOf(text: string): string | null {
  try {
    const { error } = JSON.parse(text)
    return typeof error?.code === 'string' ? error.code : null
  } catch {
    return null
  }
}
