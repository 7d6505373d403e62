// The name of a member inside its cluster: a small positive integer, bound to one public key by a
// log entry and never used twice (DESIGN §5). Outside the cluster a member is its public key.

/** 1 to 2^31 - 1. */
export type NodeId = number

export const MAX_NODE_ID = 0x7fff_ffff

export function isNodeId(value: unknown): value is NodeId {
  return Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= MAX_NODE_ID
}
