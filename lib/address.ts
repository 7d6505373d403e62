// Where a member was last reachable: an IPv4 address and a UDP port. A hint, never an identity
// (DESIGN §1.6).

export interface Address {
  /** dotted IPv4, e.g. `192.168.1.20` */
  readonly host: string
  /** 1 to 65,535 */
  readonly port: number
}

const IPV4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/

/** Whether `host` is a dotted IPv4 address in its canonical spelling. */
export function isIpv4(host: string): boolean {
  const parts = IPV4.exec(host)
  return parts !== null && parts.slice(1).every((part) => Number(part) <= 255)
}

export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535
}

/** `host:port` to an address; null when it is not one. The host must be an IPv4 address. */
export function parseAddress(text: string): Address | null {
  const colon = text.lastIndexOf(':')
  if (colon < 1) return null
  const host = text.slice(0, colon)
  const digits = text.slice(colon + 1)
  if (!/^[1-9]\d{0,4}$/.test(digits) || !isIpv4(host) || !isPort(Number(digits))) return null
  return { host, port: Number(digits) }
}

export function formatAddress(address: Address): string {
  return `${address.host}:${address.port}`
}

export function isLoopback(address: Address): boolean {
  return address.host.startsWith('127.')
}
