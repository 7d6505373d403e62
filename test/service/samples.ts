// One request and answer of each kind, for the golden file and the tests.

import { textOf } from '../../lib/encoding.ts'
import type { RequestId } from '../../lib/state-machine/command.ts'
import { decodeWrite, encodeControl, encodeWrite } from '../../lib/state-machine/encoding.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import type { LeaderAnswer, LeaderRequest } from '../../lib/service/encoding.ts'
import type { ClusterOperation } from '../../lib/service/operations.ts'

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
  askLog: { kind: 'askLog' },
  ...operating({
    'change voters': { kind: 'changeVoters', members: [1, 2, 300], expected: null },
    'change voters that are known': { kind: 'changeVoters', members: [1, 2], expected: [1, 2, 3] },
    'promote in a place': { kind: 'promote', learnerId: 4, replaceNode: 2, force: true },
    promote: { kind: 'promote', learnerId: 4, replaceNode: null, force: false },
    remove: { kind: 'remove', id: 3, force: true },
    'transfer to': { kind: 'transfer', target: 2 },
    transfer: { kind: 'transfer', target: null },
    snapshot: { kind: 'snapshot', newest: 70_000 },
    'await a learner': { kind: 'awaitLearner', id: 4 }
  })
}

function operating(
  operations: Readonly<Record<string, ClusterOperation>>
): Readonly<Record<string, LeaderRequest>> {
  const rows = Object.entries(operations).map(([name, operation]) => {
    return [name, { kind: 'operate', timeoutMs: 5_000, operation }] as const
  })
  return Object.fromEntries(rows)
}

const CONFIGURATION: Configuration = {
  members: [
    {
      id: 1,
      publicKey: new Uint8Array(32).fill(1),
      role: 'voter',
      addresses: [{ host: '10.0.0.1', port: 49_737 }]
    },
    { id: 3, publicKey: new Uint8Array(32).fill(3), role: 'learner', addresses: [] }
  ],
  outgoing: []
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
  changed: {
    kind: 'operated',
    end: {
      kind: 'done',
      result: {
        kind: 'changed',
        index: 90,
        timeMs: 1_800_000_000_000,
        previousVoters: [1, 2],
        configuration: CONFIGURATION,
        revokedTickets: ['0a1b2c3d']
      }
    }
  },
  transferred: {
    kind: 'operated',
    end: { kind: 'done', result: { kind: 'transferred', leader: 2 } }
  },
  'snapshot at': {
    kind: 'operated',
    end: { kind: 'done', result: { kind: 'snapshotAt', index: 70_001 } }
  },
  'operation failed': {
    kind: 'operated',
    end: {
      kind: 'failed',
      error: {
        code: 'LEARNER_LAGGING',
        message: 'Learner 4 is too far behind (lag: 500 entries)',
        hint: 'wait',
        fields: { id: 4, lag: 500 }
      }
    }
  },
  'not carried out here': { kind: 'operated', end: { kind: 'again' } },
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
