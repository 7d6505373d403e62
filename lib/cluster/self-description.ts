// A member's own word about itself (name, version, addresses) in the replicated registry: said again
// when what is recorded there is no longer true, so that others find it after its port changed.

import { formatAddress } from '../address.ts'
import type { Address } from '../address.ts'
import type { Clock, Timer, Timers } from '../clock.ts'
import { AspenError } from '../errors.ts'
import { DEFAULT_REQUEST_TIMEOUT_MS } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { ControlCommand } from '../state-machine/command.ts'
import type { NodeRecord } from '../state-machine/state-machine.ts'

export interface OwnDescription {
  readonly id: NodeId
  readonly name: string
  readonly version: string
  readonly addresses: readonly Address[]
}

/** The command that corrects the record; null when it is true, or not there yet. */
export function descriptionDue(
  record: NodeRecord | undefined,
  own: OwnDescription
): (ControlCommand & { readonly kind: 'describe' }) | null {
  if (record === undefined || own.addresses.length === 0) return null
  const isTrue =
    record.name === own.name &&
    record.version === own.version &&
    textOf(record.addresses) === textOf(own.addresses)
  return isTrue ? null : { kind: 'describe', ...own }
}

export interface SelfDescriptionParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly record: () => NodeRecord | undefined
  readonly own: () => OwnDescription
  readonly submit: (command: ControlCommand, timeoutMs: number) => Promise<unknown>
}

/** Looks every LOOK_MS, and says at most one correction at a time. */
export class SelfDescription {
  readonly #parts: SelfDescriptionParts
  #timer: Timer | null = null
  #isClosed = false

  constructor(parts: SelfDescriptionParts) {
    this.#parts = parts
  }

  start(): void {
    this.#later(FIRST_LOOK_MS)
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #later(delayMs: number): void {
    if (this.#isClosed) return
    this.#timer = this.#parts.timers.start(delayMs, () => {
      void this.#look().finally(() => this.#later(LOOK_MS))
    })
  }

  async #look(): Promise<void> {
    const { record, own, submit } = this.#parts
    const command = descriptionDue(record(), own())
    if (command === null) return
    try {
      await submit(command, DEFAULT_REQUEST_TIMEOUT_MS)
    } catch (error) {
      // not carried out now: the record is still untrue at the next look
      if (!(error instanceof AspenError)) throw error
    }
  }
}

const FIRST_LOOK_MS = 500
const LOOK_MS = 5_000

function textOf(addresses: readonly Address[]): string {
  return addresses.map(formatAddress).join(' ')
}
