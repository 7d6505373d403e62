// From a folder to a running node, and back: everything is opened in order and closed in reverse. The
// seed's nine steps, as they are here:
//
//   1. load configuration          `planOf`: the intent against what the folder holds (plan.ts)
//   2. metadata store              the data directory and its lock, node.json, the identity
//   3. P2P endpoint                the network; for `join` the admission
//   4. storage backends            the log, the state machine; repaired first where that is needed
//   5. node server                 links to the other members     } one object with 6 and the services,
//   6. consensus with supervision  core and replica               } put together in assembly.ts
//   7. RPC endpoints               forwarding between members, the HTTP API
//   8. discovery                   `assembly.start`: listens, announces, dials
//   9. the handle                  `create` founds the cluster, `join` waits until it is caught up
//
// Only 3 (of a join) and 9 wait for anything but this machine.

import { assert } from '../assert.ts'
import { systemClock, systemTimers } from '../clock.ts'
import type { AspenError } from '../errors.ts'
import { TransportError } from '../errors.ts'
import { randomBytes, systemRandom } from '../random.ts'
import type { NodeAdmin, NodeApi } from '../service/node-api.ts'
import { administrationOf } from './administration.ts'
import { DataDirectory } from './data-directory.ts'
import { EphemeralDirectory } from './ephemeral-directory.ts'
import { Ending } from './ending.ts'
import { CLUSTER_ID_BYTES, FOUNDER_ID } from './founding.ts'
import { admit } from './joining.ts'
import { notInitialized } from './lobby.ts'
import type { Membership } from './membership.ts'
import { newMembership, readMembership, writeMembership } from './membership.ts'
import { NodeFront } from './node-front.ts'
import type { NodeOptions, Opened } from './options.ts'
import type { Premises, Running } from './opening.ts'
import { openApi, openNetwork } from './opening.ts'
import type { Peer } from './peers.ts'
import type { Plan } from './plan.ts'
import { intentFor, planOf } from './plan.ts'
import { openMetrics } from './process-metrics.ts'
import { run, settle, SYSTEM } from './running.ts'
import { checkInMemoryIntent, isEphemeral, warnOfForgetting } from './storage-backend.ts'
import { WaitingNode } from './waiting-node.ts'

/** A node that runs. `AspenNode` is the same with what it can be asked as its own methods. */
export interface BootstrapHandle {
  /** what it was started with */
  readonly config: NodeOptions
  readonly opened: Opened
  /** Resolves with the process's exit code when the node has ended: by `shutdown` (0), or by itself. */
  readonly closed: Promise<number>
  /** what it can be asked */
  readonly node: NodeApi
  /** Hands leadership over, closes everything, releases the directory. May be called twice. */
  shutdown(): Promise<void>
}

/**
 * Opens a node as `config.intent` says.
 * @throws ConfigError, StorageError, TransportError, TicketError: nothing is left running then
 */
export async function bootstrapNode(config: NodeOptions): Promise<BootstrapHandle> {
  const ending = new Ending((error) => {
    config.logger.error({ err: error, event: 'node.close' }, 'a part could not be closed')
  })
  const { openLimitMs = null } = config
  const limit =
    openLimitMs === null
      ? null
      : systemTimers.start(openLimitMs, () => ending.fail(tooLong(openLimitMs)))
  try {
    // a store that fails answers nobody any more: whoever waits for it would do so for ever
    return await Promise.race([openNode(config, ending), failureOf(ending)])
  } catch (error) {
    await ending.end()
    // what a failed store brought about is not what happened
    throw ending.failure ?? error
  } finally {
    limit?.cancel()
  }
}

async function openNode(given: NodeOptions, ending: Ending): Promise<BootstrapHandle> {
  const found = openDirectory(given, ending)
  const config = { ...given, intent: intentFor(given.intent, found.membership) }
  const base = await openBase(config, found)
  const { opened, node, running, settled } =
    base.plan.kind === 'wait'
      ? await openLobby(config, base, base.plan.peers)
      : await openMember(config, base)
  if (ending.failure !== null) throw ending.failure
  return {
    config,
    opened,
    closed: ending.exitCode,
    node,
    shutdown: () =>
      ending.end(async () => {
        await settled()
        const assembly = running()?.assembly
        assembly?.service.drain()
        await assembly?.handOver()
      })
  }
}

interface OpenedNode {
  readonly opened: Opened
  readonly node: NodeApi
  /** null while it belongs to no cluster */
  readonly running: () => Running | null
  /** resolves when it is not on its way into a cluster */
  readonly settled: () => Promise<void>
}

async function openMember(config: NodeOptions, base: Base): Promise<OpenedNode> {
  const membership = await membershipOf(config, base)
  const running = await run(config, { ...base, membership })
  const opened = await settle(config, running)
  const settled = (): Promise<void> => Promise.resolve()
  return { opened, node: running.assembly.service, running: () => running, settled }
}

/** The API is open all the time: it answers for a node without a cluster, and then for the member. */
async function openLobby(
  config: NodeOptions,
  base: Base,
  peers: readonly Peer[]
): Promise<OpenedNode> {
  let running: Running | null = null
  const startedMs = systemClock.nowMs()
  const begin = async (membership: Membership): Promise<Running> => {
    running = await run(config, { ...base, membership, startedMs }, served)
    await settle(config, running)
    return running
  }
  const waiting = new WaitingNode({
    premises: base,
    peers,
    startedMs,
    logger: config.logger,
    found: async () => {
      const { assembly } = await begin(beginCluster(base.directory, base.plan))
      return assembly.service.cluster
    },
    enter: async ({ clusterId, welcome }) => {
      const identity = { state: 'member', clusterId, id: welcome.id, welcome } as const
      await begin(newMembership(base.plan, identity))
    }
  })
  const front = new NodeFront(waiting.lobby)
  const process = administrationOf(config.logger, null)
  const checkpoint: NodeAdmin['checkpoint'] = async () => {
    if (running === null) throw notInitialized()
    return await running.admin.checkpoint()
  }
  const asked = { api: front, admin: { ...process, checkpoint } }
  const api = await openApi(
    config,
    { ...base, recorded: null, settings: base.plan.settings },
    asked
  )
  const served = { front, api }
  waiting.start()
  const opened = { ticket: null, wasMember: false, httpPortTaken: null }
  return { opened, node: front, running: () => running, settled: () => waiting.settle() }
}

function tooLong(limitMs: number): AspenError {
  return new TransportError({
    code: 'UNAVAILABLE',
    message: `the node could not be opened within ${limitMs / 1000} s`,
    hint: 'its log or its state is damaged, and no member in reach has what is missing'
  })
}

/** Rejects when the node has ended by a failure. */
function failureOf(ending: Ending): Promise<never> {
  return new Promise((_resolve, reject) => {
    void ending.exitCode.then(() => {
      if (ending.failure !== null) reject(ending.failure)
    })
  })
}

type Base = Omit<Premises, 'membership'>

/** Steps 1 to 3. */
async function openBase(config: NodeOptions, found: Found): Promise<Base> {
  const { directory, membership: recorded, ending } = found
  const plan = planOf(config, recorded, directory)
  const keyPair = directory.keyPair(systemRandom)
  const network = await openNetwork(config, plan, keyPair)
  ending.add(() => network.close())
  const instance = randomBytes(systemRandom, 16)
  const metrics = openMetrics(ending)
  return { directory, plan, keyPair, network, instance, ending, metrics }
}

/** The folder as it was left. */
interface Found {
  readonly directory: DataDirectory
  readonly membership: Membership | null
  readonly ending: Ending
}

function openDirectory(config: NodeOptions, ending: Ending): Found {
  const { dataDir, onBoundary, onProgress, logger } = config
  const isInMemory = isEphemeral(config)
  if (isInMemory) checkInMemoryIntent(config.intent)
  const directory = isInMemory
    ? EphemeralDirectory.open(dataDir, onBoundary)
    : DataDirectory.open(dataDir, onBoundary)
  ending.add(() => directory.close())
  // of a process that was killed: nobody must signal its number
  directory.removeRuntime()
  if (isInMemory) warnOfForgetting(logger)
  onProgress({ phase: 'open', text: 'opening the data directory' })
  return { directory, membership: readMembership(directory), ending }
}

/** The admission of a join with it. */
async function membershipOf(
  { onProgress, intent }: NodeOptions,
  { plan, directory, network, keyPair }: Base
): Promise<Membership> {
  assert(plan.kind !== 'wait', 'the node is to belong to a cluster')
  if (plan.kind === 'run') return plan.membership
  if (plan.kind === 'create') return beginCluster(directory, plan)
  const timeoutMs = intent.kind === 'join' ? intent.timeoutMs : 0
  return await admit({ network, keyPair, plan, timeoutMs, onProgress, ...SYSTEM })
}

/** A new cluster id, durable before anything is made from it. */
function beginCluster(directory: DataDirectory, plan: Plan): Membership {
  const clusterId = randomBytes(systemRandom, CLUSTER_ID_BYTES)
  const identity = { state: 'creating', clusterId, id: FOUNDER_ID, welcome: null } as const
  const membership = newMembership(plan, identity)
  writeMembership(directory, membership)
  return membership
}
