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
import { assert, present } from '../assert.ts'
import { HASH_BYTES, PUBLIC_KEY_BYTES } from '../crypto.ts'
import type { Encoder } from '../encoding.ts'
import {
  addressEncoding,
  boundedArray,
  boundedBytes,
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

/** @throws ProtocolError */
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
const payload = boundedBytes(MAX_ENTRY_BYTES)

const nodeId: Encoder<NodeId> = {
  ...boundedUint(MAX_NODE_ID),
  decode(state) {
    const id = boundedUint(MAX_NODE_ID).decode(state)
    if (!isNodeId(id)) throw new ProtocolError('a node id is at least 1')
    return id
  }
}

const ROLES: readonly MemberRole[] = ['voter', 'learner', 'leaving']

const memberRole: Encoder<MemberRole> = {
  preencode(state) {
    state.end++
  },
  encode(state, role) {
    c.uint8.encode(state, ROLES.indexOf(role))
  },
  decode(state) {
    const role = ROLES[c.uint8.decode(state)]
    if (role === undefined) throw new ProtocolError('no such role')
    return role
  }
}

const memberEncoding: Encoder<Member> = fields<Member>({
  id: nodeId,
  publicKey: fixedBytes(PUBLIC_KEY_BYTES),
  role: memberRole,
  addresses: boundedArray(addressEncoding, MAX_MEMBER_ADDRESSES)
})

const CONFIGURATION_FORMAT = 1

const configurationFields = fields<Configuration>({
  members: boundedArray(memberEncoding, MAX_MEMBERS),
  outgoing: boundedArray(nodeId, MAX_VOTERS)
})

export const configurationEncoding: Encoder<Configuration> = {
  preencode(state, configuration) {
    state.end++
    configurationFields.preencode(state, configuration)
  },
  encode(state, configuration) {
    c.uint8.encode(state, CONFIGURATION_FORMAT)
    configurationFields.encode(state, configuration)
  },
  decode(state) {
    if (c.uint8.decode(state) !== CONFIGURATION_FORMAT) {
      throw new ProtocolError('a configuration of another format')
    }
    const configuration = configurationFields.decode(state)
    const reason = whyMalformed(configuration)
    if (reason !== null) throw new ProtocolError(reason)
    return configuration
  }
}

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

const wireEntry = fields<WireEntry>({ term, kind: c.uint8, timeMs: time, payload })

const wireEntries = boundedArray(wireEntry, MAX_APPEND_ENTRIES)

const appendHead = fields<Omit<Append, 'kind' | 'entries'>>({
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

const result = tagged<AppendAnswer['result']>({
  matched: { byte: 0, body: fields({ matchIndex: index }) },
  rejected: {
    byte: 1,
    body: fields({ previousIndex: index, hintIndex: index, hintTerm: term })
  }
})

/** Kind bytes are never given away again. */
const messageEncoding = tagged<Message>({
  preVote: { byte: 1, body: fields({ term, lastIndex: index, lastTerm: term }) },
  preVoteAnswer: { byte: 2, body: fields({ term, isGranted: strictBoolean, ownTerm: term }) },
  vote: {
    byte: 3,
    body: fields({ term, lastIndex: index, lastTerm: term, isTransfer: strictBoolean })
  },
  voteAnswer: { byte: 4, body: fields({ term, isGranted: strictBoolean }) },
  append: { byte: 5, body: append },
  appendAnswer: { byte: 6, body: fields({ term, session: count, result }) },
  heartbeat: { byte: 7, body: fields({ term, boot: count, round: count, commitIndex: index }) },
  heartbeatAnswer: { byte: 8, body: fields({ term, boot: count, round: count, wallMs: time }) },
  timeoutNow: { byte: 9, body: fields({ term }) }
})

/** An object as its fields, one after the other in the given order. */
function fields<T extends object>(encodings: {
  readonly [K in keyof T]: Encoder<T[K]>
}): Encoder<T> {
  const list = Object.entries(encodings) as [keyof T, Encoder<T[keyof T]>][]
  return {
    preencode(state, value) {
      for (const [name, encoding] of list) encoding.preencode(state, value[name])
    },
    encode(state, value) {
      for (const [name, encoding] of list) encoding.encode(state, value[name])
    },
    decode(state) {
      const value: Partial<T> = {}
      for (const [name, encoding] of list) value[name] = encoding.decode(state)
      return value as T
    }
  }
}

/** For each kind of a union its byte and the encoding of its other fields. */
type Bodies<T extends { kind: string }> = {
  readonly [K in T['kind']]: {
    readonly byte: number
    readonly body: Encoder<Omit<Extract<T, { kind: K }>, 'kind'>>
  }
}

/** A union as the byte of its kind and that kind's fields. */
function tagged<T extends { kind: string }>(bodies: Bodies<T>): Encoder<T> {
  type Body = { readonly kind: string; readonly byte: number; readonly body: Encoder<object> }
  const list = Object.entries(bodies).map(([kind, body]) => ({ kind, ...(body as object) }) as Body)
  const bodyOf = (value: T): Body =>
    present(
      list.find((body) => body.kind === value.kind),
      'a body'
    )
  return {
    preencode(state, value) {
      state.end++
      bodyOf(value).body.preencode(state, value)
    },
    encode(state, value) {
      const { byte, body } = bodyOf(value)
      c.uint8.encode(state, byte)
      body.encode(state, value)
    },
    decode(state) {
      const byte = c.uint8.decode(state)
      const found = list.find((body) => body.byte === byte)
      if (found === undefined) throw new ProtocolError('no such kind')
      return { kind: found.kind, ...found.body.decode(state) } as unknown as T
    }
  }
}
