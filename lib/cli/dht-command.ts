// `aspen dht`: a bootstrap node of a private DHT, in the foreground. Where there is no internet, or
// where the public DHT is not wanted, one of these is all that members need to find each other.

import { formatAddress, isIpv4 } from '../address.ts'
import { ConfigError, EXIT } from '../errors.ts'
import { BootstrapNode } from '../transport/dht.ts'
import type { Invocation } from './invocation.ts'
import { exitSoon, StopSignals } from './signals.ts'

/** The port that the public bootstrap nodes use. */
const DEFAULT_PORT = 49_737

export async function dht(invocation: Invocation): Promise<number> {
  const { flags, output } = invocation
  const host = flags.text('host') ?? '127.0.0.1'
  if (!isIpv4(host) || host === '0.0.0.0') {
    throw new ConfigError({
      code: 'CONFIG_INVALID',
      message: `--host takes an IPv4 address of this machine that others can reach, not '${host}'`
    })
  }
  const port = flags.integer('port', { min: 0, max: 65_535 })
  const signals = new StopSignals()
  const node = await BootstrapNode.open({ host, port: port ?? DEFAULT_PORT })
  const address = formatAddress(node.address)
  output.result({
    human: () => [address, `export ASPEN_BOOTSTRAP=${address}`],
    json: () => ({ address, host, port: node.address.port, pid: process.pid }),
    quiet: () => address
  })
  output.note(output.errorStyle.dim('  a private bootstrap node; Ctrl-C ends it'))
  await signals.first
  await node.close()
  signals.close()
  exitSoon(EXIT.ok)
  return EXIT.ok
}
