// Keys are ordered by their bytes, unsigned, a prefix before what it begins. Pure.

import { MAX_KEY_SIZE } from '../limits.ts'

const AFTER_ALL_KEYS = new Uint8Array(MAX_KEY_SIZE + 1).fill(0xff)

/** The least bytes that are after every key with the prefix: keys are in [prefix, prefixEnd). */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  const last = prefix.findLastIndex((byte) => byte !== 0xff)
  if (last === -1) return AFTER_ALL_KEYS
  const end = prefix.slice(0, last + 1)
  end[last] = (end[last] ?? 0) + 1
  return end
}

/** The least bytes after `key`. */
export function successorOf(key: Uint8Array): Uint8Array {
  const successor = new Uint8Array(key.byteLength + 1)
  successor.set(key)
  return successor
}
