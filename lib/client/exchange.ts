// One request and how it ended: the parts that kept connections (connection.ts) and downloads (download.ts)
// have in common.

import type { ClientRequest, IncomingMessage } from 'node:http'
import { MAX_HTTP_ANSWER_BYTES } from '../limits.ts'
import type { Answer, Failure, SystemError } from './outcome.ts'

export interface Ends {
  readonly finish: (answer: Answer) => void
  readonly fail: (kind: Failure['kind'], cause?: SystemError) => void
}

export function receive(response: IncomingMessage, { finish, fail }: Ends): void {
  const chunks: Buffer[] = []
  let byteCount = 0
  response.on('data', (chunk: Buffer) => {
    byteCount += chunk.byteLength
    if (byteCount > MAX_HTTP_ANSWER_BYTES) return fail('tooLarge')
    chunks.push(chunk)
  })
  response.on('end', () => {
    finish({
      kind: 'answer',
      status: response.statusCode ?? 0,
      text: Buffer.concat(chunks).toString()
    })
  })
  response.on('error', (error) => fail('lost', error))
}

export function kindOf(error: SystemError, request: ClientRequest): Failure['kind'] {
  if (request.reusedSocket) return 'lost'
  if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') return 'absent'
  return error.code === 'EACCES' ? 'forbidden' : 'lost'
}
