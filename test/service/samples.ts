// One request and answer of each kind, for the golden file and the tests.

import { textOf } from '../../lib/encoding.ts'
import type { RequestId } from '../../lib/state-machine/command.ts'
import { decodeWrite, encodeControl, encodeWrite } from '../../lib/state-machine/encoding.ts'
import type { LeaderAnswer, LeaderRequest } from '../../lib/service/encoding.ts'

export function writeOf(
  key: string,
  value = new Uint8Array(1),
  request: RequestId | null = null
): Uint8Array {
  const change = {
    kind: 'put',
    key: new TextEncoder().encode(key),
    value,
    condition: null
  } as const
  return encodeWrite({ changes: [change] }, request)
}

const revoke = encodeControl({ kind: 'revokeInvite', publicKey: new Uint8Array(32).fill(9) })

export const REQUESTS: Readonly<Record<string, LeaderRequest>> = {
  propose: {
    kind: 'propose',
    timeoutMs: 5_000,
    proposals: [
      { kind: 2, payload: writeOf('a') },
      { kind: 3, payload: revoke }
    ]
  },
  'propose nothing': { kind: 'propose', timeoutMs: 0, proposals: [] },
  readIndex: { kind: 'readIndex', timeoutMs: 2_000 },
  askDisk: { kind: 'askDisk' },
  askLog: { kind: 'askLog' }
}

export const ANSWERS: Readonly<Record<string, LeaderAnswer>> = {
  results: {
    kind: 'outcomes',
    outcomes: [
      { kind: 'done', index: 70_000, result: { kind: 'none' } },
      {
        kind: 'done',
        index: 5,
        result: {
          kind: 'written',
          revision: 5,
          changes: [{ previousRevision: 0 }, { previousRevision: 4 }]
        }
      },
      { kind: 'done', index: 6, result: { kind: 'inviteCreated' } },
      { kind: 'done', index: 7, result: { kind: 'inviteRevoked' } },
      { kind: 'done', index: 8, result: { kind: 'admitted', id: 3, isNew: true } },
      { kind: 'done', index: 9, result: { kind: 'described' } },
      {
        kind: 'done',
        index: 10,
        result: {
          kind: 'refused',
          error: {
            code: 'CONDITION_FAILED',
            message: 'the key "ä" is at revision 4',
            hint: 'read it again',
            fields: { key: 'ä', revision: 4, expected: null, is: true }
          }
        }
      },
      {
        kind: 'done',
        index: 11,
        result: { kind: 'refused', error: { code: 'TICKET_NOT_FOUND', message: 'none' } }
      }
    ]
  },
  refusals: {
    kind: 'outcomes',
    outcomes: [
      { kind: 'refused', reason: 'notLeader' },
      { kind: 'refused', reason: 'transferring' },
      { kind: 'refused', reason: 'changeInProgress' },
      { kind: 'refused', reason: 'invalidChange' },
      { kind: 'refused', reason: 'overloaded' },
      { kind: 'refused', reason: 'clockOff' },
      { kind: 'refused', reason: 'overwritten' },
      { kind: 'refused', reason: 'closing' },
      { kind: 'refused', reason: 'diskFull' },
      { kind: 'refused', reason: 'storeFull' },
      { kind: 'unknown' }
    ]
  },
  'read ready': { kind: 'readAnswer', outcome: { kind: 'ready', index: 70_000 } },
  'read refused': { kind: 'readAnswer', outcome: { kind: 'refused', reason: 'notLeader' } },
  rejected: { kind: 'rejected' },
  'disk with space': { kind: 'disk', hasSpace: true },
  'disk without space': { kind: 'disk', hasSpace: false },
  log: { kind: 'log', lastTerm: 3, lastIndex: 300, commitIndex: 299, appliedIndex: 7 }
}

/** The first key of a write. */
export function textOfKey(payload: Uint8Array): string {
  const key = decodeWrite(payload).changes[0]?.key
  return key === undefined ? '' : (textOf(key) ?? '')
}

/** What `submit` takes: a write of one key. */
export function put(key: string) {
  return (request: RequestId) => ({ kind: 2, payload: writeOf(key, new Uint8Array(1), request) })
}
