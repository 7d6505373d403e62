// Bytes on `aspen/snapshot`: what was written once is read for ever, what is malformed is refused.

import { readFileSync } from 'node:fs'
import test from 'brittle'
import fc from 'fast-check'
import { present } from '../../lib/assert.ts'
import { hash } from '../../lib/crypto.ts'
import { bytesFromHex, bytesOf, decode, encode, hexOf, isRecord } from '../../lib/encoding.ts'
import { ProtocolError } from '../../lib/errors.ts'
import { MAX_INDEX, MAX_MANIFEST_PAGE, MAX_SNAPSHOT_CHUNKS, MAX_TERM } from '../../lib/limits.ts'
import { MAX_TIME_MS, SNAPSHOT_CHUNK_BYTES } from '../../lib/limits.ts'
import type { SnapshotAnswer, SnapshotRequest } from '../../lib/replica/encoding.ts'
import type { SnapshotInfo } from '../../lib/state-machine/state-machine.ts'
import { snapshotAnswer, snapshotRequest } from '../../lib/replica/encoding.ts'

const SEED = Number(process.env['ASPEN_SEED'] ?? Date.now() % 1_000_000)

const A = hash(bytesOf('a'))
const B = hash(bytesOf('b'))

const INFO: SnapshotInfo = {
  index: 70_000,
  term: 9,
  chainHash: A,
  contentHash: B,
  byteCount: 300_000,
  chunkCount: 5
}

const REQUESTS: Readonly<Record<string, SnapshotRequest>> = {
  offer: { kind: 'offer', term: 12, snapshot: INFO },
  manifest: { kind: 'manifest', index: 70_000, contentHash: B, from: MAX_MANIFEST_PAGE },
  chunk: { kind: 'chunk', index: 70_000, contentHash: B, position: 300 },
  entry: { kind: 'entry', index: 5, hash: A },
  verdict: { kind: 'verdict', index: 5, hash: A },
  digest: { kind: 'digest', index: 300 },
  newest: { kind: 'newest', index: 300 }
}

const ANSWERS: Readonly<Record<string, SnapshotAnswer>> = {
  noted: { kind: 'noted' },
  notHere: { kind: 'notHere' },
  busy: { kind: 'busy' },
  manifestPage: { kind: 'manifest', bytes: new Uint8Array([...A, ...B]) },
  chunkBytes: { kind: 'chunk', bytes: bytesOf('some of a snapshot') },
  entryFound: {
    kind: 'entry',
    entry: { previousHash: B, term: 3, kind: 2, timeMs: 1_767_225_600_000, payload: A }
  },
  neverCommitted: { kind: 'neverCommitted', term: 300 },
  digestSaid: { kind: 'digest', contentHash: B },
  snapshotSaid: { kind: 'snapshot', snapshot: INFO }
}

/** Tests run from the root of the repository. */
function golden(): ReadonlyMap<string, string> {
  const parsed: unknown = JSON.parse(readFileSync('test/golden/replica-1.json', 'utf8'))
  if (!isRecord(parsed)) throw new Error('the file holds one object')
  return new Map(Object.entries(parsed).map(([name, hex]) => [name, String(hex)]))
}

function bytesOfHex(hex: string): Uint8Array {
  return present(bytesFromHex(hex, hex.length / 2), 'hex')
}

/** As `fc.record`, but of objects like any others. */
function plainRecord<T extends object>(fields: { [Name in keyof T]: fc.Arbitrary<T[Name]> }) {
  return fc.record<T>(fields, { noNullPrototype: true })
}

function isRefused(decodeIt: () => unknown): boolean {
  try {
    decodeIt()
    return false
  } catch (error) {
    if (error instanceof ProtocolError) return true
    throw error
  }
}

void test('the golden bytes of format 1 are written and read', (t) => {
  const known = golden()
  for (const [name, request] of Object.entries(REQUESTS)) {
    t.is(hexOf(encode(snapshotRequest, request)), known.get(name), name)
    t.alike(decode(snapshotRequest, bytesOfHex(known.get(name) ?? '')), request, name)
  }
  for (const [name, answer] of Object.entries(ANSWERS)) {
    t.is(hexOf(encode(snapshotAnswer, answer)), known.get(name), name)
    t.alike(decode(snapshotAnswer, bytesOfHex(known.get(name) ?? '')), answer, name)
  }
  t.is(known.size, Object.keys(REQUESTS).length + Object.keys(ANSWERS).length, 'nothing else')
})

void test('what is written is read again', (t) => {
  t.comment(`ASPEN_SEED=${SEED}`)
  const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
  const hashed = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const index = fc.integer({ min: 1, max: MAX_INDEX })
  const term = fc.integer({ min: 0, max: MAX_TERM })
  const position = fc.integer({ min: 0, max: MAX_SNAPSHOT_CHUNKS - 1 })
  const byteCount = fc.integer({ min: 1, max: MAX_SNAPSHOT_CHUNKS * SNAPSHOT_CHUNK_BYTES })
  const snapshot = plainRecord({
    index,
    term,
    chainHash: hashed,
    contentHash: hashed,
    byteCount
  }).map((each) => ({ ...each, chunkCount: Math.ceil(each.byteCount / SNAPSHOT_CHUNK_BYTES) }))
  const request: fc.Arbitrary<SnapshotRequest> = fc.oneof(
    plainRecord({ kind: fc.constant('offer' as const), term, snapshot }),
    plainRecord({
      kind: fc.constant('manifest' as const),
      index,
      contentHash: hashed,
      from: position
    }),
    plainRecord({ kind: fc.constant('chunk' as const), index, contentHash: hashed, position }),
    plainRecord({
      kind: fc.constantFrom('entry' as const, 'verdict' as const),
      index,
      hash: hashed
    })
  )
  const entry = plainRecord({
    previousHash: hashed,
    term,
    kind: fc.integer({ min: 0, max: 255 }),
    timeMs: fc.integer({ min: 0, max: MAX_TIME_MS }),
    payload: bytes(100)
  })
  const answer: fc.Arbitrary<SnapshotAnswer> = fc.oneof(
    plainRecord({
      kind: fc.constantFrom('manifest' as const, 'chunk' as const),
      bytes: bytes(200)
    }),
    plainRecord({ kind: fc.constant('entry' as const), entry })
  )
  fc.assert(
    fc.property(request, answer, (asked, answered) => {
      t.alike(decode(snapshotRequest, encode(snapshotRequest, asked)), asked)
      t.alike(decode(snapshotAnswer, encode(snapshotAnswer, answered)), answered)
    }),
    { seed: SEED, numRuns: 300 }
  )
})

void test('any bytes are read or refused, and nothing is left over', (t) => {
  t.comment(`ASPEN_SEED=${SEED}`)
  const all = [
    ...Object.values(REQUESTS).map((each) => encode(snapshotRequest, each)),
    ...Object.values(ANSWERS).map((each) => encode(snapshotAnswer, each))
  ]
  let refusedCount = 0
  const mutated = fc
    .tuple(fc.constantFrom(...all), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(40))
    .map(([bytes, at, byte, cut]) => {
      const copy = bytes.slice(0, cut < 10 ? bytes.byteLength - cut : bytes.byteLength)
      copy[at % Math.max(1, copy.byteLength)] = byte
      return copy
    })
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 100 })), (bytes) => {
      for (const encoding of [snapshotRequest, snapshotAnswer]) {
        if (isRefused(() => decode<unknown>(encoding, bytes))) refusedCount++
      }
    }),
    { seed: SEED, numRuns: 3_000 }
  )
  t.ok(refusedCount > 3_000)
  for (const bytes of all) {
    const longer = new Uint8Array([...bytes, 0])
    t.ok(
      isRefused(() => decode(snapshotRequest, longer)) &&
        isRefused(() => decode(snapshotAnswer, longer))
    )
  }
})

void test('offers of snapshots that cannot be are not read', (t) => {
  const wrong: Readonly<Record<string, Partial<SnapshotInfo>>> = {
    'no chunk': { chunkCount: 0, byteCount: 0 },
    'fewer chunks than bytes': { chunkCount: 4 },
    'more chunks than bytes': { chunkCount: 6 },
    'an empty last chunk': { byteCount: 4 * SNAPSHOT_CHUNK_BYTES },
    'too many chunks': {
      chunkCount: MAX_SNAPSHOT_CHUNKS + 1,
      byteCount: (MAX_SNAPSHOT_CHUNKS + 1) * SNAPSHOT_CHUNK_BYTES
    },
    'index 0': { index: 0 }
  }
  const largest = {
    ...INFO,
    chunkCount: MAX_SNAPSHOT_CHUNKS,
    byteCount: MAX_SNAPSHOT_CHUNKS * SNAPSHOT_CHUNK_BYTES
  }
  t.alike(decode(snapshotRequest, offerOf(INFO)), REQUESTS['offer'])
  t.absent(isRefused(() => decode(snapshotRequest, offerOf(largest))))
  for (const [name, fields] of Object.entries(wrong)) {
    t.ok(
      isRefused(() => decode(snapshotRequest, offerOf({ ...INFO, ...fields }))),
      name
    )
  }
})

void test('answers longer than a member would send are not read', (t) => {
  const largest = { kind: 'chunk', bytes: new Uint8Array(SNAPSHOT_CHUNK_BYTES) } as const
  const bytes = encode(snapshotAnswer, largest)
  t.alike(decode(snapshotAnswer, bytes), largest)
  const view = new DataView(bytes.buffer)
  t.is(view.getUint32(3, true), SNAPSHOT_CHUNK_BYTES)
  const longer = new Uint8Array(bytes.byteLength + 1)
  longer.set(bytes)
  new DataView(longer.buffer).setUint32(3, SNAPSHOT_CHUNK_BYTES + 1, true)
  t.ok(isRefused(() => decode(snapshotAnswer, longer)))
  const page = { kind: 'manifest', bytes: new Uint8Array(32 * MAX_MANIFEST_PAGE) } as const
  t.absent(isRefused(() => decode(snapshotAnswer, encode(snapshotAnswer, page))))
})

/** An offer in bytes, also of what nobody here would encode. */
function offerOf({ index, term, chainHash, contentHash, byteCount, chunkCount }: SnapshotInfo) {
  const hashes = [...chainHash, ...contentHash]
  const numbers = [...uint(byteCount), ...uint(chunkCount)]
  return new Uint8Array([1, 1, ...uint(12), ...uint(index), ...uint(term), ...hashes, ...numbers])
}

function uint(value: number): Uint8Array {
  if (value < 0xfd) return new Uint8Array([value])
  const bytes = new Uint8Array(9)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(1, BigInt(value), true)
  bytes[0] = 0xff
  if (value > 0xffff_ffff) return bytes
  bytes[0] = 0xfe
  return bytes.subarray(0, 5)
}
