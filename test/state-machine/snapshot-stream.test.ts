// The bytes of a snapshot: golden, in pieces of any size, and hostile ones.

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import test from 'brittle'
import { encode, hexOf } from '../../lib/encoding.ts'
import { ProtocolError } from '../../lib/errors.ts'
import {
  SNAPSHOT_MAGIC,
  snapshotRecordEncoding,
  withoutSecrets
} from '../../lib/state-machine/snapshot-encoding.ts'
import type { SnapshotRecord } from '../../lib/state-machine/snapshot-encoding.ts'
import { decodeManifest, encodeManifest } from '../../lib/state-machine/snapshot-files.ts'
import { keptOf, SnapshotReader, SnapshotWriter } from '../../lib/state-machine/snapshot-stream.ts'
import { asBytes, key32 } from './samples.ts'

const GOLDEN = 'test/golden/snapshot-2.json'

type Item = Exclude<SnapshotRecord, { kind: 'end' }>

const ROW = { supersededRevision: 0, supersededOrdinal: 0, createRevision: 5, version: 1 }

/** One or two records of each kind. */
const RECORDS: readonly Item[] = [
  {
    kind: 'head',
    genesisHash: key32(1),
    applied: {
      index: 70_000,
      term: 3,
      hash: key32(2),
      timeMs: 1_700_000_000_000,
      configuration: {
        members: [{ id: 1, publicKey: key32(3), role: 'voter', addresses: [] }],
        outgoing: []
      },
      configurationIndex: 1,
      stateHash: key32(4),
      liveCount: 2,
      liveBytes: 5,
      votersChangedMs: 1_699_999_999_000,
      compactedRevision: 5,
      featureLevel: 1
    },
    epoch: 1,
    nextNodeId: 3,
    forgottenIndex: 9
  },
  {
    kind: 'node',
    node: {
      id: 1,
      publicKey: key32(3),
      name: 'alpha',
      version: '0.1.0',
      addresses: [{ host: '10.0.0.1', port: 4_000 }],
      role: 'voter',
      epoch: 1,
      sealedSecret: new Uint8Array(80).fill(0xee),
      invitePublicKey: key32(0xdd),
      admittedIndex: 2
    }
  },
  {
    kind: 'removed',
    removed: { id: 2, publicKey: key32(8), atMs: 1_699_999_999_000 }
  },
  {
    kind: 'invite',
    invite: {
      publicKey: key32(0xdd),
      proofKey: key32(0xcc),
      topic: key32(0xbb),
      role: 'learner',
      createdBy: 1,
      createdIndex: 3,
      createdMs: 1_700_000_000_000,
      expiresMs: 1_700_000_060_000,
      uses: 2,
      usesLeft: 0,
      closed: { reason: 'usedUp', atMs: 1_700_000_000_009 }
    }
  },
  {
    kind: 'session',
    session: {
      clientId: new Uint8Array(16).fill(0xaa),
      bornIndex: 4,
      usedIndex: 6,
      usedMs: 1_700_000_000_000,
      lowWater: 1,
      results: new Map([[1, Uint8Array.of(0)]])
    }
  },
  { kind: 'row', ...ROW, revision: 5, ordinal: 0, key: asBytes('a'), value: asBytes('1') },
  { kind: 'row', ...ROW, revision: 5, ordinal: 2, key: asBytes('b'), value: asBytes('') },
  {
    kind: 'row',
    revision: 6,
    ordinal: 0,
    supersededRevision: 5,
    supersededOrdinal: 0,
    createRevision: 5,
    version: 0,
    key: asBytes('a'),
    value: null
  },
  {
    kind: 'row',
    ...ROW,
    revision: 70_000,
    ordinal: 999,
    createRevision: 70_000,
    key: asBytes('ab'),
    value: asBytes('2')
  },
  {
    kind: 'key',
    key: asBytes('ab'),
    revision: 70_000,
    ordinal: 999,
    createRevision: 70_000,
    version: 1,
    valueBytes: 1,
    hash: key32(6)
  },
  {
    kind: 'key',
    key: asBytes('b'),
    revision: 5,
    ordinal: 2,
    createRevision: 5,
    version: 1,
    valueBytes: 0,
    hash: key32(7)
  }
]

test('format 2 of the stream, and the manifest, are what the golden file says', (t) => {
  const { stream, ...totals } = written(RECORDS)
  const { contentHash, byteCount, chunkCount, manifest } = totals
  const info = { index: 70_000, term: 3, chainHash: key32(2), contentHash, byteCount, chunkCount }
  const file = encodeManifest({ info, manifest })
  const golden: unknown = JSON.parse(readFileSync(GOLDEN, 'utf8'))
  t.alike({ stream: hexOf(stream), manifest: hexOf(file) }, golden)
  t.alike(decodeManifest(file), { info, manifest })
})

test('a stream is read in pieces of any size', (t) => {
  const { stream } = written([...RECORDS.slice(0, 8), big(60_000), ...RECORDS.slice(8)])
  const whole = shown(read([stream]))
  t.is(shown(read([stream])).length, RECORDS.length + 2)
  for (const size of [1, 2, 3, 5, 7, 64, 1_000, 65_536]) {
    const pieces: Uint8Array[] = []
    for (let at = 0; at < stream.byteLength; at += size) pieces.push(stream.slice(at, at + size))
    t.alike(shown(read(pieces)), whole, `pieces of ${size}`)
  }
})

test('a backup has nothing with which anybody could come into the cluster', (t) => {
  const kept = RECORDS.map((each) => (each.kind === 'head' ? each : withoutSecrets(each))).filter(
    (each): each is Item => each !== null
  )
  const { stream } = written(kept)
  t.alike(
    kept.map((each) => each.kind),
    ['head', 'node', 'removed', 'row', 'row', 'row', 'row', 'key', 'key']
  )
  const text = hexOf(stream)
  for (const secret of [
    'ee'.repeat(80),
    'dd'.repeat(32),
    'cc'.repeat(32),
    'bb'.repeat(32),
    'aa'.repeat(16)
  ])
    t.absent(text.includes(secret), `${secret.slice(0, 2)}…`)
  t.alike(shown(read([stream])).length, kept.length + 1)
})

test('two snapshots of what is applied are kept, and the newest of what is not, whatever comes', (t) => {
  const kept = (indexes: readonly number[], appliedIndex: number): readonly number[] => {
    const snapshots = indexes.map((index) => ({ info: { index, contentHash: key32(index) } }))
    return keptOf(snapshots, appliedIndex).map(({ info }) => info.index)
  }
  t.alike(kept([10, 30, 20], 30), [30, 20])
  t.alike(kept([10, 20, 40, 50], 20), [50, 20, 10], 'fetched ones displace none of its own')
  t.alike(kept([10, 20, 50], 50), [50, 20], 'until they are adopted')
  t.alike(kept([40], 0), [40])
})

test('records in another order, twice, too few or too many are refused', (t) => {
  const [head, node, removed, invite, session, first, second, tombstone, last, ab, b] =
    RECORDS.map(bytesOfRecord)
  const state = [head, node, removed, invite, session]
  const counts = { nodes: 1, removed: 1, invites: 1, sessions: 1, rows: 4, keys: 2 }
  const end = bytesOfRecord({ kind: 'end', ...counts })
  const good = [...state, first, second, tombstone, last, ab, b, end]
  t.ok(isGood(good))
  for (const [what, records] of Object.entries({
    'no head': good.slice(1),
    'no end': good.slice(0, -1),
    'two heads': [head, ...good],
    'something behind the end': [...good, end],
    'rows the other way round': good.with(5, second).with(6, first),
    'a row twice': [...state, first, first, second, tombstone, last, ab, b, end],
    'keys the other way round': good.with(9, b).with(10, ab),
    'a key too few': [...good.slice(0, 10), end],
    'an invite after a row': good.with(3, first).with(5, invite),
    'a node too few': [head, ...good.slice(2)],
    'a removed node too few': [head, node, ...good.slice(3)],
    'a removed node twice': [head, node, removed, ...good.slice(2)]
  }))
    t.absent(isGood(records), what)
})

test('rows that cannot be are refused', (t) => {
  const rest = {
    kind: 'row',
    ...ROW,
    revision: 5,
    ordinal: 0,
    key: asBytes('k'),
    value: asBytes('')
  } as const
  const end = {
    kind: 'end',
    nodes: 1,
    removed: 1,
    invites: 1,
    sessions: 1,
    rows: 1,
    keys: 2
  } as const
  const withRow = (change: Partial<Extract<Item, { kind: 'row' }>>): boolean =>
    isGood(
      [...RECORDS.slice(0, 5), { ...rest, ...change }, ...RECORDS.slice(9), end].map(bytesOfRecord)
    )
  t.ok(withRow({}))
  t.ok(withRow({ revision: 6, supersededRevision: 5, value: null }))
  for (const [what, change] of Object.entries({
    'of the future': { revision: 70_001 },
    'of no revision': { revision: 0, createRevision: 0 },
    'without key': { key: new Uint8Array(0) },
    'made after it was changed': { createRevision: 7 },
    'superseding a later one': { revision: 6, supersededRevision: 6, supersededOrdinal: 1 },
    'superseding what is forgotten': { supersededRevision: 1 },
    'a tombstone that is forgotten': { value: null }
  }))
    t.absent(withRow(change), what)
})

test('any bytes are read or refused, and nothing else happens', (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
  t.comment(`SEED=${seed}`)
  const { stream } = written(RECORDS)
  const change = fc.record({ at: fc.nat(stream.byteLength - 1), to: fc.nat(255) })
  const hostile = fc.oneof(
    fc
      .tuple(fc.array(change, { maxLength: 4 }), fc.nat(stream.byteLength))
      .map(([changes, end]) => {
        const bytes = stream.slice(0, end < stream.byteLength / 2 ? end : undefined)
        for (const { at, to } of changes) if (at < bytes.byteLength) bytes[at] = to
        return bytes
      }),
    fc.uint8Array({ maxLength: 200 }).map((rest) => Uint8Array.of(...SNAPSHOT_MAGIC, ...rest))
  )
  fc.assert(
    fc.property(hostile, (bytes) => {
      try {
        for (const each of read([bytes])) encode(snapshotRecordEncoding, each)
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error
      }
    }),
    { seed, numRuns: process.env['ASPEN_FULL'] === '1' ? 100_000 : 3_000 }
  )
  t.pass()
})

function written(records: readonly Item[]) {
  const chunks: Uint8Array[] = []
  const writer = new SnapshotWriter((chunk) => chunks.push(chunk.slice()))
  for (const each of records) writer.add(each)
  return { ...writer.end(), stream: new Uint8Array(Buffer.concat(chunks)) }
}

function read(pieces: readonly Uint8Array[]): SnapshotRecord[] {
  const reader = new SnapshotReader()
  const records: SnapshotRecord[] = []
  for (const piece of pieces) {
    // what it gives are views
    for (const each of reader.push(piece)) records.push(structuredClone(each))
  }
  reader.end()
  return records
}

function shown(records: readonly SnapshotRecord[]): readonly string[] {
  return records.map((each) => hexOf(encode(snapshotRecordEncoding, each)))
}

/** With its size in front. */
function bytesOfRecord(each: SnapshotRecord): Uint8Array {
  const body = encode(snapshotRecordEncoding, each)
  const bytes = new Uint8Array(4 + body.byteLength)
  new DataView(bytes.buffer).setUint32(0, body.byteLength, true)
  bytes.set(body, 4)
  return bytes
}

function isGood(records: readonly (Uint8Array | undefined)[]): boolean {
  const bytes = Buffer.concat([SNAPSHOT_MAGIC, ...records.filter((each) => each !== undefined)])
  try {
    read([new Uint8Array(bytes)])
    return true
  } catch (error) {
    if (error instanceof ProtocolError) return false
    throw error
  }
}

function big(revision: number): Item {
  const value = new Uint8Array(200_000).fill(9)
  return {
    kind: 'row',
    ...ROW,
    revision,
    ordinal: 1,
    createRevision: revision,
    key: asBytes('big'),
    value
  }
}
