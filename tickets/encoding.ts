// The payload of a ticket, version 1. README.md draws it; vectors.json has examples.
//
//     0         1      2            18       34        38       39
//     | version | role | cluster id | secret | expires | counts | keys, addresses, bootstrap
//     | u8 = 1  | u8   | 16 B       | 16 B   | u32     | u8     | 32 B each, 6 B each, 6 B each
//
//   role     0 voter, 1 learner, 2 client-read, 3 client-write
//   expires  seconds since the Unix epoch, little-endian
//   counts   bits 0–1 keys (1 to 3), bits 2–3 addresses, bits 4–5 bootstrap (0 to 3), bits 6–7 zero
//   address  IPv4, 4 bytes, and port, u16 little-endian; never port 0
//
// One ticket has one payload: no key and no address may come twice, nothing may follow.

import c from 'compact-encoding'
import type { Address } from '../lib/address.ts'
import { formatAddress } from '../lib/address.ts'
import { assert } from '../lib/assert.ts'
import { PUBLIC_KEY_BYTES } from '../lib/crypto.ts'
import type { Encoder, State } from '../lib/encoding.ts'
import { addressEncoding, fixedBytes, hexOf } from '../lib/encoding.ts'
import { ProtocolError } from '../lib/errors.ts'
import type { Ticket, TicketRole } from './tickets.ts'

export const TICKET_VERSION = 1
export const CLUSTER_ID_BYTES = 16
export const SECRET_BYTES = 16
/** Keys, addresses and bootstrap addresses in a ticket, of each at most. */
export const MAX_TICKET_ITEMS = 3
/** Bytes of the longest payload. */
export const MAX_TICKET_BYTES = 39 + MAX_TICKET_ITEMS * (PUBLIC_KEY_BYTES + 6 + 6)
/** The last second that the payload can name, in February 2106. */
export const MAX_TICKET_EXPIRY_SECONDS = 0xffff_ffff

/** Expects what `whyUnfit` finds nothing in, with an expiry in whole seconds. */
export const payloadEncoding: Encoder<Ticket> = {
  preencode(state, ticket) {
    state.end += 39
    state.end += ticket.memberKeys.length * PUBLIC_KEY_BYTES
    state.end += (ticket.addresses.length + ticket.bootstrap.length) * 6
  },
  encode(state, ticket) {
    const { memberKeys, addresses, bootstrap } = ticket
    c.uint8.encode(state, TICKET_VERSION)
    c.uint8.encode(state, ROLES.indexOf(ticket.role))
    clusterId.encode(state, ticket.clusterId)
    secret.encode(state, ticket.secret)
    c.uint32.encode(state, ticket.expiresMs / 1_000)
    c.uint8.encode(state, memberKeys.length | (addresses.length << 2) | (bootstrap.length << 4))
    for (const key of memberKeys) publicKey.encode(state, key)
    for (const address of addresses) addressEncoding.encode(state, address)
    for (const address of bootstrap) addressEncoding.encode(state, address)
  },
  decode(state) {
    const version = c.uint8.decode(state)
    assert(version === TICKET_VERSION, 'the version was looked at before')
    const role = ROLES[c.uint8.decode(state)]
    if (role === undefined) throw new ProtocolError('no such role')
    const fixed = {
      role,
      clusterId: clusterId.decode(state),
      secret: secret.decode(state),
      expiresMs: c.uint32.decode(state) * 1_000
    }
    const counts = c.uint8.decode(state)
    if (counts > 0b11_1111) throw new ProtocolError('bits that mean nothing are set')
    const ticket: Ticket = {
      ...fixed,
      memberKeys: repeat(state, counts & 3, publicKey),
      addresses: repeat(state, (counts >> 2) & 3, addressEncoding),
      bootstrap: repeat(state, (counts >> 4) & 3, addressEncoding)
    }
    const reason = whyUnfit(ticket)
    if (reason !== null) throw new ProtocolError(reason)
    return ticket
  }
}

/** Why the lists cannot be those of a ticket; null when they can. */
export function whyUnfit({ memberKeys, addresses, bootstrap }: Ticket): string | null {
  if (memberKeys.length === 0) return 'a ticket names a member'
  for (const list of [memberKeys, addresses, bootstrap]) {
    if (list.length > MAX_TICKET_ITEMS) return `at most ${MAX_TICKET_ITEMS} of a kind`
  }
  const areDistinct =
    isDistinct(memberKeys.map(hexOf)) &&
    isDistinct(addresses.map(formatAddress)) &&
    isDistinct(bootstrap.map(formatAddress))
  return areDistinct ? null : 'something comes twice'
}

const ROLES: readonly TicketRole[] = ['voter', 'learner', 'client-read', 'client-write']

const clusterId = fixedBytes(CLUSTER_ID_BYTES)
const secret = fixedBytes(SECRET_BYTES)
const publicKey = fixedBytes(PUBLIC_KEY_BYTES)

function repeat<T extends Uint8Array | Address>(
  state: State,
  count: number,
  item: Encoder<T>
): readonly T[] {
  return Array.from({ length: count }, () => item.decode(state))
}

function isDistinct(texts: readonly string[]): boolean {
  return new Set(texts).size === texts.length
}
