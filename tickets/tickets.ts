// Tickets: what a person copies from one machine to another so that the second becomes a member of
// the first one's cluster, or a client of it. A ticket is text, `aspen1…`: bech32m (BIP 350), whose
// checksum finds any three wrong characters, and nearly everything else that goes wrong in copying.
// It carries a secret: whoever has it may use it.
//
// Pure and alone: nothing here asks a cluster, a clock or a disk. Whether a ticket is still good is
// for the cluster to say.

import { bech32m } from '@scure/base'
import type { Address } from '../lib/address.ts'
import { formatAddress } from '../lib/address.ts'
import { assert } from '../lib/assert.ts'
import type { KeyPair } from '../lib/crypto.ts'
import { hash, keyedHash, keyPairFromSeed, namespace } from '../lib/crypto.ts'
import { decode, encode, hexOf } from '../lib/encoding.ts'
import type { ErrorCode } from '../lib/errors.ts'
import { AspenError, TicketError } from '../lib/errors.ts'
import { MAX_TICKET_LENGTH } from '../lib/limits.ts'
import {
  MAX_TICKET_BYTES,
  MAX_TICKET_EXPIRY_SECONDS,
  MAX_TICKET_ITEMS,
  payloadEncoding,
  SECRET_BYTES,
  TICKET_VERSION
} from './encoding.ts'

/** What the ticket's holder becomes. */
export type TicketRole = 'voter' | 'learner' | 'client-read' | 'client-write'

export interface Ticket {
  readonly role: TicketRole
  /** 16 bytes */
  readonly clusterId: Uint8Array
  /** 16 random bytes, from which `inviteKeysOf` derives everything else */
  readonly secret: Uint8Array
  /** when the cluster will stop taking it: ms since the Unix epoch, in whole seconds */
  readonly expiresMs: number
  /** 1 to 3 members to dial and to pin, 32 bytes each */
  readonly memberKeys: readonly Uint8Array[]
  /** where the first of them was reachable; up to 3, hints */
  readonly addresses: readonly Address[]
  /** the DHT's bootstrap nodes on a private network; up to 3, none for the public DHT */
  readonly bootstrap: readonly Address[]
}

/** What the holder of an invite's secret can do, and the cluster can check. */
export interface InviteKeys {
  /** the joiner dials with it: its public half is what the cluster knows the invite by */
  readonly keyPair: KeyPair
  /** 32 bytes; a member proves with it that it belongs to the ticket's cluster */
  readonly proofKey: Uint8Array
  /** 32 bytes; the DHT topic under which members wait for the joiner */
  readonly topic: Uint8Array
}

/**
 * The ticket as text, in lower case, never longer than MAX_TICKET_LENGTH. Of longer lists the first
 * three different items are kept; an expiry is rounded down to the second.
 */
export function encodeTicket(ticket: Ticket): string {
  const expirySeconds = Math.floor(ticket.expiresMs / 1_000)
  const fits = expirySeconds >= 0 && expirySeconds <= MAX_TICKET_EXPIRY_SECONDS
  assert(fits, 'a ticket expires before the year 2106')
  assert(ticket.memberKeys.length > 0, 'a ticket names a member')
  const payload = encode(payloadEncoding, {
    ...ticket,
    expiresMs: expirySeconds * 1_000,
    memberKeys: firstOf(ticket.memberKeys, hexOf),
    addresses: firstOf(ticket.addresses, formatAddress),
    bootstrap: firstOf(ticket.bootstrap, formatAddress)
  })
  return bech32m.encode(PREFIX, bech32m.toWords(payload), MAX_TICKET_LENGTH)
}

/**
 * The ticket in `text`, which may be in lower or in upper case and have whitespace around it.
 * Encoding the result gives the same text again.
 * @throws TicketError NOT_A_TICKET, TICKET_TOO_LONG, TICKET_DAMAGED, TICKET_NEWER
 */
export function decodeTicket(text: string): Ticket {
  const trimmed = text.trim()
  if (!trimmed.slice(0, START.length).toLowerCase().startsWith(START)) throw notATicket(trimmed)
  if (trimmed.length > MAX_TICKET_LENGTH) throw tooLong(trimmed.length)
  const payload = payloadOf(trimmed)
  const [version = 0] = payload
  if (version > TICKET_VERSION) throw newer(version)
  if (version < TICKET_VERSION) throw damaged('its content makes no sense')
  try {
    return decode(payloadEncoding, payload)
  } catch (error) {
    // without the cause: a ticket's content is a secret
    if (error instanceof AspenError) throw damaged('its content makes no sense')
    throw error
  }
}

/** Everything that follows from an invite's secret: keyed hashes of it in three namespaces. */
export function inviteKeysOf(secret: Uint8Array): InviteKeys {
  assert(secret.byteLength === SECRET_BYTES, 'an invite’s secret has 16 bytes')
  return {
    keyPair: keyPairFromSeed(keyedHash(secret, KEY_PAIR_NAMESPACE)),
    proofKey: keyedHash(secret, PROOF_NAMESPACE),
    topic: keyedHash(secret, TOPIC_NAMESPACE)
  }
}

/** The short name of an invite in lists and logs: eight hex digits of its public key's hash. */
export function inviteIdOf(publicKey: Uint8Array): string {
  return hexOf(hash(publicKey).subarray(0, 4))
}

/** The short name of the ticket's invite. It tells nothing of the secret. */
export function ticketFingerprint(ticket: Ticket): string {
  return inviteIdOf(inviteKeysOf(ticket.secret).keyPair.publicKey)
}

/**
 * What may be printed of a ticket: `aspen1…`, its last four characters, and its fingerprint. A text
 * that does not decode keeps its last four characters only; one that is too short for that, none.
 */
export function redactTicket(text: string): string {
  const trimmed = text.trim()
  const isLong = trimmed.length >= MIN_REDACTED_LENGTH
  const end = isLong ? trimmed.slice(-4) : ''
  try {
    return `${START}…${end} (${ticketFingerprint(decodeTicket(trimmed))})`
  } catch {
    return `${START}…${end}`
  }
}

/** `text` with every ticket in it redacted, also damaged ones: they still hold most of a secret. */
export function redactTickets(text: string): string {
  return text.replace(TICKETS_IN_TEXT, redactTicket)
}

const PREFIX = 'aspen'
/** The prefix and bech32's separator. */
const START = `${PREFIX}1`
/** Characters that bech32m adds to the payload's: prefix, separator, checksum. */
const FRAME_LENGTH = START.length + 6
/** Shorter texts are redacted whole. */
const MIN_REDACTED_LENGTH = 60
/** What begins like a ticket and is longer than the word in a sentence about tickets. */
const TICKETS_IN_TEXT = /aspen1[^\s"'\\…]{8,}/gi

const KEY_PAIR_NAMESPACE = namespace('invite/key-pair')
const PROOF_NAMESPACE = namespace('invite/proof')
const TOPIC_NAMESPACE = namespace('invite/topic')

/** @throws TicketError TICKET_DAMAGED */
function payloadOf(text: string): Uint8Array {
  const isOneCase = text === text.toLowerCase() || text === text.toUpperCase()
  if (!isOneCase) throw damaged('it mixes upper and lower case')
  // not the library's error: it repeats the text
  const decoded = bech32m.decodeUnsafe(text, MAX_TICKET_LENGTH)
  if (decoded === undefined) throw damaged('a character is wrong, missing or too many')
  const payload = bech32m.fromWordsUnsafe(decoded.words)
  if (decoded.prefix !== PREFIX || !(payload instanceof Uint8Array)) {
    throw damaged('a character is wrong, missing or too many')
  }
  return payload
}

/** The first three different items. */
function firstOf<T>(items: readonly T[], nameOf: (item: T) => string): readonly T[] {
  const names = items.map(nameOf)
  const different = items.filter((_, position) => names.indexOf(names[position] ?? '') === position)
  return different.slice(0, MAX_TICKET_ITEMS)
}

function refusal(code: ErrorCode, message: string, hint: string): TicketError {
  return new TicketError({ code, message, hint })
}

function notATicket(text: string): TicketError {
  const what = text === '' ? 'there is no ticket' : 'this is not a ticket'
  return refusal(
    'NOT_A_TICKET',
    `${what}: a ticket begins with ${START}`,
    'copy the whole line that `aspen create` or `aspen ticket create` printed'
  )
}

function tooLong(length: number): TicketError {
  return new TicketError({
    code: 'TICKET_TOO_LONG',
    message: `this ticket has ${length} characters; no ticket has more than ${MAX_TICKET_LENGTH}`,
    hint: 'copy it again: something else may have come with it',
    fields: { size: length, max: MAX_TICKET_LENGTH }
  })
}

function damaged(what: string): TicketError {
  return refusal('TICKET_DAMAGED', `this ticket is damaged: ${what}`, 'copy it again, all of it')
}

function newer(version: number): TicketError {
  return new TicketError({
    code: 'TICKET_NEWER',
    message: `this ticket has format ${version}; this version of aspen reads up to ${TICKET_VERSION}`,
    hint: 'install a newer version of aspen',
    fields: { format: version, supported: TICKET_VERSION }
  })
}

// This is why nothing ever has to be dropped to make a ticket fit.
const longest = FRAME_LENGTH + Math.ceil((MAX_TICKET_BYTES * 8) / 5)
assert(longest <= MAX_TICKET_LENGTH, 'the longest ticket fits its limit')
