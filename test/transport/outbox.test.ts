// Two lanes and a bounded backlog: what goes first, what is dropped.

import test from 'brittle'
import fc from 'fast-check'
import type { Timer } from '../../lib/clock.ts'
import { ProtocolError } from '../../lib/errors.ts'
import {
  MAX_FRAGMENT_BYTES,
  MAX_SEND_BACKLOG_BYTES,
  MAX_TURN_BULK_BYTES
} from '../../lib/limits.ts'
import { Inbox } from '../../lib/transport/inbox.ts'
import type { BulkChannel, FragmentKind } from '../../lib/transport/outbox.ts'
import { Joined, Outbox } from '../../lib/transport/outbox.ts'

const MIB = 1024 * 1024

/** An outbox with a wire that can be full, and a clock and turns that the test moves. */
class Wire {
  readonly written: { channel: BulkChannel; kind: FragmentKind; bytes: Uint8Array }[] = []
  nowMs = 0
  isFull = false
  #soon: (() => void)[] = []
  readonly outbox = new Outbox({
    write: (channel, kind, bytes) => {
      this.written.push({ channel, kind, bytes })
      return !this.isFull
    },
    clock: { nowMs: () => this.nowMs, wallMs: () => 0 },
    timers: {
      start: (_delayMs, fn): Timer => {
        this.#soon.push(fn)
        return { cancel: () => {} }
      },
      soon: (fn) => this.#soon.push(fn)
    }
  })

  turn(): void {
    const due = this.#soon
    this.#soon = []
    for (const fn of due) fn()
  }

  /** Acknowledges everything, turn by turn, until nothing more leaves. */
  drainAll(): void {
    for (let acked = 0; acked < this.written.length || this.#soon.length > 0;) {
      this.nowMs += 0.2
      const frame = this.written[acked]
      if (frame !== undefined) acked++
      if (frame !== undefined && frame.kind !== 'whole') this.outbox.onAck()
      this.turn()
    }
  }

  kinds(): string[] {
    return this.written.map(({ channel, kind, bytes }) => `${channel} ${kind} ${bytes.byteLength}`)
  }
}

void test('a small message leaves at once', (t) => {
  const wire = new Wire()
  wire.outbox.send('raft', new Uint8Array(100), false)
  wire.outbox.send('rpc', new Uint8Array(MAX_FRAGMENT_BYTES), false)
  t.alike(wire.kinds(), ['raft whole 100', `rpc whole ${MAX_FRAGMENT_BYTES}`])
  t.is(wire.outbox.backlogBytes, 0)
})

void test('bulk of each channel has its turn', (t) => {
  const wire = new Wire()
  const bulk = new Uint8Array(1_000_000)
  for (const channel of ['snapshot', 'snapshot', 'rpc', 'raft'] as const) {
    wire.outbox.send(channel, bulk, false)
  }
  wire.drainAll()
  const channels = wire.written.map(({ channel }) => channel)
  const first = channels.slice(10, 40)
  for (const channel of ['raft', 'rpc', 'snapshot'] as const) {
    t.is(first.filter((each) => each === channel).length, 10, channel)
  }
  const whole = joined(wire)
  t.alike(
    whole.map(({ byteLength }) => byteLength),
    [1_000_000, 1_000_000, 1_000_000, 1_000_000]
  )
  t.ok(
    channels.slice(-20).every((each) => each === 'snapshot'),
    'what is left alone goes on'
  )
})

void test('a message in two parts leaves as one', (t) => {
  const wire = new Wire()
  const whole = Uint8Array.from({ length: 100_000 }, (_, at) => at % 251)
  for (const at of [0, 7, 20_000, 99_999]) {
    wire.written.length = 0
    wire.outbox.send('raft', new Joined(whole.slice(0, at), whole.slice(at)), true)
    wire.drainAll()
    const fragments = wire.written.map(({ bytes }, index) => bytes.subarray(index === 0 ? 4 : 0))
    t.ok(fragments.length > 1)
    t.alike(Uint8Array.from(fragments.flatMap((bytes) => [...bytes])), whole, `${at} bytes first`)
  }
})

void test('small messages pass between the fragments of a big one', (t) => {
  const wire = new Wire()
  wire.outbox.send('raft', new Uint8Array(MIB), true)
  t.is(wire.written.length, 1, 'one fragment before anything was measured')
  wire.outbox.send('raft', new Uint8Array(60), false)
  t.is(wire.kinds().at(-1), 'raft whole 60')
  wire.drainAll()
  t.is(wire.outbox.backlogBytes, 0)
  const bulk = wire.written.filter(({ kind }) => kind !== 'whole')
  const sum = bulk.reduce((total, { bytes }) => total + bytes.byteLength, 0)
  t.is(sum, MIB + 4)
})

void test('a small append waits for the big one before it; a vote does not', (t) => {
  const wire = new Wire()
  wire.outbox.send('raft', new Uint8Array(100_000), true)
  wire.outbox.send('raft', new Uint8Array(51), true)
  wire.outbox.send('raft', new Uint8Array(52), false)
  t.is(wire.kinds().at(-1), 'raft whole 52')
  wire.drainAll()
  t.is(wire.kinds().at(-1), 'raft whole 51')
})

void test('both channels take turns in bulk', (t) => {
  const wire = new Wire()
  wire.outbox.send('raft', new Uint8Array(200_000), true)
  wire.outbox.send('rpc', new Uint8Array(200_000), false)
  wire.drainAll()
  const order = wire.written.slice(2, 10).map(({ channel }) => channel)
  t.alike(order, ['raft', 'rpc', 'raft', 'rpc', 'raft', 'rpc', 'raft', 'rpc'])
})

void test('a full wire stops everything until it drains, and small goes first then', (t) => {
  const wire = new Wire()
  wire.isFull = true
  wire.outbox.send('raft', new Uint8Array(1), false)
  wire.outbox.send('raft', new Uint8Array(50_000), true)
  wire.outbox.send('rpc', new Uint8Array(2), false)
  t.alike(wire.kinds(), ['raft whole 1'])
  t.is(wire.outbox.backlogBytes, 50_002 + 2 * 128)
  wire.isFull = false
  wire.outbox.onDrain()
  t.is(wire.kinds()[1], 'rpc whole 2')
  t.ok(wire.kinds()[2]?.startsWith('raft first'))
})

void test('one turn of the event loop writes a bounded amount of bulk', (t) => {
  const wire = new Wire()
  wire.outbox.send('raft', new Uint8Array(4 * MIB), true)
  wire.drainAll()
  wire.written.length = 0
  wire.outbox.send('raft', new Uint8Array(4 * MIB), true)
  const bytes = wire.written.reduce((sum, each) => sum + each.bytes.byteLength, 0)
  t.ok(bytes >= MAX_TURN_BULK_BYTES && bytes <= MAX_TURN_BULK_BYTES + MAX_FRAGMENT_BYTES + 4)
})

void test('a full backlog drops the oldest appends, never anything else', (t) => {
  const wire = new Wire()
  wire.isFull = true
  wire.outbox.send('rpc', new Uint8Array(1), false)
  const big = (fill: number, bytes: number): Uint8Array => new Uint8Array(bytes).fill(fill)
  for (let fill = 1; fill <= 5; fill++) wire.outbox.send('raft', big(fill, 8 * MIB), true)
  t.ok(wire.outbox.backlogBytes <= MAX_SEND_BACKLOG_BYTES)
  t.ok(wire.outbox.hasRoom(8 * MIB), 'appends would give way')
  for (let count = 0; count < 4; count++) wire.outbox.send('rpc', big(9, 8 * MIB), false)
  t.absent(wire.outbox.hasRoom(1))
  wire.outbox.send('raft', big(8, 8 * MIB), true)
  wire.outbox.send('raft', new Uint8Array(40), false)
  wire.isFull = false
  wire.outbox.onDrain()
  wire.drainAll()
  const firsts = wire.written.filter(({ kind }) => kind === 'first')
  t.alike(
    firsts.map(({ channel, bytes }) => `${channel} ${bytes[4]}`),
    ['rpc 9', 'rpc 9', 'rpc 9', 'rpc 9'],
    'all appends went, the last one was not taken'
  )
  t.ok(wire.kinds().includes('raft whole 40'), 'the vote was')
})

void test('an append of which a part has left is not dropped', (t) => {
  const wire = new Wire()
  wire.outbox.send('raft', new Uint8Array(8 * MIB).fill(1), true)
  wire.isFull = true
  for (let count = 0; count < 4; count++) wire.outbox.send('rpc', new Uint8Array(8 * MIB), false)
  wire.isFull = false
  wire.drainAll()
  t.alike(
    joined(wire).map((message) => message.byteLength),
    [8 * MIB, 8 * MIB, 8 * MIB, 8 * MIB, 8 * MIB]
  )
})

void test('after close nothing leaves', (t) => {
  const wire = new Wire()
  wire.outbox.send('raft', new Uint8Array(MIB), true)
  wire.outbox.close()
  const { length } = wire.written
  wire.outbox.send('raft', new Uint8Array(1), false)
  wire.outbox.onDrain()
  wire.turn()
  t.is(wire.written.length, length)
  t.is(wire.outbox.backlogBytes, 0)
})

void test('whatever goes in comes out whole, each channel’s bulk in order', (t) => {
  const message = fc.record({
    channel: fc.constantFrom('raft', 'rpc'),
    byteCount: fc.oneof(fc.nat(200), fc.integer({ min: 16_000, max: 120_000 })),
    isFull: fc.boolean()
  })
  const result = fc.check(
    fc.property(fc.array(message, { maxLength: 20 }), (messages) => {
      const wire = new Wire()
      messages.forEach(({ channel, byteCount, isFull }, index) => {
        wire.isFull = isFull
        const bytes = new Uint8Array(byteCount).fill(index + 1)
        wire.outbox.send(channel === 'raft' ? 'raft' : 'rpc', bytes, false)
      })
      wire.isFull = false
      wire.outbox.onDrain()
      wire.drainAll()
      const sizes = joined(wire).map((bytes) => `${bytes.byteLength} ${bytes[0]}`)
      const expected = messages.map(({ byteCount }, index) =>
        byteCount === 0 ? '0 undefined' : `${byteCount} ${index + 1}`
      )
      return sizes.toSorted().join() === expected.toSorted().join()
    }),
    { numRuns: 200 }
  )
  t.absent(result.failed, `seed ${result.seed}`)
})

void test('fragments that do not fit together are refused', (t) => {
  const first = new Uint8Array(5_000)
  new DataView(first.buffer).setUint32(0, 50_000, true)
  const cases: [string, (inbox: Inbox) => unknown][] = [
    ['a message inside another', (inbox) => (inbox.first(first), inbox.first(first))],
    ['a fragment of nothing', (inbox) => inbox.next(first)],
    ['an empty fragment', (inbox) => (inbox.first(first), inbox.next(new Uint8Array(0)))],
    // each costs an acknowledgement
    ['a crumb', (inbox) => inbox.first(first.subarray(0, 40))],
    ['no bytes after the length', (inbox) => inbox.first(first.subarray(0, 4))],
    ['too many bytes', (inbox) => (inbox.first(first), inbox.next(new Uint8Array(60_000)))],
    ['too short for fragments', (inbox) => inbox.first(new Uint8Array([5, 0, 0, 0, 1]))],
    ['longer than any message', (inbox) => inbox.first(new Uint8Array([0, 0, 0, 255, 1]))]
  ]
  for (const [name, run] of cases) {
    try {
      run(new Inbox())
      t.fail(name)
    } catch (error) {
      t.ok(error instanceof ProtocolError, name)
    }
  }
})

function joined(wire: Wire): Uint8Array[] {
  const inboxes = { raft: new Inbox(), rpc: new Inbox(), snapshot: new Inbox() }
  const whole: Uint8Array[] = []
  for (const { channel, kind, bytes } of wire.written) {
    const message = kind === 'whole' ? bytes : inboxes[channel][kind](bytes)
    if (message !== null) whole.push(message)
  }
  return whole
}
