// What every state machine does, run over both.

import test from 'brittle'
import type { Assert } from 'brittle'
import { AssertionError, present } from '../../lib/assert.ts'
import type { StorageError } from '../../lib/errors.ts'
import { MAX_BATCH_SIZE } from '../../lib/limits.ts'
import type { Configuration } from '../../lib/raft/configuration.ts'
import { EMPTY_CONFIGURATION } from '../../lib/raft/configuration.ts'
import { EMPTY_STATE_HASH, addHash, rowHash } from '../../lib/state-machine/state-hash.ts'
import { all, check, implementations } from '../state-machine/implementations.ts'
import {
  GENESIS,
  LogMaker,
  START_MS,
  admit,
  applied,
  asBytes,
  createInvite,
  del,
  found,
  key32,
  put,
  shown
} from '../state-machine/samples.ts'

const CONFIGURATION: Configuration = {
  members: [
    { id: 1, publicKey: key32(9), role: 'voter', addresses: [{ host: '10.1.2.3', port: 5000 }] }
  ],
  outgoing: []
}

check('a new state machine is at the genesis and holds nothing', async (t, machine) => {
  t.alike(machine.applied(), {
    index: 0,
    term: 0,
    hash: GENESIS.hash,
    timeMs: 0,
    configuration: EMPTY_CONFIGURATION,
    configurationIndex: 0,
    votersChangedMs: 0,
    stateHash: EMPTY_STATE_HASH,
    liveCount: 0,
    liveBytes: 0,
    compactedRevision: 0,
    featureLevel: 1
  })
  t.alike(machine.trust(), { epoch: 0, nextNodeId: 1, nodes: [], invites: [], removed: [] })
  t.is(machine.get(asBytes('a')), null)
  t.alike(all(machine), { items: [], hasMore: false })
})

check('a put is one revision, versions count, a key made again starts at 1', async (t, machine) => {
  const log = new LogMaker()
  const results = await applied(machine, [
    log.empty(),
    log.write(put('a', 'one')),
    log.write(put('a', 'two')),
    log.write(del('a')),
    log.write(put('a', 'three'))
  ])
  t.alike(results, [
    { kind: 'none' },
    { kind: 'written', revision: 2, changes: [{ previousRevision: 0 }] },
    { kind: 'written', revision: 3, changes: [{ previousRevision: 2 }] },
    { kind: 'written', revision: 4, changes: [{ previousRevision: 3 }] },
    { kind: 'written', revision: 5, changes: [{ previousRevision: 0 }] }
  ])
  t.is(shown(machine.get(asBytes('a'))), 'three c5 m5 v1')
})

check('a put keeps the create revision and counts the version', async (t, machine) => {
  const log = new LogMaker()
  await applied(machine, [log.write(put('a', 'one')), log.write(put('a', 'two'))])
  t.is(shown(machine.get(asBytes('a'))), 'two c1 m2 v2')
})

check('a delete of an absent key is done and changes nothing', async (t, machine) => {
  const log = new LogMaker()
  const results = await applied(machine, [log.write(del('a'))])
  t.alike(results, [{ kind: 'written', revision: 1, changes: [{ previousRevision: 0 }] }])
  t.is(machine.get(asBytes('a')), null)
  t.alike(machine.applied().stateHash, EMPTY_STATE_HASH)
})

check(
  'conditions are about the state before the command, and all or nothing',
  async (t, machine) => {
    const log = new LogMaker()
    await applied(machine, [log.write(put('a', 'one'))])
    const before = machine.applied().stateHash
    const results = await applied(machine, [
      log.write(put('b', 'x'), put('a', 'two', { kind: 'absent' })),
      log.write(put('b', 'x'), put('a', 'two', { kind: 'revision', revision: 2 })),
      log.write(del('c', { kind: 'revision', revision: 1 }))
    ])
    for (const result of results) {
      t.is(result.kind === 'refused' && result.error.code, 'CONDITION_FAILED')
    }
    t.is(machine.get(asBytes('b')), null)
    t.alike(machine.applied().stateHash, before)
    t.is(machine.applied().index, 4, 'refused entries are applied entries')

    const done = await applied(machine, [
      log.write(
        put('a', 'two', { kind: 'revision', revision: 1 }),
        put('b', 'new', { kind: 'absent' })
      ),
      log.write(del('a', { kind: 'revision', revision: 5 }), del('c', { kind: 'absent' }))
    ])
    t.alike(done, [
      {
        kind: 'written',
        revision: 5,
        changes: [{ previousRevision: 1 }, { previousRevision: 0 }]
      },
      {
        kind: 'written',
        revision: 6,
        changes: [{ previousRevision: 5 }, { previousRevision: 0 }]
      }
    ])
    t.is(machine.get(asBytes('a')), null)
    t.is(shown(machine.get(asBytes('b'))), 'new c5 m5 v1')
  }
)

check('what apply relies on is checked again and refused', async (t, machine) => {
  const log = new LogMaker()
  const results = await applied(machine, [
    log.write(),
    log.write(put('', 'x')),
    log.write(put('a', 'x'), del('a')),
    log.entry(2, Uint8Array.of(1, 0, 0, 9)),
    log.entry(3, Uint8Array.of(1, 0, 2, 1, 2, 3))
  ])
  const codes = results.map((result) => result.kind === 'refused' && result.error.code)
  t.alike(codes, [
    'INVALID_REQUEST',
    'INVALID_REQUEST',
    'DUPLICATE_KEY',
    'INVALID_REQUEST',
    'INVALID_REQUEST'
  ])
  t.alike(all(machine).items, [])
})

check('applied tells the last entry, log time and configuration', async (t, machine) => {
  const log = new LogMaker()
  const configuration = log.configuration(CONFIGURATION)
  log.term = 4
  log.timeMs += 1_234
  const last = log.write(put('a', 'one'))
  t.alike((await applied(machine, [configuration, last]))[0], { kind: 'none' })
  const row = present(machine.get(asBytes('a')), 'the row')
  t.alike(machine.applied(), {
    index: 2,
    term: 4,
    hash: last.hash,
    timeMs: START_MS + 1_234,
    configuration: CONFIGURATION,
    configurationIndex: 1,
    votersChangedMs: 0,
    stateHash: rowHash(row),
    liveCount: 1,
    liveBytes: 4,
    compactedRevision: 0,
    featureLevel: 1
  })
})

check('the state hash is a sum over live rows', async (t, machine) => {
  const log = new LogMaker()
  await applied(machine, [
    log.write(put('a', '1'), put('b', '2')),
    log.write(put('a', '3')),
    log.write(put('c', '4'))
  ])
  await applied(machine, [log.write(del('b'))])
  const sum = all(machine).items.map(rowHash).reduce(addHash, EMPTY_STATE_HASH)
  t.alike(machine.applied().stateHash, sum)
  await applied(machine, [log.write(del('a'), del('c'))])
  t.alike(machine.applied().stateHash, EMPTY_STATE_HASH)
})

check('trust follows the control entries and is never changed in place', async (t, machine) => {
  const log = new LogMaker()
  const results = await applied(machine, [
    log.control(found()),
    log.control(createInvite(10, { uses: 1 })),
    log.control(admit(10, 20))
  ])
  t.alike(results, [
    { kind: 'admitted', id: 1, isNew: true },
    { kind: 'inviteCreated' },
    { kind: 'admitted', id: 2, isNew: true }
  ])
  const trust = machine.trust()
  const copy = structuredClone(trust)
  t.alike(
    trust.nodes.map((node) => [node.id, node.role, node.admittedIndex]),
    [
      [1, 'voter', 1],
      [2, 'voter', 3]
    ]
  )
  t.is(trust.nextNodeId, 3)
  t.is(trust.invites[0]?.closed?.reason, 'usedUp')
  const more = await applied(machine, [
    log.control(admit(10, 20)),
    log.control(admit(10, 21)),
    log.control({ kind: 'describe', id: 2, name: 'beta', version: '2', addresses: [] })
  ])
  t.alike(more[0], { kind: 'admitted', id: 2, isNew: false })
  t.is(more[1]?.kind === 'refused' && more[1].error.code, 'TICKET_USED_UP')
  t.alike(more[2], { kind: 'described' })
  t.is(machine.trust().nodes[1]?.name, 'beta')
  t.alike(trust, copy)
})

check('apply never answers before it returns, and takes no entries as well', async (t, machine) => {
  let hasReturned = false
  const results = await new Promise<unknown>((resolve) => {
    machine.apply([], (none) => {
      t.ok(hasReturned)
      resolve(none)
    })
    hasReturned = true
  })
  t.alike(results, [])
  t.is(machine.applied().index, 0)
})

check(
  'gaps, two applies at once and too many entries are faults of the program',
  async (t, machine) => {
    const log = new LogMaker()
    const [first, second] = [log.empty(), log.empty()]
    raises(t, () => machine.apply([second], () => {}))
    raises(t, () => machine.apply([first, first], () => {}))
    raises(t, () => machine.scan({ prefix: asBytes(''), after: null, limit: 0 }))
    const many = new LogMaker()
    const entries = Array.from({ length: MAX_BATCH_SIZE + 1 }, () => many.empty())
    raises(t, () => machine.apply(entries, () => {}))
    const done = applied(machine, [first])
    raises(t, () => machine.apply([second], () => {}))
    await done
    await applied(machine, [second])
  }
)

for (const implementation of implementations) {
  const { name } = implementation

  for (const [what, kind, payload] of [
    ['entry kind 16', 16, []],
    ['write format 2', 2, [2, 0, 0]],
    ['write kind 1', 2, [1, 0, 1, 0]],
    ['change kind 2', 2, [1, 0, 0, 1, 2, 0, 1, 97]],
    ['condition kind 3', 2, [1, 0, 0, 1, 0, 3, 1, 97]],
    ['control kind 8', 3, [1, 0, 8]],
    ['feature level 2', 3, [1, 0, 6, 2]],
    ['a snapshot with a payload', 4, [0]]
  ] as const) {
    test(`${name}: ${what} is of a newer version: the machine stops before it`, async (t) => {
      const failures: StorageError[] = []
      const machine = await implementation.open(t, (error) => void failures.push(error))
      const log = new LogMaker()
      const entries = [
        log.write(put('a', '1')),
        log.entry(kind, Uint8Array.from(payload)),
        log.write(put('a', '2'))
      ]
      let answers = 0
      machine.apply(entries, () => answers++)
      await settled()
      t.is(answers, 0)
      t.is(failures.length, 1)
      t.is(failures[0]?.code, 'UNKNOWN_ENTRY_KIND')
      t.alike(failures[0]?.detail.fields, { index: 2, needs: what })
      t.is(machine.applied().index, 1)
      t.is(shown(machine.get(asBytes('a'))), '1 c1 m1 v1')
      machine.apply([present(entries[1], 'the entry')], () => answers++)
      await settled()
      t.is(answers + failures.length, 1, 'nothing else happens')
      await machine.close()
    })
  }

  test(`${name}: closing gives an apply up, and twice is once`, async (t) => {
    const machine = await implementation.open(t)
    machine.apply([new LogMaker().write(put('a', '1'))], () => t.fail('it was given up'))
    await machine.close()
    await machine.close()
    await settled()
    raises(t, () => machine.get(asBytes('a')))
  })
}

function raises(t: Assert, fn: () => unknown): void {
  try {
    fn()
    t.fail('an assertion holds')
  } catch (error) {
    t.ok(error instanceof AssertionError, String(error))
  }
}

/** Many turns of the event loop. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}
