// A log that is damaged on the disk of one node, with real nodes: it is put together again by the others, or
// the start is refused; no wrong byte is served.

import test from 'brittle'
import { EXIT } from '../../lib/errors.ts'
import { agree, harm } from './harm.ts'
import { Lab } from './lab.ts'
import { refused } from './refusal.ts'

const LIMIT = { timeout: 240_000 }
const lab = await Lab.open()
await lab.cluster(['alder', 'birch', 'cedar'])
await lab.voters('cedar', 3)

test(
  'STO-07: damaged entries of one node are given back by the others, before it votes',
  LIMIT,
  async (t) => {
    for (let n = 0; n < 20; n++) await lab.put('alder', `key-${n}`, `precious-${n}-value`)
    await agree(lab, ['alder', 'birch', 'cedar'])
    await lab.run('birch', ['stop'])
    const count = [3, 7, 8, 9, 19].map((n) => harm(lab, 'birch', `precious-${n}-value`))
    t.ok(
      count.every((found) => found > 0),
      `${count.join(', ')} places harmed`
    )
    await lab.put('alder', 'key-3', 'later')
    await lab.run('birch', ['start'])
    const log = (await lab.aspen('birch', ['logs', '-n', '50'])).stdout
    t.ok(log.includes('asking other members for what cannot be read'), log)
    t.ok(log.includes('the log is whole again'), log)
    await agree(lab, ['alder', 'birch', 'cedar'])
    t.is(await lab.run('birch', ['kv', 'get', 'key-8', '--timeout', '30s']), 'precious-8-value')
    t.is(await lab.run('birch', ['kv', 'get', 'key-3']), 'later')
  }
)

test(
  'what was repaired stays whole over another start, and its node can lead',
  LIMIT,
  async (t) => {
    await lab.run('birch', ['stop'])
    await lab.run('birch', ['start'])
    await lab.kill('alder')
    await lab.put('birch', 'after', 'all')
    t.is(await lab.run('cedar', ['kv', 'get', 'after', '--timeout', '30s']), 'all')
    await lab.run('alder', ['start'])
  }
)

test(
  'a recovery that would look from a damaged log, with nobody to repair it, says so in time',
  LIMIT,
  async (t) => {
    await Promise.all(['alder', 'birch', 'cedar'].map((name) => lab.run(name, ['stop'])))
    t.ok(harm(lab, 'birch', 'precious-8-value') > 0)
    const refusal = await refused('birch', ['recover', '--timeout', '3s'], { lab })
    t.alike([refusal.exitCode, refusal.code], [EXIT.unavailable, 'UNAVAILABLE'])
    t.ok(refusal.line.includes('is damaged, and no member in reach'), refusal.line)
    t.ok(refusal.tookMs < 20_000, `${Math.round(refusal.tookMs)} ms`)
    await Promise.all(['alder', 'birch', 'cedar'].map((name) => lab.run(name, ['start'])))
    await agree(lab, ['alder', 'birch', 'cedar'])
  }
)

test(
  'a node alone in its cluster refuses to start on a damaged log, and says which entry',
  LIMIT,
  async (t) => {
    await lab.run('solo', ['create', '--name', 'solo', '--quiet'])
    await lab.put('solo', 'key', 'only-copy-of-this')
    await lab.run('solo', ['stop'])
    t.ok(harm(lab, 'solo', 'only-copy-of-this') > 0)
    const start = await lab.aspen('solo', ['start'])
    t.is(start.code, EXIT.integrity)
    t.ok(/the log is damaged: entry \d+/.test(start.stderr), start.stderr)
    await lab.close()
  }
)
