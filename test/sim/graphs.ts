// Partial connectivity: a healthy cluster of five voters, of whose ten pairs some lose each other at
// one moment and for good. What becomes of it is known in advance (`mustStall`), and is measured here
// as in the published experiments: settle for 20 election timeouts, then propose during 20 more.

import { assert, present } from '../../lib/assert.ts'
import { Dice } from '../../lib/testing/dice.ts'
import type { Machine } from '../../lib/testing/machine.ts'
import type { World } from '../../lib/testing/world.ts'
import {
  cut,
  endWorld,
  followersOf,
  heal,
  healthyWorld,
  latestTerm,
  leaderOf,
  put
} from './healthy-world.ts'
import type { Put } from './healthy-world.ts'

export const VOTER_COUNT = 5

/** A bit for each pair, set when the two reach each other; in the order of `PAIRS`. */
export type Graph = number

/** Positions 0 to 4. */
const PAIRS: readonly (readonly [number, number])[] = [0, 1, 2, 3, 4].flatMap((a) =>
  [0, 1, 2, 3, 4].filter((b) => b > a).map((b) => [a, b] as const)
)

/** All graphs in which some node hears a quorum: itself and two others. */
export function quorumGraphs(): readonly Graph[] {
  const all = Array.from({ length: 2 ** PAIRS.length }, (_, graph) => graph)
  return all.filter((graph) => positions().some((at) => hearsQuorum(graph, at)))
}

export function areJoined(graph: Graph, a: number, b: number): boolean {
  const bit = PAIRS.findIndex(([one, other]) => one === Math.min(a, b) && other === Math.max(a, b))
  return a !== b && (graph & (1 << bit)) !== 0
}

/** `1-2 1-3`: the pairs that reach each other, counted from 1. */
export function textOf(graph: Graph): string {
  const joined = PAIRS.filter(([a, b]) => areJoined(graph, a, b))
  return joined.map(([a, b]) => `${a + 1}-${b + 1}`).join(' ')
}

function positions(): readonly number[] {
  return Array.from({ length: VOTER_COUNT }, (_, at) => at)
}

function neighboursOf(graph: Graph, at: number): readonly number[] {
  return positions().filter((other) => areJoined(graph, at, other))
}

function hearsQuorum(graph: Graph, at: number): boolean {
  return neighboursOf(graph, at).length >= 2
}

/** Who can be reached over others, `from` included. */
function reachOf(graph: Graph, from: number): ReadonlySet<number> {
  const reach = new Set([from])
  for (const at of reach) for (const next of neighboursOf(graph, at)) reach.add(next)
  return reach
}

/** Who leads, and who misses the last committed entry, when the graph freezes. */
export interface Standing {
  readonly leader: number
  readonly behind: readonly number[]
}

/**
 * Whether Raft cannot have a leader here: whoever hears a quorum misses the entry that somebody of
 * each quorum that it hears holds. The old leader still brings the entry to those whom it reaches.
 */
export function mustStall(graph: Graph, { leader, behind }: Standing): boolean {
  const missing = new Set(behind.filter((at) => !areJoined(graph, leader, at)))
  return !positions().some((at) => {
    const voters = neighboursOf(graph, at).filter((one) => !missing.has(at) || missing.has(one))
    return voters.length >= 2
  })
}

export interface GraphCase {
  readonly graph: Graph
  readonly seed: number
  /** false: two followers miss the last committed entry when the graph freezes */
  readonly areLogsEqual: boolean
  readonly relayCount: number
}

export interface GraphResult extends GraphCase {
  readonly standing: Standing
  /** nothing was committed after settling */
  readonly isStalled: boolean
  /** something was, but not for longer than two election timeouts at a time */
  readonly isInterrupted: boolean
  /** after settling */
  readonly newTermCount: number
  /** somebody whom the leader reaches over others has not got what was committed */
  readonly isStranded: boolean
}

export async function runGraph(graphCase: GraphCase): Promise<GraphResult> {
  const { graph, seed, relayCount } = graphCase
  const world = await healthyWorld({
    seed,
    nodeCount: VOTER_COUNT,
    targetVoters: VOTER_COUNT,
    relayCount
  })
  const standing = await freeze(world, graphCase)
  const timeoutMs = world.timing.electionMaxMs
  await world.time.run(TIMEOUTS * timeoutMs)
  const settledTerm = latestTerm(world)
  const beganMs = world.time.nowMs()
  const puts = await proposeFor(world, TIMEOUTS * timeoutMs)
  const doneMs = puts.flatMap((one) => one.doneMs ?? [])
  const pausesMs = [...doneMs, world.time.nowMs()].map((atMs, at) => {
    return atMs - (doneMs[at - 1] ?? beganMs)
  })
  const isStalled = doneMs.length === 0
  const result = {
    ...graphCase,
    standing,
    isStalled,
    isInterrupted: !isStalled && Math.max(...pausesMs) > 2 * timeoutMs,
    newTermCount: latestTerm(world) - settledTerm,
    isStranded: isAnyStranded(world, graph, puts)
  }
  await endWorld(world)
  return result
}

/** For settling and for proposing. */
const TIMEOUTS = 20

/** The last write is committed; then the pairs that are not in the graph lose each other. */
async function freeze(world: World, { graph, seed, areLogsEqual }: GraphCase): Promise<Standing> {
  const { machines } = world
  const leader = leaderOf(world)
  const followers = Dice.of(seed, 'behind').shuffle(followersOf(world))
  const behind = areLogsEqual ? [] : followers.slice(0, 2).map(({ machine }) => machine)
  for (const machine of behind) {
    for (const other of machines) if (other !== machine) cut(world, machine, other)
  }
  await world.time.settled(
    leader.assembly.service.kv.write({ changes: [LAST_PUT] }),
    world.timing.electionMinMs
  )
  for (const [a, b] of PAIRS) {
    const [one, other] = [machineAt(world, a), machineAt(world, b)]
    if (areJoined(graph, a, b)) heal(world, one, other)
    else cut(world, one, other)
  }
  const place = (machine: Machine): number => machines.indexOf(machine)
  return { leader: place(leader.machine), behind: behind.map(place) }
}

/** Proposes on whoever leads, if anybody does, several times in each election timeout. */
async function proposeFor(world: World, ms: number): Promise<readonly Put[]> {
  const puts: Put[] = []
  const { electionMinMs } = world.timing
  const untilMs = world.time.nowMs() + ms
  while (world.time.nowMs() < untilMs) {
    const leader = world.leader()
    if (leader !== null) puts.push(put(world, leader, electionMinMs))
    await world.time.run(electionMinMs / 4)
  }
  return puts
}

function isAnyStranded(world: World, graph: Graph, puts: readonly Put[]): boolean {
  const leader = world.leader()
  if (leader === null) return false
  const last = Math.max(0, ...puts.slice(0, -1).map(({ revision }) => revision))
  const reach = reachOf(graph, world.machines.indexOf(leader.machine))
  return [...reach].some((at) => {
    const process = present(machineAt(world, at).process ?? undefined, 'a process')
    return process.assembly.replica.status.commitIndex < last
  })
}

function machineAt(world: World, at: number): Machine {
  const machine = world.machines[at]
  assert(machine !== undefined, 'there are five machines')
  return machine
}

const LAST_PUT = {
  kind: 'put',
  key: new Uint8Array([1]),
  value: new Uint8Array([1]),
  condition: null
} as const
