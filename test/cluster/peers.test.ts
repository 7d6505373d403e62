// Whom to link with, where to try, what to announce.

import test from 'brittle'
import type { Address } from '../../lib/address.ts'
import { inviteTopics, memberTopic, wantedPeers } from '../../lib/cluster/peers.ts'
import { hexOf } from '../../lib/encoding.ts'
import { MAX_MEMBER_ADDRESSES } from '../../lib/limits.ts'
import { configurationOf, inviteOf, keyOf, nodeOf, trustOf } from './fixtures.ts'

const at = (port: number): Address => ({ host: '10.0.0.1', port })
const base = {
  selfId: 1,
  configuration: configurationOf({ 1: 'voter', 2: 'voter' }),
  trustState: trustOf([nodeOf(1), nodeOf(2), nodeOf(3)]),
  savedAddresses: new Map<string, readonly Address[]>()
}

test('every member and every admitted node is wanted, this node is not', (t) => {
  t.alike(
    wantedPeers(base).map(({ id, publicKey }) => [id, hexOf(publicKey)]),
    [
      [2, hexOf(keyOf(2))],
      [3, hexOf(keyOf(3))]
    ]
  )
})

test('a removed node is wanted no more, whatever a configuration from before says', (t) => {
  const trustState = {
    ...trustOf([nodeOf(1), nodeOf(3)]),
    removed: [{ id: 2, publicKey: keyOf(2), atMs: 5 }]
  }
  t.alike(
    wantedPeers({ ...base, trustState }).map(({ id }) => id),
    [3]
  )
})

test('addresses that worked come first, then what the node says, then the configuration; none twice', (t) => {
  const { members, outgoing } = base.configuration
  const configuration = {
    members: members.map((member) => ({ ...member, addresses: [at(30), at(20)] })),
    outgoing
  }
  const trustState = trustOf([nodeOf(2, { addresses: [at(20), at(10)] })])
  const savedAddresses = new Map([[hexOf(keyOf(2)), [at(10), at(5)]]])
  const [peer] = wantedPeers({ ...base, configuration, trustState, savedAddresses })
  t.alike(peer?.addresses, [at(10), at(5), at(20), at(30)])
})

test('at most MAX_MEMBER_ADDRESSES are tried', (t) => {
  const many = Array.from({ length: 20 }, (_, index) => at(index + 1))
  const savedAddresses = new Map([[hexOf(keyOf(2)), many]])
  const [peer] = wantedPeers({ ...base, savedAddresses })
  t.alike(peer?.addresses, many.slice(0, MAX_MEMBER_ADDRESSES))
})

test('the member topic is of one cluster and one epoch; invite topics are of open invites', (t) => {
  const [secret, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
  const [cluster, another] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)]
  const topics = [
    memberTopic(secret, cluster),
    memberTopic(other, cluster),
    memberTopic(secret, another)
  ]
  t.is(new Set(topics.map(hexOf)).size, 3)
  t.alike(memberTopic(secret, cluster), topics[0])
  const invites = [inviteOf(20), inviteOf(30, { reason: 'revoked', atMs: 1 })]
  t.alike(inviteTopics(trustOf([], invites)), [invites[0]?.topic])
})
