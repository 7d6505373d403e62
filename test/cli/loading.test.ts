// What a command loads before it does anything: the start of `aspen kv get` must not wait for the
// network stack, the databases, the HTTP server or the schema library.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'brittle'

const HEAVY = [
  'hyperswarm',
  'hyperdht',
  'fastify',
  'better-sqlite3',
  'lmdb',
  '@sinclair/typebox',
  'pino',
  'protomux',
  '@hyperswarm/secret-stream'
]

const lib = fileURLToPath(new URL('../../lib/', import.meta.url))

test('commands that only talk to a running node load nothing of a node', (t) => {
  for (const entry of ['cli.js', 'kv-commands.js', 'status-commands.js', 'ticket-commands.js']) {
    const loaded = packagesOf(join(lib, 'cli', entry))
    for (const name of HEAVY) t.absent(loaded.has(name), `${entry} and ${name}`)
  }
})

test('the command that waits for a starting node does not load one', (t) => {
  const loaded = packagesOf(join(lib, 'cli', 'start-commands.js'))
  for (const name of HEAVY) {
    if (name !== 'better-sqlite3') t.absent(loaded.has(name), name) // the lock of the directory
  }
})

test('the process of a node loads all of it', (t) => {
  const loaded = packagesOf(join(lib, 'cli', 'background.js'))
  for (const name of HEAVY) t.ok(loaded.has(name), name)
})

/** Packages that are loaded with the file, following static imports only. */
function packagesOf(entry: string): Set<string> {
  const packages = new Set<string>()
  const seen = new Set<string>()
  const waiting = [entry]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    if (!existsSync(path)) throw new Error(`${path} is not there`)
    for (const [, from = ''] of readFileSync(path, 'utf8').matchAll(STATIC_IMPORT)) {
      if (from.startsWith('.')) waiting.push(join(dirname(path), from))
      else packages.add(packageOf(from))
    }
  }
  return packages
}

const STATIC_IMPORT = /^(?:import|export)\s(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]/gm

function packageOf(specifier: string): string {
  const parts = specifier.split('/')
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}
