// Which refusal of another member ends a node for good.

import test from 'brittle'
import { hexOf } from '../../lib/encoding.ts'
import { endOfRefused } from '../../lib/node/fenced.ts'

const CLUSTER = new Uint8Array(16).fill(1)
const OTHER = new Uint8Array(16).fill(2)

test('a removal ends a node of that cluster, and none that has the same key in another one', (t) => {
  const told = (cluster: Uint8Array | null) => {
    const fields = cluster === null ? { id: 2 } : { id: 2, cluster: hexOf(cluster) }
    return { code: 'MEMBER_REMOVED', message: 'node 2 was removed', fields } as const
  }
  t.is(endOfRefused(told(CLUSTER), CLUSTER)?.code, 'MEMBER_REMOVED')
  t.is(endOfRefused(told(OTHER), CLUSTER), null)
  t.is(endOfRefused(told(null), CLUSTER), null)
})

test('lost data and a second copy end a node; what may pass does not', (t) => {
  for (const code of ['DATA_LOST', 'FENCED'] as const) {
    t.is(endOfRefused({ code, message: 'why' }, CLUSTER)?.code, code)
  }
  for (const code of ['WRONG_CLUSTER', 'VERSION_MISMATCH', 'BUSY'] as const) {
    t.is(endOfRefused({ code, message: 'why' }, CLUSTER), null)
  }
})
