// The configuration in use is the last one in the log, committed or not (thesis 4.1; R9). Earlier
// ones are kept down to the last committed one, so that a truncation can fall back (B20).

import { assert, present } from '../assert.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from './configuration.ts'
import { EMPTY_CONFIGURATION, isJoint } from './configuration.ts'
import type { Index } from './entry.ts'
import type { Voters } from './quorum.ts'
import { isAlone, isVoterIn, votersIn } from './quorum.ts'

/** A configuration and the index of its entry, or of the base that contains it. */
export interface IndexedConfiguration {
  readonly index: Index
  readonly configuration: Configuration
}

interface Known extends IndexedConfiguration {
  readonly voters: Voters
}

export class Configurations {
  /** ascending by index, never empty; the last is in use */
  #known: Known[]
  #current: Known

  constructor(stored: readonly IndexedConfiguration[]) {
    this.#current = withVoters({ index: 0, configuration: EMPTY_CONFIGURATION })
    this.#known = [this.#current]
    for (const item of stored) this.append(item)
  }

  get current(): Configuration {
    return this.#current.configuration
  }

  get index(): Index {
    return this.#current.index
  }

  get voters(): Voters {
    return this.#current.voters
  }

  get isJoint(): boolean {
    return isJoint(this.#current.configuration)
  }

  /** Whether `id` has a vote now, in either set of a joint configuration. */
  isVoter(id: NodeId): boolean {
    return isVoterIn(this.voters, id)
  }

  /**
   * Whether `id` may stand for election: it votes in the configuration in use, or in one that may still
   * come back because what followed it is not known to be committed. The last entry of a change may be
   * only on nodes that it leaves without a vote; if those did not campaign, nobody could win (thesis 4.2.2).
   */
  mayCampaign(id: NodeId): boolean {
    return this.#known.some((known) => isVoterIn(known.voters, id))
  }

  /** Whether `id` alone decides everything. */
  isSoleVoter(id: NodeId): boolean {
    return this.voters.incoming.length > 0 && isAlone(this.voters, id)
  }

  /** The entry at `index` is a configuration: it is in use from now on. */
  append(item: IndexedConfiguration): void {
    const isFirst = this.#known.length === 1 && this.#current.index === 0
    assert(item.index > this.index || (isFirst && item.index === 0), 'configurations ascend')
    this.#current = withVoters(item)
    this.#known.push(this.#current)
  }

  /** Entries at and above `index` are gone: falls back to the last configuration below. */
  truncateFrom(index: Index): void {
    while (this.#known.length > 1 && this.#current.index >= index) {
      this.#known.pop()
      const last = this.#known.at(-1)
      assert(last !== undefined, 'a committed configuration is left')
      this.#current = last
    }
    assert(this.#current.index < index, 'no configuration above the log is in use')
  }

  /**
   * The log begins after a snapshot with this configuration. Entries above `keptAbove` stay, and their
   * configurations with them; everything else that was known is part of the snapshot or gone (B20, B21).
   */
  install(item: IndexedConfiguration, keptAbove: Index | null): void {
    assert(keptAbove === null || item.index <= keptAbove, 'a snapshot holds its configuration')
    const kept = keptAbove === null ? [] : this.#known.filter(({ index }) => index > keptAbove)
    this.#known = [withVoters(item), ...kept]
    this.#current = present(this.#known.at(-1), 'a configuration')
  }

  /** Forgets those before the last committed one: nothing committed is ever truncated. */
  prune(commitIndex: Index): void {
    while ((this.#known[1]?.index ?? commitIndex + 1) <= commitIndex) this.#known.shift()
    assert(this.#known.at(-1) === this.#current, 'the last one is in use')
  }
}

function withVoters(item: IndexedConfiguration): Known {
  return { ...item, voters: votersIn(item.configuration) }
}
