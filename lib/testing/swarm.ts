// What a run is like, drawn from its seed: how many nodes, which faults and how many of them, what
// the clients do. Most runs have some axes of faults turned off and others far up: a mix of everything
// at once hides more than it finds ("swarm testing", Groce et al., 2012).

import { STORAGE_POLICY } from '../cluster/storage-policy.ts'
import type { StoragePolicy } from '../cluster/storage-policy.ts'
import { SEND_LIMITS } from '../raft/send-limits.ts'
import type { SendLimits } from '../raft/send-limits.ts'
import { TIMING } from '../raft/timing.ts'
import type { TimingProfile } from '../raft/timing.ts'
import { Dice } from './dice.ts'

/** Chances are 0 to 1; a mean is the milliseconds between two events of a kind, null for never. */
export interface SimulationOptions {
  readonly seed: number
  readonly nodeCount: number
  readonly targetVoters: number
  readonly timing: TimingProfile
  /** all times of the profile are multiplied by it */
  readonly timingFactor: number
  /** how much a leader sends at a time */
  readonly limits: SendLimits
  /** virtual milliseconds with faults; then all is healed and must come to an end */
  readonly faultyMs: number
  readonly network: NetworkFaults
  readonly disk: DiskFaults
  readonly process: ProcessFaults
  readonly membership: MembershipFaults
  /** when snapshots are made, how much of the log is kept, and how much history */
  readonly storage: StoragePolicy
  readonly load: Load
}

export interface NetworkFaults {
  /** one way */
  readonly delayMs: number
  readonly jitterMs: number
  /** of consensus messages, beside what the streams carry */
  readonly lossChance: number
  readonly repeatChance: number
  readonly lateChance: number
  /** a late message comes up to so much later */
  readonly lateMs: number
  readonly cutMeanMs: number | null
  readonly cutForMs: number
  /** the leader loses the others for longer than an election takes */
  readonly strandMeanMs: number | null
  readonly resetMeanMs: number | null
  /** members without a link to each other write over at most so many others; 0 for no relays */
  readonly relayCount: number
}

export interface DiskFaults {
  readonly writeMs: number
  readonly jitterMs: number
  readonly stallMeanMs: number | null
  readonly stallForMs: number
  readonly failMeanMs: number | null
  readonly flipMeanMs: number | null
  readonly wipeMeanMs: number | null
  /** how long applying takes at most */
  readonly applyMs: number
  /** what is applied reaches the state machine's file */
  readonly checkpointChance: number
}

export interface ProcessFaults {
  readonly crashMeanMs: number | null
  readonly crashAllMeanMs: number | null
  readonly boundaryCrashChance: number
  readonly downForMs: number
  readonly pauseMeanMs: number | null
  readonly pauseForMs: number
  /** clocks run this much faster or slower: 0.3 is 0.7 to 1.3 */
  readonly clockDrift: number
  readonly clockJumpMeanMs: number | null
}

export interface MembershipFaults {
  readonly changeMeanMs: number | null
  /** members are removed for ever */
  readonly removeMeanMs: number | null
  readonly transferMeanMs: number | null
  readonly joinMeanMs: number | null
}

export interface Load {
  readonly clientCount: number
  readonly keyCount: number
  readonly thinkMs: number
  readonly timeoutMs: number
  readonly readShare: number
  readonly staleShare: number
  /** of the reads */
  readonly scanShare: number
  readonly conditionalShare: number
  readonly deleteShare: number
  readonly batchShare: number
  readonly maxValueBytes: number
}

/** The options of a seed. */
export function drawOptions(seed: number): SimulationOptions {
  const dice = Dice.of(seed, 'options')
  const isCalm = dice.chance(0.04)
  const draw = new Drawing(dice, isCalm)
  const timing = dice.pick<TimingProfile>(['lan', 'lan', 'lan', 'default', 'wan'])
  const scale = { lan: 1, default: 2.5, wan: 5 }[timing]
  const network = draw.network(scale)
  const disk = draw.disk(scale)
  return {
    seed,
    nodeCount: dice.pick([1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7]),
    targetVoters: dice.pick([3, 3, 5, 5, 7]),
    timing,
    timingFactor: draw.timingFactor(network, disk),
    limits: draw.limits(),
    // many short lives find more than a few long ones; some things take long
    faultyMs: dice.between(3_000, 9_000) * scale * (dice.chance(0.04) ? 5 : 1),
    network: { ...network, ...drawStranding(seed, isCalm, scale) },
    disk: { ...disk, ...drawApplying(seed, isCalm) },
    process: draw.process(scale),
    membership: { ...draw.membership(scale), ...drawRemoving(seed, isCalm, scale) },
    storage: drawStorage(seed, isCalm),
    load: { ...draw.load(scale), scanShare: Dice.of(seed, 'scanning').between(0, 0.4) }
  }
}

/** From a stream of its own, so that what else is drawn does not depend on it. */
function drawStranding(seed: number, isCalm: boolean, scale: number) {
  return new Drawing(Dice.of(seed, 'stranding'), isCalm).stranding(scale)
}

function drawApplying(seed: number, isCalm: boolean) {
  return new Drawing(Dice.of(seed, 'applying'), isCalm).applying()
}

function drawRemoving(seed: number, isCalm: boolean, scale: number) {
  return new Drawing(Dice.of(seed, 'removals'), isCalm).removing(scale)
}

function drawStorage(seed: number, isCalm: boolean): StoragePolicy {
  return new Drawing(Dice.of(seed, 'storage'), isCalm).storage()
}

/** Round trips with a write that fit the shortest election timeout. */
const MIN_ROUNDS = 5

class Drawing {
  readonly #dice: Dice
  readonly #isCalm: boolean

  constructor(dice: Dice, isCalm: boolean) {
    this.#dice = dice
    this.#isCalm = isCalm
  }

  /** Hurried nodes, on networks and disks that are fast enough for an election to be won at all. */
  timingFactor(
    network: Pick<NetworkFaults, 'delayMs' | 'jitterMs'>,
    disk: Pick<DiskFaults, 'writeMs' | 'jitterMs'>
  ): number {
    const [isOn, factor] = [this.#dice.chance(0.2), this.#dice.scale(0.1, 1)]
    const roundMs = 2 * (network.delayMs + network.jitterMs) + disk.writeMs + disk.jitterMs
    const least = (MIN_ROUNDS * roundMs) / TIMING.lan.electionMinMs
    return isOn && !this.#isCalm ? Math.min(1, Math.max(factor, least)) : 1
  }

  /** In some runs the smallest limits there can be, so that they are met all the time. */
  limits(): SendLimits {
    const dice = this.#dice
    const [isOn, tiny] = [
      dice.chance(0.3),
      {
        appendEntries: dice.pick([1, 1, 2, 5]),
        appendBytes: dice.pick([1, 100, 10_000]),
        inflightAppends: dice.pick([1, 1, 2, 4]),
        inflightBytes: dice.pick([1, 500, 50_000])
      }
    ]
    return isOn && !this.#isCalm ? tiny : SEND_LIMITS
  }

  network(scale: number): Omit<NetworkFaults, 'strandMeanMs'> {
    const dice = this.#dice
    const delayMs = dice.scale(0.2, 60)
    return {
      delayMs,
      jitterMs: dice.chance(0.3) ? 0 : delayMs * dice.scale(0.1, 4),
      lossChance: this.#chance(0.5, 0.001, 0.3),
      repeatChance: this.#chance(0.5, 0.001, 0.3),
      lateChance: this.#chance(0.5, 0.001, 0.2),
      lateMs: dice.scale(100, 10_000) * scale,
      cutMeanMs: this.#mean(0.6, 500 * scale, 10_000 * scale),
      cutForMs: dice.scale(100, 6_000) * scale,
      resetMeanMs: this.#mean(0.4, 200 * scale, 5_000 * scale),
      relayCount: 0
    }
  }

  applying(): Pick<DiskFaults, 'applyMs'> {
    return { applyMs: this.#chance(0.4, 1, 300) }
  }

  stranding(scale: number): Pick<NetworkFaults, 'strandMeanMs'> {
    return { strandMeanMs: this.#mean(0.5, 1_500 * scale, 8_000 * scale) }
  }

  disk(scale: number): Omit<DiskFaults, 'applyMs'> {
    const dice = this.#dice
    const writeMs = dice.scale(0.1, 20)
    return {
      writeMs,
      jitterMs: dice.chance(0.3) ? 0 : writeMs * dice.scale(0.1, 10),
      stallMeanMs: this.#mean(0.3, 2_000 * scale, 20_000 * scale),
      stallForMs: dice.scale(200, 5_000) * scale,
      failMeanMs: this.#mean(0.2, 3_000 * scale, 20_000 * scale),
      flipMeanMs: this.#mean(0.15, 4_000 * scale, 20_000 * scale),
      wipeMeanMs: this.#mean(0.15, 4_000 * scale, 20_000 * scale),
      checkpointChance: dice.pick([0.02, 0.2, 1])
    }
  }

  process(scale: number): ProcessFaults {
    const dice = this.#dice
    return {
      crashMeanMs: this.#mean(0.6, 500 * scale, 10_000 * scale),
      crashAllMeanMs: this.#mean(0.2, 4_000 * scale, 20_000 * scale),
      boundaryCrashChance: this.#chance(0.4, 0.000_1, 0.01),
      downForMs: dice.scale(10, 5_000) * scale,
      pauseMeanMs: this.#mean(0.4, 1_000 * scale, 10_000 * scale),
      pauseForMs: dice.scale(50, 8_000) * scale,
      clockDrift: this.#isCalm || dice.chance(0.5) ? 0 : dice.between(0.01, 0.5),
      clockJumpMeanMs: this.#mean(0.3, 1_000 * scale, 10_000 * scale)
    }
  }

  removing(scale: number): Pick<MembershipFaults, 'removeMeanMs'> {
    return { removeMeanMs: this.#mean(0.4, 400 * scale, 6_000 * scale) }
  }

  membership(scale: number): Omit<MembershipFaults, 'removeMeanMs'> {
    return {
      changeMeanMs: this.#mean(0.4, 500 * scale, 8_000 * scale),
      transferMeanMs: this.#mean(0.4, 500 * scale, 8_000 * scale),
      joinMeanMs: this.#mean(0.2, 2_000 * scale, 15_000 * scale)
    }
  }

  /** In most runs a snapshot every few entries, and next to no log or history behind it. */
  storage(): StoragePolicy {
    const dice = this.#dice
    const [isOn, tiny] = [
      dice.chance(0.7),
      {
        snapshotEntries: Math.round(dice.scale(3, 50)),
        snapshotBytes: dice.pick([1_000, 100_000, STORAGE_POLICY.snapshotBytes]),
        snapshotAgeMs: dice.pick([1_000, 10_000, STORAGE_POLICY.snapshotAgeMs]),
        keepEntries: dice.pick([0, 0, 1, 5, 20]),
        keepRevisions: dice.pick([40, 100, STORAGE_POLICY.keepRevisions]),
        keepRevisionsMs: dice.pick([60, 1_000, 10_000])
      }
    ]
    return isOn && !this.#isCalm ? tiny : STORAGE_POLICY
  }

  load(scale: number): Omit<Load, 'scanShare'> {
    const dice = this.#dice
    return {
      clientCount: 1 + dice.below(8),
      keyCount: 1 + dice.below(6),
      thinkMs: dice.scale(20, 1_000) * scale,
      timeoutMs: dice.scale(200, 20_000) * scale,
      readShare: dice.between(0.1, 0.7),
      staleShare: dice.between(0, 0.3),
      conditionalShare: dice.between(0, 0.5),
      deleteShare: dice.between(0, 0.3),
      batchShare: dice.between(0, 0.2),
      maxValueBytes: dice.pick([16, 16, 200, 20_000])
    }
  }

  #chance(share: number, from: number, to: number): number {
    const [isOn, chance] = [this.#dice.chance(share), this.#dice.scale(from, to)]
    return isOn && !this.#isCalm ? chance : 0
  }

  #mean(share: number, from: number, to: number): number | null {
    const [isOn, mean] = [this.#dice.chance(share), this.#dice.scale(from, to)]
    return isOn && !this.#isCalm ? mean : null
  }
}
