// What a member may propose through another node: nothing in another member's name. Who sent a request
// is known by the key of its connection, so what a command says of its author must agree with that.

import { unreachable } from '../assert.ts'
import { decode } from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import { decodeControl } from '../state-machine/encoding.ts'
import type { LeaderRequest, ProposedEntry } from './encoding.ts'
import { leaderRequest } from './encoding.ts'

/** What `from` asks; null for what cannot be read or is not its own to propose, which is rejected as a whole. */
export function requestFrom(from: NodeId, payload: Uint8Array): LeaderRequest | null {
  try {
    const request = decode(leaderRequest, payload)
    const isOwn =
      request.kind !== 'propose' || request.proposals.every((entry) => mayPropose(from, entry))
    return isOwn ? request : null
  } catch (error) {
    if (error instanceof ProtocolError) return null
    throw error
  }
}

/** Whether the leader takes the entry from `from`. The payload is one that can be decoded. */
export function mayPropose(from: NodeId, { kind, payload }: ProposedEntry): boolean {
  if (kind !== ENTRY_KIND.control) return true
  const command = decodeControl(payload)
  switch (command.kind) {
    case 'describe':
      return command.id === from
    case 'createInvite':
      return command.createdBy === from
    case 'revokeInvite':
    case 'admit':
    case 'admitKey':
      return true
    case 'compact':
    case 'raiseFeatureLevel':
      // the leader's own policies
      return false
    case 'found':
      // written by the founder before its first start, and by nobody later
      return false
    default:
      return unreachable(command)
  }
}
