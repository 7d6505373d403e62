// What the user wants against what the directory holds.

import test from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import { createLogger } from '../../lib/node/log.ts'
import type { Membership } from '../../lib/node/membership.ts'
import type { NodeSettings } from '../../lib/config/node-settings.ts'
import type { Intent, NodeOptions } from '../../lib/node/options.ts'
import { planOf } from '../../lib/node/plan.ts'
import { encodeTicket } from '../../tickets/tickets.ts'

const CLUSTER = new Uint8Array(16).fill(1)
const BOOTSTRAP = [{ host: '10.0.0.9', port: 49_737 }]

function ticketOf(clusterId = CLUSTER, bootstrap = BOOTSTRAP): string {
  return encodeTicket({
    role: 'voter',
    clusterId,
    secret: new Uint8Array(16).fill(9),
    expiresMs: 1_800_000_000_000,
    memberKeys: [new Uint8Array(32).fill(1)],
    addresses: [],
    bootstrap
  })
}

const INTENTS = {
  create: { kind: 'create' },
  join: { kind: 'join', ticket: ticketOf(), timeoutMs: 1_000 },
  joinOther: { kind: 'join', ticket: ticketOf(CLUSTER.map(() => 2)), timeoutMs: 1_000 },
  start: { kind: 'start' },
  wait: { kind: 'wait', peers: [] },
  waitFor: { kind: 'wait', peers: [{ publicKey: new Uint8Array(32).fill(2), addresses: [] }] },
  open: { kind: 'open', ticket: null, timeoutMs: 1_000 },
  openWith: { kind: 'open', ticket: ticketOf(), timeoutMs: 1_000 }
} as const satisfies Record<string, Intent>

const MEMBER: Membership = {
  state: 'member',
  clusterId: CLUSTER,
  id: 3,
  name: 'recorded',
  bootstrap: BOOTSTRAP,
  timing: 'wan',
  storage: { keepEntries: 7 },
  settings: { gossip: false },
  udpPort: 5,
  httpPort: 6,
  welcome: null
}
const CREATING: Membership = { ...MEMBER, state: 'creating' }

const DIRECTORIES = {
  empty: { membership: null, hasKey: false, hasLog: false },
  keyOnly: { membership: null, hasKey: true, hasLog: false },
  joining: { membership: null, hasKey: true, hasLog: true },
  creating: { membership: CREATING, hasKey: true, hasLog: false },
  member: { membership: MEMBER, hasKey: true, hasLog: true },
  keyLost: { membership: MEMBER, hasKey: false, hasLog: true }
}

function optionsOf(intent: Intent, more: Partial<NodeOptions> = {}): NodeOptions {
  return {
    intent,
    dataDir: '/data',
    name: null,
    bootstrap: null,
    port: null,
    httpPort: null,
    timing: null,
    storage: null,
    logger: createLogger({ level: 'silent', destination: 'ndjson' }),
    onProgress: () => {},
    ...more
  }
}

function outcomeOf(options: NodeOptions, directory: keyof typeof DIRECTORIES): string {
  const { membership, ...rest } = DIRECTORIES[directory]
  try {
    return planOf(options, membership, { path: '/data', ...rest }).kind
  } catch (error) {
    return error instanceof AspenError ? error.code : String(error)
  }
}

test('the whole table of intents and directories', (t) => {
  const expected = {
    empty: ['create', 'join', 'join', 'NO_CLUSTER_HERE'],
    keyOnly: ['create', 'join', 'join', 'NO_CLUSTER_HERE'],
    joining: ['DATA_DIR_TAKEN', 'join', 'join', 'NO_CLUSTER_HERE'],
    creating: ['run', 'DATA_DIR_TAKEN', 'DATA_DIR_TAKEN', 'NO_CLUSTER_HERE'],
    member: ['DATA_DIR_TAKEN', 'run', 'DATA_DIR_TAKEN', 'run'],
    keyLost: ['DATA_DIR_UNUSABLE', 'DATA_DIR_UNUSABLE', 'DATA_DIR_UNUSABLE', 'DATA_DIR_UNUSABLE']
  }
  const { create, join, joinOther, start } = INTENTS
  for (const directory of [
    'empty',
    'keyOnly',
    'joining',
    'creating',
    'member',
    'keyLost'
  ] as const) {
    const row = [create, join, joinOther, start].map((intent) =>
      outcomeOf(optionsOf(intent), directory)
    )
    t.alike(row, expected[directory], directory)
  }
})

test('the same for a node that may wait for a cluster, and where the folder says what to do', (t) => {
  const unusable = 'DATA_DIR_UNUSABLE'
  const expected = {
    empty: ['wait', 'wait', 'create', 'join'],
    keyOnly: ['wait', 'wait', 'create', 'join'],
    // what was begun there is gone on with by whoever still knows it
    joining: ['DATA_DIR_TAKEN', 'wait', 'DATA_DIR_TAKEN', 'join'],
    creating: ['run', 'run', 'run', 'DATA_DIR_TAKEN'],
    member: ['run', 'run', 'run', 'run'],
    keyLost: [unusable, unusable, unusable, unusable]
  }
  const { wait, waitFor, open, openWith } = INTENTS
  for (const directory of [
    'empty',
    'keyOnly',
    'joining',
    'creating',
    'member',
    'keyLost'
  ] as const) {
    const row = [wait, waitFor, open, openWith].map((intent) =>
      outcomeOf(optionsOf(intent), directory)
    )
    t.alike(row, expected[directory], directory)
  }
})

test('a name given beats the recorded one, which beats the host’s; a bad one is refused', (t) => {
  const directory = { path: '/data', hasKey: true, hasLog: true }
  const nameOf = (name: string | null, membership: Membership | null): string =>
    planOf(
      optionsOf(membership === null ? INTENTS.join : INTENTS.start, { name }),
      membership,
      directory
    ).name
  t.is(nameOf('given', MEMBER), 'given')
  t.is(nameOf(null, MEMBER), 'recorded')
  t.ok(/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(nameOf(null, null)))
  t.is(outcomeOf(optionsOf(INTENTS.start, { name: '../x' }), 'member'), 'CONFIG_INVALID')
})

test('bootstrap nodes given beat the recorded ones and those of the ticket', (t) => {
  const given = [{ host: '10.0.0.1', port: 1 }]
  const directory = { path: '/data', hasKey: true, hasLog: false }
  const bootstrapOf = (options: NodeOptions, membership: Membership | null) =>
    planOf(options, membership, directory).bootstrap
  t.alike(bootstrapOf(optionsOf(INTENTS.join), null), BOOTSTRAP)
  t.alike(bootstrapOf(optionsOf(INTENTS.join, { bootstrap: given }), null), given)
  t.alike(bootstrapOf(optionsOf(INTENTS.start), MEMBER), BOOTSTRAP)
  t.alike(bootstrapOf(optionsOf(INTENTS.start, { bootstrap: given }), MEMBER), given)
  t.is(bootstrapOf(optionsOf(INTENTS.create), null), null)
  const publicTicket = { ...INTENTS.join, ticket: ticketOf(CLUSTER, []) }
  t.is(bootstrapOf(optionsOf(publicTicket), null), null, 'the public DHT')
})

test('a timing profile given beats the recorded one; a node that was never given one has the default', (t) => {
  const directory = { path: '/data', hasKey: true, hasLog: false }
  const timingOf = (options: NodeOptions, membership: Membership | null) =>
    planOf(options, membership, directory).timing
  for (const intent of [INTENTS.create, INTENTS.join]) {
    t.is(timingOf(optionsOf(intent), null), 'default')
    t.is(timingOf(optionsOf(intent, { timing: 'lan' }), null), 'lan')
  }
  t.is(timingOf(optionsOf(INTENTS.start), MEMBER), 'wan')
  t.is(timingOf(optionsOf(INTENTS.start, { timing: 'lan' }), MEMBER), 'lan')
  t.is(timingOf(optionsOf(INTENTS.create), CREATING), 'wan', 'a create that goes on')
})

test('storage settings given are added to the recorded ones, and beat those of the same name', (t) => {
  const directory = { path: '/data', hasKey: true, hasLog: false }
  const storageOf = (options: NodeOptions, membership: Membership | null) =>
    planOf(options, membership, directory).storage
  t.alike(storageOf(optionsOf(INTENTS.create), null), {})
  t.alike(storageOf(optionsOf(INTENTS.start), MEMBER), { keepEntries: 7 })
  const given = { keepEntries: 9, maxBytes: 5 }
  t.alike(storageOf(optionsOf(INTENTS.start, { storage: given }), MEMBER), given)
  const other = { maxBytes: 5 }
  t.alike(storageOf(optionsOf(INTENTS.start, { storage: other }), MEMBER), {
    keepEntries: 7,
    maxBytes: 5
  })
})

test('other settings likewise; those of a program are checked like those of a file', (t) => {
  const directory = { path: '/data', hasKey: true, hasLog: false }
  const settingsOf = (given: NodeSettings, membership: Membership | null) =>
    planOf(optionsOf(INTENTS.start, { settings: given }), membership, directory).settings
  t.alike(settingsOf({}, MEMBER), { gossip: false })
  t.alike(settingsOf({ host: '10.0.0.1' }, MEMBER), { gossip: false, host: '10.0.0.1' })
  t.alike(settingsOf({ gossip: true }, MEMBER), { gossip: true })
  const refusalOf = (given: NodeSettings): string => {
    try {
      settingsOf(given, MEMBER)
      return 'accepted'
    } catch (error) {
      return error instanceof AspenError ? error.message : String(error)
    }
  }
  t.is(
    refusalOf({ heartbeat_interval_ms: 3_000 }),
    'heartbeat_interval_ms (3000, the options of the node) must be less than election_timeout_min_ms (3000, of timing = wan)'
  )
  t.is(
    refusalOf({ http_addr: '0.0.0.0:80' }),
    'http_addr is 0.0.0.0:80, which other machines reach, and http_public is not set'
  )
  t.is(
    refusalOf({ raft_mailbox_capacity: 0 }),
    "raft_mailbox_capacity takes a whole number from 1 to 1024, not '0'"
  )
  t.is(refusalOf({ http_addr: '0.0.0.0:80', http_public: true }), 'accepted')
})

test('what is no ticket is said before anything else', (t) => {
  const bad = { ...INTENTS.join, ticket: 'aspen1nonsense' }
  t.ok(outcomeOf(optionsOf(bad), 'empty').includes('TICKET'))
  t.ok(outcomeOf(optionsOf(bad), 'member').includes('TICKET'))
})

test('a node that was given up or removed, or whose state is not its cluster’s, never starts again', (t) => {
  const directory = { path: '/data', hasKey: true, hasLog: true }
  for (const [state, code] of [
    ['fenced', 'FENCED'],
    ['diverged', 'STATE_DIVERGED'],
    ['removed', 'MEMBER_REMOVED']
  ] as const) {
    for (const intent of [INTENTS.create, INTENTS.join, INTENTS.start]) {
      const membership: Membership = { ...MEMBER, state }
      try {
        planOf(optionsOf(intent), membership, directory)
        t.fail(`${intent.kind} of a ${state} node`)
      } catch (error) {
        t.is(error instanceof AspenError && error.code, code, `${intent.kind}, ${state}`)
      }
    }
  }
})
