// SIGHUP: what may change while a node runs is applied, the rest is said, and a file that is wrong changes nothing.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import type { Assert } from 'brittle'
import { Reloader } from '../../lib/cli/reload.ts'
import { readConfig } from '../../lib/config/config.ts'
import { createLogger } from '../../lib/node/log.ts'

async function open(t: Assert, typed = {}) {
  const dataDir = await t.tmp()
  const path = join(dataDir, 'config.toml')
  const lines: Record<string, unknown>[] = []
  const logger = createLogger({
    level: 'info',
    destination: 'ndjson',
    write: (line) => void lines.push(JSON.parse(line))
  })
  const env = { ASPEN_DATA_DIR: dataDir, ASPEN_LOG_LEVEL: 'info' }
  const { given } = await readConfig({ env, flags: typed, named: null })
  const target = { dataDir, name: null, selector: '' }
  const reloader = new Reloader({ launch: { typed, configPath: null, given, target }, env, logger })
  const reload = async (text: string | null) => {
    if (text === null) rmSync(path)
    else writeFileSync(path, text)
    lines.splice(0)
    await reloader.reload()
    return { level: logger.level, events: lines.map((line) => line['event']), lines }
  }
  return { path, reload }
}

test('the log level of the file counts at once, and goes with the file', async (t) => {
  const { path, reload } = await open(t)
  const up = await reload('log_level = "debug"')
  t.is(up.level, 'debug')
  t.alike(up.events, ['log.level', 'config.reloaded'])
  t.alike([up.lines[1]?.['file'], up.lines[1]?.['changed']], [path, ['log_level']])
  const down = await reload(null)
  t.is(down.level, 'info', 'what the environment says')
  t.alike(down.lines.at(-1)?.['changed'], ['log_level'])
})

test('what needs a start is said, once', async (t) => {
  const { reload } = await open(t)
  const first = await reload('port = 4001\nlog_level = "debug"\nstorage.max_keys = 5')
  t.alike(first.events, ['log.level', 'config.reloaded', 'config.restart_needed'])
  t.alike(first.lines[2]?.['settings'], ['port', 'storage.max_keys'])
  t.is(first.lines[2]?.['msg'], 'from the next start on: port, storage.max_keys')
  const again = await reload('port = 4001\nlog_level = "debug"\nstorage.max_keys = 5')
  t.alike(again.events, ['config.reloaded'], 'a level that stays is no news')
})

test('a file that is wrong changes nothing', async (t) => {
  const { path, reload } = await open(t)
  await reload('log_level = "debug"')
  const wrong = await reload('log_level = "trace"\nport = "x"')
  t.is(wrong.level, 'debug')
  t.alike(wrong.events, ['config.refused'])
  t.alike(wrong.lines[0]?.['err'], {
    code: 'CONFIG_INVALID',
    msg: `port in line 2 of ${path} takes a whole number from 1 to 65535, without quotes, not "x"`
  })
  t.is((await reload('log_level = "warn"')).level, 'warn', 'and the next one is taken')
})

test('what was typed stays', async (t) => {
  const origin = { layer: 'flag', where: '--log-level', line: null } as const
  const { reload } = await open(t, { log_level: { value: 'error', origin } })
  t.is((await reload('log_level = "debug"')).level, 'error')
})
