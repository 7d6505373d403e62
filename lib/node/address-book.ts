// Where members were last reached, kept across restarts: with it a cluster that restarts as a whole
// finds itself again without any DHT. Hints only; a lost or damaged file costs time, nothing else.

import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Address } from '../address.ts'
import { formatAddress, parseAddress } from '../address.ts'
import { PUBLIC_KEY_BYTES } from '../crypto.ts'
import { bytesFromHex, hexOf } from '../encoding.ts'
import { StorageError } from '../errors.ts'
import { MAX_MEMBER_ADDRESSES, MAX_PEERS } from '../limits.ts'
import type { DataDirectory } from './data-directory.ts'

const BookJson = Type.Record(Type.String(), Type.Array(Type.String()))

export class AddressBook {
  readonly #directory: Pick<DataDirectory, 'readJson' | 'writeHint'>
  /** by hex of the public key, newest first; least recently reached member first in order */
  readonly #addresses = new Map<string, readonly Address[]>()

  constructor(directory: Pick<DataDirectory, 'readJson' | 'writeHint'>) {
    this.#directory = directory
    const json = directory.readJson('peers.json')
    if (!Value.Check(BookJson, json)) return
    for (const [key, texts] of Object.entries(json).slice(-MAX_PEERS)) {
      if (bytesFromHex(key, PUBLIC_KEY_BYTES) === null) continue
      const addresses = texts.map(parseAddress).filter((address) => address !== null)
      this.#addresses.set(key, addresses.slice(0, MAX_MEMBER_ADDRESSES))
    }
  }

  get addresses(): ReadonlyMap<string, readonly Address[]> {
    return this.#addresses
  }

  /** A link to the member was up at this address. */
  remember(publicKey: Uint8Array, address: Address): void {
    const key = hexOf(publicKey)
    const text = formatAddress(address)
    const known = this.#addresses.get(key) ?? []
    const others = known.filter((one) => formatAddress(one) !== text)
    const isKnown = known[0] !== undefined && formatAddress(known[0]) === text
    this.#addresses.delete(key)
    this.#addresses.set(key, [address, ...others].slice(0, MAX_MEMBER_ADDRESSES))
    const [oldest] = this.#addresses.keys()
    if (this.#addresses.size > MAX_PEERS && oldest !== undefined) this.#addresses.delete(oldest)
    if (!isKnown) this.#save()
  }

  #save(): void {
    const json: Record<string, string[]> = {}
    for (const [key, addresses] of this.#addresses) json[key] = addresses.map(formatAddress)
    try {
      this.#directory.writeHint('peers.json', json)
    } catch (error) {
      // a disk that takes no hints will say so to the log
      if (!(error instanceof StorageError)) throw error
    }
  }
}
