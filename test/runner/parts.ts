// The parts of the test suite: which there are, which run when nobody names any, and how long a
// file of each may take. A part is a folder of test/ or one file of it, named without its ending:
// `raft`, `raft/log`, `tidy`.

import { readdirSync } from 'node:fs'

/** A file that takes longer than this hangs, unless its part is in the table below. */
const FILE_LIMIT_S = 120

interface SlowPart {
  readonly limitS: number
  /** the limit of the long form (ASPEN_FULL=1) */
  readonly fullLimitS: number
}

/**
 * Parts that run only when named. Their files run one at a time, because they measure, start
 * whole clusters, or change the machine they run on.
 */
const SLOW_PARTS: ReadonlyMap<string, SlowPart> = new Map([
  ['bench', { limitS: 900, fullLimitS: 3_600 }],
  ['e2e', { limitS: 600, fullLimitS: 3_600 }],
  ['faults', { limitS: 600, fullLimitS: 3_600 }],
  ['net', { limitS: 600, fullLimitS: 3_600 }],
  ['readme', { limitS: 600, fullLimitS: 600 }],
  ['sim', { limitS: 600, fullLimitS: 7_200 }]
])

/** A test file to run. */
export interface TestFile {
  /** below the root, with forward slashes: `raft/log.test.js` */
  readonly path: string
  readonly limitMs: number
  /** whether nothing else may run beside it */
  readonly isAlone: boolean
}

/** What the arguments select, and the arguments that select nothing. */
export interface Selection {
  readonly files: readonly TestFile[]
  readonly unknownParts: readonly string[]
}

/** The test files below `root` that belong to `parts`; without parts, all that are not slow. */
export function selectFiles(root: string, parts: readonly string[], isFull: boolean): Selection {
  const all = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.test.js'))
    .toSorted()
  const paths = all.filter((path) =>
    parts.length === 0 ? !SLOW_PARTS.has(partOf(path)) : parts.some((part) => belongsTo(path, part))
  )
  return {
    files: paths.map((path) => withLimit(path, isFull)),
    unknownParts: parts.filter((part) => !all.some((path) => belongsTo(path, part)))
  }
}

function withLimit(path: string, isFull: boolean): TestFile {
  const slow = SLOW_PARTS.get(partOf(path))
  const limitS = (isFull ? slow?.fullLimitS : slow?.limitS) ?? FILE_LIMIT_S
  return { path, limitMs: limitS * 1_000, isAlone: slow !== undefined }
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
