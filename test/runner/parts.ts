// The parts of the test suite: which there are, which run when nobody names any, how long a file of
// each may take, and how many files run at a time. A part is a folder of test/ or one file of it,
// named without its ending: `raft`, `raft/log`, `tidy`.

import { readdirSync } from 'node:fs'

interface Part {
  /** a file that takes longer hangs */
  readonly limitS: number
  /** the limit of the long form (ASPEN_FULL=1) */
  readonly fullLimitS: number
  /** 1 where a file measures, or changes the machine it runs on */
  readonly jobs: number
}

/** What holds for every file that is of none of the slow parts. */
const FAST: Part = { limitS: 120, fullLimitS: 300, jobs: 3 }

/** Parts that run only when named, one after the other. */
const SLOW_PARTS: ReadonlyMap<string, Part> = new Map([
  ['bench', { limitS: 900, fullLimitS: 3_600, jobs: 1 }],
  ['e2e', { limitS: 600, fullLimitS: 3_600, jobs: 3 }],
  ['faults', { limitS: 600, fullLimitS: 3_600, jobs: 2 }],
  ['net', { limitS: 600, fullLimitS: 3_600, jobs: 1 }],
  ['readme', { limitS: 600, fullLimitS: 600, jobs: 1 }],
  ['sim', { limitS: 600, fullLimitS: 7_200, jobs: 1 }]
])

/** The files that take longest, longest first: they begin first, so that none ends long after the others. */
export const LONG_FILES: readonly string[] = [
  'faults/failpoints',
  'e2e/bad-input',
  'e2e/amnesia',
  'e2e/join',
  'e2e/commands',
  'e2e/recover',
  'e2e/bad-tickets',
  'e2e/backup',
  'runner',
  'transport/hyperswarm-network',
  'http/turns',
  'log-store/lmdb-log-store',
  'transport/hostile',
  'http/http-server',
  'state-machine/sqlite-state-machine'
]

/** A test file to run. */
export interface TestFile {
  /** below the root, with forward slashes: `raft/log.test.js` */
  readonly path: string
  readonly limitMs: number
}

/** Files that may run beside each other, in the order in which they begin. */
export interface Batch {
  readonly files: readonly TestFile[]
  /** at a time */
  readonly jobs: number
}

/** What the arguments select, and the arguments that select nothing. */
export interface Selection {
  /** to be run one after the other */
  readonly batches: readonly Batch[]
  readonly unknownParts: readonly string[]
}

export interface SelectOptions {
  /** whether the long forms of the tests run */
  readonly isFull: boolean
  /** files at a time, where the table allows more than one; null for the table's */
  readonly jobs: number | null
}

/** The test files below `root` that belong to `parts`; without parts, all that are not slow. */
export function selectFiles(
  root: string,
  parts: readonly string[],
  options: SelectOptions
): Selection {
  const all = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.test.js'))
    .toSorted((a, b) => rankOf(a) - rankOf(b) || (a < b ? -1 : 1))
  const paths = all.filter((path) =>
    parts.length === 0 ? !SLOW_PARTS.has(partOf(path)) : parts.some((part) => belongsTo(path, part))
  )
  const batches = [null, ...SLOW_PARTS.keys()].map((name) =>
    batchOf(
      name,
      paths.filter((path) => (SLOW_PARTS.has(partOf(path)) ? partOf(path) : null) === name),
      options
    )
  )
  return {
    batches: batches.filter(({ files }) => files.length > 0),
    unknownParts: parts.filter((part) => !all.some((path) => belongsTo(path, part)))
  }
}

/** The files of a slow part, or with null all that are not slow. */
function batchOf(
  name: string | null,
  paths: readonly string[],
  { isFull, jobs }: SelectOptions
): Batch {
  const {
    limitS,
    fullLimitS,
    jobs: usualJobs
  } = (name === null ? undefined : SLOW_PARTS.get(name)) ?? FAST
  const limitMs = (isFull ? fullLimitS : limitS) * 1_000
  return {
    files: paths.map((path) => ({ path, limitMs })),
    jobs: usualJobs === 1 ? 1 : (jobs ?? usualJobs)
  }
}

function rankOf(path: string): number {
  const rank = LONG_FILES.indexOf(path.replace(/\.test\.js$/, ''))
  return rank === -1 ? LONG_FILES.length : rank
}

function partOf(path: string): string {
  return path.replace(/\/.*|\.test\.js$/, '')
}

/** Also for a part that was typed as a path: `test/raft/`, `test/raft/log.test.ts`. */
function belongsTo(path: string, part: string): boolean {
  const name = part.replace(/^test\//, '').replace(/\/+$/, '')
  const file = `${name.replace(/(\.test)?(\.[jt]s)?$/, '')}.test.js`
  return path === file || path.startsWith(`${name}/`)
}
