// Tickets made, listed, revoked through the log.

import test from 'brittle'
import { assert } from '../../lib/assert.ts'
import { asAspenError } from '../../lib/errors.ts'
import { MAX_INVITE_TTL_MS, MAX_INVITE_USES } from '../../lib/limits.ts'
import { SeededRandom } from '../../lib/random.ts'
import type { TicketOptions } from '../../lib/service/node-api.ts'
import { TicketOffice } from '../../lib/service/ticket-office.ts'
import { decodeControl } from '../../lib/state-machine/encoding.ts'
import type { ApplyResult, TrustState } from '../../lib/state-machine/state-machine.ts'
import { applyTrust, EMPTY_TRUST } from '../../lib/state-machine/trust.ts'
import { isUpkeep } from '../../lib/state-machine/upkeep.ts'
import { decodeTicket, inviteIdOf, inviteKeysOf } from '../../tickets/tickets.ts'
import { Desk, fateOf } from './leader.ts'

/** A leading node whose proposals the test applies. */
function open() {
  const desk = new Desk()
  desk.follow(2, 3)
  const world: { trust: TrustState } = { trust: { ...EMPTY_TRUST, epoch: 1, nextNodeId: 2 } }
  const office = new TicketOffice({
    id: 2,
    clock: desk.time,
    random: new SeededRandom(1),
    forwarder: desk.forwarder,
    stateMachine: { trust: () => world.trust },
    whereabouts: () => ({
      clusterId: new Uint8Array(16).fill(7),
      memberKeys: [new Uint8Array(32).fill(2)],
      addresses: [],
      bootstrap: []
    })
  })
  /** Carries out what was proposed last. */
  const commit = (): ApplyResult => {
    const proposal = desk.replica.proposed.at(-1)
    if (proposal === undefined) throw new Error('something was proposed')
    const index = desk.replica.appliedIndex + 1
    const at = { index, timeMs: desk.time.wallMs() }
    const command = decodeControl(proposal.payload)
    assert(!isUpkeep(command), 'an office proposes what concerns trust')
    const { state, result } = applyTrust(world.trust, command, at)
    world.trust = state
    proposal.onOutcome({ kind: 'done', index, result })
    return result
  }
  const confirm = (): void => {
    const read = desk.replica.reads.at(-1)
    read?.({ kind: 'ready', index: desk.replica.appliedIndex })
  }
  const create = async (options: TicketOptions = {}) => {
    const fate = fateOf(office.create(options))
    await desk.time.run(0)
    commit()
    desk.replica.apply(desk.replica.appliedIndex + 1)
    await desk.time.run(0)
    return fate
  }
  return { desk, world, office, commit, confirm, create }
}

test('a ticket is printed with what the log says of its invite', async (t) => {
  const { create, world } = open()
  const { value } = await create({ role: 'learner', uses: 3, ttlMs: 60_000 })
  const invite = world.trust.invites[0]
  const ticket = decodeTicket(value?.ticket ?? '')
  t.is(ticket.role, 'learner')
  t.alike(inviteKeysOf(ticket.secret).keyPair.publicKey, invite?.publicKey)
  t.is(ticket.expiresMs, invite?.expiresMs)
  t.is(value?.id, inviteIdOf(invite?.publicKey ?? new Uint8Array(32)))
  t.alike([value?.state, value?.uses, value?.uses_left, value?.created_by], ['open', 3, 3, 2])
  t.is(new Date(value?.expires_at ?? 0).getTime(), invite?.expiresMs)
})

test('uses and life at n and n + 1', async (t) => {
  const { desk, office } = open()
  const endOf = async (options: TicketOptions): Promise<string> => {
    const before = desk.replica.proposed.length
    const fate = fateOf(office.create(options))
    await desk.time.run(0)
    return desk.replica.proposed.length > before ? 'proposed' : (fate.code ?? '')
  }
  t.is(await endOf({ uses: 1 }), 'proposed')
  t.is(await endOf({ uses: MAX_INVITE_USES }), 'proposed')
  t.is(await endOf({ ttlMs: MAX_INVITE_TTL_MS }), 'proposed')
  for (const uses of [0, -1, 1.5, Number.NaN, MAX_INVITE_USES + 1]) {
    t.is(await endOf({ uses }), 'INVALID_REQUEST')
  }
  for (const ttlMs of [0, 0.5, MAX_INVITE_TTL_MS + 1]) {
    t.is(await endOf({ ttlMs }), 'INVALID_REQUEST')
  }
  t.is(await endOf({ timeoutMs: 0 }), 'INVALID_REQUEST')
})

test('a ticket that was made but is not applied here in time is in doubt, not refused', async (t) => {
  const { desk, office, commit } = open()
  const fate = fateOf(office.create({ timeoutMs: 1_000 }))
  await desk.time.run(400)
  commit()
  await desk.time.run(599)
  t.is(fate.code, null)
  await desk.time.run(1)
  t.is(fate.code, 'OUTCOME_UNKNOWN', 'one deadline for the whole')
})

test('what the cluster refuses is told with its code', async (t) => {
  const { create, world } = open()
  world.trust = EMPTY_TRUST
  t.is((await create()).code, 'NOT_INITIALIZED')
})

test('a list is as new as a linearizable read, and shows each ticket’s state', async (t) => {
  const { desk, office, create, confirm } = open()
  await create({ ttlMs: 1_000 })
  await create({ ttlMs: 60_000 })
  await desk.time.run(1_001)
  const fate = fateOf(office.list())
  await desk.time.run(0)
  t.is(fate.value, null)
  confirm()
  await desk.time.run(0)
  t.alike(
    fate.value?.tickets.map(({ state }) => state),
    ['expired', 'open']
  )
})

test('a ticket is revoked by its id; one that is not there is not found', async (t) => {
  const { desk, office, world, create, confirm, commit } = open()
  const { value } = await create()
  const fate = fateOf(office.revoke(value?.id ?? ''))
  await desk.time.run(0)
  confirm()
  await desk.time.run(0)
  commit()
  await desk.time.run(0)
  t.is(fate.code, null)
  t.is(world.trust.invites[0]?.closed?.reason, 'revoked')
  const refusalOf = async (id: string): Promise<string> => {
    const asked = office.revoke(id).catch((error: unknown) => asAspenError(error))
    await desk.time.run(0)
    confirm()
    const { code, message } = asAspenError(await asked)
    return `${code}: ${message}`
  }
  const missing = 'TICKET_NOT_FOUND: no ticket of this cluster has'
  t.is(await refusalOf('00000000'), `${missing} the id 00000000`)
  t.is(await refusalOf('aspen1a-ticket'), `${missing} that id or text`, 'which may be a secret')
})
