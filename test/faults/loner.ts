// A cluster of one under a single client, for faults of its disk or its process: what was acknowledged
// must be there after the next start, whatever ended the one before.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../lib/random.ts'
import type { Lab } from '../e2e/lab.ts'
import { Load } from './load.ts'
import type { Judgement } from './load.ts'
import { TestNode } from './test-node.ts'
import type { NodeEnd, TestNodeOptions } from './test-node.ts'

export interface LonerRun {
  readonly lab: Lab
  readonly machine: string
  readonly random: Random
  /** how the node is run */
  readonly options: Pick<TestNodeOptions, 'command' | 'crash' | 'crossedPath' | 'under' | 'env'>
  /** the node is killed when so many writes were acknowledged and it still lives */
  readonly writeCount: number
  /** what is done beside the clients, when the node is ready */
  readonly meanwhile?: (node: TestNode) => Promise<void>
}

export interface LonerResult extends Judgement {
  /** of the process that was to meet the fault */
  readonly end: NodeEnd
  /** whether it ended by itself */
  readonly hasMetFault: boolean
  readonly log: string
}

const POLL_MS = 5
/** A node that neither answers nor ends is stuck. */
const STUCK_MS = 30_000

/** Runs the node until it ends or has written enough; then starts it without a fault, and judges. */
export async function runLoner(run: LonerRun): Promise<LonerResult> {
  const { lab, machine, options, random } = run
  const node = new TestNode({ lab, machine, isAlone: true, ...options })
  const isReady = (await node.ready) !== null
  const load = new Load({
    machines: [machine],
    clientOf: (name) => lab.client(name),
    random,
    clientsPerMachine: 2,
    prefix: `${machine}/`,
    keyCount: 6,
    pauseMs: 0
  })
  if (isReady) {
    load.start()
    await run.meanwhile?.(node)
    await enough(node, load, run.writeCount)
    await load.stop()
  }
  const hasMetFault = node.hasEnded
  const end = hasMetFault ? await node.ended : await node.kill()
  const judgement = await reopened(run, load)
  return { ...judgement, end, hasMetFault, log: node.log }
}

async function enough(node: TestNode, load: Load, writeCount: number): Promise<void> {
  let before = -1
  let stuckMs = performance.now() + STUCK_MS
  while (!node.hasEnded && load.acknowledgedCount < writeCount) {
    if (load.acknowledgedCount > before) {
      before = load.acknowledgedCount
      stuckMs = performance.now() + STUCK_MS
    }
    if (performance.now() > stuckMs) throw new Error(`the node is stuck:\n${node.log}`)
    await sleep(POLL_MS)
  }
}

/** The same node without a fault; what `create` did not finish is finished by it. */
async function reopened(run: LonerRun, load: Load): Promise<Judgement> {
  const { lab, machine, options } = run
  const node = await startedAgain(lab, machine, options.command)
  const judgement = await load.judge()
  const { code } = await node.kill('SIGTERM')
  if (code !== 0) throw new Error(`the node does not end well: ${code}\n${node.log}`)
  return judgement
}

async function startedAgain(
  lab: Lab,
  machine: string,
  command: TestNodeOptions['command']
): Promise<TestNode> {
  const node = new TestNode({ lab, machine, command, isAlone: true })
  if ((await node.ready) !== null) return node
  if (command !== 'create') throw new Error(`the node does not start again:\n${node.log}`)
  // it may have been finished before the crash
  const finished = new TestNode({ lab, machine, command: 'start', isAlone: true })
  if ((await finished.ready) !== null) return finished
  throw new Error(`the node can neither be created:\n${node.log}\nnor started:\n${finished.log}`)
}
