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
/** The stream of a snapshot is there; both its files are on the disk; the stream, then the manifest has its name. */
const SNAPSHOT_STEPS = ['written', 'synced', 'named', 'published', 'durable'] as const
/** Of the steps of `recover` (recovering.ts): 1, 2, the beginning of 3, each rename, and the end. */
const RECOVER_STEPS = ['ready', 'fenced', 'begun', 'moved', 'whole', 'durable'] as const

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
  ...SNAPSHOT_STEPS.map((step) => `snapshot.${step}` as const),
  'snapshot.gone',
  // of a snapshot that is fetched: its files are there, all of it has come
  'incoming.begun',
  'incoming.whole',
  // a new database, of a snapshot or of a backup
  ...FILE_STEPS.map((step) => `database.${step}` as const),
  // the state of the backup as the stream of a snapshot of the new cluster
  'restore.written',
  ...RECOVER_STEPS.map((step) => `recover.${step}` as const),
  // a hint, which nobody waits for
  'file.peers.json.written',
  'file.peers.json.renamed'
] as const

export type Boundary = (typeof BOUNDARIES)[number]

/** Called at the boundary, while the thread that makes the change waits; it may not return. */
export type OnBoundary = (name: Boundary) => void
