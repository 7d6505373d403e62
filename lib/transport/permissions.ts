// The channels of a connection, the messages of each channel in wire order, and who may send what:
// one table, consulted for every frame that comes in (`mux.ts`). What is not in it closes the
// connection.

/** Name on the wire: `aspen/<channel>`. */
export type ChannelName = 'hello' | 'raft' | 'rpc' | 'join' | 'snapshot'

/** Messages per channel. The position is the type on the wire, so the order is part of format 1. */
export const MESSAGES = {
  hello: ['hello', 'proof', 'askWelcome', 'welcome', 'refusal'],
  raft: ['whole', 'first', 'next', 'ack'],
  rpc: ['whole', 'first', 'next', 'ack'],
  join: ['proof', 'request', 'answer'],
  snapshot: ['whole', 'first', 'next', 'ack']
} as const satisfies Record<ChannelName, readonly string[]>

export const CHANNEL_NAMES: readonly ChannelName[] = ['hello', 'raft', 'rpc', 'join', 'snapshot']

export type MessageKind<C extends ChannelName> = (typeof MESSAGES)[C][number]

/**
 * What the other side of a connection is.
 *
 * - `unproven`: came (or was dialled) with a key that may be a member's; has not said hello yet
 * - `member`: its hello is verified
 * - `joiner`: came with the key of an open invite
 * - `sponsor`: this side is the joiner, and dialled it
 * - `asked`: this side has no cluster yet, and dialled a member to ask for its welcome
 * - `refused`: gets one answer and is not listened to
 */
export type Role = 'unproven' | 'member' | 'joiner' | 'sponsor' | 'asked' | 'refused'

export const ROLES: readonly Role[] = [
  'unproven',
  'member',
  'joiner',
  'sponsor',
  'asked',
  'refused'
]

type Permissions = { readonly [C in ChannelName]: readonly MessageKind<C>[] }

const PERMITTED: Readonly<Record<Role, Permissions>> = {
  unproven: {
    hello: ['hello', 'proof', 'askWelcome', 'welcome', 'refusal'],
    raft: [],
    rpc: [],
    join: [],
    snapshot: []
  },
  member: {
    // it may have found a reason to refuse after this side was content
    hello: ['refusal'],
    raft: ['whole', 'first', 'next', 'ack'],
    rpc: ['whole', 'first', 'next', 'ack'],
    join: [],
    snapshot: ['whole', 'first', 'next', 'ack']
  },
  joiner: { hello: [], raft: [], rpc: [], join: ['request'], snapshot: [] },
  sponsor: { hello: [], raft: [], rpc: [], join: ['proof', 'answer'], snapshot: [] },
  asked: { hello: ['hello', 'welcome', 'refusal'], raft: [], rpc: [], join: [], snapshot: [] },
  refused: { hello: [], raft: [], rpc: [], join: [], snapshot: [] }
}

/** Channels that a role may open. A refused one may knock on either, to be told why. */
const OPENABLE: Readonly<Record<Role, readonly ChannelName[]>> = {
  unproven: ['hello'],
  member: ['hello', 'raft', 'rpc', 'snapshot'],
  joiner: ['join'],
  sponsor: ['join'],
  asked: ['hello'],
  refused: ['hello', 'join']
}

/** Whether a connection in `role` may open `channel`. */
export function mayOpen(role: Role, channel: ChannelName): boolean {
  return OPENABLE[role].includes(channel)
}

/** Whether a connection in `role` may send the message of wire type `type` on `channel`. */
export function maySend(role: Role, channel: ChannelName, type: number): boolean {
  const kind: string | undefined = MESSAGES[channel][type]
  const permitted: readonly string[] = PERMITTED[role][channel]
  return kind !== undefined && permitted.includes(kind)
}

/** The wire type of a message. */
export function typeOf<C extends ChannelName>(channel: C, kind: MessageKind<C>): number {
  const kinds: readonly string[] = MESSAGES[channel]
  return kinds.indexOf(kind)
}

export function isChannelName(name: string): name is ChannelName {
  return Object.hasOwn(MESSAGES, name)
}
