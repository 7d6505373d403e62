// What members ask of their leader over `aspen/rpc`, format 1. One request, one answer; the first
// byte is the format, the second the kind.
//
//   propose   1 1 ‖ timeoutMs uint ‖ n × { kind uint8 ‖ payload }
//   readIndex 1 2 ‖ timeoutMs uint
//   outcomes  1 3 ‖ n × outcome                  (in the order of the proposals)
//   readAnswer 1 4 ‖ 0 index | 1 reason
//   rejected  1 5
//
//   outcome   0 index result | 1 reason | 2
//   result    one byte per ApplyResult kind, then its fields
//
// A leader takes writes and control commands that it can read itself, and nothing else: the other
// kinds it makes itself, or does not know, and an entry that nobody knows would stop every member.

import c from 'compact-encoding'
import { assert } from '../assert.ts'
import { boundedArray, boundedBytes, boundedText, boundedUint } from '../encoding.ts'
import { bytesOf, checked, choice, isRecord, mapped } from '../encoding.ts'
import { record, strictBoolean, tagged, versioned } from '../encoding.ts'
import type { Encoder } from '../encoding.ts'
import { isErrorCode, ProtocolError } from '../errors.ts'
import type { ErrorDetail } from '../errors.ts'
import { MAX_CHANGES_PER_ENTRY, MAX_ENTRY_BYTES, MAX_INDEX } from '../limits.ts'
import { MAX_APPEND_ENTRIES, MAX_REQUEST_TIMEOUT_MS, MAX_RPC_MESSAGE_SIZE } from '../limits.ts'
import { MAX_NODE_ID } from '../node-id.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { Outcome, Refusal } from '../replica/proposals.ts'
import type { ReadOutcome } from '../replica/waiting-reads.ts'
import { decodeControl, decodeWrite } from '../state-machine/encoding.ts'
import type { ApplyResult, ChangeResult } from '../state-machine/state-machine.ts'

export type LeaderRequest =
  | {
      readonly kind: 'propose'
      readonly timeoutMs: number
      readonly proposals: readonly ProposedEntry[]
    }
  | { readonly kind: 'readIndex'; readonly timeoutMs: number }

export interface ProposedEntry {
  readonly kind: number
  readonly payload: Uint8Array
}

export type LeaderAnswer =
  | { readonly kind: 'outcomes'; readonly outcomes: readonly Outcome[] }
  | { readonly kind: 'readAnswer'; readonly outcome: ReadOutcome }
  /** the request cannot be read here, or is not its sender's to make; nothing happened */
  | { readonly kind: 'rejected' }

const FORMAT = { what: 'format', byte: 1 }
const index = boundedUint(MAX_INDEX)
const timeout = boundedUint(MAX_REQUEST_TIMEOUT_MS)

const proposedEntry = checked(
  record<ProposedEntry>({ kind: c.uint8, payload: boundedBytes(MAX_ENTRY_BYTES) }),
  ({ kind, payload }) => {
    // refused here, or it would be committed and stop every member that applies it
    if (kind === ENTRY_KIND.write) decodeWrite(payload)
    else if (kind === ENTRY_KIND.control) decodeControl(payload)
    else return `entries of kind ${kind} are not proposed`
    return null
  }
)

const requests = tagged<LeaderRequest>('request', {
  propose: {
    byte: 1,
    body: record({
      timeoutMs: timeout,
      proposals: boundedArray(proposedEntry, MAX_APPEND_ENTRIES)
    })
  },
  readIndex: { byte: 2, body: record({ timeoutMs: timeout }) }
})

export const leaderRequest: Encoder<LeaderRequest> = versioned(FORMAT, requests)

/** Append only. */
const reason = choice<Refusal>('reason', [
  'notLeader',
  'transferring',
  'changeInProgress',
  'invalidChange',
  'overloaded',
  'clockOff',
  'overwritten',
  'closing'
])

const codeText = boundedText(64)
const MAX_DETAIL_BYTES = 2_048
const MAX_OUTCOME_BYTES = Math.max(4 * MAX_DETAIL_BYTES, 9 * MAX_CHANGES_PER_ENTRY + 64)
assert(MAX_OUTCOME_BYTES * MAX_APPEND_ENTRIES < MAX_RPC_MESSAGE_SIZE, 'any answer fits a message')
const detailText = boundedText(MAX_DETAIL_BYTES)

/** Code, message, hint (empty for none), fields as JSON (empty for none). */
const errorDetail: Encoder<ErrorDetail> = mapped(
  record({ code: codeText, message: detailText, hint: detailText, json: detailText }),
  {
    into: textsOf,
    from({ code, message, hint, json }) {
      if (!isErrorCode(code)) throw new ProtocolError('an error of an unknown code')
      return {
        code,
        message,
        ...(hint === '' ? {} : { hint }),
        ...(json === '' ? {} : { fields: fieldsOf(json) })
      }
    }
  }
)

const changeResults = boundedArray(
  record<ChangeResult>({ previousRevision: index }),
  MAX_CHANGES_PER_ENTRY
)
const nothing = record({})

const applyResult = tagged<ApplyResult>('result', {
  none: { byte: 0, body: nothing },
  written: { byte: 1, body: record({ revision: index, changes: changeResults }) },
  inviteCreated: { byte: 2, body: nothing },
  inviteRevoked: { byte: 3, body: nothing },
  admitted: {
    byte: 4,
    body: record({ id: boundedUint(MAX_NODE_ID), isNew: strictBoolean })
  },
  described: { byte: 5, body: nothing },
  refused: { byte: 6, body: record({ error: errorDetail }) }
})

const outcome = tagged<Outcome>('outcome', {
  done: { byte: 0, body: record({ index, result: applyResult }) },
  refused: { byte: 1, body: record({ reason }) },
  unknown: { byte: 2, body: nothing }
})

const readOutcome = tagged<ReadOutcome>('read outcome', {
  ready: { byte: 0, body: record({ index }) },
  refused: { byte: 1, body: record({ reason }) }
})

const answers = tagged<LeaderAnswer>('answer', {
  outcomes: { byte: 3, body: record({ outcomes: boundedArray(outcome, MAX_APPEND_ENTRIES) }) },
  readAnswer: { byte: 4, body: record({ outcome: readOutcome }) },
  rejected: { byte: 5, body: nothing }
})

export const leaderAnswer: Encoder<LeaderAnswer> = versioned(FORMAT, answers)

/**
 * Texts that fit. A refusal names keys, and a key with its control characters escaped is long: then
 * the message is cut, and the longest fields are left out.
 */
function textsOf({ code, message, hint = '', fields = {} }: ErrorDetail) {
  const kept = Object.entries(fields)
  const isLong = byteLengthOf(kept) > MAX_DETAIL_BYTES
  if (isLong) kept.sort(([, a], [, b]) => JSON.stringify(a).length - JSON.stringify(b).length)
  while (byteLengthOf(kept) > MAX_DETAIL_BYTES) kept.pop()
  const json = kept.length === 0 ? '' : JSON.stringify(Object.fromEntries(kept))
  return { code, message: cut(message), hint: cut(hint), json }
}

function byteLengthOf(fields: readonly (readonly [string, unknown])[]): number {
  return bytesOf(JSON.stringify(Object.fromEntries(fields))).byteLength
}

function cut(text: string): string {
  const isLong = bytesOf(text).byteLength > MAX_DETAIL_BYTES
  // a quarter: UTF-8 takes at most three bytes for one unit of a string
  return isLong ? `${text.slice(0, MAX_DETAIL_BYTES / 4)}…` : text
}

type Fields = NonNullable<ErrorDetail['fields']>

function fieldsOf(text: string): Fields {
  const value = parseJson(text)
  if (!isRecord(value)) throw new ProtocolError('error fields are an object')
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => {
      if (isPlain(field)) return [name, field]
      throw new ProtocolError('error fields are plain values')
    })
  )
}

function isPlain(value: unknown): value is Fields[string] {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ProtocolError('error fields are JSON', { cause: error })
  }
}
