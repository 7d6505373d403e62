// The log of a background node: bounded, read back, followed; and `aspen logs`.

import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeSync
} from 'node:fs'
import test from 'brittle'
import { logFileOf, maybeRotate, olderLogFilesOf, openLogFile } from '../../lib/cli/log-file.ts'
import { lastLogLines, LogFollower } from '../../lib/cli/log-reader.ts'
import { MAX_NODE_LOG_BYTES } from '../../lib/log-limits.ts'
import { runCli } from './run-cli.ts'

const RECORD = JSON.stringify({
  level: 'warn',
  ts: '2026-05-01T12:00:00.000Z',
  component: 'replica',
  term: 7,
  msg: 'a leader was lost'
})

test('the log file is private and appended to', async (t) => {
  const dataDir = await t.tmp()
  for (const line of ['one\n', 'two\n']) {
    const descriptor = openLogFile(dataDir)
    writeSync(descriptor, line)
    closeSync(descriptor)
  }
  t.is(statSync(logFileOf(dataDir)).mode & 0o777, 0o600)
  t.alike(lastLogLines(dataDir, 10), ['one', 'two'])
  t.alike(lastLogLines(dataDir, 1), ['two'])
  t.alike(lastLogLines(dataDir, 0), [])
})

test('a full log is kept and begun again, under the descriptors that write to it', async (t) => {
  const dataDir = await t.tmp()
  const descriptor = openLogFile(dataDir)
  t.teardown(() => closeSync(descriptor))
  writeSync(descriptor, 'x'.repeat(MAX_NODE_LOG_BYTES - 1))
  t.absent(maybeRotate(dataDir, descriptor))
  writeSync(descriptor, '\n')
  t.ok(maybeRotate(dataDir, descriptor))
  writeSync(descriptor, 'after\n')
  t.is(readFileSync(logFileOf(dataDir), 'utf8'), 'after\n')
  const [newest = ''] = olderLogFilesOf(dataDir)
  t.is(statSync(newest).size, MAX_NODE_LOG_BYTES)
  t.is(statSync(newest).mode & 0o777, 0o600)
  t.is(lastLogLines(dataDir, 2).length, 2, 'read across both')
})

test('the log is five files at most, and is read across all of them', async (t) => {
  const dataDir = await t.tmp()
  const descriptor = openLogFile(dataDir)
  t.teardown(() => closeSync(descriptor))
  for (let round = 1; round <= 6; round++) {
    writeSync(descriptor, `round ${round}\n`.padEnd(MAX_NODE_LOG_BYTES - 1, 'x'))
    writeSync(descriptor, '\n')
    t.ok(maybeRotate(dataDir, descriptor))
  }
  writeSync(descriptor, 'now\n')
  const rounds = lastLogLines(dataDir, 100).filter((line) => !line.startsWith('x'))
  t.alike(rounds, ['round 3', 'round 4', 'round 5', 'round 6', 'now'])
  t.alike(
    olderLogFilesOf(dataDir).map((path) => existsSync(path)),
    [true, true, true, true]
  )
  t.absent(existsSync(`${logFileOf(dataDir)}.5`))
})

test('a follower sees each new line once, also when the file is emptied or replaced', async (t) => {
  const dataDir = await t.tmp()
  const path = logFileOf(dataDir)
  appendFileSync(path, 'old\n')
  const lines: string[] = []
  const follower = new LogFollower(dataDir, (line) => lines.push(line))
  t.teardown(() => follower.close())
  follower.poll()
  t.alike(lines, [], 'what was there is not new')
  appendFileSync(path, 'one\nhal')
  follower.poll()
  appendFileSync(path, 'f ü\n')
  follower.poll()
  t.alike(lines, ['one', 'half ü'])
  truncateSync(path, 0)
  appendFileSync(path, 'two\n')
  follower.poll()
  t.alike(lines.slice(2), ['two'], 'emptied')
  renameSync(path, `${path}.gone`)
  follower.poll()
  t.absent(existsSync(path))
  closeSync(openSync(path, 'w'))
  appendFileSync(path, 'a longer line than before, in a new file\n')
  follower.poll()
  t.alike(lines.slice(3), ['a longer line than before, in a new file'], 'replaced')
})

test('logs prints lines for people, or the records as they are', async (t) => {
  const dataDir = await t.tmp()
  appendFileSync(logFileOf(dataDir), `first\n${RECORD}\nTypeError: crashed\n`)
  const human = await runCli(['logs', '--data-dir', dataDir, '-n', '2'])
  t.is(human.code, 0)
  const [line = '', crash] = human.stdout.split('\n')
  t.ok(line.endsWith('warn  replica: a leader was lost term=7'), line)
  t.is(crash, 'TypeError: crashed')
  const raw = await runCli(['logs', '--data-dir', dataDir, '-n', '2', '--json'])
  t.is(raw.stdout, `${RECORD}\nTypeError: crashed\n`)
})
