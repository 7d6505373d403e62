// Names that are no settings: those of the Aspen before this one that have no meaning here, each with why and
// with what to do instead, and slips of the fingers. One table for files, environment and command line.

import { ConfigError } from '../errors.ts'

/** The layers in which somebody writes a name. */
type Written = 'environment' | 'file' | 'flag'

interface Retired {
  /** path in TOML; the environment's name follows from it */
  readonly key: string
  /** where they are not made from the key like the others */
  readonly flags?: readonly string[]
  /** why it is none */
  readonly reason: string
  /** what to do */
  readonly instead: string
}

const FILES = {
  reason: 'log and state have their places in the data directory',
  instead: '`data_dir` says where that is'
}
const SUPERVISION = {
  reason:
    'there is no supervisor of actors: a node that fails ends, with an exit code that says why',
  instead: 'a service manager starts it again (README, "Started again")'
}
const DISCOVERY = {
  reason: 'members find each other over the Hyperswarm DHT',
  instead: '`gossip` turns that off, `bootstrap` names a DHT of your own'
}
const RELAYS = {
  reason:
    'there is no relay server: members connect directly, through hole punching where it takes that',
  instead: 'leave it out'
}

const RETIRED: readonly Retired[] = [
  {
    key: 'node_id',
    reason: 'ids are given by the cluster, when it admits a node',
    instead: '`name` is how people call a node'
  },
  {
    key: 'cookie',
    reason: 'nodes prove by keys that they belong to a cluster, and no password is shared',
    instead: "a ticket lets a node in: 'aspen ticket create'"
  },
  { key: 'redb_log_path', ...FILES },
  { key: 'redb_sm_path', ...FILES },
  { key: 'sqlite_log_path', ...FILES },
  { key: 'sqlite_sm_path', ...FILES },
  {
    key: 'control_backend',
    reason: 'there is one way to control a cluster, and it works on every node',
    instead: 'leave it out; aspen/testing has a cluster in memory for tests'
  },
  {
    key: 'ractor_port',
    reason: 'members have one UDP port for everything',
    instead: '`port` names it'
  },
  {
    key: 'bind_port',
    reason: 'members have one UDP port for everything',
    instead: '`port` names it'
  },
  {
    key: 'raft_addr',
    reason: 'a member is a key, not an address',
    instead: '`host` and `port` say where it is'
  },
  {
    key: 'iroh.secret_key',
    reason: 'the key of a node is made by itself and stays in its data directory',
    instead: 'keep the file node.key if you move a data directory'
  },
  { key: 'iroh.relay_url', ...RELAYS },
  { key: 'iroh.enable_gossip', flags: ['--disable-gossip', '--enable-gossip'], ...DISCOVERY },
  {
    key: 'iroh.gossip_ticket',
    flags: ['--ticket'],
    reason: 'a ticket is a secret, which configurations are not',
    instead:
      'as the operand of `aspen join`, in ASPEN_TICKET, or in a file that `ticket_file` names'
  },
  { key: 'iroh.enable_mdns', flags: ['--disable-mdns', '--enable-mdns'], ...DISCOVERY },
  { key: 'iroh.enable_dns_discovery', flags: ['--enable-dns-discovery'], ...DISCOVERY },
  { key: 'iroh.dns_discovery_url', flags: ['--dns-discovery-url'], ...DISCOVERY },
  { key: 'iroh.enable_pkarr', flags: ['--enable-pkarr'], ...DISCOVERY },
  { key: 'iroh.pkarr_relay_url', flags: ['--pkarr-relay-url'], ...DISCOVERY },
  {
    key: 'ticket',
    reason: 'a ticket is a secret, which configurations are not',
    instead:
      'as the operand of `aspen join`, in ASPEN_TICKET, or in a file that `ticket_file` names'
  },
  { key: 'supervision_config', ...SUPERVISION },
  { key: 'supervision', ...SUPERVISION },
  { key: 'iroh', reason: 'Aspen does not run on Iroh', instead: DISCOVERY.instead },
  {
    key: 'node_count',
    reason: 'it was for a script that made clusters',
    instead: "'aspen dev --nodes' makes one"
  },
  {
    key: 'base_http',
    reason: 'it was for a script that made clusters',
    instead: "'aspen dev' makes one"
  },
  {
    key: 'base_ractor',
    reason: 'it was for a script that made clusters',
    instead: "'aspen dev' makes one"
  },
  {
    key: 'no_init',
    reason: 'it was for a script that made clusters',
    instead: "'aspen dev' makes one"
  }
]

/**
 * What to say of a name that once was a setting; null for any other. `name` is as it was written: a path in
 * TOML, a variable, a flag with its dashes. A path below a retired table is retired with it.
 */
export function retiredError(
  layer: Written,
  name: string,
  at: string | null = null
): ConfigError | null {
  const found = RETIRED.find((each) => isNamed(each, layer, name))
  if (found === undefined) {
    return layer === 'environment' && OF_KUBERNETES.test(name) ? ofKubernetes(name) : null
  }
  const place = at === null ? '' : ` (${at})`
  return new ConfigError({
    code: 'CONFIG_INVALID',
    message: `${name} is no setting${place}: ${found.reason}`,
    hint: found.instead,
    fields: { key: found.key, layer, where: at ?? name }
  })
}

function isNamed({ key, flags }: Retired, layer: Written, name: string): boolean {
  switch (layer) {
    case 'file':
      return name === key || name.startsWith(`${key}.`)
    case 'environment':
      return isOrBelow(name, `ASPEN_${key.replaceAll('.', '_').toUpperCase()}`, '_')
    case 'flag':
      return (flags ?? [`--${key.replaceAll(/[._]/g, '-')}`]).includes(name)
  }
}

function isOrBelow(name: string, whole: string, separator: string): boolean {
  const isTable = /^ASPEN_(?:SUPERVISION|SUPERVISION_CONFIG|IROH)$/.test(whole)
  return name === whole || (isTable && name.startsWith(`${whole}${separator}`))
}

/**
 * Refuses a value that once was one. `place` is the setting with where it was given.
 * @throws ConfigError CONFIG_INVALID
 */
export function refuseRetiredValue(key: string, value: string, place: string): void {
  if (key !== 'storage_backend' || value !== 'redb') return
  throw new ConfigError({
    code: 'CONFIG_INVALID',
    message: `${place} is 'redb', which is no storage backend: the log is in lmdb, and the state in SQLite`,
    hint: "'sqlite' is the one for data that counts, and what a node has when it is not told",
    fields: { key }
  })
}

/** What Kubernetes puts into the environment for a service called `aspen`. */
const OF_KUBERNETES = /^ASPEN_(?:SERVICE_(?:HOST|PORT)|PORT_\d+_(?:TCP|UDP))/

function ofKubernetes(name: string): ConfigError {
  return new ConfigError({
    code: 'CONFIG_INVALID',
    message: `the environment variable ${name} is no setting: Kubernetes makes it for a service called 'aspen'`,
    hint: 'enableServiceLinks: false in the specification of the pod leaves it out',
    fields: { layer: 'environment', where: name }
  })
}
