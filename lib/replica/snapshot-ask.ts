// One question to a member over `aspen/snapshot`, and what can come of it.

import { decode, encode } from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { RequestAnswer } from '../transport/transport.ts'
import type { SnapshotAnswer, SnapshotRequest } from './encoding.ts'
import { snapshotAnswer, snapshotRequest } from './encoding.ts'

/** `Transport.requestSnapshot`: `onAnswer` is called once, never synchronously. */
export type SendRequest = (
  to: NodeId,
  payload: Uint8Array,
  onAnswer: (answer: RequestAnswer) => void
) => void

export type Heard =
  | SnapshotAnswer
  /** no link, or it ended before the answer */
  | { readonly kind: 'lost' }
  | { readonly kind: 'malformed' }

/** Calls `onHeard` once, never synchronously. */
export type Ask = (to: NodeId, request: SnapshotRequest, onHeard: (heard: Heard) => void) => void

/** A way to ask over `send`. */
export function askOver(send: SendRequest): Ask {
  return (to, request, onHeard) => {
    send(to, encode(snapshotRequest, request), (answer) => onHeard(heardIn(answer)))
  }
}

function heardIn(answer: RequestAnswer): Heard {
  if (answer.kind === 'lost') return answer
  if (answer.kind === 'notSent') return { kind: answer.reason === 'busy' ? 'busy' : 'lost' }
  try {
    return decode(snapshotAnswer, answer.payload)
  } catch (error) {
    if (error instanceof ProtocolError) return { kind: 'malformed' }
    throw error
  }
}
