// The bytes of write and control entries, and of the trust records in the database. Format 1.
//
//   write   = version u8 (1) ‖ request ‖ kind u8 ‖ body
//     kind 0  changes: count, then per change
//             kind u8 (0 put, 1 delete) ‖ condition ‖ key ‖ [value, if put]
//             condition = 0 none | 1 absent | 2 revision, then the revision
//   control = version u8 (1) ‖ request ‖ kind u8 ‖ body
//     kind 0  found         id ‖ publicKey ‖ name ‖ version ‖ addresses ‖ sealedSecret
//     kind 1  createInvite  publicKey ‖ proofKey ‖ topic ‖ role ‖ ttlMs ‖ uses ‖ createdBy
//     kind 2  revokeInvite  publicKey
//     kind 3  admit         invitePublicKey ‖ publicKey ‖ name ‖ version ‖ addresses ‖ epoch ‖ sealedSecret
//     kind 4  describe      id ‖ name ‖ version ‖ addresses
//     kind 5  compact       revision
//     kind 6  raiseFeatureLevel  level
//     kind 7  admitKey      publicKey ‖ name ‖ addresses ‖ role ‖ expectedId or null ‖ epoch ‖ sealedSecret
//
//   request = u8 0, or u8 1 ‖ clientId 16 B ‖ since ‖ sequence ‖ answeredBelow
//
//   result  = kind u8 ‖ body: 0 none | 1 written: revision ‖ count ‖ previousRevision each
//             | 2 inviteCreated | 3 inviteRevoked | 4 admitted: id ‖ isNew u8 | 5 described
//             | 6 refused: code ‖ message ‖ hint (empty: none) ‖ fields as JSON (empty: none)
//             | 7 compacted: revision | 8 levelRaised: level
//   session = clientId ‖ bornIndex ‖ usedIndex ‖ usedMs ‖ lowWater ‖ count ‖ sequence and result each
//
//   node    = id ‖ publicKey ‖ name ‖ version ‖ addresses ‖ role ‖ epoch ‖ sealedSecret
//             ‖ invitePublicKey or null ‖ admittedIndex
//   removed = id ‖ publicKey ‖ atMs
//   invite  = publicKey ‖ proofKey ‖ topic ‖ role ‖ createdBy ‖ createdIndex ‖ createdMs ‖ expiresMs
//             ‖ uses ‖ usesLeft ‖ closed or null; closed = reason u8 (0 used up, 1 revoked, 2 expired) ‖ atMs
//
// Integers and lengths are compact-encoding's `uint` unless a width is given; keys, proof keys and
// topics are 32 bytes, role is u8 (0 voter, 1 learner), keys, values, texts and sealed secrets have
// their length first, what may be null has u8 0 (null) or 1 first. All other kinds, of commands, changes and conditions, belong to later versions:
// a node that meets one stops there and says so, because skipping it would make it differ from others.

import { assert } from '../assert.ts'
import { PUBLIC_KEY_BYTES } from '../crypto.ts'
import type { Encoder } from '../encoding.ts'
import {
  addressEncoding,
  boundedArray,
  boundedBytes,
  boundedText,
  boundedView,
  boundedUint,
  decode,
  encode,
  fixedBytes,
  strictBoolean
} from '../encoding.ts'
import type { ErrorDetail } from '../errors.ts'
import { ProtocolError } from '../errors.ts'
import {
  MAX_CHANGES_PER_ENTRY,
  MAX_INDEX,
  MAX_INVITE_TTL_MS,
  MAX_INVITE_USES,
  MAX_KEY_SIZE,
  MAX_MEMBER_ADDRESSES,
  MAX_NAME_SIZE,
  MAX_RESULT_BYTES,
  MAX_SEALED_SECRET_SIZE,
  MAX_SESSION_RESULTS,
  MAX_VALUE_SIZE,
  MAX_VERSION_SIZE
} from '../limits.ts'
import { MAX_NODE_ID } from '../node-id.ts'
import { checked, choice, mapped, nullable, record, tagged, versioned } from '../record.ts'
import type { Change, Condition, ControlCommand, RequestId } from './command.ts'
import type { Requested, ChangeSet } from './command.ts'
import { CLIENT_ID_BYTES, FEATURE_LEVEL } from './command.ts'
import { detailOf, MAX_DETAIL_BYTES, textsOf } from './refusal-texts.ts'
import type { Session } from './sessions.ts'
import type { ApplyResult, ChangeResult, Invite, NodeRecord, RemovedNode } from './state-machine.ts'

/** Well-formed as far as this version can read, but of a kind that only a newer one knows. */
export class UnknownKindError extends ProtocolError {
  /** e.g. `change kind 7` */
  readonly what: string

  constructor(what: string) {
    super(`${what} belongs to a newer version of Aspen`)
    this.what = what
  }
}

/** The payload of an entry of kind `write`. */
export function encodeWrite(command: ChangeSet, request: RequestId | null = null): Uint8Array {
  return encode(writeEncoding, { ...command, request })
}

/**
 * The keys and values of the result are views of `payload`.
 * @throws UnknownKindError for what a newer version wrote
 * @throws ProtocolError for anything else that `encodeWrite` does not make
 */
export function decodeWrite(payload: Uint8Array): Requested<ChangeSet> {
  return decode(writeEncoding, payload)
}

/** The payload of an entry of kind `control`. */
export function encodeControl(
  command: ControlCommand,
  request: RequestId | null = null
): Uint8Array {
  return encode(controlEncoding, { ...command, request })
}

/** Throws as `decodeWrite` does; nothing in the result is a view of `payload`. */
export function decodeControl(payload: Uint8Array): Requested<ControlCommand> {
  return decode(controlEncoding, payload)
}

/** What is not known here was written by a newer version: everything has one byte for its kind. */
const newer = (what: string): UnknownKindError => new UnknownKindError(what)

const index = boundedUint(MAX_INDEX)
const count = boundedUint(Number.MAX_SAFE_INTEGER)
const clientId = fixedBytes(CLIENT_ID_BYTES)

const requestEncoding = nullable(
  checked(
    record<RequestId>({ clientId, since: index, sequence: count, answeredBelow: count }),
    ({ sequence, answeredBelow }) => {
      if (sequence === 0) return 'the first request has number 1'
      return answeredBelow > sequence ? 'a request is not answered before it is made' : null
    }
  )
)

/** A command behind its request. */
function requested<Command extends object>(command: Encoder<Command>): Encoder<Requested<Command>> {
  return {
    preencode(state, value) {
      requestEncoding.preencode(state, value.request)
      command.preencode(state, value)
    },
    encode(state, value) {
      requestEncoding.encode(state, value.request)
      command.encode(state, value)
    },
    decode(state) {
      const request = requestEncoding.decode(state)
      return { ...command.decode(state), request }
    }
  }
}

const keyEncoding = boundedView(MAX_KEY_SIZE)
const valueEncoding = boundedView(MAX_VALUE_SIZE)
const conditionKind = choice('condition kind', ['none', 'absent', 'revision'], newer)

const conditionEncoding: Encoder<Condition | null> = {
  preencode(state, condition) {
    conditionKind.preencode(state, condition?.kind ?? 'none')
    if (condition?.kind === 'revision') index.preencode(state, condition.revision)
  },
  encode(state, condition) {
    conditionKind.encode(state, condition?.kind ?? 'none')
    if (condition?.kind === 'revision') index.encode(state, condition.revision)
  },
  decode(state) {
    const kind = conditionKind.decode(state)
    if (kind === 'none') return null
    return kind === 'absent' ? { kind } : { kind, revision: index.decode(state) }
  }
}

const changeEncoding = tagged<Change>(
  'change kind',
  {
    put: {
      byte: 0,
      body: record({ condition: conditionEncoding, key: keyEncoding, value: valueEncoding })
    },
    delete: { byte: 1, body: record({ condition: conditionEncoding, key: keyEncoding }) }
  },
  newer
)

const writeEncoding: Encoder<Requested<ChangeSet>> = versioned(
  { what: 'write format', byte: 1, onUnknown: newer },
  requested(
    versioned(
      { what: 'write kind', byte: 0, onUnknown: newer },
      record<ChangeSet>({ changes: boundedArray(changeEncoding, MAX_CHANGES_PER_ENTRY) })
    )
  )
)

/** What records about nodes and invites share. */
const FIELD = {
  id: boundedUint(MAX_NODE_ID),
  key: fixedBytes(PUBLIC_KEY_BYTES),
  name: boundedText(MAX_NAME_SIZE),
  version: boundedText(MAX_VERSION_SIZE),
  addresses: boundedArray(addressEncoding, MAX_MEMBER_ADDRESSES),
  sealedSecret: boundedBytes(MAX_SEALED_SECRET_SIZE),
  role: choice('role', ['voter', 'learner'], newer),
  epoch: boundedUint(MAX_INDEX),
  index,
  ttlMs: boundedUint(MAX_INVITE_TTL_MS),
  timeMs: count,
  uses: boundedUint(MAX_INVITE_USES)
}

const self = { name: FIELD.name, version: FIELD.version, addresses: FIELD.addresses }
const invitation = { publicKey: FIELD.key, proofKey: FIELD.key, topic: FIELD.key, role: FIELD.role }

/** A level that this version does not know belongs to a newer one. */
const featureLevel: Encoder<number> = {
  ...count,
  decode(state) {
    const level = count.decode(state)
    if (level > FEATURE_LEVEL) throw newer(`feature level ${level}`)
    return level
  }
}

const commandEncoding = tagged<ControlCommand>(
  'control kind',
  {
    found: {
      byte: 0,
      body: record({
        id: FIELD.id,
        publicKey: FIELD.key,
        ...self,
        sealedSecret: FIELD.sealedSecret
      })
    },
    createInvite: {
      byte: 1,
      body: record({ ...invitation, ttlMs: FIELD.ttlMs, uses: FIELD.uses, createdBy: FIELD.id })
    },
    revokeInvite: { byte: 2, body: record({ publicKey: FIELD.key }) },
    admit: {
      byte: 3,
      body: record({
        invitePublicKey: FIELD.key,
        publicKey: FIELD.key,
        ...self,
        epoch: FIELD.epoch,
        sealedSecret: FIELD.sealedSecret
      })
    },
    describe: { byte: 4, body: record({ id: FIELD.id, ...self }) },
    compact: { byte: 5, body: record({ revision: index }) },
    raiseFeatureLevel: { byte: 6, body: record({ level: featureLevel }) },
    admitKey: {
      byte: 7,
      body: record({
        publicKey: FIELD.key,
        name: FIELD.name,
        addresses: FIELD.addresses,
        role: FIELD.role,
        expectedId: nullable(FIELD.id),
        epoch: FIELD.epoch,
        sealedSecret: FIELD.sealedSecret
      })
    }
  },
  newer
)

const controlEncoding: Encoder<Requested<ControlCommand>> = versioned(
  { what: 'control format', byte: 1, onUnknown: newer },
  requested(commandEncoding)
)

/** How the database keeps a node; no version byte, because the database has a `format`. */
export const nodeRecordEncoding: Encoder<NodeRecord> = record<NodeRecord>({
  id: FIELD.id,
  publicKey: FIELD.key,
  ...self,
  role: FIELD.role,
  epoch: FIELD.epoch,
  sealedSecret: FIELD.sealedSecret,
  invitePublicKey: nullable(FIELD.key),
  admittedIndex: FIELD.index
})

/** How the database keeps a node that was removed. */
export const removedNodeEncoding: Encoder<RemovedNode> = record<RemovedNode>({
  id: FIELD.id,
  publicKey: FIELD.key,
  atMs: FIELD.timeMs
})

/** How the database keeps an invite. */
export const inviteEncoding: Encoder<Invite> = record<Invite>({
  ...invitation,
  createdBy: FIELD.id,
  createdIndex: FIELD.index,
  createdMs: FIELD.timeMs,
  expiresMs: FIELD.timeMs,
  uses: FIELD.uses,
  usesLeft: FIELD.uses,
  closed: nullable(
    record<NonNullable<Invite['closed']>>({
      reason: choice('closing reason', ['usedUp', 'revoked', 'expired'], newer),
      atMs: FIELD.timeMs
    })
  )
})

const detailText = boundedText(MAX_DETAIL_BYTES)

/** An error whole, as it crosses a link. */
export const errorDetail: Encoder<ErrorDetail> = mapped(
  record({ code: boundedText(64), message: detailText, hint: detailText, json: detailText }),
  { into: textsOf, from: detailOf }
)

const changeResults = boundedArray(
  record<ChangeResult>({ previousRevision: index }),
  MAX_CHANGES_PER_ENTRY
)
const nothing = record({})

export const applyResultEncoding = tagged<ApplyResult>('result', {
  none: { byte: 0, body: nothing },
  written: { byte: 1, body: record({ revision: index, changes: changeResults }) },
  inviteCreated: { byte: 2, body: nothing },
  inviteRevoked: { byte: 3, body: nothing },
  admitted: {
    byte: 4,
    body: record({ id: FIELD.id, isNew: strictBoolean })
  },
  described: { byte: 5, body: nothing },
  refused: { byte: 6, body: record({ error: errorDetail }) },
  compacted: { byte: 7, body: record({ revision: index }) },
  levelRaised: { byte: 8, body: record({ level: count }) }
})

const keptResult = boundedBytes(MAX_RESULT_BYTES)

/** Written out, because it is written with every transaction and may hold many. */
const keptResults: Encoder<Session['results']> = {
  preencode(state, results) {
    assert(results.size <= MAX_SESSION_RESULTS, 'a session is bounded')
    count.preencode(state, results.size)
    for (const [sequence, result] of results) {
      count.preencode(state, sequence)
      keptResult.preencode(state, result)
    }
  },
  encode(state, results) {
    count.encode(state, results.size)
    for (const [sequence, result] of results) {
      count.encode(state, sequence)
      keptResult.encode(state, result)
    }
  },
  decode(state) {
    const size = count.decode(state)
    if (size > MAX_SESSION_RESULTS) throw new ProtocolError(`${size} results of one session`)
    const results = new Map<number, Uint8Array>()
    while (results.size < size) {
      const sequence = count.decode(state)
      if (results.has(sequence)) throw new ProtocolError('one request has two results')
      results.set(sequence, keptResult.decode(state))
    }
    return results
  }
}

/** How the database keeps a session. */
export const sessionEncoding: Encoder<Session> = record<Session>({
  clientId,
  bornIndex: index,
  usedIndex: index,
  usedMs: count,
  lowWater: count,
  results: keptResults
})
