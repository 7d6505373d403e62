// Errors of the DHT in words.

import test from 'brittle'
import { dialReason } from '../../lib/transport/dial-reason.ts'

function failure(code: string | null, message: string): Error {
  return Object.assign(new Error(message), code === null ? {} : { code })
}

test('the reason of a failed dial has no code in it', (t) => {
  const known = failure(
    'PEER_CONNECTION_FAILED',
    'PEER_CONNECTION_FAILED: Could not connect to peer'
  )
  t.is(dialReason(known), 'nobody answered, neither at the known addresses nor over the DHT')
  t.is(dialReason(failure('SUSPENDED', 'SUSPENDED: Suspended')), 'Suspended')
  t.is(dialReason(failure(null, 'stream was destroyed')), 'stream was destroyed')
  t.is(dialReason(failure('toString', 'odd')), 'odd')
})
