// The architecture, stated once: which folder may import which, where each npm package lives, what
// is pure, and who may ask the machine for the time. The checks beside this file enforce it.

/**
 * Folders from low to high. A file imports its own folder or one of an earlier row, never its own
 * row (sideways) and never a later one (up). `lib` stands for the vocabulary, the files at its
 * root. `bin` is the row of the entry points, which nobody imports.
 */
export const RANKS: readonly (readonly string[])[] = [
  ['lib'],
  ['tickets'],
  ['lib/raft', 'lib/gossip', 'lib/supervision'],
  ['lib/log-store', 'lib/state-machine', 'lib/transport'],
  ['lib/replica'],
  ['lib/cluster'],
  ['lib/service'],
  ['lib/http', 'lib/client'],
  ['lib/config'],
  ['lib/node'],
  ['lib/testing', 'lib/cli'],
  ['bin']
]

/** Entry points that lie in `lib/` without being vocabulary. */
export const ENTRY_FILES: ReadonlySet<string> = new Set(['lib/index.ts'])

/** Files that may say `export … from`: the doors of the package. */
export const BARRELS: ReadonlySet<string> = new Set([
  'lib/index.ts',
  'lib/testing/testing.ts',
  'lib/client/client.ts',
  'tickets/tickets.ts'
])

/** npm package → the one folder, or file, that may name it. A trailing `/*` is a whole scope. */
export const HOMES: ReadonlyMap<string, string> = new Map([
  ['@fastify/*', 'lib/http'],
  ['@hyperswarm/secret-stream', 'lib/transport'],
  ['@scure/base', 'tickets'],
  ['better-sqlite3', 'lib/state-machine'],
  ['fastify', 'lib/http'],
  ['hyperdht', 'lib/transport'],
  ['hyperswarm', 'lib/transport'],
  ['lmdb', 'lib/log-store'],
  ['paparam', 'lib/cli'],
  ['pino', 'lib/node'],
  ['prom-client', 'lib/service'],
  ['protomux', 'lib/transport'],
  ['sodium-universal', 'lib/crypto.ts'],
  ['toml-eslint-parser', 'lib/config']
])

/** Packages that every file may name. */
export const FREE_PACKAGES: ReadonlySet<string> = new Set(['b4a', 'compact-encoding'])

/** The schema library: free above the pure cores. */
export const SCHEMA_PACKAGE = '@sinclair/typebox'
export const SCHEMA_ABOVE = 'lib/raft'

/** Packages whose exact version the design leans on. */
export const PINNED_PACKAGES: readonly string[] = [
  '@hyperswarm/secret-stream',
  'hyperdht',
  'hyperswarm',
  'protomux'
]

/** Everything in these decides and touches nothing. */
const PURE_FOLDERS: readonly string[] = ['lib/raft', 'lib/gossip', 'lib/supervision', 'tickets']

/** Files in the pure folders that act. */
const IMPURE_FILES: ReadonlySet<string> = new Set(['lib/supervision/supervisor.ts'])

/** Pure files elsewhere; besides these, every `encoding.ts` is pure. */
export const PURE_FILES: ReadonlySet<string> = new Set([
  'lib/address.ts',
  'lib/assert.ts',
  'lib/crypto.ts',
  'lib/errors.ts',
  'lib/limits.ts',
  'lib/node-id.ts',
  'lib/record.ts',
  'lib/service/request-ids.ts',
  'lib/service/submission.ts',
  'lib/state-machine/apply-entry.ts',
  'lib/state-machine/byte-order.ts',
  'lib/state-machine/check-write.ts',
  'lib/state-machine/command.ts',
  'lib/state-machine/refusal-texts.ts',
  'lib/state-machine/seal.ts',
  'lib/state-machine/sessions.ts',
  'lib/state-machine/snapshot-encoding.ts',
  'lib/state-machine/snapshot-refusal.ts',
  'lib/state-machine/snapshot-stream.ts',
  'lib/state-machine/state-hash.ts',
  'lib/state-machine/trust.ts',
  'lib/state-machine/upkeep.ts',
  'lib/state-machine/write-plan.ts'
])

export function isPure(path: string): boolean {
  if (IMPURE_FILES.has(path)) return false
  return PURE_FILES.has(path) || path.endsWith('/encoding.ts') || isIn(path, PURE_FOLDERS)
}

/** Folders where nothing waits: neither `async` nor a promise. */
const PROMISELESS_FOLDERS: readonly string[] = ['lib/raft', 'lib/replica']

export function isPromiseless(path: string): boolean {
  return isIn(path, PROMISELESS_FOLDERS)
}

/**
 * Who may use the machine's own clock, timers and randomness; everybody else takes them as
 * arguments, or the simulator could not run it. Of the ports, only the real implementations may.
 */
const CLOCK_FILES: ReadonlySet<string> = new Set([
  'lib/clock.ts',
  'lib/random.ts',
  // gives the event loop its turn while a long answer is written
  'lib/http/slice.ts',
  // measures the event loop itself
  'lib/node/process-metrics.ts',
  // runs in programs of its own, never in a simulated cluster
  'lib/client/connection.ts',
  'lib/client/download.ts',
  // makes virtual time out of turns of the real loop
  'lib/testing/virtual-time.ts'
])
const CLOCK_FOLDERS: readonly string[] = ['lib/cli', 'bin']
const PORT_FOLDERS: readonly string[] = ['lib/log-store', 'lib/state-machine', 'lib/transport']

export function mayAskTheClock(path: string): boolean {
  if (CLOCK_FILES.has(path) || isIn(path, CLOCK_FOLDERS)) return true
  return isIn(path, PORT_FOLDERS) && !/\/memory-[^/]*$/.test(path)
}

/** The longest file and the longest function, in lines. */
export const MAX_FILE_LINES = 400
export const MAX_FUNCTION_LINES = 60

function isIn(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path.startsWith(`${folder}/`))
}
