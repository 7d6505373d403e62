// The moments around each durable change, by name: before the first byte of it is written, between its
// steps, and when it is said to be durable. Whoever makes such a change calls `onBoundary`, if it was
// given one; only the tests of crashes give one, which ends the process there. Nothing else may depend
// on it.

/** What one write of the log holds. */
const LOG_WRITES = [
  'boot',
  'hardState',
  'install',
  'compaction',
  'sweep',
  'truncation',
  'configuration',
  'entries'
] as const
/** Files that are replaced as a whole and then durable. */
const FILES = ['node.key', 'api.token', 'node.json', 'runtime.json'] as const
const FILE_STEPS = ['written', 'synced', 'renamed', 'durable'] as const

/** Every boundary that there is. */
export const BOUNDARIES = [
  ...LOG_WRITES.flatMap((write) => [`log.${write}.begin`, `log.${write}.durable`] as const),
  'log.directory.durable',
  'state.apply.begin',
  'state.commit.begin',
  'state.commit.end',
  'state.checkpoint.begin',
  'state.checkpoint.end',
  ...FILES.flatMap((file) => FILE_STEPS.map((step) => `file.${file}.${step}` as const)),
  // a hint, which nobody waits for
  'file.peers.json.written',
  'file.peers.json.renamed'
] as const

export type Boundary = (typeof BOUNDARIES)[number]

/** Called at the boundary, by the thread that makes the change; it may not return. */
export type OnBoundary = (name: Boundary) => void
