// Runs the shell and program blocks of README.md, unchanged and in order, against a private DHT: what the
// README tells a reader to type must work. How blocks are marked is in readme/blocks.ts and in
// CONTRIBUTING.md; the blocks that install are the first part of .ci/run.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { runnableBlocks } from './readme/blocks.ts'
import { Machines } from './readme/machines.ts'
import { findRoot } from './tidy/tree.ts'

const TEST_LIMIT_MS = 570_000

test('blocks are found with their machine, and other fences are not', (t) => {
  const markdown = [
    '```sh',
    'aspen create --quiet > ticket.txt',
    '```',
    'text',
    '```sh machine=birch',
    'aspen join --ticket-file ticket.txt',
    '',
    'aspen status',
    '```',
    '```text',
    '```sh',
    '```',
    '````sh install',
    '```',
    'npm ci',
    '````',
    '```js machine=elm',
    'await 0',
    '```'
  ]
  t.alike(runnableBlocks(markdown.join('\n')), [
    { line: 1, language: 'sh', code: 'aspen create --quiet > ticket.txt\n', machine: 'alder' },
    {
      line: 5,
      language: 'sh',
      code: 'aspen join --ticket-file ticket.txt\n\naspen status\n',
      machine: 'birch'
    },
    { line: 13, language: 'sh', code: '```\nnpm ci\n', machine: null },
    { line: 17, language: 'js', code: 'await 0\n', machine: 'elm' }
  ])
})

test('a mark that nobody knows is refused', async (t) => {
  await t.exception(() => runnableBlocks('```sh mashine=birch\n```'), /line 1/)
})

test('every block of the README that is marked to run runs as it is printed', async (t) => {
  t.timeout(TEST_LIMIT_MS)
  const blocks = runnableBlocks(readFileSync(join(findRoot(), 'README.md'), 'utf8'))
  const machines = await Machines.open(join(import.meta.dirname, '..', 'bin', 'aspen.js'))
  t.teardown(() => machines.close(), { force: true })
  t.ok(blocks.length > 0, `${blocks.length} blocks`)
  for (const { line, language, code, machine } of blocks) {
    if (machine === null) continue
    const startedMs = performance.now()
    const outcome = machines.run(machine, code, language)
    const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
    t.is(outcome.code, 0, `README.md:${line} on ${machine}, ${seconds} s`)
    if (outcome.code === 0) continue
    for (const text of [...code.split('\n'), ...outcome.output.split('\n')]) t.comment(text)
  }
})
