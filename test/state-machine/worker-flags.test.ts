// The flags with which threads start.

import test from 'brittle'
import { execFileSync } from 'node:child_process'
import { workerFlags } from '../../lib/state-machine/worker-flags.ts'

test('a thread starts with the flags of its process, but for what is about the program itself', (t) => {
  t.alike(workerFlags([]), [])
  const kept = ['--enable-source-maps', '--max-old-space-size=200']
  t.alike(workerFlags(['--input-type=module', ...kept]), kept)
  t.alike(workerFlags([...kept, '--input-type', 'module']), kept)
})

test('a thread of a program on standard input starts', (t) => {
  const url = new URL('../../lib/state-machine/worker-flags.js', import.meta.url)
  const program = [
    "import { Worker } from 'node:worker_threads'",
    `import { workerFlags } from ${JSON.stringify(url.href)}`,
    `const worker = new Worker(new URL(${JSON.stringify(url.href)}), { execArgv: workerFlags(process.execArgv) })`,
    "worker.on('exit', (code) => console.log(`ended ${code}`))"
  ]
  const output = execFileSync(process.execPath, ['--input-type=module'], {
    input: program.join('\n'),
    encoding: 'utf8'
  })
  t.is(output, 'ended 0\n')
})
