// Members that a node without a cluster knows beforehand, as text: the key, and where it was seen.

import type { Address } from '../address.ts'
import { parseAddress } from '../address.ts'
import { PUBLIC_KEY_BYTES } from '../crypto.ts'
import { bytesFromHex, hexOf } from '../encoding.ts'
import { ConfigError } from '../errors.ts'
import { MAX_MEMBER_ADDRESSES, MAX_MEMBERS } from '../limits.ts'

export interface Peer {
  readonly publicKey: Uint8Array
  /** where to try first; empty: found by its key */
  readonly addresses: readonly Address[]
}

/**
 * Peers from `KEY` or `KEY@HOST:PORT`; one key may be there with several addresses.
 * @throws ConfigError CONFIG_INVALID
 */
export function peersOf(texts: readonly string[]): readonly Peer[] {
  const peers = new Map<string, Peer>()
  for (const text of texts) {
    const { publicKey, addresses } = peerOf(text)
    const known = peers.get(hexOf(publicKey))?.addresses ?? []
    const all = [...known, ...addresses].slice(0, MAX_MEMBER_ADDRESSES)
    peers.set(hexOf(publicKey), { publicKey, addresses: all })
  }
  if (peers.size <= MAX_MEMBERS) return [...peers.values()]
  throw invalid(`at most ${MAX_MEMBERS} peers are asked, not ${peers.size}`)
}

function peerOf(text: string): Peer {
  const [key = '', place, ...rest] = text.split('@')
  const publicKey = bytesFromHex(key.toLowerCase(), PUBLIC_KEY_BYTES)
  const address = place === undefined ? null : parseAddress(place)
  if (publicKey === null || rest.length > 0 || (place !== undefined && address === null)) {
    throw invalid(`'${text}' is no peer`)
  }
  return { publicKey, addresses: address === null ? [] : [address] }
}

function invalid(message: string): ConfigError {
  return new ConfigError({
    code: 'CONFIG_INVALID',
    message,
    hint: "a peer is the key of a node, 64 hex digits, and '@' with its IPv4 address and UDP port where it is known"
  })
}
