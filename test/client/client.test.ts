import test from 'brittle'
import { Client } from '../../lib/client/client.ts'
import { bytesOf } from '../../lib/encoding.ts'
import { openServer, TOKEN } from '../http/open-server.ts'

test('a put and a get travel over the Unix socket', async (t) => {
  const { server } = await openServer(t)
  const client = Client.connect({ socketPath: server.socketPath })
  t.teardown(() => client.close())
  const put = await client.kv.put(bytesOf('app/port'), bytesOf('8080'))
  t.alike(put, { revision: 11, previousRevision: 0 })
  const got = await client.kv.get(bytesOf('app/port'))
  t.alike(got, {
    item: {
      key: bytesOf('app/port'),
      value: bytesOf('8080'),
      createRevision: 11,
      modRevision: 11,
      version: 1
    },
    revision: 11,
    consistency: 'linearizable'
  })
})

test('a put and a get travel over TCP with the token', async (t) => {
  const { server } = await openServer(t)
  const client = Client.connect({ url: server.url, token: TOKEN })
  t.teardown(() => client.close())
  await client.kv.put(bytesOf('a'), Uint8Array.of(0, 255))
  const { item } = await client.kv.get(bytesOf('a'))
  t.alike(item?.value, Uint8Array.of(0, 255))
})
