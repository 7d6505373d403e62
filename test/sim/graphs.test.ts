// Which pairs of five voters reach each other, and what becomes of the cluster: every symmetric graph
// in which some node hears a quorum, with logs that are equal when the graph freezes and with two
// followers that miss the last committed entry; without relays and with. ASPEN_FULL=1 runs all 998
// graphs, else a sample of 40 is drawn; ASPEN_TEST_SEED repeats a sample.

import test from 'brittle'
import { Dice } from '../../lib/testing/dice.ts'
import { mustStall, quorumGraphs, runGraph, textOf, VOTER_COUNT } from './graphs.ts'
import type { Graph, GraphResult, Standing } from './graphs.ts'

const SEED = Number(process.env['ASPEN_TEST_SEED'] ?? Date.now() % 1_000_000)
const IS_FULL = process.env['ASPEN_FULL'] === '1'
const SAMPLE_COUNT = 40
const LIMIT = { timeout: IS_FULL ? 3_600_000 : 300_000 }

/** Enough for the longest way between two of five. */
const RELAY_COUNT = VOTER_COUNT - 2

const ALL = quorumGraphs()

test('of the 1,024 graphs on five voters, some node hears a quorum in 998', (t) => {
  t.is(ALL.length, 998)
})

test("Raft's log rule lets nobody lead in 480 of the 29,940 ways to freeze a graph, 1.6 %", (t) => {
  const ways = ALL.flatMap((graph) => standings().map((standing) => mustStall(graph, standing)))
  t.is(ways.length, 29_940)
  t.is(ways.filter(Boolean).length, 480)
})

test(
  'with equal logs no graph stalls, interrupts or churns terms, with relays or without',
  LIMIT,
  async (t) => {
    t.comment(`seed ${SEED}`)
    const direct = await runAll({ areLogsEqual: true, relayCount: 0 })
    const relayed = await runAll({ areLogsEqual: true, relayCount: RELAY_COUNT })
    for (const line of tableOf('equal', direct, relayed)) t.comment(line)
    for (const results of [direct, relayed]) {
      t.alike(
        textsOf(results, ({ isStalled }) => isStalled),
        [],
        'commits go on'
      )
      t.alike(textsOf(results, isRestless), [], 'without a pause or a new term')
    }
    t.alike(
      textsOf(relayed, ({ isStranded }) => isStranded),
      [],
      'relays leave nobody behind'
    )
    t.ok(
      direct.some(({ isStranded }) => isStranded),
      'without relays some are left behind'
    )
  }
)

test(
  'with unequal logs only what the log rule forbids stalls, and with relays nothing',
  LIMIT,
  async (t) => {
    t.comment(`seed ${SEED}`)
    const direct = await runAll({ areLogsEqual: false, relayCount: 0 })
    const relayed = await runAll({ areLogsEqual: false, relayCount: RELAY_COUNT })
    for (const line of tableOf('unequal', direct, relayed)) t.comment(line)
    const stalled = textsOf(direct, ({ isStalled }) => isStalled)
    for (const text of stalled) t.comment(`stalls: ${text}`)
    t.alike(
      stalled,
      textsOf(direct, ({ graph, standing }) => mustStall(graph, standing)),
      'those in which nobody who hears a quorum may win'
    )
    t.alike(textsOf(direct, isRestless), [], 'no other pauses, none churns terms')
    t.alike(
      textsOf(relayed, (result) => result.isStalled || result.isStranded || isRestless(result)),
      [],
      'with relays commits go on and reach everybody whom the leader reaches'
    )
  }
)

test(
  'three in a row whose middle one is behind stall without relays, and not with',
  LIMIT,
  async (t) => {
    const graph = ALL.find((one) => textOf(one) === '1-2 3-5 4-5')
    if (graph === undefined) throw new Error('5 hears a quorum')
    for (let seed = SEED; seed < SEED + MAX_TRIES; seed++) {
      const direct = await runGraph({ graph, seed, areLogsEqual: false, relayCount: 0 })
      // who leads and who is behind depends on the seed
      if (!mustStall(graph, direct.standing)) continue
      const relayed = await runGraph({ graph, seed, areLogsEqual: false, relayCount: RELAY_COUNT })
      t.comment(textOfResult(direct))
      t.alike(relayed.standing, direct.standing)
      t.ok(direct.isStalled, 'only the middle one hears a quorum, and nobody may vote for it')
      t.is(direct.newTermCount, 0, 'who cannot win does not raise the term')
      t.absent(relayed.isStalled || relayed.isStranded)
      return
    }
    t.fail('one in five seeds does')
  }
)

/** A fifth of the standings is enough to stall; all these miss it once in 10^9 runs. */
const MAX_TRIES = 100

/** Whoever leads, with any two of the others behind. */
function standings(): readonly Standing[] {
  const places = Array.from({ length: VOTER_COUNT }, (_, at) => at)
  return places.flatMap((leader) => {
    const others = places.filter((at) => at !== leader)
    return others.flatMap((one, at) =>
      others.slice(at + 1).map((other) => ({ leader, behind: [one, other] }))
    )
  })
}

async function runAll(how: {
  readonly areLogsEqual: boolean
  readonly relayCount: number
}): Promise<readonly GraphResult[]> {
  const results: GraphResult[] = []
  for (const graph of graphs()) results.push(await runGraph({ ...how, graph, seed: SEED + graph }))
  return results
}

function graphs(): readonly Graph[] {
  return IS_FULL ? ALL : Dice.of(SEED, 'graphs').shuffle(ALL).slice(0, SAMPLE_COUNT)
}

function isChurning({ newTermCount }: GraphResult): boolean {
  return newTermCount > MAX_NEW_TERMS
}

function isRestless(result: GraphResult): boolean {
  return result.isInterrupted || isChurning(result)
}

const MAX_NEW_TERMS = 2

function textsOf(
  results: readonly GraphResult[],
  which: (result: GraphResult) => boolean
): readonly string[] {
  return results.filter((result) => which(result)).map(textOfResult)
}

/** Voters are counted from 1. */
function textOfResult({ graph, seed, standing }: GraphResult): string {
  const behind = standing.behind.map((at) => at + 1).join(' and ')
  const text = `${textOf(graph)}, ${standing.leader + 1} led`
  return `${text}${behind === '' ? '' : `, ${behind} behind`} (graph ${graph}, seed ${seed})`
}

/** As the published table: shares of the graphs, without relays → with. */
function tableOf(
  logs: string,
  direct: readonly GraphResult[],
  relayed: readonly GraphResult[]
): readonly string[] {
  const share = (which: (result: GraphResult) => boolean): string =>
    [direct, relayed]
      .map((results) => percent(results.filter(which).length, results.length))
      .join(' → ')
  const cells = [
    logs,
    String(direct.length),
    share(({ isStalled }) => isStalled),
    share(({ isInterrupted }) => isInterrupted),
    share(isChurning),
    share(({ isStranded }) => isStranded)
  ]
  return [
    '| logs | graphs | never commits | interrupted | > 2 new terms | stranded |',
    `| ${cells.join(' | ')} |`
  ]
}

function percent(count: number, of: number): string {
  return `${((100 * count) / of).toFixed(1)} %`
}
