// Random histories: both state machines give the same results, rows, trust state and state hash, for
// any grouping into apply calls, and with SQLite closed and opened again at random moments, also in
// the middle of an apply.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import test from 'brittle'
import { present } from '../../lib/assert.ts'
import { MAX_CLOSED_INVITE_AGE_MS } from '../../lib/limits.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import type {
  Change,
  Condition,
  ControlCommand,
  RequestId
} from '../../lib/state-machine/command.ts'
import { MemoryStateMachine } from '../../lib/state-machine/memory-state-machine.ts'
import type { SqliteStateMachine } from '../../lib/state-machine/sqlite-state-machine.ts'
import type { ApplyResult, StateMachine } from '../../lib/state-machine/state-machine.ts'
import { all } from '../state-machine/implementations.ts'
import {
  GENESIS,
  LogMaker,
  admit,
  applied,
  asBytes,
  createInvite,
  del,
  found
} from '../state-machine/samples.ts'
import { key32, openSqlite, put, requestOf, rethrow } from '../state-machine/samples.ts'

/** What the next entry is, and how many milliseconds of log time pass before it. */
type Step =
  | {
      readonly kind: 'write'
      readonly changes: readonly Change[]
      readonly request: RequestId | null
    }
  | {
      readonly kind: 'control'
      readonly command: ControlCommand
      readonly request: RequestId | null
    }
  | { readonly kind: 'empty' | 'configuration' }
  | { readonly kind: 'garbage'; readonly bytes: Uint8Array }

interface History {
  readonly steps: readonly (readonly [Step, number])[]
  /** sizes of the apply calls */
  readonly groups: readonly number[]
  /** after which apply calls SQLite is opened anew; `torn`: while the call is in progress */
  readonly reopens: readonly ('no' | 'clean' | 'torn')[]
}

const key = fc.constantFrom('a', 'b', 'ab', 'c', '\xff', 'd')
const condition: fc.Arbitrary<Condition | null> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constant({ kind: 'absent' } as const) },
  {
    weight: 2,
    arbitrary: fc
      .integer({ min: 1, max: 12 })
      .map((revision) => ({ kind: 'revision', revision }) as const)
  }
)
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(key, fc.string({ maxLength: 4 }), condition).map((parts) => put(...parts)),
  fc.tuple(key, condition).map((parts) => del(...parts))
)
const n = fc.integer({ min: 10, max: 13 })
const control: fc.Arbitrary<ControlCommand> = fc.oneof(
  fc
    .tuple(n, fc.integer({ min: 0, max: 2 }), fc.constantFrom(5, 1_000))
    .map(([invite, uses, ttlMs]) => createInvite(invite, { uses, ttlMs })),
  fc
    .tuple(n, fc.integer({ min: 20, max: 24 }), fc.constantFrom(1, 1, 1, 2))
    .map((parts) => admit(...parts)),
  n.map((invite) => ({ kind: 'revokeInvite', publicKey: key32(invite) }) as const),
  fc
    .integer({ min: 1, max: 4 })
    .map((id) => ({ kind: 'describe', id, name: `n${id}`, version: '1', addresses: [] }) as const),
  fc.constant(found())
)
/** of few clients with few numbers, so that they come again */
const request = fc.option(
  fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 6 }), fc.nat(5), fc.nat(12))
    .map(([client, sequence, behind, since]) =>
      requestOf(client, sequence, { since, answeredBelow: Math.max(0, sequence - behind) })
    )
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.array(change, { maxLength: 4 }), request)
      .map(([changes, id]) => ({ kind: 'write', changes, request: id }) as const)
  },
  {
    weight: 5,
    arbitrary: fc
      .tuple(control, request)
      .map(([command, id]) => ({ kind: 'control', command, request: id }) as const)
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ kind: 'empty' } as const, { kind: 'configuration' } as const)
  },
  {
    weight: 1,
    arbitrary: fc
      .uint8Array({ maxLength: 6 })
      .map(
        (bytes) => ({ kind: 'garbage', bytes: Uint8Array.of(1, 0, 0, 1, 0, 0, ...bytes) }) as const
      )
  }
)
/** now and then so long that closed invites are forgotten */
const passedMs = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 0, max: 3 }) },
  { weight: 1, arbitrary: fc.constant(MAX_CLOSED_INVITE_AGE_MS) }
)
const history: fc.Arbitrary<History> = fc.record({
  steps: fc.array(fc.tuple(step, passedMs), { minLength: 1, maxLength: 40 }),
  groups: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 }),
  reopens: fc.array(fc.constantFrom('no', 'no', 'clean', 'torn'), { minLength: 1, maxLength: 12 })
})

test(
  'both state machines agree on any history, grouped and interrupted anyhow',
  { timeout: 600_000 },
  async (t) => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
    t.comment(`seed ${seed}; run again with SEED=${seed}`)
    const directory = await t.tmp()
    let run = 0
    await fc.assert(
      fc.asyncProperty(history, async (given) => {
        const entries = entriesOf(given)
        const memory = MemoryStateMachine.open({
          genesis: GENESIS,
          defer: setImmediate,
          onFailed: rethrow
        })
        const expected: ApplyResult[] = []
        for (const entry of entries) expected.push(...(await applied(memory, [entry])))

        const path = join(directory, `${run++}`)
        mkdirSync(path)
        const { machine, results } = await applyInGroups(path, entries, given)
        try {
          for (const [index, result] of results)
            same(result, expected[index - 1], `result ${index}`)
          same(viewOf(machine), viewOf(memory), 'what can be read')
          if (!machine.verifyStateHash())
            throw new Error('the rows are not what the state hash says')
        } finally {
          await machine.close()
        }
      }),
      { seed, numRuns: Number(process.env['RUNS'] ?? 150) }
    )
    t.pass()
  }
)

function entriesOf(given: History): readonly Entry[] {
  const log = new LogMaker()
  // most histories should get beyond the refusal of everything before the founding
  const entries = given.steps.length > 3 ? [log.control(found())] : []
  for (const [next, elapsedMs] of given.steps) {
    log.timeMs += elapsedMs
    entries.push(entryOf(log, next))
  }
  return entries
}

function entryOf(log: LogMaker, next: Step): Entry {
  if (next.kind === 'write') {
    const { request: id, changes } = next
    return id === null ? log.write(...changes) : log.request(id, ...changes)
  }
  if (next.kind === 'control') return log.control(next.command, next.request)
  if (next.kind === 'garbage') return log.entry(2, next.bytes)
  if (next.kind === 'empty') return log.empty()
  const member = {
    id: log.timeMs % 100,
    publicKey: key32(3),
    role: 'voter',
    addresses: []
  } as const
  return log.configuration({ members: [{ ...member, id: member.id + 1 }], outgoing: [] })
}

interface Applying {
  readonly machine: SqliteStateMachine
  /** by index; what was torn has none */
  readonly results: ReadonlyMap<number, ApplyResult>
}

async function applyInGroups(
  path: string,
  entries: readonly Entry[],
  given: History
): Promise<Applying> {
  let machine = openSqlite(path)
  const results = new Map<number, ApplyResult>()
  for (let round = 0; machine.applied().index < entries.length; round++) {
    const from = machine.applied().index
    const size = present(given.groups[round % given.groups.length], 'the size')
    const group = entries.slice(from, from + size)
    // every other one, so that it comes to an end
    const reopen = round % 2 === 0 ? 'no' : given.reopens[round % given.reopens.length]
    if (reopen === 'torn') {
      machine.apply(group, () => {})
      for (let turn = 0; turn < size % 3; turn++)
        await new Promise((resolve) => setImmediate(resolve))
    } else {
      const answers = await applied(machine, group)
      for (const [at, result] of answers.entries()) results.set(from + at + 1, result)
    }
    if (reopen === 'no') continue
    await machine.close()
    machine = openSqlite(path)
  }
  return { machine, results }
}

function viewOf(machine: StateMachine): unknown {
  const pages = ['', 'a', 'ab', '\xff'].map((prefix) =>
    machine.scan({ prefix: asBytes(prefix), after: asBytes('a'), limit: 2 })
  )
  return { applied: machine.applied(), trust: machine.trust(), rows: all(machine), pages }
}

function same(actual: unknown, expected: unknown, what: string): void {
  const [left, right] = [shownOf(actual), shownOf(expected)]
  if (!isDeepStrictEqual(JSON.parse(left), JSON.parse(right)))
    throw new Error(`${what} differs:\n${left}\n${right}`)
}

/** Bytes as hex, so that a difference can be read. */
function shownOf(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    each instanceof Uint8Array ? Buffer.from(each).toString('hex') : each
  )
}
