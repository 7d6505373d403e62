// The bytes of write and control entries, and of the trust records in the database. Format 1.
//
//   write   = version u8 (1) ‖ kind u8 ‖ body
//     kind 0  changes: count, then per change
//             kind u8 (0 put, 1 delete) ‖ condition ‖ key ‖ [value, if put]
//             condition = 0 none | 1 absent | 2 revision, then the revision
//   control = version u8 (1) ‖ kind u8 ‖ body
//     kind 0  found         id ‖ publicKey ‖ name ‖ version ‖ addresses ‖ sealedSecret
//     kind 1  createInvite  publicKey ‖ proofKey ‖ topic ‖ role ‖ ttlMs ‖ uses ‖ createdBy
//     kind 2  revokeInvite  publicKey
//     kind 3  admit         invitePublicKey ‖ publicKey ‖ name ‖ version ‖ addresses ‖ epoch ‖ sealedSecret
//     kind 4  describe      id ‖ name ‖ version ‖ addresses
//
//   node    = id ‖ publicKey ‖ name ‖ version ‖ addresses ‖ role ‖ epoch ‖ sealedSecret
//             ‖ invitePublicKey or null ‖ admittedIndex
//   invite  = publicKey ‖ proofKey ‖ topic ‖ role ‖ createdBy ‖ createdIndex ‖ createdMs ‖ expiresMs
//             ‖ uses ‖ usesLeft ‖ closed or null; closed = reason u8 (0 used up, 1 revoked, 2 expired) ‖ atMs
//
// Integers and lengths are compact-encoding's `uint` unless a width is given; keys, proof keys and
// topics are 32 bytes, role is u8 (0 voter, 1 learner), keys, values, texts and sealed secrets have
// their length first, what may be null has u8 0 (null) or 1 first. All other kinds, of commands, changes and conditions, belong to later versions:
// a node that meets one stops there and says so, because skipping it would make it differ from others.

import c from 'compact-encoding'
import { present } from '../assert.ts'
import { PUBLIC_KEY_BYTES } from '../crypto.ts'
import type { Encoder } from '../encoding.ts'
import { addressEncoding, boundedArray, boundedBytes, boundedText } from '../encoding.ts'
import { boundedUint, choice, decode, encode, fixedBytes } from '../encoding.ts'
import { nullable, record, tagged, versioned } from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import {
  MAX_CHANGES_PER_ENTRY,
  MAX_INDEX,
  MAX_INVITE_TTL_MS,
  MAX_INVITE_USES,
  MAX_KEY_SIZE,
  MAX_MEMBER_ADDRESSES,
  MAX_NAME_SIZE,
  MAX_SEALED_SECRET_SIZE,
  MAX_VALUE_SIZE,
  MAX_VERSION_SIZE
} from '../limits.ts'
import { MAX_NODE_ID } from '../node-id.ts'
import type { Change, Condition, ControlCommand, WriteCommand } from './command.ts'
import type { Invite, NodeRecord } from './state-machine.ts'

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
export function encodeWrite(command: WriteCommand): Uint8Array {
  return encode(writeEncoding, command)
}

/**
 * The keys and values of the result are views of `payload`.
 * @throws UnknownKindError for what a newer version wrote
 * @throws ProtocolError for anything else that `encodeWrite` does not make
 */
export function decodeWrite(payload: Uint8Array): WriteCommand {
  return decode(writeEncoding, payload)
}

/** The payload of an entry of kind `control`. */
export function encodeControl(command: ControlCommand): Uint8Array {
  return encode(controlEncoding, command)
}

/** Throws as `decodeWrite` does; nothing in the result is a view of `payload`. */
export function decodeControl(payload: Uint8Array): ControlCommand {
  return decode(controlEncoding, payload)
}

/** What is not known here was written by a newer version: everything has one byte for its kind. */
const newer = (what: string): UnknownKindError => new UnknownKindError(what)

/** As boundedBytes, but decodes to a view: a write of 8 MiB is not copied once more. */
function boundedView(max: number): Encoder<Uint8Array> {
  const copying = boundedBytes(max)
  return {
    preencode: copying.preencode,
    encode: copying.encode,
    decode(state) {
      const size = c.uint.decode(state)
      if (size > max) throw new ProtocolError(`${size} bytes where at most ${max} are allowed`)
      if (state.end - state.start < size) throw new ProtocolError('the bytes end too early')
      const view = present(state.buffer, 'the buffer').subarray(state.start, state.start + size)
      state.start += size
      return view
    }
  }
}

const keyEncoding = boundedView(MAX_KEY_SIZE)
const valueEncoding = boundedView(MAX_VALUE_SIZE)
const conditionKind = choice('condition kind', ['none', 'absent', 'revision'], newer)
const revision = boundedUint(MAX_INDEX)

const conditionEncoding: Encoder<Condition | null> = {
  preencode(state, condition) {
    conditionKind.preencode(state, condition?.kind ?? 'none')
    if (condition?.kind === 'revision') revision.preencode(state, condition.revision)
  },
  encode(state, condition) {
    conditionKind.encode(state, condition?.kind ?? 'none')
    if (condition?.kind === 'revision') revision.encode(state, condition.revision)
  },
  decode(state) {
    const kind = conditionKind.decode(state)
    if (kind === 'none') return null
    return kind === 'absent' ? { kind } : { kind, revision: revision.decode(state) }
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

const writeEncoding: Encoder<WriteCommand> = versioned(
  { what: 'write format', byte: 1, onUnknown: newer },
  versioned(
    { what: 'write kind', byte: 0, onUnknown: newer },
    record<WriteCommand>({ changes: boundedArray(changeEncoding, MAX_CHANGES_PER_ENTRY) })
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
  index: boundedUint(MAX_INDEX),
  ttlMs: boundedUint(MAX_INVITE_TTL_MS),
  timeMs: boundedUint(Number.MAX_SAFE_INTEGER),
  uses: boundedUint(MAX_INVITE_USES)
}

const self = { name: FIELD.name, version: FIELD.version, addresses: FIELD.addresses }
const invitation = { publicKey: FIELD.key, proofKey: FIELD.key, topic: FIELD.key, role: FIELD.role }

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
    describe: { byte: 4, body: record({ id: FIELD.id, ...self }) }
  },
  newer
)

const controlEncoding: Encoder<ControlCommand> = versioned(
  { what: 'control format', byte: 1, onUnknown: newer },
  commandEncoding
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
