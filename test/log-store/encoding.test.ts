// The bytes of format 1, against its golden file, and what the decoders refuse.

import { readFileSync } from 'node:fs'
import test from 'brittle'
import { hash } from '../../lib/crypto.ts'
import { bytesOf, hexOf } from '../../lib/encoding.ts'
import type { LogBase, LogState } from '../../lib/log-store/encoding.ts'
import {
  decodeBaseConfiguration,
  decodeEntry,
  decodeState,
  encodeBaseConfiguration,
  encodeEntry,
  encodeState,
  indexKey,
  indexOfKey,
  indexOfRecord,
  STATE_BYTES
} from '../../lib/log-store/encoding.ts'
import type { IndexedConfiguration } from '../../lib/raft/configurations.ts'
import { chained, ENTRY_KIND, genesis } from '../../lib/raft/entry.ts'

const GENESIS = genesis(new Uint8Array(16).fill(1))
const FIRST = chained(
  { ...GENESIS, index: 2 ** 33 },
  {
    term: 2 ** 40 + 7,
    kind: ENTRY_KIND.control,
    timeMs: 1_700_000_000_123,
    payload: bytesOf('aspen')
  }
)
const CONFIGURATION: IndexedConfiguration = {
  index: 2 ** 32 + 5,
  configuration: {
    members: [
      {
        id: 9,
        publicKey: new Uint8Array(32).fill(4),
        role: 'voter',
        addresses: [{ host: '10.0.0.1', port: 4_000 }]
      }
    ],
    outgoing: []
  }
}
const BASE: LogBase = {
  id: { index: 2 ** 33 - 2, term: 2 ** 40 + 6, hash: new Uint8Array(32).fill(6) },
  timeMs: 1_700_000_000_007,
  stateBase: 2 ** 32 + 9,
  // in a record of its own
  configuration: null
}
const STATE: LogState = {
  sequence: 5,
  boot: 3,
  storageEpoch: new Uint8Array(16).fill(2),
  genesisHash: GENESIS.hash,
  base: BASE,
  last: { index: FIRST.index, term: FIRST.term, hash: FIRST.hash },
  hardState: { term: 2 ** 40 + 8, votedFor: 9, commitIndex: 2 ** 33 - 1 }
}

const BASE_RECORD = encodeBaseConfiguration({ ...BASE, configuration: CONFIGURATION })

test('the records of format 1 have the bytes of its golden file', (t) => {
  const golden: unknown = JSON.parse(readFileSync('test/golden/log-store-1.json', 'utf8'))
  t.alike(
    {
      index_key: hexOf(indexKey(FIRST.index)),
      entry_record: hexOf(encodeEntry(FIRST, GENESIS.hash)),
      state_record: hexOf(encodeState(STATE)),
      base_configuration_record: hexOf(BASE_RECORD)
    },
    golden
  )
})

test('records come back as they were', (t) => {
  const record = encodeEntry(FIRST, GENESIS.hash)
  t.alike(decodeEntry(record, FIRST.index), { entry: FIRST, previousHash: GENESIS.hash })
  for (const hardState of [null, STATE.hardState, { term: 1, votedFor: null, commitIndex: 0 }]) {
    const state = { ...STATE, hardState }
    t.alike(decodeState(encodeState(state)), { kind: 'good', state })
  }
})

test('the configuration at the base comes back with the base that it belongs to', (t) => {
  const baseIndex = BASE.id.index
  const good = { kind: 'good', baseIndex, configuration: CONFIGURATION } as const
  t.alike(decodeBaseConfiguration(BASE_RECORD), good)
  const without = decodeBaseConfiguration(encodeBaseConfiguration(BASE))
  t.alike(without, { kind: 'good', baseIndex, configuration: null })
  t.alike(decodeBaseConfiguration(undefined), { kind: 'missing' })
  const kinds = new Set<string>()
  for (const changed of flipsOf(BASE_RECORD)) kinds.add(decodeBaseConfiguration(changed).kind)
  for (let size = 0; size < BASE_RECORD.length; size++) {
    kinds.add(decodeBaseConfiguration(BASE_RECORD.slice(0, size)).kind)
  }
  t.alike([...kinds], ['damaged'])
})

test('a record in the place of another one still says whose it is', (t) => {
  const record = encodeEntry(FIRST, GENESIS.hash)
  t.is(indexOfRecord(record), FIRST.index)
  t.is(indexOfKey(indexKey(FIRST.index)), FIRST.index)
  record[92] = 0
  t.absent(indexOfRecord(record))
  t.is(indexOfRecord(record.subarray(0, 50)), null)
})

test('keys sort as their indexes do', (t) => {
  const indexes = [0, 1, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 42]
  const keys = indexes.map((index) => hexOf(indexKey(index)))
  t.alike(keys, keys.toSorted())
})

test('a record with any bit changed, cut short or under another index is refused', (t) => {
  const record = encodeEntry(FIRST, GENESIS.hash)
  t.is(decodeEntry(record, FIRST.index + 1), null)
  let accepted = 0
  for (const changed of flipsOf(record)) if (decodeEntry(changed, FIRST.index) !== null) accepted++
  for (let size = 0; size < record.length; size++) {
    if (decodeEntry(record.slice(0, size), FIRST.index) !== null) accepted++
  }
  t.is(accepted, 0)
})

test('a state with any bit changed or cut short is damaged, and a missing one is missing', (t) => {
  const record = encodeState(STATE)
  t.is(record.byteLength, STATE_BYTES)
  const kinds = new Set<string>()
  for (const changed of flipsOf(record)) kinds.add(decodeState(changed).kind)
  for (let size = 0; size < record.length; size++) {
    kinds.add(decodeState(record.slice(0, size)).kind)
  }
  t.alike([...kinds], ['damaged'])
  t.alike(decodeState(undefined), { kind: 'missing' })
})

test('a state that is whole but not of this format says so', (t) => {
  t.alike(decodeState(sealed(record(2))), { kind: 'newer', format: 2 })
  t.alike(decodeState(sealed(Uint8Array.of(200))), { kind: 'newer', format: 200 })
  t.alike(decodeState(sealed(record(0))), { kind: 'damaged' })
  t.alike(decodeState(sealed(Uint8Array.of(1))), { kind: 'damaged' })

  function record(format: number): Uint8Array {
    const body = encodeState(STATE).slice(0, -32)
    body[0] = format
    return body
  }
})

/** With its checksum. */
function sealed(body: Uint8Array): Uint8Array {
  const record = new Uint8Array(body.byteLength + 32)
  record.set(body)
  record.set(hash(body), body.byteLength)
  return record
}

function* flipsOf(record: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < record.length * 8; bit++) {
    const changed = record.slice()
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    yield changed
  }
}
