// The runner must not be fooled: each way in which a test file can go wrong is planted in a
// temporary folder and must end as a failure with the right last line and exit code.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { LONG_FILES } from './runner/parts.ts'

const RUNNER = join(import.meta.dirname, 'runner.js')
const SKIP = join(import.meta.dirname, 'skip.js')
const BRITTLE = `import test from ${JSON.stringify(import.meta.resolve('brittle'))}\n`

interface Run {
  readonly lines: readonly string[]
  readonly lastLine: string
  readonly code: number | null
}

/** Writes `files` into a fresh folder and runs the runner over it. */
function run(t: Assert, files: Record<string, string>, parts: readonly string[] = []): Run {
  const root = mkdtempSync(join(tmpdir(), 'aspen-runner-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }), { force: true })
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
  for (const [path, body] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), body)
  }
  const args = [RUNNER, '--root', root, '--limit', '3', ...parts]
  const { stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  const lines = stdout.trimEnd().split('\n')
  return { lines, lastLine: lines.at(-1) ?? '', code: status }
}

test('passing files are summed and the exit code is 0', (t) => {
  const result = run(t, {
    'a.test.js': `${BRITTLE}test('one', (t) => t.pass())\ntest('two', (t) => t.pass())`,
    'deep/b.test.js': `${BRITTLE}test('three', (t) => t.pass())`,
    'deep/not-a-test.js': 'throw new Error()'
  })
  t.is(result.lastLine, '3 passed, 0 failed')
  t.is(result.code, 0)
})

test('a failing assertion fails its test and shows its output', (t) => {
  const result = run(t, {
    'a.test.js': `${BRITTLE}test('good', (t) => t.pass())\ntest('bad', (t) => t.is(1, 2, 'sum'))`
  })
  t.is(result.lastLine, '1 passed, 1 failed')
  t.is(result.code, 1)
  t.ok(result.lines.some((line) => line.includes('not ok 1 - sum')))
})

test('a file that throws fails although brittle prints no summary', (t) => {
  const body = `${BRITTLE}test('good', (t) => t.pass())\ntest('bad', () => { throw new Error('no') })`
  const result = run(t, { 'a.test.js': body })
  t.is(result.lastLine, '0 passed, 1 failed')
  t.is(result.code, 1)
})

test('a file without tests fails, with and without the import of brittle', (t) => {
  const result = run(t, { 'a.test.js': '', 'b.test.js': BRITTLE })
  t.is(result.lastLine, '0 passed, 2 failed')
  t.is(result.code, 1)
})

test('a file whose plan is empty fails', (t) => {
  const body = "console.log('TAP version 13\\n\\n1..0\\n# tests = 0/0 pass\\n\\n# ok')"
  t.is(run(t, { 'a.test.js': body }).lastLine, '0 passed, 1 failed')
})

test('a file that hangs is killed with its children at the limit', (t) => {
  const child = "spawn('sleep', ['7919'], { stdio: 'inherit' })"
  const body = `import { spawn } from 'node:child_process'\n${BRITTLE}
    test('good', (t) => t.pass())\nconsole.log('child ' + ${child}.pid)\nsetInterval(() => {}, 1e9)`
  const result = run(t, { 'a.test.js': body, 'b.test.js': `${BRITTLE}test('b', (t) => t.pass())` })
  t.is(result.lastLine, '1 passed, 1 failed')
  t.ok(result.lines.some((line) => line.includes('killed: still running after 3 s')))
  const pid = Number(/child (\d+)/.exec(result.lines.join('\n'))?.[1])
  t.ok(pid > 0, 'the child said its process id')
  t.ok(hasEnded(pid), 'the child is gone')
})

test('a file whose tests pass but whose exit code is not 0 fails', (t) => {
  const body = `${BRITTLE}test('one', (t) => t.pass())\nprocess.on('exit', () => { process.exitCode = 3 })`
  t.is(run(t, { 'a.test.js': body }).lastLine, '1 passed, 1 failed')
})

test('a skip is listed with its reason and counts neither as passed nor as failed', (t) => {
  const result = run(t, {
    'a.test.js': `${BRITTLE}import { isSkipped } from ${JSON.stringify(SKIP)}
      Object.defineProperty(process, 'platform', { value: 'win32' })
      test('needs signals', (t) => { if (isSkipped(t, 'unix')) return; t.fail() })
      test('good', (t) => t.pass())`
  })
  t.is(result.lastLine, '1 passed, 0 failed')
  t.is(result.code, 0)
  t.ok(result.lines.includes('skipped: 1'))
  const reason = 'Windows has neither signals nor file permissions'
  t.ok(result.lines.includes(`  a.test.js: needs signals: ${reason}`))
})

test('parts select folders and files, and slow parts run only when named', (t) => {
  const pass = `${BRITTLE}test('one', (t) => t.pass())`
  const files = {
    'raft/log.test.js': pass,
    'raft/vote.test.js': pass,
    'raft.test.js': pass,
    'tidy.test.js': pass,
    'e2e/join.test.js': pass,
    'sim/deep/long.test.js': pass
  }
  t.is(run(t, files).lastLine, '4 passed, 0 failed')
  t.is(run(t, files, ['raft']).lastLine, '3 passed, 0 failed')
  t.is(run(t, files, ['raft/log', 'e2e']).lastLine, '2 passed, 0 failed')
  t.is(run(t, files, ['tidy', 'sim']).lastLine, '2 passed, 0 failed')
  t.is(run(t, files, ['test/raft/log.test.ts', 'test/e2e/']).lastLine, '2 passed, 0 failed')
})

test('a part that does not exist fails, and so does an empty folder', (t) => {
  const result = run(t, { 'a.test.js': `${BRITTLE}test('one', (t) => t.pass())` }, ['raftt'])
  t.is(result.lastLine, '0 passed, 1 failed')
  t.is(result.code, 1)
  t.is(run(t, {}).lastLine, '0 passed, 1 failed')
})

test('files of a part run beside each other, as many as the table or --jobs says', (t) => {
  const meeting = (names: readonly string[], waitMs = 20_000): Record<string, string> =>
    Object.fromEntries(names.map((name) => [`e2e/${name}.test.js`, meets(name, names, waitMs)]))
  const four = ['a', 'b', 'c', 'd']
  const limit = ['--limit', '25']
  t.is(run(t, meeting(['a', 'b', 'c']), ['e2e', ...limit]).lastLine, '3 passed, 0 failed')
  t.is(run(t, meeting(four), ['e2e', '--jobs', '4', ...limit]).lastLine, '4 passed, 0 failed')
  t.is(run(t, meeting(['a', 'b'], 300), ['e2e', '--jobs', '1']).lastLine, '1 passed, 1 failed')
})

test('files that measure run alone, whatever --jobs says, and so do parts', (t) => {
  const alone = `${BRITTLE}import { rmSync, writeFileSync } from 'node:fs'
    test('alone', async (t) => {
      const lock = import.meta.dirname + '/../lock'
      writeFileSync(lock, '', { flag: 'wx' })
      await new Promise((resolve) => setTimeout(resolve, 200))
      rmSync(lock)
      t.pass()
    })`
  const files = { 'bench/a.test.js': alone, 'bench/b.test.js': alone, 'e2e/c.test.js': alone }
  t.is(run(t, files, ['bench', 'e2e', '--jobs', '3']).lastLine, '3 passed, 0 failed')
})

test('what files print beside each other comes out in one piece each', (t) => {
  const body = (name: string): string => `${BRITTLE}test('slow', async (t) => {
      for (let count = 0; count < 20; count++) {
        console.log('${name} says ' + count)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      t.fail()
    })`
  const names = ['a', 'b', 'c']
  const files = names.map((name) => [`e2e/${name}.test.js`, body(name)] as const)
  const { lines, lastLine } = run(t, Object.fromEntries(files), ['e2e'])
  t.is(lastLine, '0 passed, 3 failed')
  const said = lines.flatMap((line) => / {6}\| (\w) says \d+$/.exec(line)?.[1] ?? [])
  t.is(said.length, 60, 'everything is there')
  t.is(said.filter((name, at) => name !== said[at - 1]).length, 3, said.join(''))
})

test('one that crashes and one that hangs take nothing from the one beside them', (t) => {
  const result = run(
    t,
    {
      'e2e/crash.test.js': `${BRITTLE}test('bad', () => process.kill(process.pid, 'SIGKILL'))`,
      'e2e/empty.test.js': '',
      'e2e/good.test.js': `${BRITTLE}import { isSkipped } from ${JSON.stringify(SKIP)}
        Object.defineProperty(process, 'platform', { value: 'win32' })
        test('needs signals', (t) => { if (isSkipped(t, 'unix')) return; t.fail() })
        test('one', async (t) => {
          await new Promise((resolve) => setTimeout(resolve, 1_000))
          t.pass()
        })`,
      'e2e/hang.test.js': `${BRITTLE}test('good', (t) => t.pass())\nsetInterval(() => {}, 1e9)`
    },
    ['e2e']
  )
  t.is(result.lastLine, '1 passed, 3 failed')
  t.is(result.code, 1)
  t.ok(result.lines.includes('skipped: 1'))
  for (const failure of [
    'failed: e2e/crash.test.js: died of SIGKILL',
    'failed: e2e/empty.test.js: ended with exit code 0 and no summary: it threw, or holds no test',
    'failed: e2e/hang.test.js: killed: still running after 3 s'
  ]) {
    t.ok(result.lines.includes(failure), failure)
  }
})

test('the files that take longest begin first, and there are such files', (t) => {
  for (const name of LONG_FILES) {
    t.ok(existsSync(join(import.meta.dirname, `${name}.test.js`)), name)
  }
  const pass = `${BRITTLE}test('one', (t) => t.pass())`
  const [first, second] = LONG_FILES.filter((name) => name.startsWith('e2e/'))
  const names = ['e2e/a', String(second), String(first)]
  const files = Object.fromEntries(names.map((name) => [`${name}.test.js`, pass]))
  const { lines } = run(t, files, ['e2e', '--jobs', '1'])
  const order = lines.flatMap((line) => /^ok {4}(\S+)\.test\.js/.exec(line)?.[1] ?? [])
  t.alike(order, [first, second, 'e2e/a'])
})

/** A test that passes when all of `names` have begun before it ends. */
function meets(name: string, names: readonly string[], waitMs: number): string {
  return `${BRITTLE}import { existsSync, writeFileSync } from 'node:fs'
    test('meets', { timeout: 60_000 }, async (t) => {
      const here = (name) => import.meta.dirname + '/' + name + ' is here'
      writeFileSync(here('${name}'), '')
      const others = ${JSON.stringify(names)}
      const endMs = Date.now() + ${waitMs}
      while (Date.now() < endMs && !others.every((other) => existsSync(here(other)))) {
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      t.ok(others.every((other) => existsSync(here(other))))
    })`
}

/** Whether the process is gone, or dead and only waits for somebody to ask how it ended. */
function hasEnded(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return stdout.trim() === '' || stdout.startsWith('Z')
}
