// Random histories for the state machines: entries, how they are grouped into applies, and when SQLite is
// opened anew, also in the middle of an apply.

import fc from 'fast-check'
import { present } from '../../lib/assert.ts'
import { MAX_CLOSED_INVITE_AGE_MS } from '../../lib/limits.ts'
import type { Configuration, Member, MemberRole } from '../../lib/raft/configuration.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import type {
  Change,
  Condition,
  ControlCommand,
  RequestId
} from '../../lib/state-machine/command.ts'
import type { SqliteStateMachine } from '../../lib/state-machine/sqlite-state-machine.ts'
import type { ApplyResult } from '../../lib/state-machine/state-machine.ts'
import { LogMaker, admit, admitKey, applied, createInvite, del, found, key32 } from './samples.ts'
import { openSqlite, put, requestOf } from './samples.ts'

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
  | { readonly kind: 'empty' }
  | { readonly kind: 'snapshot' }
  /** of nodes 1 to 4, who is what, and who voted before */
  | {
      readonly kind: 'configuration'
      readonly roles: readonly (MemberRole | null)[]
      readonly outgoing: readonly number[]
    }
  /** so many entries before it */
  | { readonly kind: 'compact'; readonly behind: number }
  | { readonly kind: 'garbage'; readonly bytes: Uint8Array }

export interface History {
  readonly steps: readonly (readonly [Step, number])[]
  /** sizes of the apply calls */
  readonly groups: readonly number[]
  /** after which apply calls SQLite is opened anew; `torn`: while the call is in progress */
  readonly reopens: readonly ('no' | 'clean' | 'torn')[]
}

const ROLES: readonly (MemberRole | null)[] = [null, null, 'learner', 'voter', 'leaving']
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
  fc
    .tuple(
      fc.integer({ min: 10, max: 28 }),
      fc.constantFrom(null, null, 3),
      fc.constantFrom(1, 1, 2),
      fc.constantFrom('voter', 'learner')
    )
    .map(([node, expectedId, epoch, role]) => admitKey(node, { expectedId, epoch, role })),
  fc.constant(found()),
  fc.integer({ min: 0, max: 1 }).map((level) => ({ kind: 'raiseFeatureLevel', level }) as const)
)
/** of few clients with few numbers, so that they come again */
const request = fc.option(
  fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 6 }), fc.nat(5), fc.nat(12))
    .map(([client, sequence, behind, since]) =>
      requestOf(client, sequence, { since, answeredBelow: Math.max(0, sequence - behind) })
    )
)
/** whether one can follow the other is for the core: what is applied is the same for any */
const configuration: fc.Arbitrary<Extract<Step, { kind: 'configuration' }>> = fc
  .tuple(
    fc.array(fc.constantFrom(...ROLES), { minLength: 4, maxLength: 4 }),
    fc.oneof(fc.constant([]), fc.subarray([1, 2, 3, 4]))
  )
  .map(([roles, outgoing]) => ({ kind: 'configuration', roles, outgoing }) as const)
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
    arbitrary: fc.constantFrom({ kind: 'empty' } as const, { kind: 'snapshot' } as const)
  },
  { weight: 3, arbitrary: configuration },
  {
    weight: 2,
    arbitrary: fc.nat(20).map((behind) => ({ kind: 'compact', behind }) as const)
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
export const history: fc.Arbitrary<History> = fc.record({
  steps: fc.array(fc.tuple(step, passedMs), { minLength: 1, maxLength: 40 }),
  groups: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 }),
  reopens: fc.array(fc.constantFrom('no', 'no', 'clean', 'torn'), { minLength: 1, maxLength: 12 })
})

export function entriesOf(given: History): readonly Entry[] {
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
  if (next.kind === 'snapshot') return log.snapshot()
  if (next.kind === 'compact') return log.compact(Math.max(0, log.lastIndex - next.behind))
  return log.configuration(configurationOf(next))
}

/** As near to what was drawn as a configuration can be: somebody votes, and who voted before is a member. */
function configurationOf(next: Extract<Step, { kind: 'configuration' }>): Configuration {
  const roles = next.roles.includes('voter') ? next.roles : next.roles.with(0, 'voter')
  const members = roles.flatMap((role, at): Member[] => {
    const id = at + 1
    if (role === null) return []
    const isStray = role === 'leaving' && !next.outgoing.includes(id)
    return [{ id, publicKey: key32(18 + id), role: isStray ? 'learner' : role, addresses: [] }]
  })
  return { members, outgoing: next.outgoing.filter((id) => roles[id - 1] !== null) }
}

export interface Applying {
  readonly machine: SqliteStateMachine
  /** by index; what was torn has none */
  readonly results: ReadonlyMap<number, ApplyResult>
}

export async function applyInGroups(
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
