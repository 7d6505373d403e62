// The bytes between two nodes, below the messages of consensus (those: raft/encoding.ts). Drawn in
// README.md. Integers are compact-encoding's (1, 3, 5 or 9 bytes, little-endian); `bytes` and `text`
// have their length first; a frame is what protomux carries as one message.
//
// Every decoder is total: it returns a value or throws ProtocolError, and bounds what it allocates.

import type { Encoder } from '../encoding.ts'
import {
  addressEncoding,
  boundedArray,
  boundedBytes,
  boundedText,
  boundedUint,
  decode,
  encode,
  fixedBytes,
  strictBoolean
} from '../encoding.ts'
import type { ErrorDetail } from '../errors.ts'
import { isErrorCode, ProtocolError } from '../errors.ts'
import { HASH_BYTES, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../crypto.ts'
import { MAX_INDEX, MAX_MEMBER_ADDRESSES, MAX_NAME_SIZE, MAX_TERM } from '../limits.ts'
import { checked, mapped, record, tagged } from '../record.ts'
import { configurationEncoding, nodeIdEncoding } from '../raft/encoding.ts'
import type { JoinRequest, OwnHello, Welcome } from './transport.ts'

export const CLUSTER_ID_BYTES = 16
export const INSTANCE_BYTES = 16
const STORAGE_EPOCH_BYTES = 16
/** Bytes of a sealed epoch secret: 32 and the seal's overhead, with room for a longer one. */
const MAX_SEALED_BYTES = 256
const MAX_VERSION_TEXT = 64
const MAX_ERROR_TEXT = 512
const MAX_ERROR_FIELDS = 16

/** The versions of this protocol that a node speaks, both inclusive. */
export interface VersionRange {
  readonly from: number
  readonly to: number
}

/** The first message of a node on `aspen/hello`. */
export interface Hello extends OwnHello {
  readonly clusterId: Uint8Array
  readonly versions: VersionRange
  /** one bit per optional feature; bits that the other side does not know are ignored */
  readonly features: number
}

/** A join request as it travels: with the cluster it is for and the proof of the node key. */
export interface SignedJoinRequest extends JoinRequest {
  readonly clusterId: Uint8Array
  readonly signature: Uint8Array
}

/** The last word on `aspen/join`. */
export type JoinReply =
  | { readonly kind: 'admitted'; readonly welcome: Welcome }
  | { readonly kind: 'refused'; readonly error: ErrorDetail }
  | { readonly kind: 'busy' }

/** What a request or its answer looks like inside `aspen/rpc`. */
export type Envelope =
  | { readonly kind: 'request'; readonly id: number; readonly payload: Uint8Array }
  | { readonly kind: 'answer'; readonly id: number; readonly payload: Uint8Array }
  /** not carried out: the other side has too much in hand */
  | { readonly kind: 'busy'; readonly id: number; readonly payload: Uint8Array }

const safeInteger = boundedUint(Number.MAX_SAFE_INTEGER)
const term = boundedUint(MAX_TERM)
const index = boundedUint(MAX_INDEX)
const uint16 = boundedUint(0xffff)
const uint32 = boundedUint(0xffff_ffff)
const clusterId = fixedBytes(CLUSTER_ID_BYTES)
const instance = fixedBytes(INSTANCE_BYTES)
const storageEpoch = fixedBytes(STORAGE_EPOCH_BYTES)
const publicKey = fixedBytes(PUBLIC_KEY_BYTES)
const signature = fixedBytes(SIGNATURE_BYTES)
const versionText = boundedText(MAX_VERSION_TEXT)

const versions = checked(record<VersionRange>({ from: uint16, to: uint16 }), (range) =>
  range.from > range.to ? 'an empty version range' : null
)

export const helloEncoding: Encoder<Hello> = record<Hello>({
  clusterId,
  id: nodeIdEncoding,
  boot: safeInteger,
  instance,
  storageEpoch,
  versions,
  features: uint32,
  featureLevel: uint16,
  epoch: safeInteger,
  durableTerm: term,
  lastIndex: index,
  version: versionText
})

export const proofEncoding: Encoder<Uint8Array> = fixedBytes(HASH_BYTES)
export const askWelcomeEncoding: Encoder<Uint8Array> = clusterId

export const welcomeEncoding: Encoder<Welcome> = record<Welcome>({
  id: nodeIdEncoding,
  epoch: safeInteger,
  sealedSecret: boundedBytes(MAX_SEALED_BYTES),
  configuration: configurationEncoding
})

/** A piece of something that may be longer than MAX_HELLO_BYTES: a welcome, an answer to a joiner. */
export interface Part {
  readonly isLast: boolean
  readonly bytes: Uint8Array
}

/** Bytes of one part. */
export const MAX_PART_BYTES = 3 * 1024
/** Bytes of all parts together: a welcome with the largest configuration. */
export const MAX_PARTS_BYTES = 32 * 1024

export const partEncoding: Encoder<Part> = record<Part>({
  isLast: strictBoolean,
  bytes: boundedBytes(MAX_PART_BYTES)
})

/** Cuts `bytes` into encoded parts. */
export function partsOf(bytes: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = []
  let start = 0
  do {
    const end = Math.min(start + MAX_PART_BYTES, bytes.byteLength)
    const isLast = end === bytes.byteLength
    parts.push(encode(partEncoding, { isLast, bytes: bytes.subarray(start, end) }))
    start = end
  } while (start < bytes.byteLength)
  return parts
}

/** Collects parts; `add` gives the whole with the last one. */
export class Parts {
  #collected: Uint8Array[] = []
  #byteCount = 0

  /** @throws ProtocolError when the part is malformed or the whole is too long */
  add(encoded: Uint8Array): Uint8Array | null {
    const part = decode(partEncoding, encoded)
    if (part.bytes.byteLength === 0 && !part.isLast) throw new ProtocolError('an empty part')
    this.#byteCount += part.bytes.byteLength
    if (this.#byteCount > MAX_PARTS_BYTES) throw new ProtocolError('too many parts')
    this.#collected.push(part.bytes)
    if (!part.isLast) return null
    const whole = new Uint8Array(this.#byteCount)
    let offset = 0
    for (const bytes of this.#collected) {
      whole.set(bytes, offset)
      offset += bytes.byteLength
    }
    this.#collected = []
    this.#byteCount = 0
    return whole
  }
}

const errorText = boundedText(MAX_ERROR_TEXT)
const fieldName = boundedText(MAX_VERSION_TEXT)

/** JSON of one field's value: text, number, boolean or null. */
const fieldEncoding: Encoder<readonly [string, string | number | boolean | null]> = {
  preencode(state, [name, value]) {
    fieldName.preencode(state, name)
    errorText.preencode(state, JSON.stringify(value))
  },
  encode(state, [name, value]) {
    fieldName.encode(state, name)
    errorText.encode(state, JSON.stringify(value))
  },
  decode(state) {
    return [fieldName.decode(state), scalarOf(errorText.decode(state))]
  }
}

function scalarOf(text: string): string | number | boolean | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new ProtocolError('a field is not JSON', { cause: error })
  }
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return value
  throw new ProtocolError('a field is not a scalar')
}

const fieldsEncoding = boundedArray(fieldEncoding, MAX_ERROR_FIELDS)

/** No hint is an empty one; no fields are none. */
export const errorEncoding: Encoder<ErrorDetail> = mapped(
  record({ code: fieldName, message: errorText, hint: errorText, fields: fieldsEncoding }),
  {
    into: ({ code, message, hint = '', fields = {} }: ErrorDetail) => ({
      code,
      message,
      hint,
      fields: Object.entries(fields)
    }),
    from({ code, message, hint, fields }) {
      if (!isErrorCode(code)) throw new ProtocolError('an unknown error code')
      return {
        code,
        message,
        ...(hint === '' ? {} : { hint }),
        ...(fields.length === 0 ? {} : { fields: Object.fromEntries(fields) })
      }
    }
  }
)

/** An error detail that fits the wire: long texts are cut, excess fields dropped. */
export function errorForWire(error: ErrorDetail): ErrorDetail {
  const fields = Object.entries(error.fields ?? {}).filter(
    ([name, value]) => name.length <= 16 && JSON.stringify(value).length <= 128
  )
  return {
    code: error.code,
    message: error.message.slice(0, MAX_ERROR_TEXT / 4),
    ...(error.hint === undefined ? {} : { hint: error.hint.slice(0, MAX_ERROR_TEXT / 4) }),
    ...(fields.length === 0 ? {} : { fields: Object.fromEntries(fields.slice(0, 8)) })
  }
}

export const joinRequestEncoding: Encoder<SignedJoinRequest> = record<SignedJoinRequest>({
  clusterId,
  publicKey,
  name: boundedText(MAX_NAME_SIZE),
  version: versionText,
  addresses: boundedArray(addressEncoding, MAX_MEMBER_ADDRESSES),
  signature
})

export const joinReplyEncoding: Encoder<JoinReply> = tagged<JoinReply>('answer', {
  admitted: { byte: 0, body: record({ welcome: welcomeEncoding }) },
  refused: { byte: 1, body: record({ error: errorEncoding }) },
  busy: { byte: 2, body: record({}) }
})

/** Bytes before the payload of an envelope: kind, and the id as a little-endian uint32. */
export const ENVELOPE_BYTES = 5

const ENVELOPE_KINDS = ['request', 'answer', 'busy'] as const

export function encodeEnvelope(envelope: Envelope): Uint8Array {
  const bytes = new Uint8Array(ENVELOPE_BYTES + envelope.payload.byteLength)
  bytes[0] = ENVELOPE_KINDS.indexOf(envelope.kind)
  new DataView(bytes.buffer).setUint32(1, envelope.id, true)
  bytes.set(envelope.payload, ENVELOPE_BYTES)
  return bytes
}

/** The payload aliases `bytes`. @throws ProtocolError */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  const kind = ENVELOPE_KINDS[bytes[0] ?? 0xff]
  if (kind === undefined || bytes.byteLength < ENVELOPE_BYTES) {
    throw new ProtocolError('not a request or an answer')
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { kind, id: view.getUint32(1, true), payload: bytes.subarray(ENVELOPE_BYTES) }
}
