// The events that the program logs: each has its line in lib/node/README.md, and no line has none.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { VirtualTime } from '../../lib/testing/virtual-time.ts'
import { LogLimit, MAX_LINES_PER_EVENT } from '../../lib/node/log-limit.ts'
import { createLogger, identify } from '../../lib/node/log.ts'

const FOLDERS = ['lib/config', 'lib/node', 'lib/cli', 'lib/http', 'lib/service']
/** What `SnapshotEvent` may say (state-machine.ts). */
const SNAPSHOT_EVENTS = ['refused', 'failed', 'damaged']

interface Source {
  readonly path: string
  readonly text: string
}

function sources(): readonly Source[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name))
      .map((path) => ({ path, text: readFileSync(path, 'utf8') }))
  )
}

function eventsIn(text: string): readonly string[] {
  const plain = [...text.matchAll(/\bevent: '([^']+\.[^']+)'/g)].map(([, event]) => event ?? '')
  const isOfSnapshots = text.includes('event: `storage.snapshot_${event}`')
  return [
    ...plain,
    ...(isOfSnapshots ? SNAPSHOT_EVENTS.map((one) => `storage.snapshot_${one}`) : [])
  ]
}

test('the list of events is complete, and has no others', (t) => {
  const said = new Set(sources().flatMap(({ text }) => eventsIn(text)))
  const [, list = ''] = readFileSync('lib/node/README.md', 'utf8').split('## The log\n')
  const listed = [...list.matchAll(/^\| `([^`]+)`/gm)].map(([, event]) => event ?? '')
  t.alike([...said].toSorted(), listed.toSorted())
  const shape = /^[a-z]+\.[a-z_]+$/
  t.alike(
    listed.filter((event) => !shape.test(event)),
    []
  )
})

test('no line is logged without an event', (t) => {
  const calls =
    /\b(?:logger|events|log)\.(?:trace|debug|info|warn|error|fatal)\(\s*(\{[^}]*\}|[a-z]+)/g
  for (const { path, text } of sources()) {
    for (const [call, first = ''] of text.matchAll(calls)) {
      // an object that has a name is written down just before
      const isNamed = first === 'fields' && /\bfields = \{[^}]*\bevent: /.test(text)
      t.ok(isNamed || first.includes('event: '), `${path}: ${call}`)
    }
  }
})

test('a line says of which component, node and cluster it is', (t) => {
  const lines: string[] = []
  const logger = createLogger({
    level: 'info',
    destination: 'ndjson',
    write: (line) => lines.push(line)
  })
  logger.info({ event: 'node.started' }, 'before')
  identify(logger, { node: 3, cluster: 'c0ffee00' })
  logger.info({ event: 'link.up', peer: 2 }, 'between')
  logger.info({ event: 'raft.status', term: 2 }, 'after')
  const [before = '', , after = ''] = lines
  const { ts: _before, ...first } = JSON.parse(before)
  const { ts: _after, ...second } = JSON.parse(after)
  t.alike(first, { level: 'info', component: 'node', event: 'node.started', msg: 'before' })
  t.alike(second, {
    level: 'info',
    node: 3,
    cluster: 'c0ffee00',
    component: 'raft',
    event: 'raft.status',
    term: 2,
    msg: 'after'
  })
})

test('of an event that repeats some lines a minute are written, and then how many were not', async (t) => {
  const time = new VirtualTime()
  const limit = new LogLimit(time)
  const admitted = (count: number, event: string): number =>
    Array.from({ length: count }, () => limit.admit(event)).filter((left) => left !== null).length
  t.is(admitted(100, 'link.down'), MAX_LINES_PER_EVENT)
  t.is(limit.admit('link.up'), 0, 'another one is not meant')
  await time.run(60_000)
  t.is(limit.admit('link.down'), 100 - MAX_LINES_PER_EVENT)
  await time.run(60_000)
  t.is(limit.admit('link.down'), 0, 'said once')
})

test('what ends a node is never left out', (t) => {
  const lines: string[] = []
  const logger = createLogger({
    level: 'info',
    destination: 'ndjson',
    write: (line) => lines.push(line)
  })
  for (let count = 0; count < 50; count++) logger.warn({ event: 'node.failed' }, 'x')
  logger.fatal({ event: 'node.failed' }, 'the node ends')
  t.is(lines.length, MAX_LINES_PER_EVENT + 1)
  t.ok(lines.at(-1)?.includes('the node ends'))
})
