// How an invite is made, its ticket written, its state shown.

import test from 'brittle'
import { findInvite, inviteState, newInvite, ticketText } from '../../lib/cluster/invites.ts'
import { SeededRandom } from '../../lib/random.ts'
import { decodeTicket, inviteIdOf, inviteKeysOf } from '../../tickets/tickets.ts'
import { CLUSTER_ID, inviteOf, keyOf } from './fixtures.ts'

const REQUEST = { role: 'voter', ttlMs: 1_000, uses: 3, createdBy: 1 } as const

test('the cluster gets what follows from the secret, never the secret', (t) => {
  const { secret, command } = newInvite(REQUEST, new SeededRandom(1))
  const { keyPair, proofKey, topic } = inviteKeysOf(secret)
  const { publicKey } = keyPair
  t.alike(command, { kind: 'createInvite', publicKey, proofKey, topic, ...REQUEST })
  const other = newInvite(REQUEST, new SeededRandom(2))
  t.unlike(other.secret, secret)
})

test('the ticket holds all that a joiner needs, with addresses or without', (t) => {
  const { secret } = newInvite(REQUEST, new SeededRandom(1))
  const invite = { ...inviteOf(20), expiresMs: 1_700_000_000_000 }
  for (const addresses of [[], [{ host: '10.0.0.1', port: 5 }]]) {
    const where = { clusterId: CLUSTER_ID, memberKeys: [keyOf(1)], addresses, bootstrap: [] }
    const ticket = decodeTicket(ticketText(invite, secret, where))
    t.alike(ticket, { role: 'voter', secret, expiresMs: invite.expiresMs, ...where })
  }
})

test('an open invite beyond its time is shown as expired, a closed one by its reason', (t) => {
  t.is(inviteState(inviteOf(20), 1_000), 'open')
  t.is(inviteState(inviteOf(20), 1_001), 'expired')
  t.is(inviteState(inviteOf(20, { reason: 'usedUp', atMs: 5 }), 9_999), 'used_up')
  t.is(inviteState(inviteOf(20, { reason: 'revoked', atMs: 5 }), 1), 'revoked')
  t.is(inviteState(inviteOf(20, { reason: 'expired', atMs: 5 }), 1), 'expired')
})

test('an invite is found by the id that its ticket shows', (t) => {
  const invites = [inviteOf(20), inviteOf(30)]
  const id = inviteIdOf(new Uint8Array(32).fill(30))
  t.is(findInvite(invites, id), invites[1])
  t.is(findInvite(invites, '00000000'), undefined)
})
