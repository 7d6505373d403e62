// Who may ask over TCP. Any page in a browser can send requests to 127.0.0.1, under its own name or,
// by DNS rebinding, under one that it makes resolve there; so the port being local proves nothing.
// Host, Origin and Sec-Fetch-Site keep pages out, the bearer token keeps other users out. On the
// Unix socket the file's permissions do both, and this guard is not used.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { networkInterfaces } from 'node:os'
import { assert } from '../assert.ts'
import { equalSecret } from '../crypto.ts'
import { bytesOf } from '../encoding.ts'
import type { AspenError } from '../errors.ts'
import { refusal } from './error-body.ts'

/** Each answers with why the request is refused, or null. */
export interface Guard {
  /** whether the request was meant for this node */
  checkHost(request: Pick<IncomingMessage, 'headersDistinct' | 'url'>): AspenError | null
  /** whether no web page of another origin sent it */
  checkOrigin(headers: IncomingHttpHeaders): AspenError | null
  /** whether it shows the right to ask for `route`, the path without parameters and query */
  checkToken(headers: IncomingHttpHeaders, route: string): AspenError | null
}

/** The routes that answer without a token: nothing in them but whether the node is well, and what any node can be asked. */
export const OPEN_ROUTES: ReadonlySet<string> = new Set([
  '/livez',
  '/livez/:check',
  '/readyz',
  '/readyz/:check',
  '/health',
  '/metrics',
  '/openapi.json'
])

/** The guard of a TCP listener; what it is called (`ownHosts`) is asked at each request, since its port is known late. */
export function tcpGuard(token: string, hosts: () => readonly string[]): Guard {
  assert(token.length >= MIN_TOKEN_LENGTH, `a token has at least ${MIN_TOKEN_LENGTH} characters`)
  const secret = bytesOf(token)
  return {
    checkHost({ headersDistinct: { host = [] }, url = '' }) {
      // a request line may name a host as well, and then it is the one that counts (RFC 9112, 3.2.2)
      const named = ABSOLUTE_FORM.exec(url)?.[1]
      const names = named === undefined ? host : [...host, named]
      const own = hosts()
      if (host.length === 1 && names.every((name) => own.includes(name))) return null
      const hint = 'ask the node by its address, or as localhost: other names are not taken'
      return refusal('MISDIRECTED', 'the Host header names another place than this node', hint)
    },
    checkOrigin({ origin, 'sec-fetch-site': site }) {
      if (origin !== undefined && !hosts().some((host) => origin === `http://${host}`)) {
        return refusal('FORBIDDEN', 'requests of other web pages are refused')
      }
      if (site === undefined || site === 'none' || site === 'same-origin') return null
      return refusal('FORBIDDEN', 'requests of other web sites are refused')
    },
    checkToken({ authorization = '' }, route) {
      if (OPEN_ROUTES.has(route)) return null
      const presented = /^Bearer +(\S+)$/i.exec(authorization)?.[1]
      if (presented !== undefined && equalSecret(bytesOf(presented), secret)) return null
      const what = presented === undefined ? 'no token was given' : 'the token is wrong'
      return refusal('UNAUTHORIZED', what, 'send the header Authorization: Bearer <token>')
    }
  }
}

const ABSOLUTE_FORM = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i

/** A token that short can be guessed. */
const MIN_TOKEN_LENGTH = 32

/** What a listener at that address may be called in a Host header: loopback, and the address itself; of 0.0.0.0 all that the machine has. */
export function ownHosts(address: string, port: number): readonly string[] {
  const others = address === ALL_ADDRESSES ? machineAddresses() : [address]
  const names = ['127.0.0.1', 'localhost', '[::1]', ...others]
  const places = names.map((host) => `${host}:${port}`)
  return port === USUAL_PORT ? [...names, ...places] : places
}

/** Of HTTP: clients leave it out. */
const USUAL_PORT = 80

export const ALL_ADDRESSES = '0.0.0.0'

function machineAddresses(): readonly string[] {
  const lists = Object.values(networkInterfaces())
  return lists.flatMap((list = []) =>
    list.filter(({ family }) => family === 'IPv4').map((one) => one.address)
  )
}
