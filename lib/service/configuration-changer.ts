// A change of the configuration carried through on the leader, from its proposal to the configuration that it
// ends with: where the voters change there is a joint one between, and a change is done when that is left.
// Once the joint one is committed every later leader goes on with it, so it is waited for on this node whoever
// leads; before that, a lost leadership leaves it in doubt.

import type { Clock, Timers } from '../clock.ts'
import { until } from '../clock.ts'
import type { ErrorDetail } from '../errors.ts'
import type { ConfigurationChange } from '../raft/configuration.ts'
import { isJoint, votersOf } from '../raft/configuration.ts'
import type { Index } from '../raft/entry.ts'
import type { Outcome, Refusal } from '../replica/proposals.ts'
import type { Replica } from '../replica/replica.ts'
import type { Applied, StateMachine } from '../state-machine/state-machine.ts'
import { inviteIdOf } from '../../tickets/tickets.ts'
import {
  changeFailed,
  changeInProgress,
  operationTimeout,
  operationUnknown
} from './control-errors.ts'
import type { Changed, OperationEnd } from './operations.ts'

/** Until when somebody waits, and what it said: `timeoutMs` is for people. */
export interface Deadline {
  readonly atMs: number
  readonly timeoutMs: number
}

export interface ConfigurationChangerParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly replica: Pick<Replica, 'status' | 'change'>
  readonly stateMachine: Pick<StateMachine, 'trust'> & {
    applied(): Pick<
      Applied,
      'index' | 'term' | 'timeMs' | 'configuration' | 'configurationIndex' | 'votersChangedMs'
    >
  }
  /** this node has not ended */
  readonly isOpen: () => boolean
  readonly onChange: (change: ConfigurationChange) => void
}

export class ConfigurationChanger {
  readonly #parts: ConfigurationChangerParts

  constructor(parts: ConfigurationChangerParts) {
    this.#parts = parts
  }

  /**
   * Whether the configuration in use is committed and whole, so that it can be changed, and applied, so that
   * roles and the time of the last change are those that it left; waits a moment for it.
   */
  async isSettled({ atMs }: Deadline): Promise<boolean> {
    const { clock, stateMachine } = this.#parts
    const isSettled = (): boolean => {
      const { configuration, configurationIndex, commitIndex } = this.#parts.replica.status
      const isApplied = stateMachine.applied().configurationIndex >= configurationIndex
      return !isJoint(configuration) && configurationIndex <= commitIndex && isApplied
    }
    const deadlineMs = Math.min(atMs, clock.nowMs() + SETTLE_MS)
    return await until(this.#parts, isSettled, { deadlineMs, everyMs: LOOK_MS })
  }

  /**
   * Proposes the change and waits until what it asks for is applied here. `onlyBegun`: until it is certain; who
   * asks for its own removal has no link any more when that is whole.
   */
  async carryThrough(
    change: ConfigurationChange,
    deadline: Deadline,
    onlyBegun = false
  ): Promise<OperationEnd> {
    const { replica, onChange } = this.#parts
    const before = votersOf(replica.status.configuration)
    const openTickets = this.#openTickets()
    onChange(change)
    const outcome = await within(this.#parts, deadline, (onOutcome) => {
      replica.change(change, onOutcome)
    })
    if (outcome === 'deadline') return this.#late(deadline, 'the change is proposed, not committed')
    if (outcome.kind === 'refused') return endOfRefusal(outcome.reason)
    if (outcome.kind === 'unknown') return failed(operationUnknown())
    const isDone = onlyBegun || (await this.#isApplied(outcome.index, deadline))
    if (!this.#parts.isOpen()) return failed(operationUnknown())
    if (!isDone) return this.#late(deadline, 'the change is begun, and goes on by itself')
    return { kind: 'done', result: { kind: 'changed', ...this.changed(before, openTickets) } }
  }

  /** The configuration as applied here; `openTickets`: of these it says which are revoked now. */
  changed(previousVoters = this.#voters(), openTickets: ReadonlySet<string> = new Set()): Changed {
    const { stateMachine } = this.#parts
    const { configuration, configurationIndex, timeMs, votersChangedMs } = stateMachine.applied()
    const { nodes, invites } = stateMachine.trust()
    const records = new Map(nodes.map((node) => [node.id, node]))
    const members = configuration.members.map((member) => {
      const addresses = records.get(member.id)?.addresses ?? member.addresses
      return { ...member, addresses }
    })
    const revokedTickets = invites
      .filter(({ closed }) => closed?.reason === 'revoked')
      .map(({ publicKey }) => inviteIdOf(publicKey))
      .filter((id) => openTickets.has(id))
    const isSame = previousVoters.join() === this.#voters().join()
    return {
      index: configurationIndex,
      timeMs: isSame ? timeMs : votersChangedMs,
      previousVoters,
      configuration: { ...configuration, members },
      revokedTickets
    }
  }

  #voters() {
    return votersOf(this.#parts.stateMachine.applied().configuration)
  }

  #openTickets(): ReadonlySet<string> {
    const { invites } = this.#parts.stateMachine.trust()
    const open = invites.filter(({ closed }) => closed === null)
    return new Set(open.map(({ publicKey }) => inviteIdOf(publicKey)))
  }

  /** Its first entry is committed; whether the configuration that it ends with is applied in time. */
  async #isApplied(index: Index, { atMs }: Deadline): Promise<boolean> {
    const { stateMachine, isOpen } = this.#parts
    const isWhole = (): boolean => {
      const { configuration, configurationIndex } = stateMachine.applied()
      return configurationIndex >= index && !isJoint(configuration)
    }
    const isOver = (): boolean => !isOpen() || isWhole()
    await until(this.#parts, isOver, { deadlineMs: atMs, everyMs: LOOK_MS })
    return isWhole()
  }

  #late({ timeoutMs }: Deadline, state: string): OperationEnd {
    return failed(operationTimeout(timeoutMs, state).detail)
  }
}

/** How a proposal ended, or 'deadline', whichever comes first. */
export function within(
  { clock, timers }: Pick<ConfigurationChangerParts, 'clock' | 'timers'>,
  { atMs }: Deadline,
  propose: (onOutcome: (outcome: Outcome) => void) => void
): Promise<Outcome | 'deadline'> {
  return new Promise((resolve) => {
    const timer = timers.start(Math.max(0, atMs - clock.nowMs()), () => resolve('deadline'))
    propose((outcome) => {
      timer.cancel()
      resolve(outcome)
    })
  })
}

/** What was refused has had no effect. */
function endOfRefusal(reason: Refusal): OperationEnd {
  if (reason === 'changeInProgress') return failed(changeInProgress())
  if (reason === 'invalidChange') return failed(changeFailed('the members have changed meanwhile'))
  if (reason === 'clockOff') return failed(changeFailed("the leader's clock is wrong"))
  return { kind: 'again' }
}

export function failed(error: ErrorDetail): OperationEnd {
  return { kind: 'failed', error }
}

/** What another change, which the leader made by itself, may take. */
const SETTLE_MS = 1_000
/** Between two looks at what was applied. */
export const LOOK_MS = 10
