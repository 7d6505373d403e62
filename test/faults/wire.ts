// What a node has sent, read from the record that strace made of its calls: datagrams of UDX streams, and
// what it wrote to sockets of its HTTP API. Both in the order of the record.
//
//   strace -f -yy -xx -s 64 -e trace=<SENDING> -o RECORD …

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

/** The calls that must be recorded: those that send, and the one that is made to fail. */
export const SENDING = 'sendmsg,sendmmsg,sendto,write,writev,fdatasync'

export type Sent =
  /** the error was injected */
  | { readonly kind: 'fault' }
  /** the node has said in its log that it ends */
  | { readonly kind: 'end' }
  /** data of a stream that were not sent before */
  | { readonly kind: 'data'; readonly stream: string }
  /** the beginning of an answer of the API */
  | { readonly kind: 'answer'; readonly status: number }

const STREAM_MAGIC = 255
const HEADER_BYTES = 20
const IS_DATA = 1
const STATUS = /HTTP\/1\.1 (\d{3})/g

export async function sentIn(recordPath: string): Promise<Sent[]> {
  const sent: Sent[] = []
  const newest = new Map<string, number>()
  for await (const line of createInterface({ input: createReadStream(recordPath, 'latin1') })) {
    if (line.includes('(INJECTED)')) sent.push({ kind: 'fault' })
    const buffers = [...line.matchAll(/"((?:\\x[0-9a-f]{2})+)"/g)].map(([, hex = '']) =>
      Buffer.from(hex.replaceAll('\\x', ''), 'hex')
    )
    for (const bytes of buffers) {
      if (bytes.includes('"level":"fatal"')) sent.push({ kind: 'end' })
      const stream = newData(bytes, newest)
      if (stream !== null && / send/.test(line)) sent.push({ kind: 'data', stream })
      for (const [, status] of bytes.toString('latin1').matchAll(STATUS)) {
        sent.push({ kind: 'answer', status: Number(status) })
      }
    }
  }
  return sent
}

/** `magic 255 ‖ version ‖ flags ‖ data offset ‖ stream u32 ‖ window u32 ‖ seq u32 ‖ ack u32`, little endian */
function newData(bytes: Buffer, newest: Map<string, number>): string | null {
  const isStream = bytes.byteLength >= HEADER_BYTES && bytes[0] === STREAM_MAGIC && bytes[1] === 1
  if (!isStream || ((bytes[2] ?? 0) & IS_DATA) === 0) return null
  const stream = String(bytes.readUInt32LE(4))
  const sequence = bytes.readUInt32LE(12)
  if (sequence <= (newest.get(stream) ?? -1)) return null
  newest.set(stream, sequence)
  return stream
}
