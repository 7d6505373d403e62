// The bounds of the proposal queue, and how each proposal is settled.

import test from 'brittle'
import {
  MAX_APPEND_BYTES,
  MAX_PENDING_PROPOSAL_BYTES,
  MAX_PENDING_PROPOSALS
} from '../../lib/limits.ts'
import type { Entry } from '../../lib/raft/entry.ts'
import { Proposals } from '../../lib/replica/proposals.ts'
import type { Outcome, Proposal } from '../../lib/replica/proposals.ts'

function proposalInto(outcomes: Outcome[], byteCount = 1): Proposal {
  return {
    kind: 2,
    payload: new Uint8Array(byteCount),
    onOutcome: (outcome) => outcomes.push(outcome)
  }
}

function entryAt(index: number, term: number): Entry {
  return { index, term, kind: 2, timeMs: 0, payload: new Uint8Array(1), hash: new Uint8Array(32) }
}

test('the queue takes MAX_PENDING_PROPOSALS and not one more, appended ones included', (t) => {
  const outcomes: Outcome[] = []
  const proposals = new Proposals()
  for (let count = 0; count < MAX_PENDING_PROPOSALS; count++) {
    if (!proposals.maybeAdd(proposalInto(outcomes))) t.fail('refused too early')
  }
  t.absent(proposals.maybeAdd(proposalInto(outcomes)))
  const batch = proposals.takeBatch()
  proposals.onAppended(batch, 1, 1)
  t.absent(proposals.maybeAdd(proposalInto(outcomes)), 'what is appended still counts')
  proposals.onApplied(entryAt(1, 1), { kind: 'none' })
  t.ok(proposals.maybeAdd(proposalInto(outcomes)), 'what is settled gives its place back')
})

test('a queue that is set lower takes no more than that', (t) => {
  const proposals = new Proposals(2)
  t.ok(proposals.maybeAdd(proposalInto([])))
  t.ok(proposals.maybeAdd(proposalInto([])))
  t.absent(proposals.maybeAdd(proposalInto([])))
})

test('the queue is bounded in bytes as well', (t) => {
  const proposals = new Proposals()
  const half = MAX_PENDING_PROPOSAL_BYTES / 2
  t.ok(proposals.maybeAdd(proposalInto([], half)))
  t.ok(proposals.maybeAdd(proposalInto([], half)))
  t.absent(proposals.maybeAdd(proposalInto([], 1)))
})

test('a batch holds what fits one message, and at least one proposal', (t) => {
  const proposals = new Proposals()
  proposals.maybeAdd(proposalInto([], MAX_APPEND_BYTES + 1))
  proposals.maybeAdd(proposalInto([], MAX_APPEND_BYTES - 1))
  proposals.maybeAdd(proposalInto([], 1))
  proposals.maybeAdd(proposalInto([], 1))
  t.alike(proposals.takeBatch().length, 1, 'one that is too large travels alone')
  t.alike(proposals.takeBatch().length, 2)
  t.alike(proposals.takeBatch().length, 1)
})

test('an applied entry of the same term settles as done, of another term as overwritten', (t) => {
  const outcomes: Outcome[] = []
  const proposals = new Proposals()
  proposals.maybeAdd(proposalInto(outcomes))
  proposals.maybeAdd(proposalInto(outcomes))
  proposals.onAppended(proposals.takeBatch(), 3, 7)
  proposals.onApplied(entryAt(7, 3), { kind: 'none' })
  proposals.onApplied(entryAt(8, 4), { kind: 'none' })
  t.alike(outcomes, [
    { kind: 'done', index: 7, result: { kind: 'none' } },
    { kind: 'refused', reason: 'overwritten' }
  ])
})

test('a proposal whose place was given away is not settled before something is applied there', (t) => {
  const older: Outcome[] = []
  const newer: Outcome[] = []
  const proposals = new Proposals()
  proposals.maybeAdd(proposalInto(older))
  proposals.onAppended(proposals.takeBatch(), 1, 5)
  proposals.maybeAdd(proposalInto(newer))
  proposals.onAppended(proposals.takeBatch(), 3, 5)
  t.alike(older, [], 'a member may still hold the older entry and have it committed')
  proposals.onApplied(entryAt(5, 1), { kind: 'none' })
  t.alike(older, [{ kind: 'done', index: 5, result: { kind: 'none' } }])
  t.alike(newer, [{ kind: 'refused', reason: 'overwritten' }])
})

test('an entry of a later term overwrites everything older at and behind its index', (t) => {
  const outcomes: Outcome[] = []
  const proposals = new Proposals()
  for (let count = 0; count < 4; count++) proposals.maybeAdd(proposalInto(outcomes))
  proposals.onAppended(proposals.takeBatch(), 2, 10)
  proposals.onApplied(entryAt(9, 2), { kind: 'none' })
  t.alike(outcomes, [], 'what comes before says nothing')
  proposals.onApplied(entryAt(10, 2), { kind: 'none' })
  proposals.onApplied(entryAt(11, 4), { kind: 'none' })
  t.alike(outcomes, [
    { kind: 'done', index: 10, result: { kind: 'none' } },
    { kind: 'refused', reason: 'overwritten' },
    { kind: 'refused', reason: 'overwritten' },
    { kind: 'refused', reason: 'overwritten' }
  ])
  t.is(proposals.pendingCount, 0, 'their places are free')
})

test('an entry of an earlier term overwrites what stood at its index only', (t) => {
  const outcomes: Outcome[] = []
  const proposals = new Proposals()
  for (let count = 0; count < 2; count++) proposals.maybeAdd(proposalInto(outcomes))
  proposals.onAppended(proposals.takeBatch(), 5, 10)
  proposals.onApplied(entryAt(10, 3), { kind: 'none' })
  t.alike(outcomes, [{ kind: 'refused', reason: 'overwritten' }])
  t.is(proposals.pendingCount, 1)
})

test('at the end what waited is refused, what was appended is unknown', (t) => {
  const waiting: Outcome[] = []
  const appended: Outcome[] = []
  const proposals = new Proposals()
  proposals.maybeAdd(proposalInto(appended))
  proposals.onAppended(proposals.takeBatch(), 1, 1)
  proposals.maybeAdd(proposalInto(waiting))
  proposals.endAll()
  t.alike(waiting, [{ kind: 'refused', reason: 'closing' }])
  t.alike(appended, [{ kind: 'unknown' }])
})
