// Whom this node wants links with, where to try, and under which topics it is found. Everything is
// recomputed from replicated state; only the addresses that worked are remembered besides.

import type { Address } from '../address.ts'
import { formatAddress } from '../address.ts'
import { keyedHash, namespace } from '../crypto.ts'
import { hexOf } from '../encoding.ts'
import { MAX_MEMBER_ADDRESSES } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { TrustState } from '../state-machine/state-machine.ts'
import type { Peer } from '../transport/transport.ts'

export interface PeersInput {
  readonly selfId: NodeId
  readonly configuration: Configuration
  readonly trustState: TrustState
  /** by hex of the public key: where a link was last up */
  readonly savedAddresses: ReadonlyMap<string, readonly Address[]>
}

/** Every member and every admitted node but this one and those that were removed; addresses that worked first. */
export function wantedPeers(input: PeersInput): readonly Peer[] {
  const peers = new Map<NodeId, Peer>()
  for (const { id, publicKey, addresses } of input.configuration.members) {
    peers.set(id, { id, publicKey, addresses })
  }
  for (const { id, publicKey, addresses } of input.trustState.nodes) {
    const known = peers.get(id)?.addresses ?? []
    peers.set(id, { id, publicKey, addresses: unique([...addresses, ...known]) })
  }
  peers.delete(input.selfId)
  // what this node was told when it joined may still name them
  for (const { id } of input.trustState.removed) peers.delete(id)
  return [...peers.values()].map((peer) => {
    const saved = input.savedAddresses.get(hexOf(peer.publicKey)) ?? []
    return { ...peer, addresses: unique([...saved, ...peer.addresses]) }
  })
}

/** The topic under which members of an epoch find each other when no address works. */
export function memberTopic(epochSecret: Uint8Array, clusterId: Uint8Array): Uint8Array {
  return keyedHash(epochSecret, MEMBER_TOPIC, clusterId)
}

/** The topics of all open invites. */
export function inviteTopics(trustState: TrustState): readonly Uint8Array[] {
  return trustState.invites.filter((invite) => invite.closed === null).map((invite) => invite.topic)
}

const MEMBER_TOPIC = namespace('member-topic/1')

function unique(addresses: readonly Address[]): readonly Address[] {
  const byText = new Map(addresses.map((address) => [formatAddress(address), address]))
  return [...byText.values()].slice(0, MAX_MEMBER_ADDRESSES)
}
