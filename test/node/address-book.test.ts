// Where members were last reached: bounded, and never worth an error.

import test from 'brittle'
import { hexOf } from '../../lib/encoding.ts'
import { StorageError } from '../../lib/errors.ts'
import { MAX_MEMBER_ADDRESSES, MAX_PEERS } from '../../lib/limits.ts'
import { AddressBook } from '../../lib/node/address-book.ts'

/** A directory that holds one file. */
function shelf(content: unknown = null) {
  const state = { content, writeCount: 0 }
  const readJson = (): unknown => state.content
  const writeHint = (_name: string, value: object): void => {
    state.content = JSON.parse(JSON.stringify(value))
    state.writeCount++
  }
  return { state, readJson, writeHint }
}

function keyOf(number: number): Uint8Array {
  const key = new Uint8Array(32)
  new DataView(key.buffer).setUint32(28, number)
  return key
}

const addressOf = (port: number) => ({ host: '10.0.0.1', port })

test('the newest address comes first, none twice, and all of it survives a restart', (t) => {
  const disk = shelf()
  const book = new AddressBook(disk)
  const key = keyOf(1)
  for (const port of [1, 2, 1, 3]) book.remember(key, addressOf(port))
  const expected = [3, 1, 2].map(addressOf)
  t.alike(book.addresses.get(hexOf(key)), expected)
  t.alike(new AddressBook(disk).addresses.get(hexOf(key)), expected)
})

test('the same address again writes nothing', (t) => {
  const disk = shelf()
  const book = new AddressBook(disk)
  book.remember(keyOf(1), addressOf(1))
  book.remember(keyOf(1), addressOf(1))
  t.is(disk.state.writeCount, 1)
})

test('addresses and members are bounded; who was reached longest ago goes', (t) => {
  const book = new AddressBook(shelf())
  for (let port = 1; port <= MAX_MEMBER_ADDRESSES + 1; port++)
    book.remember(keyOf(0), addressOf(port))
  t.is(book.addresses.get(hexOf(keyOf(0)))?.length, MAX_MEMBER_ADDRESSES)
  for (let member = 1; member < MAX_PEERS; member++) book.remember(keyOf(member), addressOf(1))
  // reached again, at the same address
  book.remember(keyOf(0), addressOf(MAX_MEMBER_ADDRESSES + 1))
  book.remember(keyOf(MAX_PEERS), addressOf(1))
  t.is(book.addresses.size, MAX_PEERS)
  t.ok(book.addresses.has(hexOf(keyOf(0))))
  t.absent(book.addresses.has(hexOf(keyOf(1))))
})

test('a file beyond the bounds is cut, a damaged one is no file', (t) => {
  const large: Record<string, string[]> = {}
  for (let member = 0; member < MAX_PEERS + 10; member++) {
    large[hexOf(keyOf(member))] = Array.from({ length: 20 }, (_, at) => `10.0.0.1:${at + 1}`)
  }
  const book = new AddressBook(shelf(large))
  t.is(book.addresses.size, MAX_PEERS)
  t.absent([...book.addresses.values()].some((list) => list.length > MAX_MEMBER_ADDRESSES))
  for (const damaged of [null, [], 'x', { short: ['10.0.0.1:1'] }, { [hexOf(keyOf(1))]: 'x' }]) {
    t.is(new AddressBook(shelf(damaged)).addresses.size, 0)
  }
  const odd = new AddressBook(shelf({ [hexOf(keyOf(1))]: ['nonsense', '10.0.0.1:1'] }))
  t.alike(odd.addresses.get(hexOf(keyOf(1))), [addressOf(1)])
})

test('a disk that takes no hints does not matter', (t) => {
  const disk = shelf()
  disk.writeHint = () => {
    throw new StorageError({ code: 'NO_SPACE', message: 'planted' })
  }
  const book = new AddressBook(disk)
  book.remember(keyOf(1), addressOf(1))
  t.alike(book.addresses.get(hexOf(keyOf(1))), [addressOf(1)])
})
