// What package.json and the lock file must say: exact versions where the design leans on them, a
// home for each dependency, no install script that nobody looked at, no address of a registry.

import { FREE_PACKAGES, PINNED_PACKAGES, SCHEMA_PACKAGE } from './architecture.ts'
import { homeOf } from './imports.ts'
import { lineAt } from './source.ts'
import type { SourceFile, Violation } from './source.ts'

/** The part of package.json that is looked at. */
export interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, { readonly default: string }>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly allowScripts: Readonly<Record<string, boolean>>
}

interface LockedPackage {
  readonly hasInstallScript?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>
}

/** The source files that package.json names as the ways into the program. */
export function entriesOf(manifest: Manifest): string[] {
  const targets = [
    ...Object.values(manifest.bin),
    ...Object.values(manifest.exports).map((target) => target.default)
  ]
  return targets.map((path) => path.replace(/^(?:\.\/)?dist\//, '').replace(/\.js$/, '.ts'))
}

export function checkManifest(file: SourceFile, manifest: Manifest): Violation[] {
  return Object.entries(manifest.dependencies).flatMap(([name, version]) => {
    const at = { path: file.path, line: lineOf(file, name) }
    const isHomed = FREE_PACKAGES.has(name) || name === SCHEMA_PACKAGE || homeOf(name) !== undefined
    const isPinned = !PINNED_PACKAGES.includes(name) || /^\d+\.\d+\.\d+$/.test(version)
    return [
      ...(isHomed
        ? []
        : [{ ...at, what: `${name} has no home`, remedy: 'give it a folder in architecture.ts' }]),
      ...(isPinned
        ? []
        : [{ ...at, what: `${name} ${version} is a range`, remedy: 'pin the exact version' }])
    ]
  })
}

export function checkLock(file: SourceFile, lock: Lock, manifest: Manifest): Violation[] {
  const scripted = Object.entries(lock.packages)
    .filter(([, entry]) => entry.hasInstallScript === true)
    .map(([path]) => ({ path, name: path.replace(/^.*node_modules\//, '') }))
  const unknown = scripted
    .filter(({ name }) => !(name in manifest.allowScripts))
    .map(({ path, name }) => ({
      path: file.path,
      line: lineOf(file, path),
      what: `${name} has an install script`,
      remedy: 'read it and say in allowScripts of package.json whether it may run'
    }))
  const resolved = Array.from(file.text.matchAll(/"resolved": "https?:/g), (match) => ({
    path: file.path,
    line: lineAt(file.text, match.index),
    what: 'names the address of a registry',
    remedy: 'write the lock file with `npm install --omit-lockfile-registry-resolved`'
  }))
  return [...unknown, ...missingOptions(file, lock), ...resolved]
}

/** `npm ci` refuses a lock file that leaves out packages of other platforms. */
function missingOptions(file: SourceFile, lock: Lock): Violation[] {
  return Object.entries(lock.packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies ?? {})
      .filter((name) => ![`${path}/node_modules/${name}`, `node_modules/${name}`].some(isLocked))
      .map((name) => ({
        path: file.path,
        line: lineOf(file, path),
        what: `${name}, an option of ${path}, is missing, and \`npm ci\` refuses that`,
        remedy: 'write the lock file where the registry has the packages of all platforms'
      }))
  )

  function isLocked(path: string): boolean {
    return path in lock.packages
  }
}

function lineOf(file: SourceFile, key: string): number {
  return lineAt(file.text, Math.max(0, file.text.indexOf(`"${key}"`)))
}
