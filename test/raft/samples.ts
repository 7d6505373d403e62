// One message of each kind, typed so that a new kind needs one; and a configuration with everything.

import { bytesOf } from '../../lib/encoding.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import { encodeConfiguration } from '../../lib/raft/encoding.ts'
import { chained, ENTRY_KIND } from '../../lib/raft/entry.ts'
import type { Message } from '../../lib/raft/message.ts'

export const PREVIOUS = { index: 300, term: 4, hash: new Uint8Array(32).fill(0xab) }

export const CONFIGURATION: Configuration = {
  members: [
    { id: 1, publicKey: new Uint8Array(32).fill(1), role: 'voter', addresses: [] },
    {
      id: 2,
      publicKey: new Uint8Array(32).fill(2),
      role: 'learner',
      addresses: [{ host: '192.168.1.20', port: 49_737 }]
    },
    { id: 70_000, publicKey: new Uint8Array(32).fill(3), role: 'leaving', addresses: [] }
  ],
  outgoing: [1, 2, 70_000]
}

const first = chained(PREVIOUS, {
  term: 4,
  kind: ENTRY_KIND.write,
  timeMs: 1_700_000_000_000,
  payload: bytesOf('put a 1')
})
const second = chained(first, {
  term: 70_000,
  kind: ENTRY_KIND.configuration,
  timeMs: 1_700_000_000_001,
  payload: encodeConfiguration(CONFIGURATION)
})

export const MESSAGES: { readonly [K in Message['kind']]: Extract<Message, { kind: K }> } = {
  preVote: { kind: 'preVote', term: 5, lastIndex: 300, lastTerm: 4 },
  preVoteAnswer: { kind: 'preVoteAnswer', term: 5, isGranted: true, ownTerm: 4 },
  vote: { kind: 'vote', term: 5, lastIndex: 300, lastTerm: 4, isTransfer: true },
  voteAnswer: { kind: 'voteAnswer', term: 5, isGranted: false },
  append: {
    kind: 'append',
    term: 70_000,
    session: 9,
    previousIndex: PREVIOUS.index,
    previousTerm: PREVIOUS.term,
    previousHash: PREVIOUS.hash,
    entries: [first, second],
    commitIndex: 299
  },
  appendAnswer: {
    kind: 'appendAnswer',
    term: 5,
    session: 9,
    result: { kind: 'rejected', previousIndex: 300, hintIndex: 250, hintTerm: 3 }
  },
  heartbeat: { kind: 'heartbeat', term: 5, boot: 3, round: 2 ** 40, commitIndex: 299 },
  heartbeatAnswer: {
    kind: 'heartbeatAnswer',
    term: 5,
    boot: 3,
    round: 2 ** 40,
    wallMs: 1_700_000_000_000
  },
  timeoutNow: { kind: 'timeoutNow', term: 5 }
}

export const MATCHED: Message = {
  kind: 'appendAnswer',
  term: 5,
  session: 9,
  result: { kind: 'matched', matchIndex: 302 }
}
