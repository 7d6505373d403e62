// What forming-process.ts is told, as JSON in its first argument.

import type { CrashPoint } from './node-order.ts'

export interface FormingOrder {
  readonly dataDir: string
  /** the backup that is restored; null: what is there is recovered */
  readonly backup: string | null
  readonly crash: CrashPoint | null
  /** the name of each boundary is added to this file at each crossing */
  readonly crossedPath: string | null
}
