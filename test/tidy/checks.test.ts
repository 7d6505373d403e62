// Every rule of the tidy test is broken here once, in a small planted tree, and must be reported
// at its file and line.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test from 'brittle'
import { checkPackages, checkRanks, checkReachable } from './imports.ts'
import { checkLock, checkManifest, entriesOf } from './manifest.ts'
import { checkShape, checkTables } from './shape.ts'
import type { SourceFile, Violation } from './source.ts'
import { readTree } from './tree.ts'
import { checkPlaces, checkPurity, checkUnfinished } from './words.ts'

const HEADER = '// What this is.\n'

/** Files with a header, so that their first line of code is line 2. */
function plant(files: Record<string, string>): SourceFile[] {
  return Object.entries(files).map(([path, code]) => ({ path, text: HEADER + code }))
}

/** `path:line what`, as short as a test can compare. */
function brief(violations: readonly Violation[]): string[] {
  return violations.map(({ path, line, what }) => `${path}:${line} ${what}`)
}

test('an import upward, sideways or of nothing is reported, also of a type', (t) => {
  const files = plant({
    'lib/assert.ts': "import { a } from '../tickets/codec.ts'",
    'lib/index.ts': "export { a } from './node/node.ts'",
    'lib/node/node.ts': "import { b } from '../raft/core.ts'\nimport { c } from '../assert.ts'",
    'lib/raft/core.ts': "import type { d } from '../log-store/log-store.ts'",
    'lib/log-store/log-store.ts': "import { e } from '../transport/transport.ts'",
    'lib/transport/transport.ts': "\nconst f = await import('./missing.ts')",
    'tickets/codec.ts': "import { assert } from '../lib/assert.ts'\nimport '../lib/raft/core.ts'",
    'lib/gossip/gossip.ts': "import '../index.ts'",
    'lib/odd/odd.ts': "import '../assert.ts'",
    'test/raft/core.test.ts': "import '../../lib/cli/cli.ts'"
  })
  t.alike(brief(checkRanks(files)), [
    'lib/assert.ts:2 lib imports tickets: up',
    'lib/raft/core.ts:2 lib/raft imports lib/log-store: up',
    'lib/log-store/log-store.ts:2 lib/log-store imports lib/transport: sideways',
    'lib/transport/transport.ts:3 imports ./missing.ts, which is not there',
    'tickets/codec.ts:3 tickets imports lib/raft: up',
    'lib/gossip/gossip.ts:2 lib/gossip imports bin: up',
    'lib/odd/odd.ts:2 lies in lib/odd, which has no rank'
  ])
})

test('a file that the README beside it does not name is reported', (t) => {
  const files = plant({
    'lib/raft/README.md': 'Read `core.ts`, log.ts (and `status-entry.ts`).',
    'lib/raft/core.ts': '',
    'lib/raft/entry.ts': '',
    'lib/raft/log.ts': '',
    'lib/raft/status-entry.ts': '',
    'lib/gossip/gossip.ts': '',
    'lib/README.md': 'the map',
    'lib/assert.ts': '',
    'test/raft/core.test.ts': ''
  })
  t.alike(brief(checkTables(files)), ['lib/raft/entry.ts:1 is not in lib/raft/README.md'])
})

test('a barrel is reported outside the doors of the package', (t) => {
  const files = plant({
    'lib/raft/raft.ts': "export { a } from './core.ts'\nexport type {\n  b\n} from './core.ts'",
    'lib/raft/core.ts': "export * from './entry.ts'\nexport * as c from './entry.ts'",
    'lib/raft/entry.ts': 'export const a = 1',
    'lib/client/client.ts': "export { a } from '../raft/entry.ts'"
  })
  t.alike(brief(checkRanks(files)), [
    'lib/raft/raft.ts:2 re-exports another file',
    'lib/raft/raft.ts:5 re-exports another file',
    'lib/raft/core.ts:2 re-exports another file',
    'lib/raft/core.ts:3 re-exports another file'
  ])
})

test('a package away from its home, one without home, and Node in pure files are reported', (t) => {
  const files = plant({
    'lib/service/a.ts':
      "import type { Logger } from 'pino'\nimport { Type } from '@sinclair/typebox'",
    'lib/http/b.ts': "import f from 'fastify'\nimport g from '@fastify/x/y'\nimport b from 'b4a'",
    'lib/node/c.ts': "import f from '@fastify/x'\nimport p from 'pino'\nimport fs from 'node:fs'",
    'lib/raft/d.ts': "import { Type } from '@sinclair/typebox'\nimport fs from 'node:fs'",
    'lib/crypto.ts': "import sodium from 'sodium-universal'",
    'lib/random.ts': "import sodium from 'sodium-universal'",
    'lib/service/encoding.ts': "import { Buffer } from 'node:buffer'\nimport l from 'left-pad'",
    'lib/cluster/e.ts': "import { setTimeout as wait } from 'node:timers/promises'",
    'test/f.test.ts': "import p from 'pino'"
  })
  t.alike(brief(checkPackages(files)), [
    'lib/service/a.ts:2 imports pino, whose home is lib/node',
    'lib/node/c.ts:2 imports @fastify/x, whose home is lib/http',
    'lib/raft/d.ts:2 imports @sinclair/typebox',
    'lib/raft/d.ts:3 is pure and imports node:fs',
    'lib/random.ts:2 imports sodium-universal, whose home is lib/crypto.ts',
    'lib/service/encoding.ts:2 is pure and imports node:buffer',
    'lib/service/encoding.ts:3 imports left-pad, which has no home',
    'lib/cluster/e.ts:2 imports node:timers/promises: time is an argument'
  ])
})

test('waiting, timers and the machine are reported in pure files, not in their comments', (t) => {
  const files = plant({
    'lib/raft/a.ts': "async function f() {}\n// await Promise\nconst s = 'setTimeout'\nawait f()",
    'lib/replica/b.ts': 'const p: Promise<void> = f()\np.then(g)',
    'lib/gossip/c.ts': 'const t = Date.now()\nMath.random()\nprocess.exit()\nperformance.now()',
    'lib/supervision/d.ts':
      'setInterval(f, 1)\nthis.process()\nconsole.log(1)\nsystemClock.nowMs()',
    'lib/supervision/supervisor.ts': 'await f()',
    'lib/log-store/encoding.ts': 'queueMicrotask(f)',
    'tickets/e.ts': 'new Date()'
  })
  t.alike(
    brief(checkPurity(files)).map((line) => line.replace(/: .*/, '')),
    [
      'lib/raft/a.ts:2 async',
      'lib/raft/a.ts:5 await',
      'lib/replica/b.ts:2 Promise',
      'lib/replica/b.ts:3 .then',
      'lib/gossip/c.ts:2 Date',
      'lib/gossip/c.ts:3 Math.random',
      'lib/gossip/c.ts:4 process',
      'lib/gossip/c.ts:5 performance',
      'lib/supervision/d.ts:2 setInterval',
      'lib/supervision/d.ts:4 console',
      'lib/supervision/d.ts:5 systemClock',
      'lib/log-store/encoding.ts:2 queueMicrotask',
      'tickets/e.ts:2 Date'
    ]
  )
})

test('above the ports nobody asks the clock, and memory ports do not either', (t) => {
  const clock = 'setTimeout(f, 1)\nDate.now()\nMath.random()\nnew Date()\ntimers.start(1, f)'
  const files = plant({
    'lib/cluster/a.ts': clock,
    'lib/transport/memory-network.ts': 'setImmediate(f)\nperformance.now()',
    'lib/transport/network.ts': clock,
    'lib/clock.ts': clock,
    'lib/cli/cli.ts': clock,
    'test/a.test.ts': clock
  })
  t.alike(
    checkPurity(files).map(({ path, line }) => `${path}:${line}`),
    [
      'lib/cluster/a.ts:2',
      'lib/cluster/a.ts:3',
      'lib/cluster/a.ts:4',
      'lib/cluster/a.ts:5',
      'lib/transport/memory-network.ts:2',
      'lib/transport/memory-network.ts:3'
    ]
  )
})

test('a missing header, a long file, a long function and a default export are reported', (t) => {
  const lines = (count: number): string => '  x()\n'.repeat(count)
  const files = [
    { path: 'lib/a.ts', text: 'export const a = 1\n' },
    { path: 'bin/b.ts', text: '#!/usr/bin/env node\n// What this is.\nf()\n' },
    ...plant({
      'lib/c.ts': lines(399),
      'lib/d.ts': lines(400),
      'lib/e.ts': `export function e(): void {\n${lines(58)}}\n`,
      'lib/f.ts': `\nclass F {\n  #f(): { a: 1 } {\n${lines(59)}  }\n}\n`,
      'test/g.test.ts': `test('g', async (t) => {\n${lines(59)}})\n`,
      'lib/h.ts': `class H {\n${lines(100)}}\nexport default H`,
      'lib/i.ts': 'const i = 1\nexport { i as default }'
    })
  ]
  t.alike(brief(checkShape(files)), [
    'lib/a.ts:1 has no header comment',
    'lib/d.ts:401 has 401 lines of at most 400',
    'lib/f.ts:4 has a function of 61 lines of at most 60',
    'test/g.test.ts:2 has a function of 61 lines of at most 60',
    'lib/h.ts:104 has a default export',
    'lib/i.ts:3 has a default export'
  ])
})

test('a file that no entry point reaches is reported, and a worker is reached', (t) => {
  const files = plant({
    'bin/aspen.ts': "import '../lib/cli/cli.ts'",
    'lib/cli/cli.ts': "const w = new Worker(new URL('./work.js', import.meta.url))",
    'lib/cli/work.ts': "const late = await import('./late.ts')",
    'lib/cli/late.ts': "import type { T } from '../assert.ts'",
    'lib/assert.ts': '',
    'lib/lost.ts': "import './assert.ts'",
    'test/lost.test.ts': "import '../lib/lost.ts'"
  })
  t.alike(brief(checkReachable(files, ['bin/aspen.ts', 'lib/index.ts'])), [
    'lib/index.ts:1 is an entry point in package.json and not there',
    'lib/lost.ts:1 is reached from no entry point'
  ])
})

test('signs of unfinished work, silenced tools and narrowed tests are reported', (t) => {
  const [later, broken, look] = ['TO-DO', 'FIX-ME', 'XX-X'].map((word) => word.replace('-', ''))
  const [checker, linter] = ['@ts-!ignore', 'oxlint-!disable'].map((word) => word.replace('!', ''))
  const files = plant({
    'lib/a.ts': `// ${later} this\nconst todo = 1`,
    'README.md': `${broken}\n\n${look}`,
    'lib/b.ts': `// ${checker}\n/* ${linter} */`,
    'test/c.test.ts': "test.solo('c', f)\ntest.skip('d', f)\nsolo('e', f)\nconst s = 'test.only('"
  })
  t.alike(
    checkUnfinished(files).map(({ path, line }) => `${path}:${line}`),
    [
      'lib/a.ts:2',
      'README.md:2',
      'README.md:4',
      'lib/b.ts:2',
      'lib/b.ts:3',
      'test/c.test.ts:2',
      'test/c.test.ts:3',
      'test/c.test.ts:4'
    ]
  )
})

test('paths of a machine and hosts of a registry are reported', (t) => {
  const [home, users] = ['home', 'Users'].map((folder) => `/${folder}/ann`)
  const host = ['registry', 'npmjs', 'org'].join('.')
  const files = plant({
    'lib/a.ts': `const a = '${home}/aspen'\nconst b = 'https://${host}/x'`,
    'CONTRIBUTING.md': `see ${users}/x\nhttp://mirror.example/x\n~/home/x, docs/work/x and ${home?.replace('ann', 'me')}`
  })
  t.alike(brief(checkPlaces(files, ['mirror.example'])), [
    `lib/a.ts:2 ${home}: a path of somebody's machine`,
    `lib/a.ts:3 ${host}: the registry is the business of who installs`,
    `CONTRIBUTING.md:2 ${users}: a path of somebody's machine`,
    'CONTRIBUTING.md:3 mirror.example: the registry is the business of who installs'
  ])
})

test('a range for a pinned package, a package without home and new install scripts are reported', (t) => {
  const manifest = {
    bin: { aspen: 'dist/bin/aspen.js' },
    exports: { './tickets': { default: './dist/tickets/tickets.js' } },
    dependencies: { b4a: '^1.0.0', hyperdht: '^6.0.0', hyperswarm: '4.17.2', 'left-pad': '1.0.0' },
    allowScripts: { 'better-sqlite3': true }
  }
  const packages = {
    'node_modules/better-sqlite3': { hasInstallScript: true },
    'node_modules/a/node_modules/evil': { hasInstallScript: true },
    'node_modules/b4a': {},
    'node_modules/c': { optionalDependencies: { 'c-linux': '1.0.0', 'c-win32': '1.0.0' } },
    'node_modules/c-linux': {}
  }
  const file = { path: 'package.json', text: JSON.stringify(manifest, null, 2) }
  t.alike(brief(checkManifest(file, manifest)), [
    'package.json:12 hyperdht ^6.0.0 is a range',
    'package.json:14 left-pad has no home'
  ])
  const text = `${JSON.stringify({ packages }, null, 2)}\n"resolved": "https://x"`
  const lock = { path: 'package-lock.json', text }
  t.alike(brief(checkLock(lock, { packages }, manifest)), [
    'package-lock.json:6 evil has an install script',
    'package-lock.json:10 c-win32, an option of node_modules/c, is missing, and `npm ci` refuses that',
    'package-lock.json:19 names the address of a registry'
  ])
  t.alike(entriesOf(manifest), ['bin/aspen.ts', 'tickets/tickets.ts'])
})

test('the tree is read from a folder, without what was built or installed', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'aspen-tidy-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }), { force: true })
  for (const path of ['lib/raft/a.ts', 'node_modules/x/x.ts', 'dist/a.js', '.ci/run', 'a.png']) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), path)
  }
  t.alike(readTree(root), [
    { path: '.ci/run', text: '.ci/run' },
    { path: 'lib/raft/a.ts', text: 'lib/raft/a.ts' }
  ])
})
