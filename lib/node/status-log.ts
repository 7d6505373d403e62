// One line in the log for each change of role, term or leader, and none for the other things of which
// the core tells in the same call: a configuration, above all. What comes of links and of admissions. And
// the one thing about leaders that somebody must look at: two in one term.

import type { ErrorDetail } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { ConfigurationChange } from '../raft/configuration.ts'
import type { SecondLeader, Status } from '../raft/effects.ts'

/** The part of the log that this needs. */
interface StatusEvents {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export class StatusLog {
  readonly #events: StatusEvents
  /** what the last line said */
  #told = ''

  constructor(events: StatusEvents) {
    this.#events = events
  }

  tell({ role, term, leader }: Pick<Status, 'role' | 'term' | 'leader'>): void {
    const news = `${role} ${term} ${leader}`
    if (news === this.#told) return
    this.#told = news
    this.#events.info({ event: 'raft.status', role, term, leader }, 'role, term or leader changed')
  }

  /** A leader changes who belongs, or who votes. */
  tellChange({ add, ...named }: ConfigurationChange): void {
    const fields = { event: 'cluster.change', add: add.map(({ id }) => id), ...named }
    this.#events.info(fields, 'changing the configuration')
  }

  tellAdmitted(name: string): void {
    this.#events.info({ event: 'cluster.admitted', name }, 'admitted a node')
  }

  tellLinkUp(peer: NodeId, path: string | undefined): void {
    this.#events.info({ event: 'link.up', peer, path }, 'link up')
  }

  tellLinkDown(peer: NodeId): void {
    this.#events.info({ event: 'link.down', peer }, 'link down')
  }

  tellWelcome(epoch: number): void {
    this.#events.warn({ event: 'link.welcome', epoch }, 'a member is in an epoch unknown here')
  }

  tellRefused({ code, message }: ErrorDetail): void {
    this.#events.warn({ event: 'link.refused', code }, message)
  }

  tellSecondLeader({ term, leader, claimant }: SecondLeader): void {
    this.#events.warn(
      { event: 'raft.two_leaders', term, leader, claimant },
      `nodes ${leader} and ${claimant} both say that they lead term ${term}; one of them is broken or lies`
    )
  }
}
