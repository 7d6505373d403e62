// The bytes of messages and configurations, format 1. The format of a link is agreed in its hello,
// so a message has no version of its own; a configuration lies in the log for ever and has one.
//
// uint is compact-encoding's: 1, 3, 5 or 9 bytes, little-endian. A message begins with its kind:
//
//   1 preVote          term uint, lastIndex uint, lastTerm uint
//   2 preVoteAnswer    term uint, isGranted u8, ownTerm uint
//   3 vote             term uint, lastIndex uint, lastTerm uint, isTransfer u8
//   4 voteAnswer       term uint, isGranted u8
//   5 append           term uint, session uint, previousIndex uint, previousTerm uint,
//                      previousHash 32 B, commitIndex uint, count uint, entries
//   6 appendAnswer     term uint, session uint, then 0, matchIndex uint
//                      or 1, previousIndex uint, hintIndex uint, hintTerm uint
//   7 heartbeat        term uint, boot uint, round uint, commitIndex uint
//   8 heartbeatAnswer  term uint, boot uint, round uint, wallMs uint
//   9 timeoutNow       term uint
//
//   entry              term uint, kind u8, timeMs uint, payload (size uint, bytes)
//
// An entry on the wire has neither index nor hash: the index follows from its place, and the hash is
// computed by whoever decodes it, from previousHash on. So a hash in a decoded Append is always the
// receiver's own computation (R16), made once.
//
//   configuration      format u8 = 1, count uint, members, count uint, outgoing ids (uint each)
//   member             id uint, public key 32 B, role u8 (0 voter, 1 learner, 2 leaving),
//                      count uint, addresses (6 B each)
//
// The disk form of entries and of the hard state belongs to log-store/encoding.ts.
// Decoding is total: ProtocolError or a well-formed value, every number and count within its limit.

import c from 'compact-encoding'
import { assert } from '../assert.ts'
import { HASH_BYTES, PUBLIC_KEY_BYTES } from '../crypto.ts'
import type { Encoder } from '../encoding.ts'
import {
  addressEncoding,
  boundedArray,
  boundedView,
  boundedUint,
  decode,
  encode,
  fixedBytes,
  hexOf,
  strictBoolean
} from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import {
  MAX_APPEND_ENTRIES,
  MAX_ENTRY_BYTES,
  MAX_INDEX,
  MAX_MEMBERS,
  MAX_MEMBER_ADDRESSES,
  MAX_TERM,
  MAX_TIME_MS,
  MAX_VOTERS
} from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import { isNodeId, MAX_NODE_ID } from '../node-id.ts'
import { checked, choice, record, tagged, versioned } from '../record.ts'
import type { Configuration, Member, MemberRole } from './configuration.ts'
import { isJoint, votersOf } from './configuration.ts'
import type { Entry, EntryId } from './entry.ts'
import { chained, ENTRY_KIND } from './entry.ts'
import type { Append, AppendAnswer, Message } from './message.ts'

/** Bytes of every message but appends: fits a datagram with room for its envelope. */
export const MAX_SMALL_MESSAGE_BYTES = 64

export function encodeMessage(message: Message): Uint8Array {
  return encode(messageEncoding, message)
}

/**
 * An append of one entry as two parts: the second is the entry's payload itself, which is not copied for
 * each follower.
 */
export function encodeLarge(message: Append): readonly [Uint8Array, Uint8Array] {
  const [entry] = message.entries
  assert(entry !== undefined && message.entries.length === 1, 'one entry')
  return [encode(largeHead, { message, entry }), entry.payload]
}

/**
 * Payloads of entries are views of `bytes`.
 * @throws ProtocolError
 */
export function decodeMessage(bytes: Uint8Array): Message {
  return decode(messageEncoding, bytes)
}

export function encodeConfiguration(configuration: Configuration): Uint8Array {
  assert(whyMalformed(configuration) === null, whyMalformed(configuration) ?? '')
  return encode(configurationEncoding, configuration)
}

/** @throws ProtocolError */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  return decode(configurationEncoding, bytes)
}

const index = boundedUint(MAX_INDEX)
const term = boundedUint(MAX_TERM)
const time = boundedUint(MAX_TIME_MS)
const count = boundedUint(Number.MAX_SAFE_INTEGER)
const hash = fixedBytes(HASH_BYTES)
const payload = boundedView(MAX_ENTRY_BYTES)

/** Never 0. */
export const nodeIdEncoding: Encoder<NodeId> = checked(boundedUint(MAX_NODE_ID), (id) =>
  isNodeId(id) ? null : 'a node id is at least 1'
)

const memberRole = choice<MemberRole>('role', ['voter', 'learner', 'leaving'])

const memberEncoding: Encoder<Member> = record<Member>({
  id: nodeIdEncoding,
  publicKey: fixedBytes(PUBLIC_KEY_BYTES),
  role: memberRole,
  addresses: boundedArray(addressEncoding, MAX_MEMBER_ADDRESSES)
})

export const configurationEncoding: Encoder<Configuration> = checked(
  versioned(
    { what: 'configuration format', byte: 1 },
    record<Configuration>({
      members: boundedArray(memberEncoding, MAX_MEMBERS),
      outgoing: boundedArray(nodeIdEncoding, MAX_VOTERS)
    })
  ),
  whyMalformed
)

/** What makes a configuration impossible, or null. */
function whyMalformed(configuration: Configuration): string | null {
  const { members, outgoing } = configuration
  const ids = members.map((member) => member.id)
  if (!isAscending(ids) || !isAscending(outgoing)) return 'ids ascend'
  if (new Set(members.map((member) => hexOf(member.publicKey))).size !== members.length) {
    return 'two members have one key'
  }
  if (outgoing.some((id) => !ids.includes(id))) return 'an outgoing voter is no member'
  const isStray = (member: Member): boolean =>
    member.role === 'leaving' && !outgoing.includes(member.id)
  if (members.some(isStray)) return 'a leaving member has no vote to leave'
  const voterCount = votersOf(configuration).length
  if (voterCount > MAX_VOTERS) return 'too many voters'
  const isEmpty = members.length === 0 && !isJoint(configuration)
  return voterCount === 0 && !isEmpty ? 'nobody votes' : null
}

function isAscending(ids: readonly NodeId[]): boolean {
  return ids.every((id, at) => at === 0 || id > (ids[at - 1] ?? id))
}

type WireEntry = Pick<Entry, 'term' | 'kind' | 'timeMs' | 'payload'>

const wireEntry = record<WireEntry>({ term, kind: c.uint8, timeMs: time, payload })

const wireEntries = boundedArray(wireEntry, MAX_APPEND_ENTRIES)

const APPEND_BYTE = 5

const appendHead = record<Omit<Append, 'kind' | 'entries'>>({
  term,
  session: count,
  previousIndex: index,
  previousTerm: term,
  previousHash: hash,
  commitIndex: index
})

const append: Encoder<Omit<Append, 'kind'>> = {
  preencode(state, message) {
    appendHead.preencode(state, message)
    wireEntries.preencode(state, message.entries)
  },
  encode(state, message) {
    appendHead.encode(state, message)
    wireEntries.encode(state, message.entries)
  },
  decode(state) {
    const head = appendHead.decode(state)
    const { previousIndex, previousTerm, previousHash } = head
    if (previousTerm > head.term)
      throw new ProtocolError('an entry of a later term than its leader')
    const previous = { index: previousIndex, term: previousTerm, hash: previousHash }
    const entries = chain(previous, wireEntries.decode(state))
    const last = entries.at(-1) ?? previous
    if (last.term > head.term) throw new ProtocolError('an entry of a later term than its leader')
    if (last.index > MAX_INDEX) throw new ProtocolError('an index beyond its limit')
    return { ...head, entries }
  }
}

const entryHead = record<Omit<WireEntry, 'payload'>>({ term, kind: c.uint8, timeMs: time })

/** `append` with one entry, up to the bytes of its payload. */
const largeHead: Pick<Encoder<{ message: Append; entry: Entry }>, 'preencode' | 'encode'> = {
  preencode(state, { message, entry }) {
    state.end++
    appendHead.preencode(state, message)
    c.uint.preencode(state, 1)
    entryHead.preencode(state, entry)
    c.uint.preencode(state, entry.payload.byteLength)
  },
  encode(state, { message, entry }) {
    c.uint8.encode(state, APPEND_BYTE)
    appendHead.encode(state, message)
    c.uint.encode(state, 1)
    entryHead.encode(state, entry)
    c.uint.encode(state, entry.payload.byteLength)
  }
}

/** Gives decoded entries their places and hashes, and checks what must hold along a log. */
function chain(previous: EntryId, items: readonly WireEntry[]): readonly Entry[] {
  const entries: Entry[] = []
  let before = previous
  let timeMs = 0
  for (const item of items) {
    if (item.term < before.term) throw new ProtocolError('terms never fall along a log')
    if (item.timeMs < timeMs) throw new ProtocolError('times never fall along a log')
    if (item.kind === ENTRY_KIND.configuration) decodeConfiguration(item.payload)
    const entry = chained(before, item)
    entries.push(entry)
    before = entry
    timeMs = item.timeMs
  }
  return entries
}

const result = tagged<AppendAnswer['result']>('result', {
  matched: { byte: 0, body: record({ matchIndex: index }) },
  rejected: {
    byte: 1,
    body: record({ previousIndex: index, hintIndex: index, hintTerm: term })
  }
})

/** Kind bytes are never given away again. */
const messageEncoding = tagged<Message>('message', {
  preVote: { byte: 1, body: record({ term, lastIndex: index, lastTerm: term }) },
  preVoteAnswer: { byte: 2, body: record({ term, isGranted: strictBoolean, ownTerm: term }) },
  vote: {
    byte: 3,
    body: record({ term, lastIndex: index, lastTerm: term, isTransfer: strictBoolean })
  },
  voteAnswer: { byte: 4, body: record({ term, isGranted: strictBoolean }) },
  append: { byte: APPEND_BYTE, body: append },
  appendAnswer: { byte: 6, body: record({ term, session: count, result }) },
  heartbeat: { byte: 7, body: record({ term, boot: count, round: count, commitIndex: index }) },
  heartbeatAnswer: { byte: 8, body: record({ term, boot: count, round: count, wallMs: time }) },
  timeoutNow: { byte: 9, body: record({ term }) }
})
