// Who is let in by key and who is removed, over both state machines: what a configuration entry does to the
// registry, and that all of it outlives the process, a snapshot and a restore.

import test from 'brittle'
import type { Assert } from 'brittle'
import { present } from '../../lib/assert.ts'
import type { Configuration, MemberRole } from '../../lib/raft/configuration.ts'
import type { StateMachine } from '../../lib/state-machine/state-machine.ts'
import { check, implementations } from '../state-machine/implementations.ts'
import {
  LogMaker,
  START_MS,
  admit,
  admitKey,
  adopted,
  applied,
  createInvite,
  cut,
  found,
  key32,
  openSqlite,
  streamOf,
  transferred
} from '../state-machine/samples.ts'

/** Node 1 is the founder; the keys of the others are 20 and their id. */
function members(
  roles: Readonly<Record<number, MemberRole>>,
  outgoing: readonly number[] = []
): Configuration {
  const all = Object.entries(roles).map(([text, role]) => {
    const id = Number(text)
    return { id, publicKey: key32(id === 1 ? 200 : 20 + id), role, addresses: [] }
  })
  return { members: all, outgoing }
}

/** Nodes 1 to 4, of which 1 to 3 vote; a ticket is open. */
async function grown(machine: StateMachine, log: LogMaker): Promise<void> {
  await applied(machine, [
    log.configuration(members({ 1: 'voter' })),
    log.control(found()),
    log.control(createInvite(10, { uses: 9 })),
    log.control(admit(10, 22)),
    log.control(admitKey(23)),
    log.control(admitKey(24, { role: 'learner' })),
    log.configuration(members({ 1: 'voter', 2: 'learner', 3: 'learner', 4: 'learner' })),
    log.configuration(members({ 1: 'voter', 2: 'voter', 3: 'voter', 4: 'learner' }, [1]))
  ])
  log.timeMs += 100
  await applied(machine, [
    log.configuration(members({ 1: 'voter', 2: 'voter', 3: 'voter', 4: 'learner' }))
  ])
}

const WHOLE = { 1: 'voter', 2: 'voter', 3: 'voter', 4: 'learner' } as const

function ids(machine: StateMachine): readonly number[] {
  return machine.trust().nodes.map((node) => node.id)
}

function rolesOf(machine: StateMachine): readonly string[] {
  return machine.trust().nodes.map((node) => `${node.id} ${node.role}`)
}

check('a node is admitted by its key, once, and has said no version yet', async (t, machine) => {
  const log = new LogMaker()
  const results = await applied(machine, [
    log.control(found()),
    log.control(admitKey(30, { role: 'learner' })),
    log.control(admitKey(30, { name: 'other', epoch: 9, expectedId: 2 }))
  ])
  t.alike(results.slice(1), [
    { kind: 'admitted', id: 2, isNew: true },
    { kind: 'admitted', id: 2, isNew: false }
  ])
  t.alike(machine.trust().nodes[1], {
    id: 2,
    publicKey: key32(30),
    name: 'gamma',
    version: '',
    addresses: [{ host: '10.0.0.3', port: 4002 }],
    role: 'learner',
    epoch: 1,
    sealedSecret: new Uint8Array(80).fill(3),
    invitePublicKey: null,
    admittedIndex: 2
  })
})

check('a voter that leaves is gone with the configuration without it', async (t, machine) => {
  const log = new LogMaker()
  await grown(machine, log)
  const before = machine.trust()
  const joint = log.configuration(members({ ...WHOLE, 3: 'leaving' }, [1, 2, 3]))
  await applied(machine, [joint])
  t.alike(ids(machine), [1, 2, 3, 4], 'it still votes')
  t.alike(machine.trust().removed, [])
  log.timeMs += 5
  t.alike(
    await applied(machine, [log.configuration(members({ 1: 'voter', 2: 'voter', 4: 'learner' }))]),
    [{ kind: 'none' }]
  )
  t.alike(ids(machine), [1, 2, 4])
  t.alike(machine.trust().removed, [{ id: 3, publicKey: key32(23), atMs: START_MS + 105 }])
  t.alike(
    machine.trust().invites.map((each) => each.closed),
    [{ reason: 'revoked', atMs: START_MS + 105 }]
  )
  t.is(machine.trust().nextNodeId, 5, 'its id is not given again')
  t.alike(before.nodes.length, 4, 'what was handed out stays')
})

check('a removed key is let in no more, neither by ticket nor by key', async (t, machine) => {
  const log = new LogMaker()
  await grown(machine, log)
  await applied(machine, [
    log.configuration(members({ 1: 'voter', 2: 'voter', 3: 'voter' })),
    log.control(createInvite(11))
  ])
  t.alike(
    machine.trust().removed.map((each) => each.id),
    [4]
  )
  const refusals = await applied(machine, [
    log.control(admit(11, 24)),
    log.control(admit(10, 24)),
    log.control(admitKey(24)),
    log.control(admitKey(24, { expectedId: 4 })),
    log.control(createInvite(24)),
    log.control(admit(10, 25))
  ])
  t.alike(
    refusals.map((result) => (result.kind === 'refused' ? result.error.code : result.kind)),
    [
      'MEMBER_REMOVED',
      'MEMBER_REMOVED',
      'MEMBER_REMOVED',
      'MEMBER_REMOVED',
      'INVALID_REQUEST',
      'TICKET_REVOKED'
    ]
  )
  t.alike(await applied(machine, [log.control(admit(11, 26))]), [
    { kind: 'admitted', id: 5, isNew: true }
  ])
})

check('who is in no configuration yet is not gone', async (t, machine) => {
  const log = new LogMaker()
  await grown(machine, log)
  await applied(machine, [log.control(admitKey(25))])
  await applied(machine, [log.configuration(members({ ...WHOLE, 4: 'voter' }))])
  t.alike(ids(machine), [1, 2, 3, 4, 5])
  await applied(machine, [log.configuration(members({ 1: 'voter', 2: 'voter', 4: 'voter' }))])
  t.alike(ids(machine), [1, 2, 4, 5])
  await applied(machine, [
    log.configuration(members({ 1: 'voter', 2: 'voter', 4: 'voter', 5: 'learner' })),
    log.configuration(members({ 1: 'voter', 2: 'voter', 4: 'voter' }))
  ])
  t.alike(ids(machine), [1, 2, 4])
})

check('a learner that goes in a joint change goes with its beginning', async (t, machine) => {
  const log = new LogMaker()
  await grown(machine, log)
  await applied(machine, [
    log.configuration(members({ 1: 'voter', 2: 'voter', 3: 'leaving' }, [1, 2, 3]))
  ])
  t.alike(ids(machine), [1, 2, 3])
  await applied(machine, [log.configuration(members({ 1: 'voter', 2: 'voter' }))])
  t.alike(ids(machine), [1, 2])
  t.alike(
    machine.trust().removed.map((each) => each.id),
    [3, 4]
  )
})

check(
  'votes that are given and taken show in the record, at the end of a joint change',
  async (t, machine) => {
    const log = new LogMaker()
    await grown(machine, log)
    t.alike(rolesOf(machine), ['1 voter', '2 voter', '3 voter', '4 learner'])
    const after = { 1: 'voter', 2: 'learner', 3: 'voter', 4: 'voter' } as const
    await applied(machine, [log.configuration(members(after, [1, 2, 3]))])
    t.alike(rolesOf(machine), ['1 voter', '2 voter', '3 voter', '4 learner'], 'not yet')
    const { invites } = machine.trust()
    await applied(machine, [log.configuration(members(after))])
    t.alike(rolesOf(machine), ['1 voter', '2 learner', '3 voter', '4 voter'])
    t.is(machine.trust().invites, invites, 'nobody was removed')
    const { nodes } = machine.trust()
    await applied(machine, [log.configuration(members(after))])
    t.is(machine.trust().nodes, nodes, 'nothing changed')
  }
)

check('when the voters were last others is told in log time', async (t, machine) => {
  const log = new LogMaker()
  await applied(machine, [
    log.configuration(members({ 1: 'voter' })),
    log.control(found()),
    log.configuration(members({ 1: 'voter', 2: 'learner' }))
  ])
  t.is(machine.applied().votersChangedMs, 0, 'founding is no change, and a learner no voter')
  log.timeMs += 10
  await applied(machine, [log.configuration(members({ 1: 'voter', 2: 'voter' }, [1]))])
  t.is(machine.applied().votersChangedMs, 0, 'it has only begun')
  log.timeMs += 10
  await applied(machine, [log.configuration(members({ 1: 'voter', 2: 'voter' }))])
  t.is(machine.applied().votersChangedMs, START_MS + 20)
  log.timeMs += 10
  await applied(machine, [
    log.empty(),
    log.configuration(members({ 1: 'voter', 2: 'voter', 3: 'learner' }))
  ])
  t.is(machine.applied().votersChangedMs, START_MS + 20)
  await applied(machine, [
    log.configuration(members({ 1: 'voter', 2: 'learner', 3: 'voter' }, [1, 2])),
    log.configuration(members({ 1: 'voter', 2: 'learner', 3: 'voter' }))
  ])
  t.is(machine.applied().votersChangedMs, START_MS + 30, 'as many, but others')
})

for (const implementation of implementations) {
  test(`${implementation.name}: removed nodes and the time of the last change are in snapshots`, async (t) => {
    const log = new LogMaker()
    const from = await opened(t, implementation)
    const to = await opened(t, implementation)
    await grown(from, log)
    await applied(from, [log.configuration(members({ 1: 'voter', 2: 'voter', 4: 'learner' }))])
    const info = present(await cut(from), 'a snapshot')
    await adopted(to, await transferred(from, info, to))
    t.alike(to.trust(), from.trust())
    t.is(to.trust().removed.length, 1)
    t.alike(to.applied(), from.applied())
    t.ok(to.applied().votersChangedMs > START_MS)
  })
}

test('both machines make the same snapshot of a cluster with removed nodes', async (t) => {
  const hashes: Uint8Array[] = []
  for (const implementation of implementations) {
    const machine = await opened(t, implementation)
    const log = new LogMaker()
    await grown(machine, log)
    await applied(machine, [
      log.configuration(members({ 1: 'voter', 2: 'voter', 3: 'voter' })),
      log.configuration(members({ 1: 'voter', 2: 'voter' }))
    ])
    const info = present(await cut(machine), 'a snapshot')
    hashes.push(await streamOf(machine, info))
  }
  t.alike(hashes[0], hashes[1])
})

test('what is known of removed nodes outlives the process', async (t) => {
  const folder = await t.tmp()
  const log = new LogMaker()
  const first = openSqlite(folder)
  await grown(first, log)
  await applied(first, [log.configuration(members({ 1: 'voter', 2: 'voter', 4: 'learner' }))])
  const trust = structuredClone(first.trust())
  const told = structuredClone(first.applied())
  await first.close()
  const second = openSqlite(folder)
  t.teardown(() => second.close())
  t.alike(second.trust(), trust)
  t.alike(second.applied(), told)
  t.is((await applied(second, [log.control(admitKey(23))]))[0]?.kind, 'refused')
})

async function opened(
  t: Assert,
  implementation: (typeof implementations)[number]
): Promise<StateMachine> {
  const machine = await implementation.open(t)
  t.teardown(() => machine.close())
  return machine
}
