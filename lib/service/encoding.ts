// What members ask of their leader over `aspen/rpc`, format 1. One request, one answer; the first
// byte is the format, the second the kind.
//
//   propose   1 1 ‖ timeoutMs uint ‖ n × { kind uint8 ‖ payload }
//   readIndex 1 2 ‖ timeoutMs uint
//   outcomes  1 3 ‖ n × outcome                  (in the order of the proposals)
//   readAnswer 1 4 ‖ 0 index | 1 reason
//
//   outcome   0 index result | 1 reason | 2
//   result    one byte per ApplyResult kind, then its fields
//
// A leader takes writes and control commands that it can read itself, and nothing else: the other
// kinds it makes itself, or does not know, and an entry that nobody knows would stop every member.

import c from 'compact-encoding'
import { assert } from '../assert.ts'
import { boundedArray, boundedBytes, boundedText, boundedUint } from '../encoding.ts'
import { bytesOf, isRecord, strictBoolean } from '../encoding.ts'
import type { Encoder } from '../encoding.ts'
import { isErrorCode, ProtocolError } from '../errors.ts'
import type { ErrorDetail } from '../errors.ts'
import { MAX_CHANGES_PER_ENTRY, MAX_ENTRY_BYTES, MAX_INDEX } from '../limits.ts'
import { MAX_APPEND_ENTRIES, MAX_REQUEST_TIMEOUT_MS, MAX_RPC_MESSAGE_SIZE } from '../limits.ts'
import { MAX_NODE_ID } from '../node-id.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import type { Outcome } from '../replica/proposals.ts'
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

const FORMAT = 1
const index = boundedUint(MAX_INDEX)
const timeout = boundedUint(MAX_REQUEST_TIMEOUT_MS)

const proposedEntry: Encoder<ProposedEntry> = {
  preencode(state, entry) {
    c.uint8.preencode(state, entry.kind)
    payload.preencode(state, entry.payload)
  },
  encode(state, entry) {
    c.uint8.encode(state, entry.kind)
    payload.encode(state, entry.payload)
  },
  decode(state) {
    const kind = c.uint8.decode(state)
    const isTaken = kind === ENTRY_KIND.write || kind === ENTRY_KIND.control
    if (!isTaken) throw new ProtocolError(`entries of kind ${kind} are not proposed`)
    const bytes = payload.decode(state)
    // refused here, or it would be committed and stop every member that applies it
    if (kind === ENTRY_KIND.write) decodeWrite(bytes)
    else decodeControl(bytes)
    return { kind, payload: bytes }
  }
}
const payload = boundedBytes(MAX_ENTRY_BYTES)
const proposedEntries = boundedArray(proposedEntry, MAX_APPEND_ENTRIES)

export const leaderRequest: Encoder<LeaderRequest> = {
  preencode(state, request) {
    state.end += 2
    timeout.preencode(state, request.timeoutMs)
    if (request.kind === 'propose') proposedEntries.preencode(state, request.proposals)
  },
  encode(state, request) {
    c.uint8.encode(state, FORMAT)
    c.uint8.encode(state, request.kind === 'propose' ? 1 : 2)
    timeout.encode(state, request.timeoutMs)
    if (request.kind === 'propose') proposedEntries.encode(state, request.proposals)
  },
  decode(state) {
    const kind = decodeKind(state)
    const timeoutMs = timeout.decode(state)
    if (kind === 1) return { kind: 'propose', timeoutMs, proposals: proposedEntries.decode(state) }
    if (kind === 2) return { kind: 'readIndex', timeoutMs }
    throw new ProtocolError(`request of an unknown kind ${kind}`)
  }
}

/** The reasons as bytes; append only. */
const REASONS = [
  'notLeader',
  'transferring',
  'changeInProgress',
  'invalidChange',
  'overloaded',
  'clockOff',
  'overwritten',
  'closing'
] as const
type Reason = (typeof REASONS)[number]

const reason: Encoder<Reason> = {
  preencode(state) {
    state.end++
  },
  encode(state, value) {
    c.uint8.encode(state, REASONS.indexOf(value))
  },
  decode(state) {
    const value = REASONS[c.uint8.decode(state)]
    if (value === undefined) throw new ProtocolError('a refusal for an unknown reason')
    return value
  }
}

const outcome: Encoder<Outcome> = {
  preencode(state, value) {
    state.end++
    if (value.kind === 'refused') reason.preencode(state, value.reason)
    if (value.kind !== 'done') return
    index.preencode(state, value.index)
    applyResult.preencode(state, value.result)
  },
  encode(state, value) {
    c.uint8.encode(state, value.kind === 'done' ? 0 : value.kind === 'refused' ? 1 : 2)
    if (value.kind === 'refused') reason.encode(state, value.reason)
    if (value.kind !== 'done') return
    index.encode(state, value.index)
    applyResult.encode(state, value.result)
  },
  decode(state) {
    const kind = c.uint8.decode(state)
    if (kind === 0) {
      return { kind: 'done', index: index.decode(state), result: applyResult.decode(state) }
    }
    if (kind === 1) return { kind: 'refused', reason: reason.decode(state) }
    if (kind === 2) return { kind: 'unknown' }
    throw new ProtocolError(`outcome of an unknown kind ${kind}`)
  }
}
const outcomes = boundedArray(outcome, MAX_APPEND_ENTRIES)

export const leaderAnswer: Encoder<LeaderAnswer> = {
  preencode(state, answer) {
    state.end += 2
    if (answer.kind === 'outcomes') {
      outcomes.preencode(state, answer.outcomes)
    } else {
      state.end++
      if (answer.outcome.kind === 'ready') index.preencode(state, answer.outcome.index)
      else reason.preencode(state, answer.outcome.reason)
    }
  },
  encode(state, answer) {
    c.uint8.encode(state, FORMAT)
    c.uint8.encode(state, answer.kind === 'outcomes' ? 3 : 4)
    if (answer.kind === 'outcomes') {
      outcomes.encode(state, answer.outcomes)
    } else {
      c.uint8.encode(state, answer.outcome.kind === 'ready' ? 0 : 1)
      if (answer.outcome.kind === 'ready') index.encode(state, answer.outcome.index)
      else reason.encode(state, answer.outcome.reason)
    }
  },
  decode(state): LeaderAnswer {
    const kind = decodeKind(state)
    if (kind === 3) return { kind: 'outcomes', outcomes: outcomes.decode(state) }
    if (kind !== 4) throw new ProtocolError(`answer of an unknown kind ${kind}`)
    const isReady = !strictBoolean.decode(state)
    return {
      kind: 'readAnswer',
      outcome: isReady
        ? { kind: 'ready', index: index.decode(state) }
        : { kind: 'refused', reason: reason.decode(state) }
    }
  }
}

function decodeKind(state: Parameters<typeof c.uint8.decode>[0]): number {
  const format = c.uint8.decode(state)
  if (format !== FORMAT) throw new ProtocolError(`format ${format} where ${FORMAT} is spoken`)
  return c.uint8.decode(state)
}

const changeResult: Encoder<ChangeResult> = {
  preencode(state, value) {
    index.preencode(state, value.previousRevision)
  },
  encode(state, value) {
    index.encode(state, value.previousRevision)
  },
  decode: (state) => ({ previousRevision: index.decode(state) })
}
const changeResults = boundedArray(changeResult, MAX_CHANGES_PER_ENTRY)
const nodeId = boundedUint(MAX_NODE_ID)

/** The kinds as bytes; append only. */
const RESULT_KINDS = [
  'none',
  'written',
  'inviteCreated',
  'inviteRevoked',
  'admitted',
  'described',
  'refused'
] as const satisfies readonly ApplyResult['kind'][]

const applyResult: Encoder<ApplyResult> = {
  preencode(state, value) {
    state.end++
    if (value.kind === 'written') {
      index.preencode(state, value.revision)
      changeResults.preencode(state, value.changes)
    }
    if (value.kind === 'admitted') {
      nodeId.preencode(state, value.id)
      strictBoolean.preencode(state, value.isNew)
    }
    if (value.kind === 'refused') errorDetail.preencode(state, value.error)
  },
  encode(state, value) {
    c.uint8.encode(state, RESULT_KINDS.indexOf(value.kind))
    if (value.kind === 'written') {
      index.encode(state, value.revision)
      changeResults.encode(state, value.changes)
    }
    if (value.kind === 'admitted') {
      nodeId.encode(state, value.id)
      strictBoolean.encode(state, value.isNew)
    }
    if (value.kind === 'refused') errorDetail.encode(state, value.error)
  },
  decode(state): ApplyResult {
    const kind = RESULT_KINDS[c.uint8.decode(state)]
    if (kind === undefined) throw new ProtocolError('result of an unknown kind')
    switch (kind) {
      case 'none':
      case 'inviteCreated':
      case 'inviteRevoked':
      case 'described':
        return { kind }
      case 'written':
        return { kind, revision: index.decode(state), changes: changeResults.decode(state) }
      case 'admitted':
        return { kind, id: nodeId.decode(state), isNew: strictBoolean.decode(state) }
      case 'refused':
        return { kind, error: errorDetail.decode(state) }
    }
  }
}

const codeText = boundedText(64)
const MAX_DETAIL_BYTES = 2_048
const MAX_OUTCOME_BYTES = Math.max(4 * MAX_DETAIL_BYTES, 9 * MAX_CHANGES_PER_ENTRY + 64)
assert(MAX_OUTCOME_BYTES * MAX_APPEND_ENTRIES < MAX_RPC_MESSAGE_SIZE, 'any answer fits a message')
const detailText = boundedText(MAX_DETAIL_BYTES)

/** Code, message, hint (empty for none), fields as JSON (empty for none). */
const errorDetail: Encoder<ErrorDetail> = {
  preencode(state, value) {
    const { code, texts } = textsOf(value)
    codeText.preencode(state, code)
    for (const text of texts) detailText.preencode(state, text)
  },
  encode(state, value) {
    const { code, texts } = textsOf(value)
    codeText.encode(state, code)
    for (const text of texts) detailText.encode(state, text)
  },
  decode(state) {
    const code = codeText.decode(state)
    if (!isErrorCode(code)) throw new ProtocolError('an error of an unknown code')
    const message = detailText.decode(state)
    const hint = detailText.decode(state)
    const json = detailText.decode(state)
    return {
      code,
      message,
      ...(hint === '' ? {} : { hint }),
      ...(json === '' ? {} : { fields: fieldsOf(json) })
    }
  }
}

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
  return { code, texts: [cut(message), cut(hint), json] }
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
