// What it takes to run a node, after command line, environment and files were read.

import type { Logger } from 'pino'
import type { Address } from '../address.ts'
import type { OnBoundary } from '../boundary.ts'
import type { TimingProfile } from '../raft/timing.ts'
import type { NewTicket } from '../service/documents.ts'
import type { NodeSettings } from '../config/node-settings.ts'
import type { Peer } from './peers.ts'
import type { StorageBackend } from '../config/storage-backends.ts'
import type { StorageSettings } from '../config/storage-settings.ts'

/** Why the node is opened; each is refused where it does not fit what the data directory holds. */
export type Intent =
  /** a new cluster of one, with its first invite; resumes a half-made directory */
  | { readonly kind: 'create' }
  /** resumes a half-made join with the same ticket's cluster */
  | { readonly kind: 'join'; readonly ticket: string; readonly timeoutMs: number }
  /** a node that has been created or joined before */
  | { readonly kind: 'start' }
  /**
   * a node that belongs to no cluster yet: one is founded on it by `init`, or a peer lets it in once it was
   * admitted there by its key; where it belongs to one by now, it just starts
   */
  | { readonly kind: 'wait'; readonly peers: readonly Peer[] }
  /** whichever of the first three the folder asks for: an empty one joins where there is a ticket, else creates */
  | { readonly kind: 'open'; readonly ticket: string | null; readonly timeoutMs: number }

/** How long a join looks for a member that lets it in, where nobody says. */
export const DEFAULT_JOIN_TIMEOUT_MS = 60_000

export interface NodeOptions {
  readonly intent: Intent
  readonly dataDir: string
  /** DEFAULT_STORAGE_BACKEND when left out */
  readonly storageBackend?: StorageBackend
  /** whether the HTTP API is served, on the socket and on TCP; true when left out */
  readonly servesHttp?: boolean
  /** display name; null keeps the recorded one, or takes the host's */
  readonly name: string | null
  /** bootstrap nodes; null takes the recorded ones, or the public DHT */
  readonly bootstrap: readonly Address[] | null
  /** UDP port; null takes the last one if it is free, else any */
  readonly port: number | null
  /** TCP port of the HTTP API; null takes the recorded one, or the first free from 7070 where that is taken */
  readonly httpPort: number | null
  /** heartbeats and elections; null keeps the recorded profile, or takes `default` */
  readonly timing: TimingProfile | null
  /** how much is kept; null keeps the recorded settings, or takes DEFAULT_STORAGE; given ones are added to the recorded */
  readonly storage: Partial<StorageSettings> | null
  /** the other settings, by their names in a configuration; what is left out is as recorded, or has its default */
  readonly settings?: NodeSettings
  /** how long opening may take, then UNAVAILABLE; left out: as long as a repair needs others */
  readonly openLimitMs?: number
  readonly logger: Logger
  readonly onProgress: (progress: Progress) => void
  /** for tests of crashes; the program never gives one */
  readonly onBoundary?: OnBoundary | undefined
}

/** Told while a node opens. */
export interface Progress {
  readonly phase: 'open' | 'lookup' | 'connect' | 'admission' | 'catchup' | 'done'
  /** one line for people */
  readonly text: string
}

/** What opening a node made, besides the node itself. */
export interface Opened {
  /** after `create`: the first ticket */
  readonly ticket: NewTicket | null
  /** after `join` on a directory that was a member already */
  readonly wasMember: boolean
  /** the recorded port of the HTTP API, where another process has it and another one was taken */
  readonly httpPortTaken: number | null
}
