// That a node starts only as the one that its log knows.

import test from 'brittle'
import { AspenError } from '../../lib/errors.ts'
import { checkOwnIdentity } from '../../lib/node/own-identity.ts'
import type { OwnIdentity } from '../../lib/node/own-identity.ts'
import type { Member } from '../../lib/raft/configuration.ts'

const keyOf = (id: number): Uint8Array => new Uint8Array(32).fill(id)
const memberOf = (id: number): Member => ({
  id,
  publicKey: keyOf(id),
  role: 'voter',
  addresses: []
})

function verdictOn(self: OwnIdentity, memberIds: readonly number[]): string {
  const configuration = { members: memberIds.map(memberOf), outgoing: [] }
  const configurations = memberIds.length === 0 ? [] : [{ index: 1, configuration }]
  try {
    checkOwnIdentity(self, { hardState: null, configurations })
    return 'fine'
  } catch (error) {
    return error instanceof AspenError ? `${error.code}: ${error.message}` : String(error)
  }
}

test('the key and the id that the log knows together are fine', (t) => {
  t.is(verdictOn({ id: 2, publicKey: keyOf(2) }, [1, 2, 3]), 'fine')
})

test('a node that is in no configuration is fine', (t) => {
  t.is(verdictOn({ id: 4, publicKey: keyOf(4) }, [1, 2, 3]), 'fine')
  t.is(verdictOn({ id: 4, publicKey: keyOf(4) }, []), 'fine')
})

test('another id than that of the key, and another key than that of the id, are damage', (t) => {
  const wrongId = verdictOn({ id: 3, publicKey: keyOf(2) }, [1, 2, 3])
  t.is(wrongId.split(',')[0], 'CORRUPTED: node.json is damaged: it says node 3')
  const unknownId = verdictOn({ id: 7, publicKey: keyOf(2) }, [1, 2, 3])
  t.is(unknownId.split(',')[0], 'CORRUPTED: node.json is damaged: it says node 7')
  const wrongKey = verdictOn({ id: 2, publicKey: keyOf(9) }, [1, 2, 3])
  t.is(wrongKey, 'CORRUPTED: node.key is damaged: the log knows another key of node 2')
})
