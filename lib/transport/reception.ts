// The member's end of `aspen/join`, and of refusals. On a connection with an invite's key nothing
// else is spoken: the member proves that it belongs to the cluster of the invite, the joiner names
// its node key and proves it, the owner decides, one answer goes back, and the connection ends.

import type { Timer, Timers } from '../clock.ts'
import { equalSecret, verify } from '../crypto.ts'
import { decode, encode } from '../encoding.ts'
import type { ErrorDetail } from '../errors.ts'
import { ProtocolError } from '../errors.ts'
import { JOIN_DEADLINE_MS } from '../limits.ts'
import type { JoinReply } from './encoding.ts'
import {
  errorEncoding,
  errorForWire,
  joinReplyEncoding,
  joinRequestEncoding,
  partsOf,
  proofEncoding
} from './encoding.ts'
import type { Place } from './gate.ts'
import { joinStatement, sponsorProof } from './join-proofs.ts'
import { Mux } from './mux.ts'
import type { Connection } from './network.ts'
import type { JoinAnswer, VerifiedJoinRequest } from './transport.ts'

export interface ReceptionParts {
  readonly clusterId: Uint8Array
  /** this node's own key */
  readonly publicKey: Uint8Array
  readonly timers: Timers
  readonly onJoin: (request: VerifiedJoinRequest, answer: (answer: JoinAnswer) => void) => void
}

/** A conversation that has to end by itself. */
export interface Conversation {
  close(reason: string): void
}

/** Serves one joiner. `place` is freed when the connection is gone. */
export function receiveJoiner(
  connection: Connection,
  invite: { readonly proofKey: Uint8Array; readonly place: Place },
  parts: ReceptionParts
): Conversation {
  const deadline = parts.timers.start(JOIN_DEADLINE_MS, () => reply({ kind: 'busy' }))
  let isAsked = false
  const mux = new Mux(connection, 'joiner', {
    onMessage: (_channel, _type, bytes) => {
      if (isAsked) throw new ProtocolError('a second request')
      isAsked = true
      parts.onJoin(verifiedRequest(bytes, connection, parts), (answer) => reply(answer))
    },
    onDrain: () => {},
    onClose: () => {
      deadline.cancel()
      invite.place.free()
    }
  })
  mux.open('join')
  const proof = sponsorProof(invite.proofKey, connection.handshakeHash, parts.publicKey)
  mux.send('join', 'proof', encode(proofEncoding, proof))

  function reply(answer: JoinReply): void {
    deadline.cancel()
    sendReply(mux, answer)
    mux.finish(`joiner answered: ${answer.kind}`)
  }

  return mux
}

/** Tells a joiner that there are too many of them. */
export function turnAway(
  connection: Connection,
  parts: { timers: Timers; place: Place }
): Conversation {
  return answerOnce(connection, parts, (mux) => {
    sendReply(mux, { kind: 'busy' })
  })
}

/** Tells a key why it is not let in, on whichever channel it opens. */
export function refuse(
  connection: Connection,
  error: ErrorDetail,
  parts: { timers: Timers; place: Place }
): Conversation {
  return answerOnce(connection, parts, (mux, channel) => {
    if (channel === 'join') sendReply(mux, { kind: 'refused', error })
    else mux.send('hello', 'refusal', encode(errorEncoding, errorForWire(error)))
  })
}

/** Waits for the other side to open a channel, says one thing there and ends. */
function answerOnce(
  connection: Connection,
  parts: { timers: Timers; place: Place },
  say: (mux: Mux, channel: 'hello' | 'join') => void
): Conversation {
  const deadline: Timer = parts.timers.start(JOIN_DEADLINE_MS, () => mux.close('nothing asked'))
  const mux = new Mux(connection, 'refused', {
    onMessage: () => {},
    onDrain: () => {},
    onOpen: (channel) => {
      if (channel !== 'hello' && channel !== 'join') return
      mux.open(channel)
      say(mux, channel)
      mux.finish('refused')
    },
    onClose: () => {
      deadline.cancel()
      parts.place.free()
    }
  })
  return mux
}

function sendReply(mux: Mux, reply: JoinReply): void {
  const fitting =
    reply.kind === 'refused' ? { kind: reply.kind, error: errorForWire(reply.error) } : reply
  for (const part of partsOf(encode(joinReplyEncoding, fitting))) mux.send('join', 'answer', part)
}

/** @throws ProtocolError when the request is not for this cluster or not signed by its node key */
function verifiedRequest(
  bytes: Uint8Array,
  connection: Connection,
  parts: ReceptionParts
): VerifiedJoinRequest {
  const { clusterId, signature, ...request } = decode(joinRequestEncoding, bytes)
  if (!equalSecret(clusterId, parts.clusterId))
    throw new ProtocolError('a request for another cluster')
  const statement = joinStatement(connection.handshakeHash, clusterId, request.publicKey)
  if (!verify(signature, statement, request.publicKey)) {
    throw new ProtocolError('the node key did not sign this request')
  }
  return { ...request, invitePublicKey: connection.remotePublicKey }
}
