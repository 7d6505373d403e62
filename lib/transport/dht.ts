// A node of a private DHT, for `aspen dht`: machines that name it as their bootstrap find each other
// through it and need no public network. It knows its address, so it stores records at once, and alone
// is a working DHT.

import { createSocket } from 'node:dgram'
import DHT from 'hyperdht'
import type { Address } from '../address.ts'
import { TransportError } from '../errors.ts'

export class BootstrapNode {
  /** where others reach it: what they name as their bootstrap */
  readonly address: Address
  readonly #dht: DHT
  #closing: Promise<void> | null = null

  private constructor(dht: DHT, address: Address) {
    this.#dht = dht
    this.address = address
  }

  /**
   * `host` is the IPv4 address that others reach it at, and that it binds; port 0 takes any free one.
   * @throws TransportError PORT_IN_USE
   */
  static async open(at: Address): Promise<BootstrapNode> {
    const address = at.port === 0 ? { ...at, port: await freePort(at.host) } : at
    const dht = DHT.bootstrapper(address.port, address.host, {
      host: address.host,
      bootstrap: [],
      anyPort: false
    })
    try {
      await dht.bind()
    } catch (error) {
      dht.io.networkInterfaces.destroy()
      await dht.destroy({ force: true }).catch(() => {})
      throw portInUse(address, error)
    }
    await dht.fullyBootstrapped()
    return new BootstrapNode(dht, address)
  }

  /** May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#dht.destroy()
    return this.#closing
  }
}

/** A UDP port that was free a moment ago: the DHT has to be told its port before it binds. */
async function freePort(host: string): Promise<number> {
  const socket = createSocket('udp4')
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(0, host, resolve)
    })
    return socket.address().port
  } catch (error) {
    throw portInUse({ host, port: 0 }, error)
  } finally {
    socket.close()
  }
}

function portInUse(address: Address, cause: unknown): TransportError {
  return new TransportError(
    {
      code: 'PORT_IN_USE',
      message: `UDP port ${address.port} of ${address.host} cannot be bound`,
      hint: 'choose another port with --port, or stop the program that has it',
      fields: { port: address.port }
    },
    { cause }
  )
}
