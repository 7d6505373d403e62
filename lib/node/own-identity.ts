// Whether the key and the id that the small files hold are those that the log knows together. A node
// that took itself for another one would vote a second time in that one's name.

import { equalSecret } from '../crypto.ts'
import { REJOIN_HINT, StorageError } from '../errors.ts'
import type { RestoredLog } from '../log-store/log-store.ts'
import type { NodeId } from '../node-id.ts'

export interface OwnIdentity {
  readonly id: NodeId
  readonly publicKey: Uint8Array
}

/**
 * A node that is in no configuration, because it is not a member yet or not any more, passes.
 * @throws StorageError CORRUPTED
 */
export function checkOwnIdentity({ id, publicKey }: OwnIdentity, restored: RestoredLog): void {
  const members = restored.configurations.at(-1)?.configuration.members ?? []
  for (const member of members) {
    const isOwnKey = equalSecret(member.publicKey, publicKey)
    if (isOwnKey === (member.id === id)) continue
    throw new StorageError({
      code: 'CORRUPTED',
      message: isOwnKey
        ? `node.json is damaged: it says node ${id}, and the log knows the key as node ${member.id}`
        : `node.key is damaged: the log knows another key of node ${id}`,
      hint: `put the file back from a copy; else ${REJOIN_HINT}`
    })
  }
}
