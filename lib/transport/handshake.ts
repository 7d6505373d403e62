// Who may become a link: the state machine of `aspen/hello`, pure and total. It is given the
// messages of the other side and says what to send and what to conclude; `hello-session.ts` runs it
// on a connection. Drawn as a table in README.md.
//
// Each side sends its hello at once, or asks for its welcome first when it has none. After the
// other's hello each side proves that it knows the secret of the *lower* of the two epochs, by a MAC
// over the Noise handshake, its own role in it, and both hellos: so a proof is good on this
// connection only, in this direction only, and for exactly these fields (no relay, no reflection, no
// downgrade).

import { assert, unreachable } from '../assert.ts'
import { equalSecret, keyedHash, hash, namespace } from '../crypto.ts'
import { decode, encode } from '../encoding.ts'
import type { ErrorDetail } from '../errors.ts'
import { ProtocolError } from '../errors.ts'
import type { Hello, VersionRange } from './encoding.ts'
import {
  askWelcomeEncoding,
  errorEncoding,
  errorForWire,
  helloEncoding,
  Parts,
  partsOf,
  proofEncoding,
  welcomeEncoding
} from './encoding.ts'
import type { MessageKind } from './permissions.ts'
import type { Standing, Trust, Welcome } from './transport.ts'

/** The versions of the protocol that this program speaks. */
export const PROTOCOL_VERSIONS: VersionRange = { from: 1, to: 1 }

export type HelloMessage = MessageKind<'hello'>

export type HandshakeAction =
  | { readonly kind: 'send'; readonly message: HelloMessage; readonly bytes: Uint8Array }
  /** hand the welcome up; then call `poll` until the node's own hello exists */
  | { readonly kind: 'welcome'; readonly welcome: Welcome }
  /** both sides are proven */
  | { readonly kind: 'accept'; readonly hello: Hello }
  /** the other side refused this one */
  | { readonly kind: 'refused'; readonly error: ErrorDetail }
  /** close; `error` was sent before if it is for the other side to know */
  | { readonly kind: 'close'; readonly reason: string }

/** What is fixed for the life of one handshake. */
export interface HandshakeSite {
  readonly trust: Trust
  readonly remotePublicKey: Uint8Array
  /** 64 bytes */
  readonly handshakeHash: Uint8Array
  readonly isInitiator: boolean
}

/**
 * - `asking`: no own hello yet; the welcome was asked for
 * - `greeting`: own hello sent, the other's not seen
 * - `proving`: both hellos seen, own proof sent
 * - `done`: accepted, refused or closed
 */
export type HandshakeState = 'asking' | 'greeting' | 'proving' | 'done'

export class Handshake {
  readonly #site: HandshakeSite
  #state: HandshakeState = 'greeting'
  #ownBytes: Uint8Array | null = null
  #own: Hello | null = null
  /** the other side's hello; kept while `asking` */
  #remote: { readonly hello: Hello; readonly bytes: Uint8Array } | null = null
  /** secret under which both proofs are made */
  #secret: Uint8Array | null = null
  readonly #welcomeParts = new Parts()
  #isWelcomeGiven = false
  #isWelcomeHeard = false
  /** waits for the proof of who sent it */
  #welcome: Welcome | null = null

  constructor(site: HandshakeSite) {
    this.#site = site
  }

  get state(): HandshakeState {
    return this.#state
  }

  /** First call: says hello, or asks for the welcome. */
  start(): readonly HandshakeAction[] {
    const greeted = this.#greet()
    if (greeted !== null) return [greeted]
    this.#state = 'asking'
    const bytes = encode(askWelcomeEncoding, this.#site.trust.clusterId)
    return [{ kind: 'send', message: 'askWelcome', bytes }]
  }

  /** Whether this node's own hello exists by now; call it now and then while `asking`. */
  poll(): readonly HandshakeAction[] {
    if (this.#state !== 'asking') return []
    const greeted = this.#greet()
    if (greeted === null) return []
    return this.#remote === null ? [greeted] : [greeted, ...this.#prove(this.#remote)]
  }

  /** One message of the other side. Never throws. */
  receive(message: HelloMessage, bytes: Uint8Array): readonly HandshakeAction[] {
    if (this.#state === 'done') return []
    try {
      return this.#receive(message, bytes)
    } catch (error) {
      if (error instanceof ProtocolError) return this.#close(error.message)
      throw error
    }
  }

  #receive(message: HelloMessage, bytes: Uint8Array): readonly HandshakeAction[] {
    switch (message) {
      case 'hello':
        return this.#onHello(bytes)
      case 'proof':
        return this.#onProof(bytes)
      case 'askWelcome':
        return this.#onAskWelcome(bytes)
      case 'welcome':
        return this.#onWelcome(bytes)
      case 'refusal':
        this.#state = 'done'
        return [{ kind: 'refused', error: decode(errorEncoding, bytes) }]
      default:
        return unreachable(message)
    }
  }

  /** The action that sends the own hello, or null while there is none. */
  #greet(): HandshakeAction | null {
    const own = this.#site.trust.hello()
    if (own === null) return null
    const { clusterId } = this.#site.trust
    this.#own = { ...own, clusterId, versions: PROTOCOL_VERSIONS, features: 0 }
    this.#ownBytes = encode(helloEncoding, this.#own)
    this.#state = 'greeting'
    return { kind: 'send', message: 'hello', bytes: this.#ownBytes }
  }

  #onHello(bytes: Uint8Array): readonly HandshakeAction[] {
    if (this.#remote !== null) return this.#close('a second hello')
    const hello = decode(helloEncoding, bytes)
    const refusal = refusalOf(hello, this.#site)
    if (refusal !== null) return this.#refuse(refusal)
    const remote = { hello, bytes: bytes.slice() }
    this.#remote = remote
    return this.#state === 'asking' ? [] : this.#prove(remote)
  }

  /** Own hello and the other's are known: agree on the secret, send what the other lacks, prove. */
  #prove(remote: {
    readonly hello: Hello
    readonly bytes: Uint8Array
  }): readonly HandshakeAction[] {
    const own = this.#own
    assert(own !== null && this.#ownBytes !== null, 'the own hello was sent')
    if (remote.hello.id === own.id) return this.#close('the other side claims this node’s id')
    const { trust, remotePublicKey } = this.#site
    const standing = trust.standing(remotePublicKey)
    const actions: HandshakeAction[] = []
    if (remote.hello.epoch < own.epoch) {
      const welcome = standing.kind === 'member' ? trust.welcomeFor(remotePublicKey) : null
      if (welcome === null)
        return this.#close('an older epoch from a key that is not a member here')
      actions.push(...sendWelcome(welcome))
    }
    const secret = trust.epochSecret(Math.min(own.epoch, remote.hello.epoch))
    if (secret === null) return this.#close('the secret of that epoch is not known here')
    this.#secret = secret
    this.#state = 'proving'
    const proof = this.#proofOf(this.#site.isInitiator, secret)
    return [...actions, { kind: 'send', message: 'proof', bytes: encode(proofEncoding, proof) }]
  }

  #onProof(bytes: Uint8Array): readonly HandshakeAction[] {
    const remote = this.#remote
    if (this.#state !== 'proving' || remote === null || this.#secret === null) {
      return this.#close('a proof before both hellos')
    }
    const expected = this.#proofOf(!this.#site.isInitiator, this.#secret)
    if (!equalSecret(expected, decode(proofEncoding, bytes)))
      return this.#close('the proof is wrong')
    this.#state = 'done'
    const welcome = this.#welcome
    return [
      ...(welcome === null ? [] : [{ kind: 'welcome' as const, welcome }]),
      { kind: 'accept', hello: remote.hello }
    ]
  }

  #onAskWelcome(bytes: Uint8Array): readonly HandshakeAction[] {
    if (this.#remote !== null || this.#isWelcomeGiven) return this.#close('a question too late')
    const { trust, remotePublicKey } = this.#site
    const clusterId = decode(askWelcomeEncoding, bytes)
    if (!equalSecret(clusterId, trust.clusterId)) return this.#refuse(WRONG_CLUSTER)
    const welcome = trust.welcomeFor(remotePublicKey)
    if (welcome === null) return this.#close('no welcome for this key')
    this.#isWelcomeGiven = true
    return sendWelcome(welcome)
  }

  /** One that was asked for is handed up now; one that a proof follows, with the proof. */
  #onWelcome(bytes: Uint8Array): readonly HandshakeAction[] {
    const isAsked = this.#state === 'asking'
    const isOlder =
      this.#own !== null && this.#remote !== null && this.#remote.hello.epoch > this.#own.epoch
    const isDue = (isAsked || isOlder) && !this.#isWelcomeHeard
    if (!isDue) return this.#close('a welcome that was not asked for')
    const whole = this.#welcomeParts.add(bytes)
    if (whole === null) return []
    this.#isWelcomeHeard = true
    const welcome = decode(welcomeEncoding, whole)
    if (isAsked) return [{ kind: 'welcome', welcome }]
    this.#welcome = welcome
    return []
  }

  /** The proof of the side that initiated (or not), under `secret`. */
  #proofOf(isInitiator: boolean, secret: Uint8Array): Uint8Array {
    assert(this.#ownBytes !== null && this.#remote !== null, 'both hellos are known')
    const own = hash(this.#ownBytes)
    const remote = hash(this.#remote.bytes)
    const [first, second] = this.#site.isInitiator ? [own, remote] : [remote, own]
    const side = new Uint8Array([isInitiator ? 1 : 0])
    return keyedHash(secret, PROOF_NAMESPACE, side, this.#site.handshakeHash, first, second)
  }

  #refuse(error: ErrorDetail): readonly HandshakeAction[] {
    this.#state = 'done'
    const bytes = encode(errorEncoding, errorForWire(error))
    return [
      { kind: 'send', message: 'refusal', bytes },
      { kind: 'close', reason: error.message }
    ]
  }

  #close(reason: string): readonly HandshakeAction[] {
    this.#state = 'done'
    return [{ kind: 'close', reason }]
  }
}

const PROOF_NAMESPACE = namespace('hello/1')

const WRONG_CLUSTER: ErrorDetail = {
  code: 'WRONG_CLUSTER',
  message: 'this node belongs to another cluster'
}

/** What is wrong with a hello that the other side should be told, or null. */
function refusalOf(hello: Hello, site: HandshakeSite): ErrorDetail | null {
  if (!equalSecret(hello.clusterId, site.trust.clusterId)) return WRONG_CLUSTER
  const { trust, remotePublicKey } = site
  return (
    whyVersionsDiffer(hello) ??
    contradictionOf(hello, trust.standing(remotePublicKey)) ??
    trust.refusalOf(remotePublicKey, hello)
  )
}

/** VERSION_MISMATCH when the other side speaks no version that this one speaks; else null. */
export function whyVersionsDiffer({ versions: { from, to }, version }: Hello): ErrorDetail | null {
  if (to >= PROTOCOL_VERSIONS.from && from <= PROTOCOL_VERSIONS.to) return null
  return {
    code: 'VERSION_MISMATCH',
    message:
      `protocol versions ${from} to ${to} (${version}) ` +
      `do not meet ${PROTOCOL_VERSIONS.from} to ${PROTOCOL_VERSIONS.to}`,
    hint: 'run the same version of aspen on both machines'
  }
}

/** A key that claims another id than the one it has, or that is nobody here. */
function contradictionOf(hello: Hello, standing: Standing): ErrorDetail | null {
  switch (standing.kind) {
    case 'member':
      if (standing.id === hello.id) return null
      return {
        code: 'PROTOCOL',
        message: `this key is node ${standing.id} here, and says it is node ${hello.id}`
      }
    case 'unproven':
      return null
    case 'refused':
      return standing.error
    case 'invite':
    case 'stranger':
      return { code: 'FORBIDDEN', message: 'this key is not a member' }
    default:
      return unreachable(standing)
  }
}

function sendWelcome(welcome: Welcome): readonly HandshakeAction[] {
  return partsOf(encode(welcomeEncoding, welcome)).map((bytes) => ({
    kind: 'send',
    message: 'welcome',
    bytes
  }))
}
