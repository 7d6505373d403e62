// One question to a member: how much of the log it has. For people who have lost the quorum.

import { decode, encode } from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Transport } from '../transport/transport.ts'
import type { LogPosition } from './encoding.ts'
import { leaderAnswer, leaderRequest } from './encoding.ts'

/** `onAnswer` is called once, or never where nobody answers; null: the other side does not say. */
export function askLog(
  request: Transport['request'],
  to: NodeId,
  onAnswer: (position: LogPosition | null) => void
): void {
  request(to, encode(leaderRequest, { kind: 'askLog' }), (answer) => {
    onAnswer(answer.kind === 'answered' ? positionIn(answer.payload) : null)
  })
}

function positionIn(payload: Uint8Array): LogPosition | null {
  try {
    const answer = decode(leaderAnswer, payload)
    if (answer.kind !== 'log') return null
    const { lastTerm, lastIndex, commitIndex, appliedIndex } = answer
    return { lastTerm, lastIndex, commitIndex, appliedIndex }
  } catch (error) {
    if (error instanceof ProtocolError) return null
    throw error
  }
}
