// A request is carried out once, however often it comes; run over both state machines.

import test from 'brittle'
import type { ErrorCode } from '../../lib/errors.ts'
import {
  MAX_BATCH_SIZE,
  MAX_SESSIONS,
  MAX_SESSION_AGE_MS,
  MAX_SESSION_RESULTS
} from '../../lib/limits.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import type { ApplyResult, StateMachine } from '../../lib/state-machine/state-machine.ts'
import { check } from '../state-machine/implementations.ts'
import { LogMaker, applied, asBytes, createInvite, found } from '../state-machine/samples.ts'
import { openSqlite, put, requestOf, shown } from '../state-machine/samples.ts'

/** `a` counts as its version how many writes were carried out. */
function countOf(machine: StateMachine): number {
  return machine.get(asBytes('a'))?.version ?? 0
}

function codeOf(result: ApplyResult | undefined): ErrorCode | null {
  return result?.kind === 'refused' ? result.error.code : null
}

/** From where on the machine takes a new client, by the refusal. */
function sinceOf(result: ApplyResult | undefined): unknown {
  return result?.kind === 'refused' ? result.error.fields?.['since'] : null
}

async function appliedAll(machine: StateMachine, entries: readonly Entry[]) {
  const results: ApplyResult[] = []
  for (let from = 0; from < entries.length; from += MAX_BATCH_SIZE) {
    results.push(...(await applied(machine, entries.slice(from, from + MAX_BATCH_SIZE))))
  }
  return results
}

check('a repeat gives the first result and changes nothing', async (t, machine) => {
  const log = new LogMaker()
  const [first, other, again] = await applied(machine, [
    log.request(requestOf(1, 1), put('a', 'one')),
    log.request(requestOf(2, 1), put('a', 'two')),
    log.request(requestOf(1, 1), put('a', 'one'))
  ])
  t.alike(first, { kind: 'written', revision: 1, changes: [{ previousRevision: 0 }] })
  t.is(other?.kind, 'written', 'the same number of another client is another request')
  t.alike(again, first)
  t.is(shown(machine.get(asBytes('a'))), 'two c1 m2 v2')
  t.is(machine.applied().index, 3, 'the entry is applied all the same')
  const [later] = await applied(machine, [log.request(requestOf(1, 1), put('a', 'one'))])
  t.alike(later, first, 'also in another transaction')
})

check('a refusal is a result: what was refused once stays so', async (t, machine) => {
  const log = new LogMaker()
  const absent = put('a', 'x', { kind: 'absent' })
  const [, refused, , again] = await applied(machine, [
    log.write(put('a', 'one')),
    log.request(requestOf(1, 1), absent),
    log.write({ kind: 'delete', key: asBytes('a'), condition: null }),
    log.request(requestOf(1, 1), absent)
  ])
  t.is(codeOf(refused), 'CONDITION_FAILED')
  t.alike(again, refused)
  t.is(machine.get(asBytes('a')), null)
})

check('requests come in any order, with gaps', async (t, machine) => {
  const log = new LogMaker()
  const order = [5, 2, 9, 2, 1, 5, 9, 3]
  const results = await applied(
    machine,
    order.map((sequence) => log.request(requestOf(1, sequence), put('a', String(sequence))))
  )
  t.is(countOf(machine), 5)
  t.alike(
    results.map((result) => (result.kind === 'written' ? result.revision : null)),
    [1, 2, 3, 2, 5, 1, 3, 8]
  )
})

check('control commands are requests too', async (t, machine) => {
  const log = new LogMaker()
  const results = await applied(machine, [
    log.control(found(), requestOf(1, 1)),
    log.control(found(), requestOf(1, 1)),
    log.control(createInvite(10), requestOf(1, 2)),
    log.control(found(), requestOf(1, 3))
  ])
  t.alike(results[1], results[0])
  t.is(results[2]?.kind, 'inviteCreated')
  t.is(codeOf(results[3]), 'ALREADY_INITIALIZED')
})

check('what its client says is answered is not carried out any more', async (t, machine) => {
  const log = new LogMaker()
  const results = await applied(machine, [
    log.request(requestOf(1, 1), put('a', 'one')),
    log.request(requestOf(1, 3, { answeredBelow: 3 }), put('a', 'three')),
    // a copy of one that was answered, and one that was given up before it came
    log.request(requestOf(1, 1), put('a', 'one')),
    log.request(requestOf(1, 2), put('a', 'two')),
    log.request(requestOf(1, 3, { answeredBelow: 3 }), put('a', 'three'))
  ])
  t.alike(results.map(codeOf), [null, null, 'SESSION_EXPIRED', 'SESSION_EXPIRED', null])
  t.alike(results[4], results[1])
  t.is(countOf(machine), 2)
})

check(
  'so many results are kept of a client, then the first are taken as answered',
  async (t, m) => {
    const log = new LogMaker()
    const make = (sequence: number) => log.request(requestOf(1, sequence), put('a', ''))
    const sequences = Array.from({ length: MAX_SESSION_RESULTS }, (_, at) => at + 1)
    const results = await appliedAll(m, sequences.map(make))
    t.alike(await appliedAll(m, sequences.map(make)), results, 'the full window is answered')
    const [over, first, second] = await applied(m, [
      make(MAX_SESSION_RESULTS + 1),
      make(1),
      make(2)
    ])
    t.is(over?.kind, 'written')
    t.is(codeOf(first), 'SESSION_EXPIRED')
    t.alike(second, results[1])
    const [far, third] = await applied(m, [make(2 ** 40), make(3)])
    t.is(far?.kind, 'written')
    t.is(codeOf(third), 'SESSION_EXPIRED')
    t.is(countOf(m), MAX_SESSION_RESULTS + 2)
  }
)

check(
  'the least recently used client is forgotten, and does not begin again',
  async (t, machine) => {
    const log = new LogMaker()
    const make = (n: number, since = 0) => log.request(requestOf(n, 1, { since }), put('a', ''))
    const clients = Array.from({ length: MAX_SESSIONS }, (_, at) => at + 1)
    const results = await appliedAll(
      machine,
      clients.map((n) => make(n))
    )
    const [used, more] = await applied(machine, [make(1), make(MAX_SESSIONS + 1)])
    t.alike(used, results[0])
    t.is(more?.kind, 'written')
    const [kept, gone, unborn, born] = await applied(machine, [
      make(1),
      make(2),
      make(9_000, 1),
      make(9_001, 2)
    ])
    t.alike(kept, results[0], 'it was used')
    t.is(codeOf(gone), 'SESSION_EXPIRED')
    t.is(sinceOf(gone), 2, 'the birth of the one that was forgotten')
    t.is(codeOf(unborn), 'SESSION_EXPIRED', 'it cannot be told from one that was forgotten')
    t.is(born?.kind, 'written')
    t.is(countOf(machine), MAX_SESSIONS + 2)
  }
)

check('a client that is silent for long, by log time, is forgotten', async (t, machine) => {
  const log = new LogMaker()
  const make = (n: number, since = 0) => log.request(requestOf(n, 1, { since }), put('a', ''))
  const [first] = await applied(machine, [make(1)])
  log.timeMs += MAX_SESSION_AGE_MS
  const [still] = await applied(machine, [make(1)])
  t.alike(still, first)
  log.timeMs += MAX_SESSION_AGE_MS
  await applied(machine, [log.empty(), make(2)])
  log.timeMs += 1
  const results = await applied(machine, [make(2), make(1), make(3, 1)])
  t.alike(results.map(codeOf), [null, 'SESSION_EXPIRED', null])
  t.is(countOf(machine), 3)
})

check(
  'a request from before its own session is taken, one from after is not',
  async (t, machine) => {
    const log = new LogMaker()
    const make = (sequence: number, since: number) =>
      log.request(requestOf(1, sequence, { since }), put('a', ''))
    const results = await applied(machine, [log.empty(), make(1, 2), make(1, 2), make(2, 3)])
    t.alike(results.map(codeOf), [null, 'INVALID_REQUEST', null, 'INVALID_REQUEST'])
  }
)

test('sqlite: sessions are there after a restart, with their order of use', async (t) => {
  const path = await t.tmp()
  let machine = openSqlite(path)
  const log = new LogMaker()
  const make = (n: number) => log.request(requestOf(n, 1), put('a', ''))
  const [first] = await applied(machine, [make(1), make(2), make(1)])
  const clients = Array.from({ length: MAX_SESSIONS - 1 }, (_, at) => at + 3)
  await machine.close()

  machine = openSqlite(path)
  await appliedAll(machine, clients.map(make))
  const [kept, gone] = await applied(machine, [make(1), make(2)])
  t.alike(kept, first)
  t.is(codeOf(gone), 'SESSION_EXPIRED')
  await machine.close()

  machine = openSqlite(path)
  const [still] = await applied(machine, [make(2)])
  t.is(codeOf(still), 'SESSION_EXPIRED')
  t.is(sinceOf(still), 2)
  t.is(countOf(machine), MAX_SESSIONS + 1)
  await machine.close()
})
