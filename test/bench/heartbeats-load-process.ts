// The load of heartbeats.ts: puts on the node at the socket of the first argument until it is killed.

import { Client } from '../../lib/client/client.ts'
import { bytesOf } from '../../lib/encoding.ts'

const AT_ONCE = 16
const client = Client.connect({ socketPath: process.argv[2] ?? '' })
const value = new Uint8Array(256).fill(97)
let count = 0

async function work(): Promise<void> {
  for (;;) {
    const key = bytesOf(`bench/key/${(count++ * 7_919) % 100_000}`)
    await client.kv.put(key, value, { timeoutMs: 60_000 })
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, work))
