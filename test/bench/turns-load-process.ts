// The load of turns.ts: phases against the node at the socket of the first argument. Tells its parent
// before and after each, and waits to be told to go on.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '../../lib/client/client.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { MAX_SCAN_LIMIT, MAX_SETMULTI_KEYS } from '../../lib/limits.ts'

const client = Client.connect({ socketPath: process.argv[2] ?? '' })
const small = new Uint8Array(256).fill(97)
const large = new Uint8Array(80 * 1024).map((_, index) => index % 251)

await phase('nothing', () => sleep(3_000))
await phase('2,000 puts of 256 B, one after the other', async () => {
  for (let count = 0; count < 2_000; count++) await client.kv.put(keyOf('a', count), small)
})
await phase('20,000 puts of 256 B, 64 at a time', () =>
  parallel(64, 20_000, async (count) => void (await client.kv.put(keyOf('b', count), small)))
)
await phase('20,000 linearizable gets, 64 at a time', () =>
  parallel(64, 20_000, async (count) => void (await client.kv.get(keyOf('b', count))))
)
await phase(`100 scans of ${MAX_SCAN_LIMIT} rows of 256 B`, () =>
  parallel(4, 100, async () => {
    await client.kv.scan({ prefix: bytesOf('b'), limit: MAX_SCAN_LIMIT })
  })
)
await phase('20 batches of 100 binary values of 80 KiB', async () => {
  for (let count = 0; count < 20; count++) await putBatch(count)
})
client.close()
process.disconnect()

async function putBatch(count: number): Promise<void> {
  const pairs = Array.from(
    { length: MAX_SETMULTI_KEYS },
    (_, index) => [keyOf('large', index), large.map((byte) => byte ^ count)] as const
  )
  await client.kv.write({ command: { SetMulti: { pairs } } }, { timeoutMs: 60_000 })
}

async function phase(name: string, work: () => Promise<unknown>): Promise<void> {
  await tell({ phase: name, isOver: false })
  await work()
  await tell({ phase: name, isOver: true })
}

async function tell(message: object): Promise<void> {
  const answered = once(process, 'message')
  process.send?.(message)
  await answered
}

async function parallel(
  width: number,
  total: number,
  work: (count: number) => Promise<void>
): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < total) await work(next++)
  }
  await Promise.all(Array.from({ length: width }, worker))
}

function keyOf(group: string, count: number): Uint8Array {
  return bytesOf(`${group}/${String(count % 10_000).padStart(5, '0')}`)
}
