// The repository's own files, read from the checkout that the tests were compiled from.

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { SourceFile } from './source.ts'

const SKIPPED_FOLDERS: ReadonlySet<string> = new Set([
  '.git',
  'coverage',
  'dist',
  'node_modules',
  'shared'
])
const TEXT =
  /\.(?:ts|js|mjs|md|json|toml|sh|yml|yaml|txt|html|css)$|(?:^|\/)(?:run|LICENSE|\.[a-z]+)$/

/** The nearest folder above this file, or above the working folder, that holds the sources. */
export function findRoot(): string {
  for (const start of [import.meta.dirname, process.cwd()]) {
    for (let folder = start; folder !== dirname(folder); folder = dirname(folder)) {
      if (existsSync(join(folder, 'tsconfig.json'))) return folder
    }
  }
  throw new Error('found no checkout: run this in the repository')
}

/** Every text file below `root` that belongs to the project, ordered by path. */
export function readTree(root: string, folder = ''): SourceFile[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) return SKIPPED_FOLDERS.has(entry.name) ? [] : readTree(root, path)
      if (!entry.isFile() || !TEXT.test(path)) return []
      return [{ path, text: readFileSync(join(root, path), 'utf8') }]
    })
}
