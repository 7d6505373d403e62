// A body too large to be kept: its bytes are handed on as they come, and the connection is not kept. What the
// node says instead of it is an answer like any other (connection.ts).

import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { KeyValueStoreError } from '../errors.ts'
import { BACKUP_STALL_MS } from '../limits.ts'
import { kindOf, receive } from './exchange.ts'
import type { Answer, Failure, SystemError, Target } from './outcome.ts'

export interface Download {
  readonly path: string
  /** until the first line of the answer has come */
  readonly timeoutMs: number
  /** between two pieces; BACKUP_STALL_MS when left out */
  readonly stallMs?: number
}

export interface Downloaded {
  readonly byteCount: number
  /** @throws KeyValueStoreError UNAVAILABLE when the connection breaks before the last, or nothing comes any more */
  readonly pieces: AsyncIterable<Uint8Array>
  /** Breaks the connection: nothing more comes, and the node hears it. */
  cancel(): void
}

export type DownloadOutcome =
  | { readonly kind: 'begun'; readonly downloaded: Downloaded }
  | Answer
  | Pick<Failure, 'kind' | 'cause'>

/** Resolves when the first line of the answer has come. */
export function download(
  target: Target,
  { path, timeoutMs, stallMs = BACKUP_STALL_MS }: Download
): Promise<DownloadOutcome> {
  return new Promise((resolve) => {
    const request = httpRequest({ ...target, method: 'GET', path, agent: false })
    const fail = (kind: Failure['kind'], cause?: Error): void => {
      resolve({ kind, cause })
      request.destroy()
    }
    const timer = setTimeout(() => fail('timeout'), timeoutMs)
    request.on('error', (error: SystemError) => {
      clearTimeout(timer)
      fail(kindOf(error, request), error)
    })
    request.on('response', (response) => {
      clearTimeout(timer)
      if (response.statusCode === 200) {
        const byteCount = Number(response.headers['content-length'])
        response.setTimeout(stallMs, () => response.destroy(stalled(stallMs)))
        const cancel = (): void => void response.destroy()
        resolve({ kind: 'begun', downloaded: { byteCount, pieces: piecesOf(response), cancel } })
      } else receive(response, { finish: resolve, fail })
    })
    request.end()
  })
}

async function* piecesOf(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of response) yield piece
  } catch (error) {
    if (error instanceof KeyValueStoreError) throw error
    const message = 'the connection to the node broke before the last byte came'
    throw new KeyValueStoreError({ code: 'UNAVAILABLE', message }, { cause: error })
  }
}

function stalled(stallMs: number): KeyValueStoreError {
  const message = `nothing came from the node for ${stallMs / 1_000} s`
  const hint = "its process may be stopped or overloaded: 'aspen status' and 'aspen logs' say more"
  return new KeyValueStoreError({ code: 'UNAVAILABLE', message, hint })
}
