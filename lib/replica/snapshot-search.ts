// A node that cannot run without a snapshot gets one before it runs: it asks every member for its newest, and
// fetches the newest of those that help from whoever has it. Members snapshot only what is committed, so each
// of them may be believed that it is; nobody has to lead for that.
//
// It goes on until there is one. Who is away may come back, and a leader that has none makes one when it is asked.

import type { Clock, Timer, Timers } from '../clock.ts'
import type { NodeId } from '../node-id.ts'
import type { Index } from '../raft/entry.ts'
import type { SnapshotInfo } from '../state-machine/state-machine.ts'
import type { Ask } from './snapshot-ask.ts'
import type { Receive } from './snapshot-fetch.ts'
import { SnapshotFetch } from './snapshot-fetch.ts'

export interface SnapshotSearchParts<Prepared> {
  readonly clock: Clock
  readonly timers: Timers
  readonly ask: Ask
  /** members with a link */
  readonly members: () => readonly NodeId[]
  readonly receive: Receive<Prepared>
  /** one below it is of no use */
  readonly from: Index
  /** once */
  readonly onPrepared: (prepared: Prepared) => void
}

export class SnapshotSearch<Prepared> {
  readonly #parts: SnapshotSearchParts<Prepared>
  #fetch: SnapshotFetch<Prepared> | null = null
  #timer: Timer | null = null
  #isOver = false

  constructor(parts: SnapshotSearchParts<Prepared>) {
    this.#parts = parts
  }

  /** What is being fetched; null while nobody has one. For people. */
  get fetching(): SnapshotInfo | null {
    return this.#fetch?.info ?? null
  }

  /** Begins. Call once. */
  start(): void {
    this.#parts.timers.soon(() => this.#look())
  }

  /** What was fetched stays on the disk. May be called twice. */
  close(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#fetch?.end()
  }

  /** Now and every second. */
  #look(): void {
    if (this.#isOver) return
    if (this.#fetch?.isStuck === true) {
      this.#fetch.end()
      this.#fetch = null
    }
    if (this.#fetch !== null) {
      this.#again()
      this.#fetch.look()
      return
    }
    this.#askAll()
  }

  #askAll(): void {
    const { members, timers, ask, from } = this.#parts
    const ids = members()
    const found: SnapshotInfo[] = []
    let [waiting, isOver] = [ids.length, false]
    const end = (): void => {
      if (isOver || this.#isOver) return
      isOver = true
      this.#timer?.cancel()
      this.#onAnswers(found)
    }
    this.#timer = timers.start(ids.length === 0 ? LOOK_MS : ANSWER_MS, end)
    for (const id of ids) {
      ask(id, { kind: 'newest', index: from }, (heard) => {
        if (heard.kind === 'snapshot' && heard.snapshot.index >= from) found.push(heard.snapshot)
        waiting--
        if (waiting === 0) end()
      })
    }
  }

  #again(): void {
    this.#timer = this.#parts.timers.start(LOOK_MS, () => this.#look())
  }

  #onAnswers(found: readonly SnapshotInfo[]): void {
    this.#again()
    const [newest] = found.toSorted((a, b) => b.index - a.index)
    if (newest === undefined) return
    const { clock, ask, members, receive, onPrepared } = this.#parts
    this.#fetch = new SnapshotFetch<Prepared>({
      info: newest,
      clock,
      ask,
      sources: members,
      receive,
      onPrepared: (prepared) => {
        this.#fetch = null
        if (this.#isOver || prepared === null) return
        this.close()
        onPrepared(prepared)
      }
    })
    this.#fetch.look()
  }
}

const LOOK_MS = 1_000
/** For the word of those that have a link and say nothing. */
const ANSWER_MS = 10_000
