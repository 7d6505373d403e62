// Letting a node in whose key an operator knows: without a ticket, and without the node, which need not be running.
// The same two entries as with a ticket (admission.ts): this side proposes the first through whoever leads; the
// second is the leader's duty. The node learns of it when it asks a member for its welcome (transport/welcome.ts).

import type { Address } from '../address.ts'
import { PUBLIC_KEY_BYTES } from '../crypto.ts'
import { bytesOf, hexOf } from '../encoding.ts'
import { ControlPlaneError } from '../errors.ts'
import { MAX_MEMBER_ADDRESSES, MAX_NAME_SIZE } from '../limits.ts'
import type { NodeId } from '../node-id.ts'
import type { AdmissionParts } from './admission.ts'
import { sealedTo } from './admission.ts'
import type { ClusterTrust } from './trust.ts'

export interface AdmissionByKeyParts extends Pick<AdmissionParts, 'random' | 'submit'> {
  readonly trust: Pick<ClusterTrust, 'epoch' | 'epochSecret'>
}

/** What an operator says of a node. */
export interface NodeToAdmit {
  readonly publicKey: Uint8Array
  /** for people, until the node says its own; null: the beginning of its key */
  readonly name: string | null
  /** where it may be reached; hints, may be empty */
  readonly addresses: readonly Address[]
  /** what the growth rule may make of it */
  readonly role: 'voter' | 'learner'
  /** the id that the operator takes for granted; null: whichever it has or gets */
  readonly expectedId: NodeId | null
}

export interface AdmittedByKey {
  readonly id: NodeId
  /** false: the node was admitted before */
  readonly isNew: boolean
}

/**
 * Resolves when the node is in the registry; idempotent per key.
 * @throws ControlPlaneError INVALID_REQUEST for a key that no secret can be sealed to, for another id than the node
 *   has or would get (`fields.id`), for the key of a ticket; MEMBER_REMOVED, TOO_MANY_MEMBERS, CHANGE_IN_PROGRESS,
 *   UNAVAILABLE while this node has not its epoch's secret; and what `submit` rejects with
 */
export async function admitKey(
  { trust, random, submit }: AdmissionByKeyParts,
  spec: NodeToAdmit,
  timeoutMs: number
): Promise<AdmittedByKey> {
  const { publicKey, addresses, role, expectedId } = spec
  const name = spec.name ?? hexOf(publicKey).slice(0, 8)
  const problem = problemOf({ ...spec, name })
  if (problem !== null) throw invalid(problem)
  const epoch = trust.epoch()
  const secret = trust.epochSecret(epoch)
  if (secret === null) throw notReady()
  const sealedSecret = sealedTo(publicKey, secret, random)
  if (sealedSecret === null)
    throw invalid(
      'no node has this key',
      "'aspen status' on the node tells its key, and so does GET /node-info"
    )
  const result = await submit(
    { kind: 'admitKey', publicKey, name, addresses, role, expectedId, epoch, sealedSecret },
    timeoutMs
  )
  if (result.kind === 'refused') throw new ControlPlaneError(result.error)
  if (result.kind !== 'admitted') throw invalid(`an admission does not end as '${result.kind}'`)
  return { id: result.id, isNew: result.isNew }
}

function problemOf(spec: NodeToAdmit & { readonly name: string }): string | null {
  const { publicKey, name, addresses } = spec
  if (publicKey.byteLength !== PUBLIC_KEY_BYTES) return `a key has ${PUBLIC_KEY_BYTES} bytes`
  if (bytesOf(name).byteLength > MAX_NAME_SIZE) return `a name has at most ${MAX_NAME_SIZE} bytes`
  const isTooMany = addresses.length > MAX_MEMBER_ADDRESSES
  return isTooMany ? `a node has at most ${MAX_MEMBER_ADDRESSES} addresses` : null
}

function invalid(message: string, hint?: string): ControlPlaneError {
  const code = 'INVALID_REQUEST'
  return new ControlPlaneError(hint === undefined ? { code, message } : { code, message, hint })
}

function notReady(): ControlPlaneError {
  return new ControlPlaneError({
    code: 'UNAVAILABLE',
    message: 'this node has not heard the secret of its cluster yet',
    hint: 'ask again in a moment, or ask another member'
  })
}
