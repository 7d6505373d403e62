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
import { hexOf } from '../encoding.ts'
import { AspenError, TransportError } from '../errors.ts'
import { randomBytes, systemRandom } from '../random.ts'
import type { NodeAdmin, NodeApi } from '../service/node-api.ts'
import { VERSION } from '../version.ts'
import { administrationOf } from './administration.ts'
import type { Assembly } from './assembly.ts'
import { DataDirectory } from './data-directory.ts'
import { EphemeralDirectory } from './ephemeral-directory.ts'
import { Ending } from './ending.ts'
import { awaitFounded, CLUSTER_ID_BYTES, FOUNDER_ID } from './founding.ts'
import { admit, awaitCaughtUp } from './joining.ts'
import { isRepairable, repairLog } from './log-repairing.ts'
import { notInitialized } from './lobby.ts'
import { identify } from './log.ts'
import type { Membership } from './membership.ts'
import { newMembership, readMembership, writeMembership } from './membership.ts'
import { NodeFront } from './node-front.ts'
import type { NodeOptions, Opened } from './options.ts'
import type { OpenedApi, Premises, Running, StoreReporting, Stores } from './opening.ts'
import { openApi, openAssembly, openLog, openNetwork, openStores } from './opening.ts'
import type { Peer } from './peers.ts'
import type { Plan } from './plan.ts'
import { intentFor, planOf } from './plan.ts'
import { openMetrics } from './process-metrics.ts'
import { Scrubber } from './scrubber.ts'
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
  const begin = async (membership: Membership): Promise<Running> => {
    running = await run(config, { ...base, membership }, served)
    await settle(config, running)
    return running
  }
  const waiting = new WaitingNode({
    premises: base,
    peers,
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

/** An API that was open before the node belonged to a cluster. */
interface Served {
  readonly front: NodeFront
  readonly api: OpenedApi
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

const SYSTEM = { clock: systemClock, timers: systemTimers, random: systemRandom }

/** Steps 4 to 8. */
async function run(
  options: NodeOptions,
  found: Premises,
  served: Served | null = null
): Promise<Running> {
  const { logger } = options
  const { ending, directory, plan } = found
  let opened: Assembly | null = null
  const fail = (error: AspenError): void => {
    const { hint = null } = error.detail
    logger.fatal({ err: error, event: 'node.failed', hint }, 'the node ends')
    opened?.fail()
    maybeGiveUp(options, found, error)
    ending.fail(error)
  }
  const { metrics } = found
  const reporting = { onFailed: fail, onBoundary: options.onBoundary, events: logger, metrics }
  const { premises, stores } = await openWhole(options, found, reporting).catch(
    (error: unknown) => {
      // the members that were asked for what is damaged may say that it is of no use any more
      maybeGiveUp(options, found, error)
      throw error
    }
  )
  const { name, bootstrap, timing, storage, settings } = plan
  const udpPort = premises.network.port
  const addressed = { name, bootstrap, timing, storage, settings, udpPort }
  const membership = { ...premises.membership, ...addressed }
  identify(logger, { node: membership.id, cluster: hexOf(membership.clusterId).slice(0, 8) })
  // from here on the directory is a member's: the log is there, so the marker may be
  writeMembership(directory, membership)
  const assembly = openAssembly(options, { ...premises, membership }, { ...stores, fail })
  opened = assembly
  const { httpPort, settings: addressing } = membership
  const place = { directory, ending, metrics, recorded: httpPort, settings: addressing }
  const admin = administrationOf(options.logger, stores.database)
  const asked = { api: assembly.service, admin }
  const api = served?.api ?? (await openApi(options, place, asked))
  assembly.onApi({ socket: api.socket, http: api.url })
  const recorded = { ...membership, httpPort: api.recordedPort }
  writeMembership(directory, recorded)
  served?.front.become(assembly.service)
  await assembly.start()
  startScrubber(options, { ending, log: stores.log, assembly, fail })
  const fields = { event: 'node.started', id: membership.id, http: api.url, timing }
  logger.info(fields, 'the node runs')
  return { ...premises, membership: recorded, assembly, admin, api }
}

/** Reads the log again and again, as long as the node runs. */
function startScrubber(
  { logger }: Pick<NodeOptions, 'logger'>,
  parts: Pick<Premises, 'ending'> &
    Pick<Stores, 'log'> & {
      readonly assembly: Assembly
      readonly fail: (error: AspenError) => void
    }
): void {
  const { ending, log, assembly, fail } = parts
  const scrubber = new Scrubber({
    timers: systemTimers,
    log,
    isAlone: () => assembly.isAlone,
    onAlone: (error) => {
      assembly.alarms.onCorrupt()
      const fields = { err: error, event: 'storage.damaged' }
      logger.error(fields, 'damage that no other member can repair')
    },
    handOver: () => assembly.handOver(),
    onFailed: fail
  })
  scrubber.start()
  ending.add(() => scrubber.close())
}

/** Ends after which no later start may use this directory, and what is written down there. */
const FOR_EVER: ReadonlyMap<unknown, Membership['state']> = new Map([
  ['STATE_DIVERGED', 'diverged'],
  ['MEMBER_REMOVED', 'removed']
])

function maybeGiveUp(options: NodeOptions, premises: Premises, error: unknown): void {
  const state = error instanceof AspenError ? FOR_EVER.get(error.code) : undefined
  if (state === undefined) return
  const { directory, membership } = premises
  try {
    writeMembership(directory, { ...membership, state })
  } catch (failure) {
    const fields = { err: failure, event: 'node.given_up', state }
    options.logger.error(fields, 'this could not be written down')
  }
}

/** Log and state; what is damaged is put together again first, over a network of its own. */
async function openWhole(
  options: NodeOptions,
  premises: Premises,
  reporting: StoreReporting
): Promise<{ readonly premises: Premises; readonly stores: Stores }> {
  try {
    return { premises, stores: await openLogAndStores(premises, reporting) }
  } catch (error) {
    if (!isRepairable(error)) throw error
    const repaired = repairLog(options, premises, error)
    // where the node has to end meanwhile, the log is closed before the directory is given up
    premises.ending.add(() => repaired.catch(() => {}))
    await repaired
  }
  const { plan, keyPair, ending } = premises
  const network = await openNetwork(options, plan, keyPair)
  ending.add(() => network.close())
  const again = { ...premises, network }
  return { premises: again, stores: await openLogAndStores(again, reporting) }
}

async function openLogAndStores(premises: Premises, reporting: StoreReporting): Promise<Stores> {
  const log = await openLog(premises, reporting)
  try {
    return await openStores(premises, log, reporting)
  } catch (error) {
    await log.store.close()
    throw error
  }
}

/** Step 9: what the intent still waits for, now that the node runs and answers. */
async function settle(options: NodeOptions, running: Running): Promise<Opened> {
  const { intent, onProgress } = options
  const { assembly, keyPair, membership, directory, plan, api } = running
  const { takenPort: httpPortTaken } = api
  if (membership.state === 'creating') {
    const { name } = membership
    await awaitFounded({ assembly, keyPair, name, version: VERSION, ...SYSTEM })
    const ticket = intent.kind === 'wait' ? null : await assembly.service.createTicket()
    // until its ticket was made, the same command goes on with the cluster
    writeMembership(directory, { ...membership, state: 'member' })
    return { ticket, wasMember: false, httpPortTaken }
  }
  const wasMember = intent.kind === 'join' && plan.kind === 'run'
  if (intent.kind === 'join' && !wasMember) {
    const { timeoutMs } = intent
    await awaitCaughtUp(assembly, { timeoutMs, onProgress, ...SYSTEM })
  }
  return { ticket: null, wasMember, httpPortTaken }
}
