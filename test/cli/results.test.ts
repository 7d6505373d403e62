// What is printed when a node has started.

import test from 'brittle'
import { Output } from '../../lib/cli/output.ts'
import { printJoined, printStarted } from '../../lib/cli/results.ts'
import { openNode, KeptStream } from './run-cli.ts'

test('a start without a leader says so, once a leader could have been heard of', async (t) => {
  const { run } = await openNode(t)
  const status = JSON.parse((await run(['status', '--json'])).stdout)
  const printed = (leader: number | null, uptimeMs: number): string => {
    const stdout = new KeptStream()
    const forms = { isJson: false, isQuiet: false, isColourWanted: false }
    const output = new Output({ stdout, stderr: new KeptStream(), env: {}, ...forms })
    const target = { dataDir: '/d', name: 'alder', selector: ' --name alder' }
    const shown = { ...status, leader, uptime_ms: uptimeMs }
    printStarted(shown, { output, target, nowMs: 0 }, false)
    return stdout.text
  }
  t.ok(/no leader yet: .*'aspen status --name alder' shows it\n$/.test(printed(null, 2_000)))
  t.absent(printed(null, 100).includes('no leader'), 'it cannot know yet')
  t.absent(printed(1, 2_000).includes('no leader'))
})

test('a node in memory says that all of it is gone when it ends', async (t) => {
  const { run } = await openNode(t)
  const status = JSON.parse((await run(['status', '--json'])).stdout)
  for (const backend of ['sqlite', 'inmemory']) {
    const stdout = new KeptStream()
    const forms = { isJson: false, isQuiet: false, isColourWanted: false }
    const output = new Output({ stdout, stderr: new KeptStream(), env: {}, ...forms })
    const shown = { ...status, storage: { ...status.storage, backend } }
    const ready = { status: shown, ticket: null, wasMember: false, httpPortTaken: null }
    const target = { dataDir: '/d', name: 'alder', selector: '' }
    printJoined(ready, { output, target, nowMs: 0, tookMs: 1 })
    t.is(stdout.text.includes('gone when this node ends'), backend === 'inmemory')
  }
})
