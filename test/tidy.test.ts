// The architecture and the habits of CONVENTIONS.md, checked on the whole repository. Each broken
// rule is reported as `file:line: what; remedy`. The rules are in tidy/: who may import what in
// tidy/architecture.ts; that each of them can fail is shown in tidy/checks.test.ts.

import test from 'brittle'
import type { Assert } from 'brittle'
import { PURE_FILES } from './tidy/architecture.ts'
import { checkPackages, checkRanks, checkReachable } from './tidy/imports.ts'
import { checkLock, checkManifest, entriesOf } from './tidy/manifest.ts'
import type { Manifest } from './tidy/manifest.ts'
import { checkShape, checkTables } from './tidy/shape.ts'
import { describe } from './tidy/source.ts'
import type { SourceFile, Violation } from './tidy/source.ts'
import { findRoot, readTree } from './tidy/tree.ts'
import { checkPlaces, checkPurity, checkUnfinished } from './tidy/words.ts'

const tree = readTree(findRoot())
const manifestFile = fileAt('package.json')
const manifest: Manifest = JSON.parse(manifestFile.text)

function fileAt(path: string): SourceFile {
  const file = tree.find((one) => one.path === path)
  if (file === undefined) throw new Error(`${path} is not there`)
  return file
}

function report(t: Assert, violations: readonly Violation[]): void {
  for (const violation of violations) t.comment(describe(violation))
  t.is(violations.length, 0, 'violations')
}

test('the tree was read', (t) => {
  t.ok(tree.length > 50, `${tree.length} files`)
  t.ok(fileAt('lib/assert.ts').text.includes('export function assert'))
})

test('a file imports its own folder or a lower one', (t) => {
  report(t, checkRanks(tree))
})

test('each package has one home, and pure files do not import Node', (t) => {
  report(t, checkPackages(tree))
})

test('pure files decide and touch nothing, and nobody above the ports asks the clock', (t) => {
  report(t, checkPurity(tree))
})

test('the table of pure files names files that are there', (t) => {
  const paths = new Set(tree.map((file) => file.path))
  t.alike(
    [...PURE_FILES].filter((path) => !paths.has(path)),
    []
  )
})

test('every file has a header, 400 lines and functions of 60 at most, and no default export', (t) => {
  report(t, checkShape(tree))
})

test('the README of a folder names every file in it', (t) => {
  report(t, checkTables(tree))
})

test('every program file is reached from an entry point', (t) => {
  report(t, checkReachable(tree, entriesOf(manifest)))
})

test('nothing is left unfinished, silenced or narrowed', (t) => {
  report(t, checkUnfinished(tree))
})

test('no file names a machine or a registry', (t) => {
  const registry = process.env['npm_config_registry']
  const hosts = registry === undefined ? [] : [new URL(registry).hostname]
  report(t, checkPlaces(tree, hosts))
})

test('dependencies have homes and exact versions where it matters', (t) => {
  report(t, checkManifest(manifestFile, manifest))
})

test('the lock file holds no install script that was not looked at, and no address', (t) => {
  const lock = fileAt('package-lock.json')
  report(t, checkLock(lock, JSON.parse(lock.text), manifest))
})
