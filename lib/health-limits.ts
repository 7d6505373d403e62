// From when on a node calls something wrong with itself: what its health, its probes and its metrics go by.
// Nothing is refused or closed by these.

import { assert } from './assert.ts'
import { MAX_WAL_BYTES } from './limits.ts'

const MIB = 1024 * 1024

/** A member that has been out of reach for so long needs somebody's attention (seed). */
export const NODE_ATTENTION_MS = 60_000
/** A write to the log, or a batch of entries being applied, that takes so long is warned of. */
export const STALLED_MS = 5_000
/** One that takes so long never ends: `/livez` says no, and whoever watches starts the process again. */
export const WEDGED_MS = 30_000
/** How long a linearizable read may take on a node that calls itself ready. */
export const READY_WITHIN_MS = 1_000
/** Sizes of the write-ahead log from which the health of a node warns, and is bad (seed). */
export const WAL_WARN_BYTES = 100 * MIB
export const WAL_FULL_BYTES = 500 * MIB
/** How often the sizes of a node's files are looked at. */
export const SIZES_LOOK_MS = 2_000

assert(MAX_WAL_BYTES < WAL_WARN_BYTES, 'a healthy node does not warn of its write-ahead log')
assert(STALLED_MS < WEDGED_MS, 'slow comes before stuck')
