// Nodes stop and start again, one or all: the cluster re-forms by itself from what it saved.

import test from 'brittle'
import { freePorts } from '../ports.ts'
import { Lab } from './lab.ts'

const LIMIT = { timeout: 240_000 }
const NAMES = ['alder', 'birch', 'cedar']

const lab = await Lab.open()
await lab.cluster(NAMES)
await lab.voters('cedar', 3)

test(
  'stop and start of one node: it says so when it runs already, and catches up',
  LIMIT,
  async (t) => {
    const again = await lab.aspen('cedar', ['start'])
    t.is(again.code, 0)
    t.ok(/already|runs/.test(again.stdout + again.stderr), again.stdout + again.stderr)
    await lab.run('cedar', ['stop'])
    await lab.run('alder', ['kv', 'put', 'meanwhile', 'written', '--timeout', '20s'])
    await lab.run('cedar', ['start'])
    t.is(await lab.run('cedar', ['kv', 'get', 'meanwhile', '--timeout', '20s']), 'written')
    t.is((await lab.aspen('cedar', ['stop'])).code, 0)
    t.is((await lab.aspen('cedar', ['stop'])).code, 0, 'stopping what does not run is no error')
    await lab.run('cedar', ['start'])
  }
)

test('with every port changed, it finds itself over the DHT', LIMIT, async (t) => {
  await lab.run('birch', ['kv', 'put', 'kept', 'yes', '--timeout', '20s'])
  const before = await Promise.all(NAMES.map(async (name) => (await lab.status(name)).addresses))
  for (const name of NAMES) await lab.kill(name)

  const ports = await freePorts(NAMES.length)
  const startedMs = performance.now()
  await Promise.all(
    NAMES.map((name, index) => lab.run(name, ['start', '--port', String(ports[index])]))
  )
  t.is(await lab.run('alder', ['kv', 'get', 'kept', '--timeout', '60s']), 'yes')
  t.comment(`three starts to a linearizable read: ${(performance.now() - startedMs).toFixed(0)} ms`)
  const after = await Promise.all(NAMES.map(async (name) => (await lab.status(name)).addresses))
  t.unlike(after, before, 'the ports are really others')
})

test(
  'with the bootstrap dead, a cluster that was killed as a whole finds itself by saved addresses',
  LIMIT,
  async (t) => {
    await lab.run('birch', ['kv', 'put', 'kept', 'longer', '--timeout', '20s'])
    for (const name of NAMES) await lab.kill(name)
    await lab.killDht()

    const startedMs = performance.now()
    await Promise.all(NAMES.map((name) => lab.run(name, ['start'])))
    t.is(await lab.run('cedar', ['kv', 'get', 'kept', '--timeout', '30s']), 'longer')
    t.comment(
      `three starts to a linearizable read: ${(performance.now() - startedMs).toFixed(0)} ms`
    )
    await lab.run('alder', ['kv', 'put', 'kept', 'still', '--timeout', '30s'])
    t.is(await lab.run('birch', ['kv', 'get', 'kept']), 'still')
    await lab.close()
  }
)
