// Steps 4 to 9 of bootstrap.ts: a node that belongs to a cluster is put together, runs, and has what its intent
// still waits for.

import { systemClock, systemTimers } from '../clock.ts'
import { hexOf } from '../encoding.ts'
import { AspenError } from '../errors.ts'
import { systemRandom } from '../random.ts'
import { VERSION } from '../version.ts'
import { administrationOf } from './administration.ts'
import type { Assembly } from './assembly.ts'
import { awaitFounded } from './founding.ts'
import { awaitCaughtUp } from './joining.ts'
import { identify } from './log.ts'
import { isRepairable, repairLog } from './log-repairing.ts'
import type { Membership } from './membership.ts'
import { writeMembership } from './membership.ts'
import type { NodeFront } from './node-front.ts'
import type { NodeOptions, Opened } from './options.ts'
import type { OpenedApi, Premises, Running, StoreReporting, Stores } from './opening.ts'
import { openApi, openAssembly, openLog, openNetwork, openStores } from './opening.ts'
import { Scrubber } from './scrubber.ts'

export const SYSTEM = { clock: systemClock, timers: systemTimers, random: systemRandom }

/** An API that was open before the node belonged to a cluster. */
export interface Served {
  readonly front: NodeFront
  readonly api: OpenedApi
}

/** Steps 4 to 8. */
export async function run(
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
  const { premises, stores } = await openOrGiveUp(options, found, reporting)
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

interface Opening {
  readonly premises: Premises
  readonly stores: Stores
}

async function openOrGiveUp(
  options: NodeOptions,
  premises: Premises,
  reporting: StoreReporting
): Promise<Opening> {
  try {
    return await openWhole(options, premises, reporting)
  } catch (error) {
    // the members that were asked for what is damaged may say that it is of no use any more
    maybeGiveUp(options, premises, error)
    throw error
  }
}

/** Log and state; what is damaged is put together again first, over a network of its own. */
async function openWhole(
  options: NodeOptions,
  premises: Premises,
  reporting: StoreReporting
): Promise<Opening> {
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
export async function settle(options: NodeOptions, running: Running): Promise<Opened> {
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
