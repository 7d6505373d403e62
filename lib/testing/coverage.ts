// How often each rare event happened in a batch of runs. A batch in which no log was ever truncated
// has proved nothing about truncation: for each event there is a floor.

/** What is counted; the floor is per thousand runs of the default mix, far below what is usual. */
export const COVERAGE_FLOORS = {
  /** a node became leader of a term */
  elections: 1_000,
  /** entries were removed from the end of a log */
  truncations: 20,
  /** a configuration change went through its joint phase */
  jointChanges: 50,
  /** a leader was elected while a joint configuration was in use */
  jointElections: 1,
  transfers: 10,
  /** a process died with writes that it had not been told to be durable */
  lostWrites: 50,
  /** of these, some were on the disk after all */
  keptWrites: 10,
  tornWrites: 5,
  crashes: 500,
  /** a process died at an exact point: around a write, a send, an apply */
  boundaryCrashes: 50,
  restarts: 500,
  pauses: 50,
  clockJumps: 20,
  cuts: 200,
  resets: 50,
  lostMessages: 500,
  repeatedMessages: 500,
  lateMessages: 200,
  diskStalls: 20,
  diskFailures: 5,
  bitFlips: 5,
  wipes: 5,
  /** a machine made a snapshot of its own state */
  snapshots: 500,
  /** a log was cut behind a snapshot */
  compactions: 200,
  /** another member's snapshot took the place of what a machine had applied */
  installs: 20,
  /** all members forgot old revisions */
  historyCompactions: 100,
  /** a bit of a snapshot was flipped */
  snapshotFlips: 1,
  /** a ticket let a machine in, and an operator who knew its key */
  joins: 50,
  keyJoins: 5,
  /** a member was removed for ever, and a process ended because it was */
  removals: 30,
  removedEnds: 20,
  appends: 10_000,
  rejectedAppends: 50,
  linearizableReads: 1_000,
  scans: 1_000,
  doneWrites: 5_000,
  refusedWrites: 50,
  unknownWrites: 50
} as const

export type Rarity = keyof typeof COVERAGE_FLOORS

export class Coverage {
  readonly #counts = new Map<Rarity, number>()

  count(rarity: Rarity, by = 1): void {
    this.#counts.set(rarity, (this.#counts.get(rarity) ?? 0) + by)
  }

  /** All counts in the order of the table, zeros included. */
  entries(): readonly (readonly [Rarity, number])[] {
    return RARITIES.map((rarity) => [rarity, this.#counts.get(rarity) ?? 0] as const)
  }
}

export const RARITIES = Object.keys(COVERAGE_FLOORS).filter(isRarity)

function isRarity(name: string): name is Rarity {
  return Object.hasOwn(COVERAGE_FLOORS, name)
}
