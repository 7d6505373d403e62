// A thread of readers.ts: one reading connection, one answer per message.

import { parentPort, workerData } from 'node:worker_threads'
import { present } from '../../lib/assert.ts'
import { openReader } from '../../lib/state-machine/sqlite-connection.ts'
import { SqliteReader } from '../../lib/state-machine/sqlite-reader.ts'

export interface Order {
  readonly key: Uint8Array
}

export interface Answer {
  readonly value: Uint8Array | null
}

const data: unknown = workerData
const port = present(parentPort, 'the other side')
const reader = new SqliteReader(openReader(String(data)))

port.on('message', ({ key }: Order) => {
  const answer: Answer = { value: reader.get(key)?.value ?? null }
  port.postMessage(answer)
})
