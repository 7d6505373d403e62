// The key in the path of `/kv/{key}`. It is any bytes, percent-encoded; a router takes paths for text and would
// refuse what is not UTF-8. So the router sees the same path for every key, and the key is read from the
// path as it was sent.

import { refusal } from './error-body.ts'

/** The path by which the router knows the routes of one key. */
export const KEY_ROUTE = '/kv/{key}'

const KEY_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])
const OPERATIONS: ReadonlySet<string> = new Set(['read', 'write', 'delete', 'scan'])
/** What stands before the key, the key, and the query; the first may name a host, which the guard looks at. */
const KEY_URL = /^((?:[Hh][Tt]{2}[Pp][Ss]?:\/\/[^/?#]*)?\/kv\/)([^?#]*)(.*)$/s

/**
 * The paths of the operations are no keys, whatever the method: who puts to `/kv/write` means something else than
 * a key of that name. Such a key is written with one of its letters encoded, `/kv/%77rite`.
 */
export function rewrittenUrl(method: string, url: string): string {
  const parts = KEY_METHODS.has(method) ? KEY_URL.exec(url) : null
  return parts === null || OPERATIONS.has(parts[2] ?? '')
    ? url
    : `${parts[1]?.slice(0, -'/kv/'.length)}${KEY_ROUTE}${parts[3]}`
}

/** The part of the path as it was sent that is the key. */
export function encodedKeyOf(originalUrl: string): string {
  return KEY_URL.exec(originalUrl)?.[2] ?? ''
}

/**
 * The bytes of a key in a path. `/` stands for itself, encoded or not.
 * @throws AspenError INVALID_REQUEST
 */
export function keyFromPath(encoded: string): Uint8Array {
  const bytes = new Uint8Array(encoded.length)
  let count = 0
  for (let at = 0; at < encoded.length; at++) {
    const code = encoded.charCodeAt(at)
    if (code === PERCENT) {
      const hex = encoded.slice(at + 1, at + 3)
      if (!/^[0-9a-f]{2}$/i.test(hex)) {
        throw refusal('INVALID_REQUEST', 'a % in a key begins two hex digits; itself it is %25')
      }
      bytes[count++] = Number.parseInt(hex, 16)
      at += 2
    } else {
      if (code <= SPACE || code >= DELETE) {
        throw refusal('INVALID_REQUEST', 'a path is ASCII; encode other bytes with %')
      }
      bytes[count++] = code
    }
  }
  if (count > 0) return bytes.subarray(0, count)
  throw refusal(
    'INVALID_REQUEST',
    'a key has at least one byte',
    'GET /kv?prefix= gives keys and values'
  )
}

const PERCENT = 0x25
const SPACE = 0x20
const DELETE = 0x7f
