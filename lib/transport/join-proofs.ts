// What each end of `aspen/join` proves to the other, bound to the Noise handshake between them, so
// that it is worth nothing on any other connection.

import { keyedHash, namespace } from '../crypto.ts'

const SPONSOR_NAMESPACE = namespace('join/sponsor/1')
const REQUEST_NAMESPACE = namespace('join/request/1')

/**
 * The member belongs to the cluster of the invite: BLAKE2b-256 with the invite's proof key over
 * namespace ‖ handshake hash ‖ the member's public key.
 */
export function sponsorProof(
  proofKey: Uint8Array,
  handshakeHash: Uint8Array,
  memberKey: Uint8Array
): Uint8Array {
  return keyedHash(proofKey, SPONSOR_NAMESPACE, handshakeHash, memberKey)
}

/** What the joiner signs with its node key: namespace ‖ handshake hash ‖ cluster id ‖ node key. */
export function joinStatement(
  handshakeHash: Uint8Array,
  clusterId: Uint8Array,
  nodeKey: Uint8Array
): Uint8Array {
  const parts = [REQUEST_NAMESPACE, handshakeHash, clusterId, nodeKey]
  const statement = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let offset = 0
  for (const part of parts) {
    statement.set(part, offset)
    offset += part.byteLength
  }
  return statement
}
