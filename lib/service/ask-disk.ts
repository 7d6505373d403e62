// One question of a leader that looks for a voter with space on its disk.

import { decode, encode } from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Transport } from '../transport/transport.ts'
import { leaderAnswer, leaderRequest } from './encoding.ts'

/** `onAnswer` is called once, or never where nobody answers; null: the other side does not say. */
export function askDisk(
  request: Transport['request'],
  to: NodeId,
  onAnswer: (hasSpace: boolean | null) => void
): void {
  request(to, encode(leaderRequest, { kind: 'askDisk' }), (answer) => {
    onAnswer(answer.kind === 'answered' ? hasSpaceIn(answer.payload) : null)
  })
}

function hasSpaceIn(payload: Uint8Array): boolean | null {
  try {
    const answer = decode(leaderAnswer, payload)
    return answer.kind === 'disk' ? answer.hasSpace : null
  } catch (error) {
    if (error instanceof ProtocolError) return null
    throw error
  }
}
