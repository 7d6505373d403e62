// Channels on a connection: the only place that names protomux. Between the connection and protomux
// stands a guard that looks at each frame first: which channel it opens or speaks on, and whether
// the other side's role permits it (permissions.ts). So nothing that protomux does by itself (pairing,
// buffering for channels that nobody opened, rejecting, batches) can be reached from outside.
//
// Handlers never throw into protomux, which would end the connection for any error and the process
// for some: ProtocolError closes the connection; anything else is a bug and is thrown outside.

import { EventEmitter } from 'node:events'
import c from 'compact-encoding'
import Protomux from 'protomux'
import type { Channel, Message } from 'protomux'
import { assert } from '../assert.ts'
import type { State } from '../encoding.ts'
import { ProtocolError } from '../errors.ts'
import type { Connection } from './network.ts'
import type { ChannelName, MessageKind, Role } from './permissions.ts'
import { CHANNEL_NAMES, isChannelName, maySend, mayOpen, MESSAGES, typeOf } from './permissions.ts'

const PREFIX = 'aspen/'
/** Frame types of protomux's control channel (0). */
const CONTROL_OPEN = 1
/** Bytes of a channel's name on the wire. */
const MAX_CHANNEL_NAME = 32

export interface MuxHandlers {
  onMessage(channel: ChannelName, type: number, bytes: Uint8Array): void
  onDrain(): void
  /** once, never inside a call to the mux */
  onClose(reason: string): void
  /** The other side opens a channel that this side has not: `open` it now, or the connection ends. */
  onOpen?(channel: ChannelName): void
}

export class Mux {
  readonly connection: Connection
  /** what the other side is; decides what it may send */
  role: Role
  #handlers: MuxHandlers
  readonly #stream: MuxStream
  readonly #mux: Protomux
  readonly #channels = new Map<ChannelName, { channel: Channel; messages: Message<Uint8Array>[] }>()
  /** channel by the other side's number for it */
  readonly #remoteChannels = new Map<number, ChannelName>()
  #isClosed = false

  /** Starts the connection. */
  constructor(connection: Connection, role: Role, handlers: MuxHandlers) {
    this.connection = connection
    this.role = role
    this.#handlers = handlers
    this.#stream = new MuxStream(connection)
    this.#mux = new Protomux(this.#stream)
    for (const name of CHANNEL_NAMES) {
      this.#mux.pair({ protocol: PREFIX + name }, () => {
        this.#guarded(() => this.#handlers.onOpen?.(name))
      })
    }
    connection.start({
      onFrame: (bytes) => this.#onFrame(bytes),
      onDrain: () => {
        if (this.#isClosed) return
        this.#stream.emit('drain')
        outside(() => this.#handlers.onDrain())
      },
      onClose: (reason) => {
        this.#isClosed = true
        this.#stream.destroyed = true
        this.#stream.emit('close')
        outside(() => this.#handlers.onClose(reason))
      }
    })
  }

  /** Hands the connection to another owner. */
  handOver(handlers: MuxHandlers): void {
    this.#handlers = handlers
  }

  get isDrained(): boolean {
    return this.#mux.drained
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Opens a channel on this side. What the other side sends on it goes to `onMessage`. */
  open(name: ChannelName): void {
    if (this.#isClosed) return
    assert(!this.#channels.has(name), 'a channel is opened once')
    const channel = this.#mux.createChannel({ protocol: PREFIX + name })
    if (channel === null) {
      this.close('the channel could not be opened')
      return
    }
    const messages = MESSAGES[name].map((_, type) =>
      channel.addMessage<Uint8Array>({
        encoding: c.raw,
        onmessage: (bytes) => this.#guarded(() => this.#handlers.onMessage(name, type, bytes))
      })
    )
    this.#channels.set(name, { channel, messages })
    channel.open()
  }

  /** False when more is buffered than is good, until `onDrain`. Nothing happens on a closed connection. */
  send<C extends ChannelName>(name: C, kind: MessageKind<C>, bytes: Uint8Array): boolean {
    if (this.#isClosed) return true
    const message = this.#channels.get(name)?.messages[typeOf(name, kind)]
    assert(message !== undefined, `the channel ${name} is open`)
    return message.send(bytes)
  }

  /** Closes now; what has not arrived is lost. */
  close(reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.connection.close(reason)
  }

  /** Closes when what was sent has arrived. */
  finish(reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.connection.finish(reason)
  }

  #onFrame(bytes: Uint8Array): void {
    if (this.#isClosed || bytes.byteLength === 0) return
    this.#guarded(() => {
      this.#inspect(bytes)
      this.#stream.emit('data', bytes)
    })
  }

  /** @throws ProtocolError if the role does not permit the frame */
  #inspect(bytes: Uint8Array): void {
    const state: State = { start: 0, end: bytes.byteLength, buffer: bytes }
    const remoteId = readUint(state)
    const type = readUint(state)
    if (remoteId === 0) {
      this.#inspectControl(type, state)
      return
    }
    const name = this.#remoteChannels.get(remoteId)
    if (name === undefined || !this.#channels.has(name)) {
      throw new ProtocolError('a message on a channel that is not open')
    }
    if (!maySend(this.role, name, type)) {
      throw new ProtocolError(`${this.role} may not send message ${type} on ${PREFIX}${name}`)
    }
  }

  #inspectControl(type: number, state: State): void {
    if (type !== CONTROL_OPEN) throw new ProtocolError(`control message ${type} is not used here`)
    const remoteId = readUint(state)
    const protocol = readText(state)
    // protomux would keep channels of one name and several ids apart; here a name is a channel
    const hasNoId = readUint(state) === 0 && state.start === state.end
    if (!hasNoId) throw new ProtocolError('a channel has a name and nothing else')
    const name = protocol.startsWith(PREFIX) ? protocol.slice(PREFIX.length) : ''
    if (!isChannelName(name) || !mayOpen(this.role, name)) {
      throw new ProtocolError(`${this.role} may not open this channel`)
    }
    const isTaken = [...this.#remoteChannels.values()].includes(name)
    if (isTaken || remoteId !== this.#remoteChannels.size + 1) {
      throw new ProtocolError('channels are opened once and in order')
    }
    this.#remoteChannels.set(remoteId, name)
  }

  #guarded(fn: () => void): void {
    if (this.#isClosed) return
    try {
      fn()
    } catch (error) {
      if (error instanceof ProtocolError) this.close(error.message)
      else throwOutside(error)
    }
  }
}

/** Runs `fn`; what it throws is thrown where nothing of ours can swallow it. */
function outside(fn: () => void): void {
  try {
    fn()
  } catch (error) {
    throwOutside(error)
  }
}

function throwOutside(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

function readUint(state: State): number {
  try {
    return c.uint.decode(state)
  } catch (error) {
    throw new ProtocolError('malformed frame', { cause: error })
  }
}

function readText(state: State): string {
  const size = readUint(state)
  if (size > MAX_CHANNEL_NAME || state.end - state.start < size || state.buffer === null) {
    throw new ProtocolError('malformed channel name')
  }
  const bytes = state.buffer.subarray(state.start, state.start + size)
  state.start += size
  return String.fromCharCode(...bytes)
}

/** The slice of a stream that protomux uses. */
class MuxStream extends EventEmitter {
  userData: unknown = null
  destroyed = false
  readonly #connection: Connection

  constructor(connection: Connection) {
    super()
    this.#connection = connection
  }

  alloc(byteCount: number): Uint8Array {
    return this.#connection.allocate(byteCount)
  }

  write(frame: Uint8Array): boolean {
    return this.destroyed ? true : this.#connection.write(frame)
  }

  pause(): void {
    this.#connection.pause()
  }

  resume(): void {
    this.#connection.resume()
  }

  end(): void {
    this.#connection.close('the other side ended')
  }

  destroy(error?: Error): void {
    this.destroyed = true
    this.#connection.close(error?.message ?? 'closed')
  }
}
