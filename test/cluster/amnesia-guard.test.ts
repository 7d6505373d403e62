// MEM-06 to MEM-08, decided: who has forgotten something, who is one of two, and who only looks like it.

import test from 'brittle'
import type { Claim, Memory } from '../../lib/cluster/amnesia-guard.ts'
import { acknowledged, refusalOf, remember } from '../../lib/cluster/amnesia-guard.ts'

const OLD = 'a'.repeat(32)
const NEW = 'b'.repeat(32)
const LOG = '1'.repeat(32)
const OTHER_LOG = '2'.repeat(32)

/** Start 5 said term 7; in term 8, which this node led, the member acknowledged 100. */
const MEMORY: Memory = {
  boot: 5,
  instance: OLD,
  storageEpoch: LOG,
  saidTerm: 7,
  term: 8,
  index: 100
}
const CLAIM: Claim = {
  boot: 6,
  instance: NEW,
  storageEpoch: LOG,
  durableTerm: 8,
  lastIndex: 100
}

type Verdict = 'DATA_LOST' | 'FENCED' | null

interface Case {
  readonly what: string
  readonly memory?: Partial<Memory> | null
  readonly claim?: Partial<Claim>
  readonly isVoter?: boolean
  readonly verdict: Verdict
  /** while another process of the key has a link */
  readonly linked?: Verdict
}

const CASES: readonly Case[] = [
  { what: 'who is not known', memory: null, claim: { boot: 1, lastIndex: 0 }, verdict: null },
  { what: 'the next start with all it had', verdict: null },
  { what: 'starts in between that nobody heard', claim: { boot: 60 }, verdict: null },
  { what: 'more than was acknowledged', claim: { lastIndex: 101 }, verdict: null },
  {
    what: 'a later term, and less, as after a truncation',
    claim: { durableTerm: 9, lastIndex: 3 },
    verdict: null
  },
  { what: 'one entry less in that term', claim: { lastIndex: 99 }, verdict: 'DATA_LOST' },
  { what: 'an earlier term', claim: { durableTerm: 7, lastIndex: 500 }, verdict: 'DATA_LOST' },
  {
    what: 'a term that it has said, to a node that never led',
    memory: { saidTerm: 9, term: 0, index: 0 },
    claim: { durableTerm: 8 },
    verdict: 'DATA_LOST'
  },
  {
    what: 'less in a term that this node did not lead',
    memory: { saidTerm: 9 },
    claim: { durableTerm: 9, lastIndex: 1 },
    verdict: null
  },
  {
    what: 'the same start, another process',
    claim: { boot: 5 },
    verdict: 'DATA_LOST',
    linked: 'FENCED'
  },
  {
    what: 'an earlier start',
    claim: { boot: 4, lastIndex: 500, durableTerm: 9 },
    verdict: 'DATA_LOST',
    linked: 'FENCED'
  },
  { what: 'another log', claim: { storageEpoch: OTHER_LOG, boot: 9 }, verdict: 'DATA_LOST' },
  {
    what: 'a new log with nothing in it',
    claim: { storageEpoch: OTHER_LOG, boot: 1, durableTerm: 0, lastIndex: 0 },
    verdict: 'DATA_LOST'
  },
  {
    what: 'a new log of a node that never had anything',
    memory: { saidTerm: 0, term: 0, index: 0 },
    claim: { storageEpoch: OTHER_LOG, boot: 1, durableTerm: 0, lastIndex: 0 },
    verdict: null
  },
  {
    what: 'a new log of a voter, which has had everything once',
    memory: { saidTerm: 0, term: 0, index: 0 },
    claim: { storageEpoch: OTHER_LOG, boot: 1, durableTerm: 0, lastIndex: 0 },
    isVoter: true,
    verdict: 'DATA_LOST'
  },
  {
    what: 'the same empty log, started less often',
    memory: { saidTerm: 0, term: 0, index: 0 },
    claim: { boot: 5, durableTerm: 0, lastIndex: 0 },
    verdict: 'DATA_LOST',
    linked: 'FENCED'
  },
  {
    what: 'the same process, whose hello was made before its last acknowledgement',
    claim: { instance: OLD, boot: 5, durableTerm: 7, lastIndex: 60 },
    verdict: null
  }
]

test('each case of what a process may say', (t) => {
  for (const { what, memory = {}, claim, isVoter = false, verdict, linked = verdict } of CASES) {
    const known = memory === null ? undefined : { ...MEMORY, ...memory }
    const said = { ...CLAIM, ...claim }
    t.is(refusalOf(known, said, { isVoter, isLinked: false })?.code ?? null, verdict, what)
    t.is(
      refusalOf(known, said, { isVoter, isLinked: true })?.code ?? null,
      linked,
      `${what}, beside another process`
    )
  }
})

test('a refusal says what is missing, with the numbers', (t) => {
  const textOf = (claim: Partial<Claim>, isLinked = false) =>
    refusalOf(MEMORY, { ...CLAIM, ...claim }, { isLinked, isVoter: true })?.message
  t.ok(textOf({ lastIndex: 42 })?.endsWith('it had 100 entries, and now says 42'))
  t.ok(textOf({ durableTerm: 3 })?.endsWith('it was in term 8, and now says 3'))
  t.ok(textOf({ boot: 2 })?.endsWith('it was started 5 times, and now says 2'))
  t.ok(textOf({ storageEpoch: OTHER_LOG })?.endsWith('its log was made anew'))
  t.ok(textOf({ boot: 5 }, true)?.endsWith('start 5, and this is start 5'))
})

test('who is let in is remembered, and what was acknowledged stays', (t) => {
  const first = remember(undefined, { ...CLAIM, boot: 1, durableTerm: 0 })
  t.alike(first, { boot: 1, instance: NEW, storageEpoch: LOG, saidTerm: 0, term: 0, index: 0 })
  t.alike(remember(MEMORY, CLAIM), { ...MEMORY, boot: 6, instance: NEW, saidTerm: 8 })
  t.alike(remember(MEMORY, { ...CLAIM, durableTerm: 3 }).saidTerm, 7, 'a term never falls')
})

test('acknowledgements count by term, then by index, and never backwards', (t) => {
  const told = [
    [8, 100],
    [8, 99],
    [7, 900],
    [8, 101],
    [9, 5],
    [9, 4]
  ] as const
  const seen = told.map(([term, index]) => {
    const { term: newTerm, index: newIndex } = acknowledged(MEMORY, term, index)
    return `${newTerm}/${newIndex}`
  })
  t.alike(seen, ['8/100', '8/100', '8/100', '8/101', '9/5', '9/4'])
  t.is(acknowledged(MEMORY, 8, 100), MEMORY)
})
