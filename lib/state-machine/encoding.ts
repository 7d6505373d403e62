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
import { assert, present } from '../assert.ts'
import { PUBLIC_KEY_BYTES } from '../crypto.ts'
import type { Encoder } from '../encoding.ts'
import { addressEncoding, boundedArray, boundedBytes, boundedText } from '../encoding.ts'
import { boundedUint, decode, encode, fixedBytes, strictBoolean } from '../encoding.ts'
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

const FORMAT = 1

/** A constant byte; another one is `what` of a newer version. */
function marker(what: string, value: number): Encoder<null> {
  return {
    preencode(state) {
      c.uint8.preencode(state, value)
    },
    encode(state) {
      c.uint8.encode(state, value)
    },
    decode(state) {
      const byte = c.uint8.decode(state)
      if (byte !== value) throw new UnknownKindError(`${what} ${byte}`)
      return null
    }
  }
}

/** One of `names`, as one byte; a byte beyond them is `what` of a newer version. */
function choice<T extends string>(what: string, names: readonly T[]): Encoder<T> {
  return {
    preencode(state) {
      state.end++
    },
    encode(state, name) {
      assert(names.includes(name), `${what} is one of ${names.join(', ')}`)
      c.uint8.encode(state, names.indexOf(name))
    },
    decode(state) {
      const byte = c.uint8.decode(state)
      const name = names[byte]
      if (name === undefined) throw new UnknownKindError(`${what} ${byte}`)
      return name
    }
  }
}

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
const changeKind = choice('change kind', ['put', 'delete'])
const conditionKind = choice('condition kind', ['none', 'absent', 'revision'])
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

const changeEncoding: Encoder<Change> = {
  preencode(state, change) {
    changeKind.preencode(state, change.kind)
    conditionEncoding.preencode(state, change.condition)
    keyEncoding.preencode(state, change.key)
    if (change.kind === 'put') valueEncoding.preencode(state, change.value)
  },
  encode(state, change) {
    changeKind.encode(state, change.kind)
    conditionEncoding.encode(state, change.condition)
    keyEncoding.encode(state, change.key)
    if (change.kind === 'put') valueEncoding.encode(state, change.value)
  },
  decode(state) {
    const kind = changeKind.decode(state)
    const condition = conditionEncoding.decode(state)
    const key = keyEncoding.decode(state)
    if (kind === 'delete') return { kind, key, condition }
    return { kind, key, value: valueEncoding.decode(state), condition }
  }
}

const changes = boundedArray(changeEncoding, MAX_CHANGES_PER_ENTRY)
const writeVersion = marker('write format', FORMAT)
const writeKind = marker('write kind', 0)

const writeEncoding: Encoder<WriteCommand> = {
  preencode(state, command) {
    writeVersion.preencode(state, null)
    writeKind.preencode(state, null)
    changes.preencode(state, command.changes)
  },
  encode(state, command) {
    writeVersion.encode(state, null)
    writeKind.encode(state, null)
    changes.encode(state, command.changes)
  },
  decode(state) {
    writeVersion.decode(state)
    writeKind.decode(state)
    return { changes: changes.decode(state) }
  }
}

type FieldEncoders<T> = { readonly [Name in keyof T]: Encoder<T[Name]> }

/** The fields of a record, one after the other in the order given. */
function record<T extends object>(fields: FieldEncoders<T>): Encoder<T> {
  // the only way to say "each field with its own encoder" to the compiler
  const names = Object.keys(fields) as (keyof T)[]
  return {
    preencode(state, value) {
      for (const name of names) fields[name].preencode(state, value[name])
    },
    encode(state, value) {
      for (const name of names) fields[name].encode(state, value[name])
    },
    decode(state) {
      const value: Partial<T> = {}
      for (const name of names) value[name] = fields[name].decode(state)
      return value as T
    }
  }
}

/** What records about nodes and invites share. */
const FIELD = {
  id: boundedUint(MAX_NODE_ID),
  key: fixedBytes(PUBLIC_KEY_BYTES),
  name: boundedText(MAX_NAME_SIZE),
  version: boundedText(MAX_VERSION_SIZE),
  addresses: boundedArray(addressEncoding, MAX_MEMBER_ADDRESSES),
  sealedSecret: boundedBytes(MAX_SEALED_SECRET_SIZE),
  role: choice('role', ['voter', 'learner']),
  epoch: boundedUint(MAX_INDEX),
  index: boundedUint(MAX_INDEX),
  ttlMs: boundedUint(MAX_INVITE_TTL_MS),
  timeMs: boundedUint(Number.MAX_SAFE_INTEGER),
  uses: boundedUint(MAX_INVITE_USES)
}

type Of<Kind extends ControlCommand['kind']> = Omit<Extract<ControlCommand, { kind: Kind }>, 'kind'>

const self = { name: FIELD.name, version: FIELD.version, addresses: FIELD.addresses }
const invitation = { publicKey: FIELD.key, proofKey: FIELD.key, topic: FIELD.key, role: FIELD.role }

const BODIES = {
  found: record<Of<'found'>>({
    id: FIELD.id,
    publicKey: FIELD.key,
    ...self,
    sealedSecret: FIELD.sealedSecret
  }),
  createInvite: record<Of<'createInvite'>>({
    ...invitation,
    ttlMs: FIELD.ttlMs,
    uses: FIELD.uses,
    createdBy: FIELD.id
  }),
  revokeInvite: record<Of<'revokeInvite'>>({ publicKey: FIELD.key }),
  admit: record<Of<'admit'>>({
    invitePublicKey: FIELD.key,
    publicKey: FIELD.key,
    ...self,
    epoch: FIELD.epoch,
    sealedSecret: FIELD.sealedSecret
  }),
  describe: record<Of<'describe'>>({ id: FIELD.id, ...self })
}

const controlVersion = marker('control format', FORMAT)
const controlKind = choice('control kind', [
  'found',
  'createInvite',
  'revokeInvite',
  'admit',
  'describe'
])

const controlEncoding: Encoder<ControlCommand> = {
  preencode(state, command) {
    controlVersion.preencode(state, null)
    controlKind.preencode(state, command.kind)
    bodyOf(command.kind).preencode(state, command)
  },
  encode(state, command) {
    controlVersion.encode(state, null)
    controlKind.encode(state, command.kind)
    bodyOf(command.kind).encode(state, command)
  },
  decode(state) {
    controlVersion.decode(state)
    const kind = controlKind.decode(state)
    return { kind, ...bodyOf(kind).decode(state) } as ControlCommand
  }
}

/** The encoder of the fields of one kind. */
function bodyOf(kind: ControlCommand['kind']): Encoder<object> {
  return BODIES[kind]
}

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
      reason: choice('closing reason', ['usedUp', 'revoked', 'expired']),
      atMs: FIELD.timeMs
    })
  )
})

function nullable<T>(item: Encoder<T>): Encoder<T | null> {
  return {
    preencode(state, value) {
      strictBoolean.preencode(state, value !== null)
      if (value !== null) item.preencode(state, value)
    },
    encode(state, value) {
      strictBoolean.encode(state, value !== null)
      if (value !== null) item.encode(state, value)
    },
    decode(state) {
      return strictBoolean.decode(state) ? item.decode(state) : null
    }
  }
}
