// What a member may propose through another node: nothing in another member's name. Who sent a request
// is known by the key of its connection, so what a command says of its author must agree with that.

import { unreachable } from '../assert.ts'
import type { NodeId } from '../node-id.ts'
import { ENTRY_KIND } from '../raft/entry.ts'
import { decodeControl } from '../state-machine/encoding.ts'
import type { ProposedEntry } from './encoding.ts'

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
