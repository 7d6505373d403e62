// Which requests have been carried out, and how they ended: a command that comes a second time, because
// its sender could not know what became of it, is answered with its first result (Raft thesis 6.3; RIFL,
// Lee et al., 2015). Pure and deterministic: entries, their indexes and stamps decide, nothing else.
//
// A client numbers its requests, sends them in any order, many at once, and says with each one below
// which number it waits for no answer any more. Down to there results are kept.
//
// A session begins with whichever of its requests is applied first. One that was forgotten must not begin
// again, or a late copy would be carried out twice. So each request names `since`, an index from before
// the session, and the table remembers `forgottenIndex`, the birth of the youngest session it has
// forgotten: a client that is not in the table and has `since >= forgottenIndex` was never in it.
//
// Bounds: MAX_SESSIONS sessions, MAX_SESSION_RESULTS results each, MAX_SESSION_TABLE_BYTES in all, and
// MAX_SESSION_AGE_MS of log time without a request. Changing one of them, or the order of the checks,
// changes what old entries mean: it needs a new format of commands.

import { assert, present } from '../assert.ts'
import { decode, encode, hexOf } from '../encoding.ts'
import type { ErrorDetail } from '../errors.ts'
import {
  MAX_SESSIONS,
  MAX_SESSION_AGE_MS,
  MAX_SESSION_RESULTS,
  MAX_SESSION_TABLE_BYTES,
  SESSION_RESULT_OVERHEAD
} from '../limits.ts'
import type { Index } from '../raft/entry.ts'
import type { RequestId } from './command.ts'
import { applyResultEncoding } from './encoding.ts'
import type { ApplyResult } from './state-machine.ts'
import type { Stamp } from './trust.ts'

/** A session as it is stored. */
export interface Session {
  readonly clientId: Uint8Array
  /** the entry that began it: no two have the same */
  readonly bornIndex: Index
  /** the last entry that named it, and its stamp */
  readonly usedIndex: Index
  readonly usedMs: number
  /** no request below it is carried out any more; never falls */
  readonly lowWater: number
  /** encoded, by sequence; all of them from `lowWater` on */
  readonly results: ReadonlyMap<number, Uint8Array>
}

export interface StoredSessions {
  readonly sessions: readonly Session[]
  readonly forgottenIndex: Index
}

export interface SessionChanges {
  readonly changed: readonly Session[]
  /** birth of those that are forgotten */
  readonly gone: readonly Index[]
}

export class SessionTable {
  /** by hex of the client id; the least recently used first */
  readonly #sessions = new Map<string, LiveSession>()
  /** the last of them */
  #latest: LiveSession | null = null
  /** the request that `begin` was asked about */
  #latestRequest: { readonly session: LiveSession; readonly sequence: number } | null = null
  readonly #changed = new Set<LiveSession>()
  #gone: Index[] = []
  /** birth of the youngest session that was forgotten; never falls */
  #forgottenIndex: Index
  /** of all results, as MAX_SESSION_TABLE_BYTES counts them */
  #byteCount = 0

  constructor({ sessions, forgottenIndex }: StoredSessions = { sessions: [], forgottenIndex: 0 }) {
    this.#forgottenIndex = forgottenIndex
    for (const session of sessions.toSorted((a, b) => a.usedIndex - b.usedIndex)) {
      this.#sessions.set(hexOf(session.clientId), { ...session, results: new Map(session.results) })
      for (const result of session.results.values()) this.#byteCount += costOf(result)
    }
  }

  get forgottenIndex(): Index {
    return this.#forgottenIndex
  }

  /** Everything, to be stored as a whole. */
  stored(): StoredSessions {
    const sessions = [...this.#sessions.values()].map((session) => {
      return { ...session, results: new Map(session.results) }
    })
    return { sessions, forgottenIndex: this.#forgottenIndex }
  }

  /** The answer to a request that must not be carried out (again), or null: carry it out, then call `end`. */
  begin(request: RequestId, at: Stamp): ApplyResult | null {
    this.#forgetAged(at)
    const { clientId, since, sequence, answeredBelow } = request
    const key = hexOf(clientId)
    const known = this.#sessions.get(key)
    if (known === undefined && since < this.#forgottenIndex) return this.#refusal('forgotten')
    const session = known ?? newSession(clientId, at)
    if (since >= session.bornIndex) return FROM_THE_FUTURE
    this.#use(key, session, at)
    this.#raise(session, answeredBelow)
    if (sequence < session.lowWater) return this.#refusal('answered')
    this.#latestRequest = { session, sequence }
    const result = session.results.get(sequence)
    return result === undefined ? null : decode(applyResultEncoding, result)
  }

  /** What came of the request that `begin` has let through. */
  end(result: ApplyResult): void {
    const { session, sequence } = present(this.#latestRequest, 'a request that has begun')
    assert(!session.results.has(sequence), 'a request has one result')
    const encoded = encode(applyResultEncoding, result)
    session.results.set(sequence, encoded)
    this.#byteCount += costOf(encoded)
    this.#raise(session, sequence - MAX_SESSION_RESULTS + 1)
    assert(session.results.size <= MAX_SESSION_RESULTS, 'a session is bounded')
    for (const oldest of this.#sessions.values()) {
      if (this.#byteCount <= MAX_SESSION_TABLE_BYTES) break
      assert(oldest !== session, 'one session always fits')
      this.#forget(oldest)
    }
  }

  /** What differs from what is stored, since the last call. */
  takeChanges(): SessionChanges {
    const changes = { changed: [...this.#changed], gone: this.#gone }
    this.#changed.clear()
    this.#gone = []
    return changes
  }

  #use(key: string, session: LiveSession, { index, timeMs }: Stamp): void {
    session.usedIndex = index
    session.usedMs = timeMs
    this.#changed.add(session)
    if (session === this.#latest) return
    // last in the order
    this.#latest = session
    this.#sessions.delete(key)
    this.#sessions.set(key, session)
    for (const oldest of this.#sessions.values()) {
      if (this.#sessions.size <= MAX_SESSIONS) break
      this.#forget(oldest)
    }
  }

  #raise(session: LiveSession, lowWater: number): void {
    const { results, lowWater: before } = session
    if (lowWater <= before) return
    session.lowWater = lowWater
    if (lowWater - before > results.size) {
      for (const sequence of results.keys()) {
        if (sequence < lowWater) this.#drop(session, sequence)
      }
      return
    }
    for (let sequence = before; sequence < lowWater; sequence++) this.#drop(session, sequence)
  }

  #drop({ results }: LiveSession, sequence: number): void {
    const result = results.get(sequence)
    if (result === undefined) return
    results.delete(sequence)
    this.#byteCount -= costOf(result)
  }

  /** Log time never falls, so the order of use is the order of age. */
  #forgetAged({ timeMs }: Stamp): void {
    for (const session of this.#sessions.values()) {
      if (timeMs - session.usedMs <= MAX_SESSION_AGE_MS) break
      this.#forget(session)
    }
  }

  #forget(session: LiveSession): void {
    for (const sequence of session.results.keys()) this.#drop(session, sequence)
    this.#sessions.delete(hexOf(session.clientId))
    this.#changed.delete(session)
    this.#gone.push(session.bornIndex)
    this.#forgottenIndex = Math.max(this.#forgottenIndex, session.bornIndex)
  }

  #refusal(why: 'forgotten' | 'answered'): ApplyResult {
    const reason =
      why === 'forgotten'
        ? 'nothing is remembered any more of the client that sent it'
        : 'it had been answered, or given up, when it came'
    const error: ErrorDetail = {
      code: 'SESSION_EXPIRED',
      message: `the request was not carried out now: ${reason}; an earlier copy of it may have been`,
      hint: 'read what it would have changed before you send it again',
      fields: { since: this.#forgottenIndex }
    }
    return { kind: 'refused', error }
  }
}

interface LiveSession extends Session {
  usedIndex: Index
  usedMs: number
  lowWater: number
  readonly results: Map<number, Uint8Array>
}

/** A session has begun after `since`, or forgetting it could not be told from never having known it. */
const FROM_THE_FUTURE: ApplyResult = {
  kind: 'refused',
  error: {
    code: 'INVALID_REQUEST',
    message: 'the request names an index that did not exist when it was made'
  }
}

function newSession(clientId: Uint8Array, { index, timeMs }: Stamp): LiveSession {
  const results = new Map<number, Uint8Array>()
  return { clientId, bornIndex: index, usedIndex: index, usedMs: timeMs, lowWater: 1, results }
}

function costOf(result: Uint8Array): number {
  return result.byteLength + SESSION_RESULT_OVERHEAD
}
