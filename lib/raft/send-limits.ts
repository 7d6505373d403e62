// How much a leader sends at a time. Nodes use the defaults; a simulator makes them tiny, so that what
// happens at a limit happens all the time.

import { MAX_APPEND_BYTES, MAX_APPEND_ENTRIES } from '../limits.ts'
import { MAX_INFLIGHT_APPENDS, MAX_INFLIGHT_BYTES } from '../limits.ts'

export interface SendLimits {
  /** entries and bytes of one append; a larger entry goes alone */
  readonly appendEntries: number
  readonly appendBytes: number
  /** appends on the way to one follower, and their bytes */
  readonly inflightAppends: number
  readonly inflightBytes: number
}

export const SEND_LIMITS: SendLimits = {
  appendEntries: MAX_APPEND_ENTRIES,
  appendBytes: MAX_APPEND_BYTES,
  inflightAppends: MAX_INFLIGHT_APPENDS,
  inflightBytes: MAX_INFLIGHT_BYTES
}
