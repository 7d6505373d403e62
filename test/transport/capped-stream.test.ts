// The one place that leans on private parts of secret-stream: it must fail here when they change.

import { PassThrough } from 'node:stream'
import test from 'brittle'
import { CappedStream } from '../../lib/transport/guarded-dht.ts'
import { until } from './harness.ts'

void test('the private parts that the cap relies on are there', (t) => {
  const stream = new CappedStream(true, null, { autoStart: false })
  const { _len: length, _state: state, _tmp: progress } = stream
  t.alike([length, state, progress], [0, 0, 1])
  const parent: unknown = Object.getPrototypeOf(CappedStream.prototype)
  if (typeof parent !== 'object' || parent === null) throw new Error('a class')
  t.is(typeof Reflect.get(parent, '_onrawdata'), 'function')
  t.is(typeof Reflect.get(parent, '_onrawend'), 'function')
})

void test('frames pass up to the limit, and one byte more ends the stream', async (t) => {
  const { a, b, received, errors } = pair()
  a.write(Buffer.alloc(4_096))
  await until('the frame', () => received.length === 1)
  a.write(Buffer.alloc(4_097))
  await until('the end', () => b.destroyed)
  t.alike(received, [4_096])
  t.alike(errors, ['a frame of more than 4096 bytes'])
  a.destroy()
})

void test('a length of 16 MiB is refused before a byte of it arrives', async (t) => {
  const raw = new PassThrough()
  const stream = new CappedStream(false, raw)
  const errors: string[] = []
  stream.on('error', (error) => errors.push(error.message))
  raw.write(Buffer.from([0xff, 0xff, 0xff]))
  await until('the end', () => stream.destroyed)
  t.alike(errors, ['a frame of more than 4096 bytes'])
})

void test('a limit that a frame raises holds for the frame right behind it', async (t) => {
  const { a, b, received, errors } = pair((byteCount) => byteCount === 32)
  // in one packet: the proof and the first large message
  a.write(Buffer.alloc(32))
  a.write(Buffer.alloc(16_000))
  a.write(Buffer.alloc(5))
  await until('all three', () => received.length === 3)
  t.alike(received, [32, 16_000, 5])
  t.alike(errors, [])
  a.destroy()
  b.destroy()
})

interface Pair {
  readonly a: CappedStream
  readonly b: CappedStream
  readonly received: number[]
  readonly errors: string[]
}

/** Two streams back to back; what b receives, in bytes. A frame for which `raises` raises b's limit. */
function pair(raises: (byteCount: number) => boolean = () => false): Pair {
  const a = new CappedStream(true)
  const b = new CappedStream(false)
  deliver(a, b, 20)
  deliver(b, a, 0)
  const received: number[] = []
  const errors: string[] = []
  a.on('error', () => {})
  b.on('error', (error) => errors.push(error.message))
  b.on('data', (data) => {
    received.push(data.byteLength)
    if (raises(data.byteLength)) b.frameLimit = 16_384
  })
  return { a, b, received, errors }
}

/** Carries what `from` sends to `to`; what comes within `waitMs` as one piece. */
function deliver(from: CappedStream, to: CappedStream, waitMs: number): void {
  let pieces: Buffer[] = []
  from.rawStream.on('data', (piece: Buffer) => {
    pieces.push(piece)
    if (pieces.length > 1) return
    setTimeout(() => {
      to.rawStream.write(Buffer.concat(pieces))
      pieces = []
    }, waitMs)
  })
}
