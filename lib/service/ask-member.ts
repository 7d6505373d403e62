// One question to a member about itself: whether its disk has space, for a leader that looks for somebody
// who has; how much of the log it has, for people who have lost the quorum.

import type { Timers } from '../clock.ts'
import { decode, encode } from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import { ASK_LOG_MS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Transport } from '../transport/transport.ts'
import type { LeaderAnswer, LogPosition } from './encoding.ts'
import { leaderAnswer, leaderRequest } from './encoding.ts'

type Request = Transport['request']

/** `onAnswer` is called once, or never where nobody answers; null: the other side does not say. */
export function askDisk(
  request: Request,
  to: NodeId,
  onAnswer: (hasSpace: boolean | null) => void
): void {
  request(to, encode(leaderRequest, { kind: 'askDisk' }), (answered) => {
    const answer = answered.kind === 'answered' ? answerIn(answered.payload) : null
    onAnswer(answer?.kind === 'disk' ? answer.hasSpace : null)
  })
}

/** How much of the log it has; null when it does not say within ASK_LOG_MS. */
export function askLog(
  { request, timers }: { readonly request: Request; readonly timers: Timers },
  to: NodeId
): Promise<LogPosition | null> {
  return new Promise((resolve) => {
    const timer = timers.start(ASK_LOG_MS, () => resolve(null))
    request(to, encode(leaderRequest, { kind: 'askLog' }), (answered) => {
      timer.cancel()
      const answer = answered.kind === 'answered' ? answerIn(answered.payload) : null
      resolve(answer?.kind === 'log' ? positionIn(answer) : null)
    })
  })
}

function answerIn(payload: Uint8Array): LeaderAnswer | null {
  try {
    return decode(leaderAnswer, payload)
  } catch (error) {
    if (error instanceof ProtocolError) return null
    throw error
  }
}

function positionIn({ lastTerm, lastIndex, commitIndex, appliedIndex }: LogPosition): LogPosition {
  return { lastTerm, lastIndex, commitIndex, appliedIndex }
}
