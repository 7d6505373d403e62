// Who imports whom: ranks, homes of packages, purity of imports, and what no entry point reaches.

import { posix } from 'node:path'
import {
  BARRELS,
  ENTRY_FILES,
  FREE_PACKAGES,
  HOMES,
  RANKS,
  SCHEMA_ABOVE,
  SCHEMA_PACKAGE,
  isPure,
  mayAskTheClock
} from './architecture.ts'
import { blank, isProgram, isTypeScript, lineAt } from './source.ts'
import type { SourceFile, Violation } from './source.ts'

/** One place where a file names another, or a package. */
interface Import {
  readonly specifier: string
  readonly line: number
  readonly isReExport: boolean
}

/** `from '…'`, `import '…'`, `import('…')` and `require('…')`, in blanked code. */
const IMPORT =
  /(?<=\b(?:from|import)\s*|\b(?:import|require|import\.meta\.resolve)\s*\(\s*)(['"`])( *)\1/g
/** `new URL('./worker.js', import.meta.url)` */
const WORKER = /(?<=\bnew\s+URL\s*\(\s*)(['"])( *)\1(?=\s*,\s*import\.meta\.url)/g
/** `export … from` up to the quote */
const RE_EXPORT = /\bexport\s+(?:type\s+)?(?:\*|\{[^}]*\})(?:\s*as\s+\w+)?\s*from\s*$/

export function importsOf(file: SourceFile): Import[] {
  return placesOf(file, IMPORT)
}

/** Imports of a higher or neighbouring folder, of a file that is not there, and barrels. */
export function checkRanks(files: readonly SourceFile[]): Violation[] {
  const known = new Set(files.map((file) => file.path))
  return forEachImport(
    files.filter((file) => isProgram(file.path)),
    (file, one) => {
      if (one.isReExport && !BARRELS.has(file.path)) {
        return ['re-exports another file', 'let importers name the file that declares it']
      }
      if (!one.specifier.startsWith('.')) return null
      const target = resolve(file.path, one.specifier)
      if (!known.has(target)) {
        return [
          `imports ${one.specifier}, which is not there`,
          "write './name.ts', as it is on disk"
        ]
      }
      return judgeRank(placeOf(file.path), placeOf(target))
    }
  )
}

/** Packages away from home, Node in pure files. */
export function checkPackages(files: readonly SourceFile[]): Violation[] {
  return forEachImport(
    files.filter((file) => isProgram(file.path)),
    (file, one) => {
      if (one.specifier.startsWith('.')) return null
      if (one.specifier.startsWith('node:')) return judgeNode(file.path, one.specifier)
      return judgePackage(file.path, packageOf(one.specifier))
    }
  )
}

/** Program files that no entry point reaches by imports or as a worker. */
export function checkReachable(
  files: readonly SourceFile[],
  entries: readonly string[]
): Violation[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const reached = new Set<string>()
  const waiting = [...entries]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const file = byPath.get(path)
    if (file === undefined || reached.has(path)) continue
    reached.add(path)
    const workers = placesOf(file, WORKER).map((one) => one.specifier.replace(/\.js$/, '.ts'))
    const relative = [...importsOf(file).map((one) => one.specifier), ...workers]
    for (const specifier of relative) waiting.push(resolve(file.path, specifier))
  }
  const missing = entries
    .filter((path) => !byPath.has(path))
    .map((path) => violation(path, 'is an entry point in package.json and not there', 'write it'))
  const unreached = files
    .filter((file) => isProgram(file.path) && !reached.has(file.path))
    .map(({ path }) => violation(path, 'is reached from no entry point', 'use it or delete it'))
  return [...missing, ...unreached]
}

type Verdict = readonly [what: string, remedy: string]

function judgeRank(from: string, to: string): Verdict | null {
  if (from === to) return null
  const [fromRank, toRank] = [rankOf(from), rankOf(to)]
  if (fromRank === -1) return [`lies in ${from}, which has no rank`, 'add it to architecture.ts']
  if (toRank === -1) return [`imports ${to}, which has no rank`, 'add it to architecture.ts']
  if (toRank < fromRank) return null
  const way = toRank === fromRank ? 'sideways' : 'up'
  return [
    `${from} imports ${to}: ${way}`,
    'pass what is needed in from above, or move it to a lower folder'
  ]
}

function judgeNode(path: string, name: string): Verdict | null {
  if (isPure(path)) return [`is pure and imports ${name}`, 'take what it gives as an argument']
  const isClock = /^node:(?:timers|perf_hooks)/.test(name)
  if (!isClock || mayAskTheClock(path)) return null
  return [`imports ${name}: time is an argument`, 'take a Clock or Timers']
}

function judgePackage(path: string, name: string): Verdict | null {
  if (FREE_PACKAGES.has(name)) return null
  if (name === SCHEMA_PACKAGE) {
    const isHigh = rankOf(placeOf(path)) > rankOf(SCHEMA_ABOVE)
    return isHigh
      ? null
      : [`imports ${name}`, `the schema library is for folders above ${SCHEMA_ABOVE}`]
  }
  const home = homeOf(name)
  if (home === undefined) {
    return [`imports ${name}, which has no home`, 'give it a folder in architecture.ts']
  }
  if (path === home || path.startsWith(`${home}/`)) return null
  return [`imports ${name}, whose home is ${home}`, `go through ${home}`]
}

export function homeOf(name: string): string | undefined {
  return HOMES.get(name) ?? HOMES.get(name.replace(/\/.*/, '/*'))
}

function packageOf(specifier: string): string {
  const parts = specifier.split('/')
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}

/** The folder of the rank table that the file belongs to. */
function placeOf(path: string): string {
  if (ENTRY_FILES.has(path)) return 'bin'
  const parts = path.split('/')
  return parts[0] === 'lib' && parts.length > 2 ? parts.slice(0, 2).join('/') : (parts[0] ?? '')
}

function rankOf(place: string): number {
  return RANKS.findIndex((row) => row.includes(place))
}

function resolve(from: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : specifier
}

function placesOf(file: SourceFile, pattern: RegExp): Import[] {
  if (!isTypeScript(file.path)) return []
  const code = blank(file.text)
  return Array.from(code.matchAll(pattern), (match) => ({
    specifier: file.text.slice(match.index + 1, match.index + match[0].length - 1),
    line: lineAt(file.text, match.index),
    isReExport: RE_EXPORT.test(code.slice(0, match.index))
  }))
}

function forEachImport(
  files: readonly SourceFile[],
  judge: (file: SourceFile, one: Import) => Verdict | null
): Violation[] {
  return files.flatMap((file) =>
    importsOf(file).flatMap((one) => {
      const verdict = judge(file, one)
      if (verdict === null) return []
      return [{ path: file.path, line: one.line, what: verdict[0], remedy: verdict[1] }]
    })
  )
}

function violation(path: string, what: string, remedy: string): Violation {
  return { path, line: 1, what, remedy }
}
