// The ids of what this node asks for its callers: one client for each life of the process, its commands
// numbered, and with each the number below which nobody waits for an answer any more. What that does in
// the state machine: state-machine/sessions.ts.

import { assert, present } from '../assert.ts'
import { MAX_SESSION_RESULTS } from '../limits.ts'
import type { Index } from '../raft/entry.ts'
import type { Random } from '../random.ts'
import { randomBytes } from '../random.ts'
import { CLIENT_ID_BYTES } from '../state-machine/command.ts'
import type { RequestId } from '../state-machine/command.ts'

export interface RequestIdsParts {
  readonly random: Random
  /** an index that is applied somewhere */
  readonly appliedIndex: () => Index
}

/** An id that was given away. */
export interface IssuedRequest {
  readonly id: RequestId
  /** Nobody waits for its answer any more. Call once. */
  end(): void
  /** The cluster remembers nothing of the client: the next id is another client's, from `since` or later. */
  onExpired(since: Index): void
}

export class RequestIds {
  readonly #parts: RequestIdsParts
  #client: Client | null = null
  /** the next client begins there or later */
  #since: Index = 0

  constructor(parts: RequestIdsParts) {
    this.#parts = parts
  }

  issue(): IssuedRequest {
    const client = this.#clientWithRoom()
    const sequence = client.nextSequence++
    client.waiting.add(sequence)
    const { clientId, since } = client
    const id = { clientId, since, sequence, answeredBelow: lowestOf(client) }
    assert(sequence - id.answeredBelow < MAX_SESSION_RESULTS, 'what is waited for is remembered')
    return {
      id,
      end() {
        assert(client.waiting.delete(sequence), 'a request ends once')
      },
      onExpired: (nextSince) => {
        this.#since = Math.max(this.#since, nextSince)
        if (this.#client === client) this.#client = null
      }
    }
  }

  /** Another client when one answer is so late that the cluster would take it for given up. */
  #clientWithRoom(): Client {
    const client = this.#client
    const isFull =
      client !== null &&
      client.waiting.size > 0 &&
      client.nextSequence - lowestOf(client) >= MAX_SESSION_RESULTS
    if (client !== null && !isFull) return client
    const { random, appliedIndex } = this.#parts
    this.#client = {
      clientId: randomBytes(random, CLIENT_ID_BYTES),
      since: Math.max(this.#since, appliedIndex()),
      nextSequence: 1,
      waiting: new Set()
    }
    return this.#client
  }
}

interface Client {
  readonly clientId: Uint8Array
  readonly since: Index
  nextSequence: number
  /** ascending, because they are added in order; at most MAX_PENDING_PROPOSALS, whose callers wait */
  readonly waiting: Set<number>
}

function lowestOf({ waiting }: Client): number {
  const [lowest] = waiting
  return present(lowest, 'a request that is waited for')
}
