// Whom this node keeps links with, under which topics it can be found, and what a ticket says of where it is:
// all of it follows from the configuration and the trust state, and is told to the transport when they change.

import type { Address } from '../address.ts'
import type { Whereabouts } from '../cluster/invites.ts'
import { inviteTopics, memberTopic, wantedPeers } from '../cluster/peers.ts'
import type { ClusterTrust } from '../cluster/trust.ts'
import type { StateMachine } from '../state-machine/state-machine.ts'
import type { Transport } from '../transport/transport.ts'
import type { AssemblyParts } from './assembly-parts.ts'

export interface PeeringParts extends Pick<
  AssemblyParts,
  'id' | 'clusterId' | 'keyPair' | 'bootstrap' | 'savedAddresses'
> {
  readonly stateMachine: Pick<StateMachine, 'trust'>
  readonly trust: ClusterTrust
  readonly transport: Transport
}

export class Peering {
  readonly #parts: PeeringParts

  constructor(parts: PeeringParts) {
    this.#parts = parts
  }

  /** Call when the configuration or the trust state may have changed. */
  refresh(): void {
    const { id: selfId, savedAddresses, clusterId, stateMachine, trust, transport } = this.#parts
    const trustState = stateMachine.trust()
    const configuration = trust.configuration()
    transport.setPeers(wantedPeers({ selfId, configuration, trustState, savedAddresses }))
    const secret = trust.epochSecret(trust.epoch())
    const memberTopics = secret === null ? [] : [memberTopic(secret, clusterId)]
    transport.setTopics([...memberTopics, ...inviteTopics(trustState)])
  }

  /** For a ticket. This node first: it is the one that certainly knows the invite. */
  whereabouts(): Whereabouts {
    const { clusterId, keyPair, bootstrap, transport } = this.#parts
    const others = transport.links().map((link) => link.publicKey)
    const memberKeys = [keyPair.publicKey, ...others].slice(0, MAX_TICKET_PEERS)
    const addresses: readonly Address[] = transport.addresses().slice(0, MAX_TICKET_PEERS)
    return { clusterId, memberKeys, bootstrap, addresses }
  }
}

/** Keys, and addresses, that a ticket has room for. */
const MAX_TICKET_PEERS = 3
