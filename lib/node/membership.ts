// node.json: which cluster this directory belongs to, as which node, and how far `create` or `join`
// came. A half-made directory is resumed by the same command; a member's directory without its log is
// an identity without log and never starts (DESIGN §4): its votes and acknowledgements are lost.
//
// Order of the files, so that every crash leaves one of these states: key, then for `create` this
// file ('creating') and the log; for `join` the admission, the log, and this file ('member').

import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Address } from '../address.ts'
import { formatAddress, parseAddress } from '../address.ts'
import { bytesFromHex, hexOf } from '../encoding.ts'
import { ConfigError, REJOIN_HINT, StorageError } from '../errors.ts'
import type { NodeId } from '../node-id.ts'
import type { Configuration } from '../raft/configuration.ts'
import type { TimingProfile } from '../raft/timing.ts'
import type { Welcome } from '../transport/transport.ts'
import type { DataDirectory } from './data-directory.ts'
import { DEFAULT_TIMING } from '../config/schema.ts'
import type { NodeSettings } from '../config/node-settings.ts'
import { storageFromJson, storageToJson } from '../config/storage-settings.ts'
import type { StorageSettings } from '../config/storage-settings.ts'

const Hex = Type.String({ pattern: '^([0-9a-f]{2})+$' })
const MemberJson = Type.Object({
  id: Type.Integer({ minimum: 1 }),
  key: Hex,
  role: Type.Union([Type.Literal('voter'), Type.Literal('learner'), Type.Literal('leaving')]),
  addresses: Type.Array(Type.String())
})
const WelcomeJson = Type.Object({
  epoch: Type.Integer({ minimum: 1 }),
  sealed_secret: Hex,
  members: Type.Array(MemberJson),
  outgoing: Type.Array(Type.Integer({ minimum: 1 }))
})
const MembershipJson = Type.Object({
  format: Type.Integer(),
  state: Type.Union([
    Type.Literal('creating'),
    Type.Literal('member'),
    Type.Literal('restoring'),
    Type.Literal('fenced'),
    Type.Literal('diverged'),
    Type.Literal('removed')
  ]),
  cluster_id: Hex,
  id: Type.Integer({ minimum: 1 }),
  name: Type.String(),
  /** null for the public DHT */
  bootstrap: Type.Union([Type.Array(Type.String()), Type.Null()]),
  /** not in files of the first versions */
  timing: Type.Optional(
    Type.Union([Type.Literal('default'), Type.Literal('lan'), Type.Literal('wan')])
  ),
  /** likewise; by the names of config/storage-settings.ts, those that were given */
  storage: Type.Optional(Type.Record(Type.String(), Type.Integer({ minimum: 0 }))),
  /** likewise; by the names of a configuration (config/node-settings.ts) */
  settings: Type.Optional(
    Type.Partial(
      Type.Object({
        host: Type.String(),
        gossip: Type.Boolean(),
        http_addr: Type.String(),
        http_public: Type.Boolean(),
        heartbeat_interval_ms: Type.Integer(),
        election_timeout_min_ms: Type.Integer(),
        election_timeout_max_ms: Type.Integer(),
        raft_mailbox_capacity: Type.Integer()
      })
    )
  ),
  udp_port: Type.Union([Type.Integer(), Type.Null()]),
  http_port: Type.Union([Type.Integer(), Type.Null()]),
  welcome: Type.Union([WelcomeJson, Type.Null()])
})
type MembershipJson = Static<typeof MembershipJson>

export interface Membership {
  /**
   * `restoring`: nothing of it may be used yet; `fenced`: never again, a recovery has taken its place;
   * `diverged`: never again, its state is another one than its cluster has; `removed`: never again, its
   * cluster has removed it
   */
  readonly state: 'creating' | 'member' | 'restoring' | 'fenced' | 'diverged' | 'removed'
  readonly clusterId: Uint8Array
  readonly id: NodeId
  readonly name: string
  readonly bootstrap: readonly Address[] | null
  /** the last one that was given; all members should have the same */
  readonly timing: TimingProfile
  /** those that were ever given */
  readonly storage: Partial<StorageSettings>
  /** likewise */
  readonly settings: NodeSettings
  /** of the last run, tried first */
  readonly udpPort: number | null
  /** the last one that was given, or found free when there was none; kept while another process has it */
  readonly httpPort: number | null
  readonly welcome: Welcome | null
}

/** Of a machine that has not run in a cluster yet, with the settings that it was given. */
export function newMembership(
  { name, bootstrap, timing, storage, settings }: Settings,
  identity: Pick<Membership, 'state' | 'clusterId' | 'id' | 'welcome'>
): Membership {
  return { ...identity, name, bootstrap, timing, storage, settings, udpPort: null, httpPort: null }
}

type Settings = Pick<Membership, 'name' | 'bootstrap' | 'timing' | 'storage' | 'settings'>

const FORMAT = 1

/** @throws StorageError DATA_DIR_UNUSABLE (JsonDeserialize) when the file is there and cannot be read; ConfigError FORMAT_NEWER */
export function readMembership(directory: DataDirectory): Membership | null {
  if (!directory.hasJson('node.json')) return null
  const json = directory.readJson('node.json')
  const format = typeof json === 'object' && json !== null && 'format' in json ? json.format : null
  if (typeof format === 'number' && format > FORMAT) {
    throw new ConfigError({
      code: 'FORMAT_NEWER',
      message: `${directory.path} was written in format ${format}; this version reads up to ${FORMAT}`,
      hint: 'use the newer aspen'
    })
  }
  if (!Value.Check(MembershipJson, json)) {
    throw new StorageError({
      code: 'DATA_DIR_UNUSABLE',
      fields: { variant: 'JsonDeserialize' },
      message: `node.json in ${directory.path} is damaged`,
      hint: `restore the file from where you keep a copy; else ${REJOIN_HINT}`
    })
  }
  return fromJson(json)
}

export function writeMembership(directory: DataDirectory, membership: Membership): void {
  directory.writeJson('node.json', toJson(membership))
}

function fromJson(json: MembershipJson): Membership {
  const { welcome } = json
  return {
    state: json.state,
    clusterId: bytes(json.cluster_id),
    id: json.id,
    name: json.name,
    bootstrap: json.bootstrap === null ? null : addresses(json.bootstrap),
    timing: json.timing ?? DEFAULT_TIMING,
    storage: storageFromJson(json.storage ?? {}),
    settings: json.settings ?? {},
    udpPort: json.udp_port,
    httpPort: json.http_port,
    welcome:
      welcome === null
        ? null
        : {
            id: json.id,
            epoch: welcome.epoch,
            sealedSecret: bytes(welcome.sealed_secret),
            configuration: configurationOf(welcome)
          }
  }
}

function configurationOf(welcome: Static<typeof WelcomeJson>): Configuration {
  const members = welcome.members.map((member) => ({
    id: member.id,
    publicKey: bytes(member.key),
    role: member.role,
    addresses: addresses(member.addresses)
  }))
  return { members, outgoing: welcome.outgoing }
}

function toJson(membership: Membership): MembershipJson {
  const { welcome } = membership
  return {
    format: FORMAT,
    state: membership.state,
    cluster_id: hexOf(membership.clusterId),
    id: membership.id,
    name: membership.name,
    bootstrap: membership.bootstrap?.map(formatAddress) ?? null,
    timing: membership.timing,
    storage: storageToJson(membership.storage),
    settings: { ...membership.settings },
    udp_port: membership.udpPort,
    http_port: membership.httpPort,
    welcome:
      welcome === null
        ? null
        : {
            epoch: welcome.epoch,
            sealed_secret: hexOf(welcome.sealedSecret),
            outgoing: [...welcome.configuration.outgoing],
            members: welcome.configuration.members.map((member) => ({
              id: member.id,
              key: hexOf(member.publicKey),
              role: member.role,
              addresses: member.addresses.map(formatAddress)
            }))
          }
  }
}

function addresses(texts: readonly string[]): readonly Address[] {
  return texts.map(parseAddress).filter((address) => address !== null)
}

function bytes(hex: string): Uint8Array {
  return bytesFromHex(hex, hex.length / 2) ?? new Uint8Array(0)
}
