// Configuration files: what is refused, with the line; what is taken (HTTP-13). The documentation of the
// settings, and the template, are what the table says.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import { MAX_CONFIG_FILE_BYTES } from '../../lib/config-limits.ts'
import { readConfigFile } from '../../lib/config/toml-file.ts'
import { givenIn } from '../../lib/config/layers.ts'
import { CONFIG_KEYS } from '../../lib/config/schema.ts'
import { configTemplate } from '../../lib/config/template.ts'
import { configDocument } from './document.ts'

/** What the file is refused with; FILE stands for its path. */
function refusal(path: string): string {
  try {
    readConfigFile(path)
    return 'accepted'
  } catch (error) {
    if (!(error instanceof AspenError) || error.code !== 'CONFIG_INVALID') throw error
    return error.message.replaceAll(path, 'FILE')
  }
}

const PORTS = 'a whole number from 1 to 65535, without quotes'

/** Each text with its refusal. */
const REFUSED: readonly (readonly [text: string, message: string])[] = [
  [
    '"storage.max_keys" = 5\n[storage]\nmax_keys = 6',
    '"storage.max_keys" in line 1 of FILE is no setting: did you mean storage.max_keys?'
  ],
  [`${'a.'.repeat(50_000)}b = 1`, `${'a.'.repeat(100)}… in line 1 of FILE is no setting`],
  [
    `port = "${'x'.repeat(100_000)}"`,
    `port in line 1 of FILE takes ${PORTS}, not "${'x'.repeat(199)}…`
  ],
  ['"" = 1', '"" in line 1 of FILE is no setting'],
  [
    `port = ${'['.repeat(20_000)}${']'.repeat(20_000)}`,
    'the configuration file FILE cannot be read: it is nested too deep'
  ],
  ['port = "80"', `port in line 1 of FILE takes ${PORTS}, not "80"`],
  ['port = 80.0', `port in line 1 of FILE takes ${PORTS}, not 80.0`],
  ['port = nan', `port in line 1 of FILE takes ${PORTS}, not nan`],
  ['port = true', `port in line 1 of FILE takes ${PORTS}, not true`],
  ['port = 2026-01-02', `port in line 1 of FILE takes ${PORTS}, not 2026-01-02`],
  ['port = 0', `port in line 1 of FILE takes ${PORTS}, not 0`],
  ['port = -1', `port in line 1 of FILE takes ${PORTS}, not -1`],
  [
    'port = 99999999999999999999',
    `port in line 1 of FILE takes ${PORTS}, not 99999999999999999999`
  ],
  ['port = [1]', `port in line 1 of FILE takes ${PORTS}, not [1]`],
  ['port = { a = 1 }', `port in line 1 of FILE takes ${PORTS}, not a table`],
  ['port = {}', `port in line 1 of FILE takes ${PORTS}, not a table`],
  ['[port]', `port in line 1 of FILE takes ${PORTS}, not a table`],
  ['gossip = "true"', 'gossip in line 1 of FILE takes true or false, without quotes, not "true"'],
  ['gossip = 1', 'gossip in line 1 of FILE takes true or false, without quotes, not 1'],
  ['timing = "moon"', 'timing in line 1 of FILE takes one of: "default", "lan", "wan", not "moon"'],
  [
    'name = 5',
    'name in line 1 of FILE takes a name: up to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit, in quotes, not 5'
  ],
  ['data_dir = ""', 'data_dir in line 1 of FILE takes a path, in quotes, not ""'],
  [
    'bootstrap = "a:1"',
    'bootstrap in line 1 of FILE takes a list of one or more: ["192.168.1.20:49737"], not "a:1"'
  ],
  [
    'bootstrap = []',
    'bootstrap in line 1 of FILE takes a list of one or more: ["192.168.1.20:49737"], not []'
  ],
  [
    'bootstrap = ["a:1", 2]',
    'bootstrap in line 1 of FILE takes a list of one or more: ["192.168.1.20:49737"], not ["a:1", 2]'
  ],
  [
    'http_addr = "[::1]:80"',
    'http_addr in line 1 of FILE takes an IPv4 address and a port such as 127.0.0.1:7070, in quotes, not "[::1]:80"'
  ],
  [
    'host = "alder"',
    'host in line 1 of FILE takes an IPv4 address such as 192.168.1.20, in quotes, not "alder"'
  ],
  [
    'storage_backend = "redb"',
    "storage_backend in line 1 of FILE is 'redb', which is no storage backend: the log is in lmdb, and the state in SQLite"
  ],
  [
    '[storage]\nsnapshot_age = 5',
    'storage.snapshot_age in line 2 of FILE takes a time such as 24h, at least 1s and at most 4398046511104ms, in quotes, not 5'
  ],
  [
    'storage.max_bytes = "65GiB"',
    'storage.max_bytes in line 1 of FILE takes a size such as 64MiB, at least 1B and at most 64GiB, in quotes, not "65GiB"'
  ],
  [
    'storage = { max_keys = 0 }',
    'storage.max_keys in line 1 of FILE takes a whole number from 1 to 100000000, without quotes, not 0'
  ],
  ['\n\nports = 1', 'ports in line 3 of FILE is no setting: did you mean port?'],
  ['log-level = "info"', 'log-level in line 1 of FILE is no setting: did you mean log_level?'],
  [
    '[storage]\nsnapshot-entries = 5',
    'storage.snapshot-entries in line 2 of FILE is no setting: did you mean storage.snapshot_entries?'
  ],
  ['[storge]\n', 'storge in line 1 of FILE is no setting'],
  ['[[storage]]\n', 'storage in line 1 of FILE is no setting'],
  ['something.else = 1', 'something.else in line 1 of FILE is no setting'],
  [
    'ticket = "aspen1x"',
    'ticket is no setting (line 1 of FILE): a ticket is a secret, which configurations are not'
  ],
  [
    '# x\nport = 1\nport = 2',
    'line 3 of FILE is not TOML: defining a key multiple times is invalid (column 1)'
  ],
  ['port = ', 'line 1 of FILE is not TOML: unspecified values are invalid (column 8)'],
  ['port 1', 'line 1 of FILE is not TOML: expected equal (=) token (column 6)']
]

test('HTTP-13: a file that is not right is refused with the line, and what the setting takes', async (t) => {
  const path = join(await t.tmp(), 'c.toml')
  for (const [text, message] of REFUSED) {
    writeFileSync(path, text)
    t.is(refusal(path), message, text)
  }
})

test('HTTP-13: what is no configuration file is refused as what it is', async (t) => {
  const dir = await t.tmp()
  const why = (name: string): string => refusal(join(dir, name))
  t.is(why('none'), 'the configuration file FILE cannot be read: it does not exist')
  mkdirSync(join(dir, 'folder'))
  t.is(why('folder'), 'the configuration file FILE cannot be read: it is a folder')
  t.is(refusal('/dev/null'), 'the configuration file FILE cannot be read: it is no file')
  writeFileSync(join(dir, 'latin'), Buffer.from('name = "gr\xfcn"', 'latin1'))
  t.is(why('latin'), 'the configuration file FILE cannot be read: it is not UTF-8 text')
  writeFileSync(join(dir, 'large'), '#'.repeat(MAX_CONFIG_FILE_BYTES + 1))
  t.is(why('large'), 'the configuration file FILE cannot be read: it has more than 1048576 bytes')
  writeFileSync(join(dir, 'largest'), '#'.repeat(MAX_CONFIG_FILE_BYTES))
  t.is(why('largest'), 'accepted')
  writeFileSync(join(dir, 'empty'), '')
  t.is(why('empty'), 'accepted')
  writeFileSync(join(dir, 'marked'), '\ufeffport = 5\r\n')
  t.is(givenIn(readConfigFile(join(dir, 'marked')).layer, 'port'), 5, 'with a byte order mark')
  symlinkSync('marked', join(dir, 'link'))
  t.is(givenIn(readConfigFile(join(dir, 'link')).layer, 'port'), 5, 'through a link')
})

test('a program is told the key, the layer and the line', async (t) => {
  const path = join(await t.tmp(), 'c.toml')
  writeFileSync(path, '\nport = "x"')
  try {
    readConfigFile(path)
    t.fail('accepted')
  } catch (error) {
    t.ok(error instanceof AspenError)
    const fields = error instanceof AspenError ? error.detail.fields : null
    t.alike(fields, { key: 'port', layer: 'file', where: `line 2 of ${path}`, line: 2 })
  }
})

test('the template is a file that is right, as it is and with every line taken in', async (t) => {
  const dir = await t.tmp()
  writeFileSync(join(dir, 'as-it-is.toml'), configTemplate())
  t.alike(readConfigFile(join(dir, 'as-it-is.toml')).layer, {})
  writeFileSync(join(dir, 'all.toml'), configTemplate().replaceAll(/^#(?=\S)/gm, ''))
  const { layer } = readConfigFile(join(dir, 'all.toml'))
  t.alike(Object.keys(layer).toSorted(), [...CONFIG_KEYS].toSorted())
})

test('CONFIGURATION.md says what the table says', (t) => {
  t.is(readFileSync('lib/config/CONFIGURATION.md', 'utf8'), configDocument())
})
