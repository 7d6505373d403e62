// The documents of the key-value store: bodies of `/kv/*` as schemas and types, in the seed's shapes.
// How they become bytes and commands: kv-json.ts.
//
// Keys and values are bytes. Text stands in `key` and `value`; what is not UTF-8 stands, as base64,
// in `key_b64` and `value_b64`. Exactly one of the two is there. Requests with unknown fields are refused;
// answers may get more fields.

import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { MAX_INDEX, MAX_REQUEST_TIMEOUT_MS, MAX_SCAN_LIMIT } from '../limits.ts'

const strict = { additionalProperties: false } as const

const Base64 = Type.String({ description: 'standard base64 with padding' })
const Revision = Type.Integer({ minimum: 1, maximum: MAX_INDEX })
const KeyFields = { key: Type.Optional(Type.String()), key_b64: Type.Optional(Base64) }
const ValueFields = { value: Type.Optional(Type.String()), value_b64: Type.Optional(Base64) }
const ConditionFields = {
  if_revision: Type.Optional(Revision),
  if_absent: Type.Optional(Type.Boolean({ description: 'false is the same as leaving it out' }))
}
const MetaFields = { revision: Revision, create_revision: Revision, version: Type.Integer() }

export const TimeoutMs = Type.Integer({ minimum: 1, maximum: MAX_REQUEST_TIMEOUT_MS })
export const Consistency = Type.Union([Type.Literal('linearizable'), Type.Literal('stale')])

/** What each read may say of what it is to be worth. */
const ReadFields = {
  consistency: Type.Optional(Consistency),
  max_age_ms: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: MAX_REQUEST_TIMEOUT_MS,
      description: 'with `stale`: how long ago the node may have heard of the leader last'
    })
  )
}
/** What the answer to a stale read is worth. */
const AgeFields = {
  leader_contact_ms: Type.Union([Type.Integer(), Type.Null()], {
    description: 'of a stale read: how long ago the node heard of the leader last; else null'
  })
}

export const ReadRequest = Type.Object(
  {
    ...KeyFields,
    ...ReadFields,
    timeout_ms: Type.Optional(TimeoutMs)
  },
  strict
)
export type ReadRequest = Static<typeof ReadRequest>

export const ReadAnswer = Type.Object({
  ...KeyFields,
  ...ValueFields,
  ...MetaFields,
  consistency: Consistency,
  applied_index: Type.Integer({ description: 'last entry that the answer reflects' }),
  ...AgeFields
})
export type ReadAnswer = Static<typeof ReadAnswer>

const SetFields = Type.Object({ ...KeyFields, ...ValueFields, ...ConditionFields }, strict)
const DeleteFields = Type.Object({ ...KeyFields, ...ConditionFields }, strict)
const Pair = Type.Union(
  [
    Type.Tuple([Type.String(), Type.String()]),
    Type.Object({ ...KeyFields, ...ValueFields }, strict)
  ],
  { description: '["<key>", "<value>"], or an object with key or key_b64, and value or value_b64' }
)
const KeyItem = Type.Union([Type.String(), Type.Object(KeyFields, strict)], {
  description: 'a key as text, or an object with key or key_b64'
})
const Operation = Type.Object(
  { Set: Type.Optional(SetFields), Delete: Type.Optional(DeleteFields) },
  { ...strict, minProperties: 1, maxProperties: 1 }
)

/** A command, tagged by its one field. `Batch` holds what the other four cannot say in one revision. */
export const CommandJson = Type.Object(
  {
    Set: Type.Optional(SetFields),
    SetMulti: Type.Optional(Type.Object({ pairs: Type.Array(Pair) }, strict)),
    Delete: Type.Optional(DeleteFields),
    DeleteMulti: Type.Optional(Type.Object({ keys: Type.Array(KeyItem) }, strict)),
    Batch: Type.Optional(Type.Object({ operations: Type.Array(Operation) }, strict))
  },
  { ...strict, minProperties: 1, maxProperties: 1 }
)
export type CommandJson = Static<typeof CommandJson>
export type SetJson = Static<typeof SetFields>
export type DeleteJson = Static<typeof DeleteFields>

export const WriteBody = Type.Object(
  { command: CommandJson, timeout_ms: Type.Optional(TimeoutMs) },
  strict
)
export type WriteBody = Static<typeof WriteBody>

export const WriteAnswer = Type.Object({
  /** as it was sent */
  command: CommandJson,
  revision: Revision,
  changes: Type.Array(
    Type.Object({
      previous_revision: Type.Integer({ description: '0 when there was no such key' })
    })
  )
})
export type WriteAnswer = Static<typeof WriteAnswer>

export const PutAnswer = Type.Object({
  ...KeyFields,
  revision: Revision,
  previous_revision: Type.Integer({ description: '0 when the key is new' })
})
export type PutAnswer = Static<typeof PutAnswer>

export const DeleteBody = Type.Object(
  { ...KeyFields, if_revision: Type.Optional(Revision), timeout_ms: Type.Optional(TimeoutMs) },
  strict
)
export type DeleteBody = Static<typeof DeleteBody>

export const DeleteAnswer = Type.Object({
  ...KeyFields,
  deleted: Type.Boolean({ description: 'whether the key was there when it was applied' }),
  revision: Revision
})
export type DeleteAnswer = Static<typeof DeleteAnswer>

export const ScanBody = Type.Object(
  {
    prefix: Type.Optional(Type.String()),
    prefix_b64: Type.Optional(Base64),
    after: Type.Optional(Type.String()),
    after_b64: Type.Optional(Base64),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_SCAN_LIMIT })),
    ...ReadFields,
    timeout_ms: Type.Optional(TimeoutMs)
  },
  strict
)
export type ScanBody = Static<typeof ScanBody>

export const ItemJson = Type.Object({ ...KeyFields, ...ValueFields, ...MetaFields })
export type ItemJson = Static<typeof ItemJson>

export const ScanAnswer = Type.Object({
  items: Type.Array(ItemJson),
  has_more: Type.Boolean(),
  revision: Type.Integer({ description: 'last entry that the page reflects' }),
  consistency: Consistency,
  ...AgeFields
})
export type ScanAnswer = Static<typeof ScanAnswer>
