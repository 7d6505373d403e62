// How much bulk may be on its way at a time.

import test from 'brittle'
import {
  BULK_WINDOW_MS,
  MAX_BULK_QUEUE_BYTES,
  MAX_BULK_WINDOW_BYTES,
  MAX_FRAGMENT_BYTES,
  MIN_BULK_WINDOW_BYTES
} from '../../lib/limits.ts'
import { Pacing } from '../../lib/transport/pacing.ts'

interface Path {
  /** one round trip without a queue */
  readonly roundTripMs: number
  readonly bytesPerMs: number
  /** what it becomes after a third of the time */
  readonly later?: Path
}

/** Sends as much as the pacing allows over a path with one bottleneck, for `durationMs`. */
function drive(path: Path, durationMs: number): { bytes: number; delayMs: number } {
  const pacing = new Pacing()
  const acks: { atMs: number; byteCount: number }[] = []
  let freeMs = 0
  let bytes = 0
  let delayMs = 0
  for (let nowMs = 0; nowMs < durationMs; nowMs++) {
    while (acks[0] !== undefined && acks[0].atMs <= nowMs) {
      bytes += acks.shift()?.byteCount ?? 0
      pacing.onAcked(nowMs)
    }
    for (let size = next(pacing, nowMs); size > 0; size = next(pacing, nowMs)) {
      const { roundTripMs, bytesPerMs } = nowMs < durationMs / 3 ? path : (path.later ?? path)
      freeMs = Math.max(freeMs, nowMs) + size / bytesPerMs
      if (nowMs > durationMs / 2) delayMs = Math.max(delayMs, freeMs - nowMs)
      acks.push({ atMs: freeMs + roundTripMs, byteCount: size })
      pacing.onSent(size, nowMs)
    }
  }
  return { bytes, delayMs }
}

function next(pacing: Pacing, nowMs: number): number {
  return pacing.next(nowMs).byteCount
}

void test('before anything was measured one small fragment may leave', (t) => {
  const pacing = new Pacing()
  t.is(pacing.windowBytes(), MIN_BULK_WINDOW_BYTES)
  t.is(next(pacing, 0), MIN_BULK_WINDOW_BYTES)
  pacing.onSent(MIN_BULK_WINDOW_BYTES, 0)
  t.is(next(pacing, 0), 0)
  t.is(pacing.onAcked(1), true)
  t.is(pacing.onAcked(1), false, 'nothing else was on its way')
  t.is(next(pacing, 1), MAX_FRAGMENT_BYTES)
})

void test('fast, slow and far paths are filled, and nothing waits long behind bulk', (t) => {
  const paths = {
    lan: { roundTripMs: 1, bytesPerMs: 20_000 },
    home: { roundTripMs: 20, bytesPerMs: 1_250 },
    far: { roundTripMs: 250, bytesPerMs: 5_000 },
    modem: { roundTripMs: 80, bytesPerMs: 8 }
  }
  for (const [name, path] of Object.entries(paths)) {
    const { bytes, delayMs } = drive(path, 60_000)
    const share = bytes / (path.bytesPerMs * 60_000)
    const smallest = MIN_BULK_WINDOW_BYTES / path.bytesPerMs
    t.ok(share > 0.6, `${name}: ${Math.round(share * 100)} % of the bandwidth`)
    const most = Math.max(BULK_WINDOW_MS * 1.75, smallest * 2.2)
    t.ok(delayMs < most, `${name}: ${Math.round(delayMs)} ms of queue`)
  }
})

void test('a path that becomes longer is measured again', (t) => {
  const later = { roundTripMs: 400, bytesPerMs: 2_000 }
  const { bytes } = drive({ roundTripMs: 5, bytesPerMs: 2_000, later }, 90_000)
  const share = bytes / (2_000 * 90_000)
  t.ok(share > 0.6, `${Math.round(share * 100)} % of the bandwidth`)
})

void test('under steady load the path is let run empty now and then, to be measured', (t) => {
  const busy = new Pacing()
  busy.onSent(4_096, 0)
  busy.onAcked(1)
  busy.onSent(4_096, 2)
  t.ok(next(busy, 3) > 0, 'more may leave beside what is on its way')
  t.is(next(busy, 10_003), 0, 'not when the path was last measured long ago')
  busy.onAcked(10_004)
  t.ok(next(busy, 10_005) > 0, 'and again when nothing is on its way')
})

void test('the window has a limit at any speed', (t) => {
  const pacing = new Pacing()
  for (let nowMs = 0; nowMs < 10; nowMs++) {
    pacing.onSent(10_000_000, nowMs)
    pacing.onAcked(nowMs)
  }
  t.ok(pacing.windowBytes() <= MAX_BULK_WINDOW_BYTES)
  t.ok(pacing.windowBytes() >= MAX_BULK_QUEUE_BYTES)
})

void test('an old measurement is forgotten', (t) => {
  const pacing = new Pacing()
  pacing.onSent(1_000_000, 0)
  pacing.onAcked(1)
  const before = pacing.windowBytes()
  pacing.onSent(1_000, 20_000)
  pacing.onAcked(21_000)
  t.ok(pacing.windowBytes() < before)
})
