// Bootstrap nodes by their addresses: a name is resolved once, because members and tickets keep addresses.

import { lookup } from 'node:dns/promises'
import type { Address } from '../address.ts'
import { isIpv4 } from '../address.ts'
import { ConfigError } from '../errors.ts'

/** Of texts that are each a host and a port. @throws ConfigError CONFIG_INVALID for a name without an IPv4 address */
export async function resolveBootstrap(texts: readonly string[]): Promise<readonly Address[]> {
  return await Promise.all(texts.map(resolveOne))
}

async function resolveOne(text: string): Promise<Address> {
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon)
  const port = Number(text.slice(colon + 1))
  if (isIpv4(host)) return { host, port }
  try {
    const { address } = await lookup(host, { family: 4 })
    return { host: address, port }
  } catch (error) {
    throw new ConfigError(
      { code: 'CONFIG_INVALID', message: `the bootstrap host '${host}' has no IPv4 address` },
      { cause: error }
    )
  }
}
