// node.json: written, read, refused.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { AspenError, StorageError } from '../../lib/errors.ts'
import { DataDirectory } from '../../lib/node/data-directory.ts'
import type { Membership } from '../../lib/node/membership.ts'
import { readMembership, writeMembership } from '../../lib/node/membership.ts'

const FULL: Membership = {
  state: 'member',
  clusterId: new Uint8Array(16).fill(0xab),
  id: 3,
  name: 'alder',
  bootstrap: [{ host: '127.0.0.1', port: 49_737 }],
  timing: 'wan',
  storage: { snapshotEntries: 500, maxBytes: 1_000_000 },
  settings: { host: '10.0.0.1', gossip: false, heartbeat_interval_ms: 200 },
  udpPort: 49_001,
  httpPort: 7_070,
  welcome: {
    id: 3,
    epoch: 1,
    sealedSecret: new Uint8Array(80).fill(7),
    configuration: {
      members: [
        { id: 1, publicKey: new Uint8Array(32).fill(1), role: 'voter', addresses: [] },
        {
          id: 3,
          publicKey: new Uint8Array(32).fill(3),
          role: 'learner',
          addresses: [{ host: '10.0.0.1', port: 5 }]
        },
        { id: 4, publicKey: new Uint8Array(32).fill(4), role: 'leaving', addresses: [] }
      ],
      outgoing: [1, 4]
    }
  }
}
const BARE: Membership = {
  ...FULL,
  state: 'creating',
  id: 1,
  bootstrap: null,
  timing: 'default',
  storage: {},
  udpPort: null,
  httpPort: null,
  welcome: null
}

function codeOf(run: () => unknown): string {
  try {
    run()
    return 'no error'
  } catch (error) {
    return error instanceof AspenError ? error.code : String(error)
  }
}

test('what was written is read, with everything and with nothing', async (t) => {
  const directory = DataDirectory.open(join(await t.tmp(), 'data'))
  t.teardown(() => directory.close())
  t.is(readMembership(directory), null)
  for (const membership of [FULL, BARE]) {
    writeMembership(directory, membership)
    t.alike(readMembership(directory), membership)
  }
})

test('no bootstrap nodes is not the same as the public DHT', async (t) => {
  const directory = DataDirectory.open(join(await t.tmp(), 'data'))
  t.teardown(() => directory.close())
  writeMembership(directory, { ...BARE, bootstrap: [] })
  t.alike(readMembership(directory)?.bootstrap, [])
})

test('a file of before there were recorded profiles has the default', async (t) => {
  const path = join(await t.tmp(), 'data')
  const directory = DataDirectory.open(path)
  t.teardown(() => directory.close())
  writeMembership(directory, FULL)
  const file = join(path, 'node.json')
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace(/ *"timing": "wan",\n/, ''))
  t.not(readFileSync(file, 'utf8'), text)
  t.alike(readMembership(directory), { ...FULL, timing: 'default' })
})

test('a newer format is refused by its name, whatever else it holds', async (t) => {
  const directory = DataDirectory.open(join(await t.tmp(), 'data'))
  t.teardown(() => directory.close())
  directory.writeJson('node.json', { format: 2, anything: true })
  t.is(
    codeOf(() => readMembership(directory)),
    'FORMAT_NEWER'
  )
})

function variantOf(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error instanceof StorageError ? error.variant : error
  }
  return 'nothing was thrown'
}

test('what has no JSON form is refused, and the file stays', async (t) => {
  const path = join(await t.tmp(), 'data')
  const directory = DataDirectory.open(path)
  t.teardown(() => directory.close())
  writeMembership(directory, FULL)
  const before = readFileSync(join(path, 'node.json'), 'utf8')
  const round: { self?: object } = {}
  round.self = round
  t.is(
    variantOf(() => directory.writeJson('node.json', round)),
    'JsonSerialize'
  )
  t.is(readFileSync(join(path, 'node.json'), 'utf8'), before)
})

test('a damaged file is refused, never taken for none', async (t) => {
  const path = join(await t.tmp(), 'data')
  const directory = DataDirectory.open(path)
  t.teardown(() => directory.close())
  writeMembership(directory, FULL)
  const file = join(path, 'node.json')
  const good = readFileSync(file, 'utf8')
  const bad = [
    '',
    '{',
    'null',
    '[]',
    good.slice(0, -10),
    good.replace('"state": "member"', '"state": "guest"'),
    good.replace('"id": 3', '"id": 0'),
    good.replace('abab', 'aba'),
    good.replace('abab', 'ABAB'),
    good.replace('"epoch": 1', '"epoch": 0'),
    good.replace('"timing": "wan"', '"timing": "warp"'),
    good.replace('"format": 1', '"format": "1"')
  ]
  for (const text of bad) {
    t.not(text, good)
    writeFileSync(file, text)
    t.is(
      codeOf(() => readMembership(directory)),
      'DATA_DIR_UNUSABLE',
      text.slice(0, 40)
    )
    t.is(
      variantOf(() => readMembership(directory)),
      'JsonDeserialize'
    )
  }
})
