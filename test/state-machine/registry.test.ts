// What a configuration makes of the registry: each case with everything that it returns.

import test from 'brittle'
import { MAX_REMOVED_KEYS } from '../../lib/limits.ts'
import type { Configuration, Member, MemberRole } from '../../lib/raft/configuration.ts'
import { EMPTY_CONFIGURATION } from '../../lib/raft/configuration.ts'
import { afterChange, hasOtherVoters } from '../../lib/state-machine/registry.ts'
import type { TrustState } from '../../lib/state-machine/state-machine.ts'
import { EMPTY_TRUST, applyTrust } from '../../lib/state-machine/trust.ts'
import type { TrustCommand } from '../../lib/state-machine/trust.ts'
import { admitKey, createInvite, found, key32 } from './samples.ts'

const AT = { index: 50, timeMs: 2_000 }

function keyNumber(n: number): Uint8Array {
  const key = key32(1)
  new DataView(key.buffer).setUint32(0, n)
  return key
}

function member(id: number, role: MemberRole): Member {
  return { id, publicKey: keyNumber(id), role, addresses: [] }
}

function voters(ids: readonly number[], outgoing: readonly number[] = []): Configuration {
  return { members: ids.map((id) => member(id, 'voter')), outgoing }
}

function applied(...commands: readonly TrustCommand[]): TrustState {
  return commands.reduce(
    (state, command, at) => applyTrust(state, command, { index: at + 1, timeMs: 1_000 }).state,
    EMPTY_TRUST
  )
}

test('the first configuration, and one that changes no vote and nobody, leave the state as it is', (t) => {
  const state = applied(found(), admitKey(20))
  for (const [before, after] of [
    [EMPTY_CONFIGURATION, voters([1])],
    [voters([1]), voters([1, 2], [1])],
    [voters([1, 2]), voters([1, 2])]
  ] as const)
    t.is(afterChange(state, { before, after }, AT), state)
})

test('a removal closes tickets as what they are: expired ones have expired', (t) => {
  const state = applied(
    found(),
    createInvite(10, { ttlMs: 500 }),
    createInvite(11),
    createInvite(12),
    { kind: 'revokeInvite', publicKey: key32(12) }
  )
  const after = afterChange(state, { before: voters([1, 2]), after: voters([1]) }, AT)
  t.alike(
    after.invites.map((invite) => invite.closed),
    [
      { reason: 'expired', atMs: 1_500 },
      { reason: 'revoked', atMs: 2_000 },
      { reason: 'revoked', atMs: 1_000 }
    ]
  )
  t.alike(after.removed, [{ id: 2, publicKey: keyNumber(2), atMs: 2_000 }])
  t.is(after.nodes[0], state.nodes[0], 'what did not change is the same')
})

test('removed keys are bounded: the one removed first is forgotten', (t) => {
  const all = Array.from({ length: MAX_REMOVED_KEYS }, (_, at) => ({
    id: at + 2,
    publicKey: keyNumber(at + 2),
    // the last in the list went first
    atMs: at === MAX_REMOVED_KEYS - 1 ? 500 : 1_000
  }))
  const id = MAX_REMOVED_KEYS + 5
  const full: TrustState = { ...applied(found()), removed: all }
  const after = afterChange(full, { before: voters([1, id]), after: voters([1]) }, AT)
  t.is(after.removed.length, MAX_REMOVED_KEYS)
  t.alike(after.removed.at(-1), { id, publicKey: keyNumber(id), atMs: 2_000 })
  t.absent(after.removed.includes(all.at(-1) ?? { id: 0, publicKey: key32(0), atMs: 0 }))
  const more = afterChange(after, { before: voters([1, id + 1]), after: voters([1]) }, AT)
  t.is(more.removed[0]?.id, 3, 'of those that went at once, the one with the least id')
})

test('a node goes once, even if it were told twice', (t) => {
  const change = { before: voters([1, 2]), after: voters([1]) }
  const once = afterChange(applied(found()), change, AT)
  const twice = afterChange(once, change, { index: 60, timeMs: 9_000 })
  t.alike(twice.removed, once.removed)
})

test('voters are compared by whole configurations', (t) => {
  const rows: readonly (readonly [Configuration, Configuration, boolean])[] = [
    [EMPTY_CONFIGURATION, voters([1]), false],
    [voters([1]), voters([1]), false],
    [voters([1]), voters([1, 2], [1]), false],
    [voters([1, 2], [1]), voters([1, 2]), true],
    [voters([1, 2, 3], [1, 2, 3]), voters([1, 2, 3]), false],
    [voters([1, 3], [1, 2]), voters([1, 3]), true],
    [voters([1, 2]), voters([1]), true]
  ]
  for (const [before, after, isOther] of rows)
    t.is(hasOtherVoters({ before, after }), isOther, JSON.stringify([before, after]))
})
