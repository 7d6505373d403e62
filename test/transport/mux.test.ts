// What comes in on a connection, byte for byte: the guard in front of protomux, on the memory network
// and a virtual clock.

import test from 'brittle'
import fc from 'fast-check'
import { bytesOf } from '../../lib/encoding.ts'
import { MAX_HELLO_BYTES } from '../../lib/limits.ts'
import { MemoryHub } from '../../lib/transport/memory-network.ts'
import { Mux } from '../../lib/transport/mux.ts'
import type { Connection } from '../../lib/transport/network.ts'
import type { Role } from '../../lib/transport/permissions.ts'
import { ProtocolError } from '../../lib/errors.ts'
import { keyPairOf } from './harness.ts'
import { VirtualTime } from './virtual-time.ts'

interface Pair {
  readonly time: VirtualTime
  /** the end that sends whatever it likes */
  readonly raw: Connection
  readonly mux: Mux
  readonly received: string[]
  readonly ended: string[]
}

async function pairOf(role: Role, onMessage?: () => void): Promise<Pair> {
  const time = new VirtualTime()
  const hub = new MemoryHub({ clock: time, timers: time, delayMs: 1, linkTimeoutMs: 1_000 })
  const [a, b] = ['a', 'b'].map((name, index) =>
    hub.network(keyPairOf(name), { host: '127.0.0.1', port: index + 1 })
  )
  if (a === undefined || b === undefined) throw new Error('two networks')
  await a.open()
  const received: string[] = []
  const ended: string[] = []
  const muxes: Mux[] = []
  await b.listen({
    onKnock: () => true,
    onFound: () => false,
    onNetworkChange: () => {},
    onConnection: (connection) => {
      const mux = new Mux(connection, role, {
        onMessage: (channel, type, bytes) => {
          received.push(`${channel} ${type} ${bytes.byteLength}`)
          onMessage?.()
        },
        onDrain: () => {},
        onClose: (reason) => ended.push(reason)
      })
      muxes.push(mux)
    }
  })
  const raws: Connection[] = []
  a.dial({ publicKey: b.publicKey, addresses: [] }, (result) => {
    if (result.kind !== 'connected') return
    raws.push(result.connection)
    result.connection.start({ onFrame: () => {}, onDrain: () => {}, onClose: () => {} })
  })
  await time.pass(10)
  const [raw, mux] = [raws[0], muxes[0]]
  if (raw === undefined || mux === undefined) throw new Error('a connection')
  return { time, raw, mux, received, ended }
}

/** Protomux's open message: channel 0, type 1, the sender's number, the name, no id. */
function openFrame(number: number, name: string, rest: readonly number[] = [0]): Uint8Array {
  const text = bytesOf(name)
  return new Uint8Array([0, 1, number, text.byteLength, ...text, ...rest])
}

void test('an open and its messages reach the handlers', async (t) => {
  const { time, raw, mux, received, ended } = await pairOf('unproven')
  mux.open('hello')
  raw.write(openFrame(1, 'aspen/hello'))
  raw.write(new Uint8Array([1, 0, 7, 7, 7]))
  raw.write(new Uint8Array(0))
  await time.pass(10)
  t.alike(received, ['hello 0 3'])
  t.alike(ended, [])
})

void test('everything that the role does not permit closes the connection', async (t) => {
  const open = openFrame(1, 'aspen/hello')
  const cases: Record<string, Uint8Array[]> = {
    'a channel of another role': [openFrame(1, 'aspen/raft')],
    'an unknown channel': [openFrame(1, 'aspen/shell')],
    'a channel of another program': [openFrame(1, 'hypercore/alpha')],
    'a name from the prototype': [openFrame(1, 'aspen/toString')],
    'a channel twice': [open, openFrame(2, 'aspen/hello')],
    'a number out of order': [openFrame(2, 'aspen/hello')],
    'a message on no channel': [new Uint8Array([1, 0, 1])],
    'a message of no kind': [open, new Uint8Array([1, 9, 1])],
    'a batch': [open, new Uint8Array([0, 0, 1, 1, 0])],
    'a rejection': [open, new Uint8Array([0, 2, 1])],
    'a close of a channel': [open, new Uint8Array([0, 3, 1])],
    'a number without end': [new Uint8Array([0xff, 1])],
    'a name without end': [new Uint8Array([0, 1, 1, 20, 65])],
    'an id beside the name': [openFrame(1, 'aspen/hello', [1, 1, 9])],
    'more behind the name': [openFrame(1, 'aspen/hello', [0, 7])],
    'nothing behind the name': [openFrame(1, 'aspen/hello', [])],
    'a long name': [new Uint8Array([0, 1, 1, 0xfd, 0xff, 0xff])],
    'a large frame': [open, new Uint8Array(MAX_HELLO_BYTES)]
  }
  for (const [name, frames] of Object.entries(cases)) {
    const { time, raw, mux, ended, received } = await pairOf('unproven')
    mux.open('hello')
    for (const frame of frames) raw.write(frame)
    await time.pass(10)
    t.is(ended.length, 1, `${name}: ${ended[0]}`)
    t.alike(received, [], name)
  }
})

void test('what a handler says of the bytes closes the connection', async (t) => {
  const { time, raw, mux, ended } = await pairOf('unproven', () => {
    throw new ProtocolError('nonsense')
  })
  mux.open('hello')
  raw.write(openFrame(1, 'aspen/hello'))
  raw.write(new Uint8Array([1, 0, 7]))
  raw.write(new Uint8Array([1, 0, 7]))
  await time.pass(10)
  t.alike(ended, ['nonsense'])
})

void test('random frames never throw and never reach a channel that is not open', async (t) => {
  const errors: unknown[] = []
  const onError = (error: unknown): void => void errors.push(error)
  process.on('uncaughtException', onError)
  const result = await fc.check(
    fc.asyncProperty(
      fc.constantFrom<Role>('unproven', 'member', 'joiner', 'sponsor', 'refused'),
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }),
      fc.boolean(),
      async (role, frames, isOpened) => {
        const { time, raw, mux, received } = await pairOf(role)
        if (isOpened) raw.write(openFrame(1, role === 'sponsor' ? 'aspen/join' : 'aspen/hello'))
        for (const frame of frames) raw.write(frame)
        await time.pass(10)
        mux.close('done')
        return received.length === 0
      }
    ),
    { numRuns: 300 }
  )
  process.off('uncaughtException', onError)
  t.absent(result.failed, `seed ${result.seed}`)
  t.alike(errors, [])
})
