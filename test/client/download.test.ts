// A backup over a real server: it is taken as it comes, it ends with an error where it is not whole, and the node
// hears when nobody takes it any more.

import test from 'brittle'
import type { Assert } from 'brittle'
import { createServer, request } from 'node:http'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { once } from 'node:events'
import { Client } from '../../lib/client/client.ts'
import { download } from '../../lib/client/download.ts'
import { asAspenError, KeyValueStoreError } from '../../lib/errors.ts'
import { openServer, send, TOKEN } from '../http/open-server.ts'
import { waitFor } from '../e2e/lab.ts'

async function openClient(t: Assert) {
  const opened = await openServer(t)
  const client = Client.connect({ socketPath: opened.server.socketPath })
  t.teardown(() => client.close(), { order: -1 })
  return { ...opened, client }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'done',
    (error: unknown) => asAspenError(error).code
  )
}

test('all bytes come, in order, and the backup is closed after the last', async (t) => {
  const { client, node } = await openClient(t)
  const { byteCount, pieces } = await client.backup({ consistency: 'stale', timeoutMs: 2_000 })
  t.is(byteCount, 100_000)
  const bytes: Uint8Array[] = []
  for await (const piece of pieces) bytes.push(piece)
  const all = Buffer.concat(bytes)
  t.is(all.byteLength, 100_000)
  t.ok([0, 5, 99].every((at) => all[at * 1_000] === at && all[at * 1_000 + 999] === at))
  t.alike(node.lastOptions, { consistency: 'stale', timeoutMs: 2_000 })
  await waitFor('the end of the backup', () => node.closedBackups === 1)
  await (await client.backup()).pieces[Symbol.asyncIterator]().next()
  t.alike(node.lastOptions, { consistency: 'linearizable', timeoutMs: 5_000 })
})

test('a refusal is the error that the node raised, and a node that is away is said to be', async (t) => {
  const { client, node, server } = await openClient(t)
  node.fail(new KeyValueStoreError({ code: 'OVERLOADED', message: 'two are being taken' }))
  t.is(await codeOf(client.backup()), 'OVERLOADED')
  const nobody = Client.connect({ socketPath: `${server.socketPath}x` })
  t.is(await codeOf(nobody.backup()), 'NODE_NOT_RUNNING')
})

test('over TCP it needs the token, a good query, and takes no body', async (t) => {
  const { server } = await openClient(t)
  const { hostname, port } = new URL(server.url)
  const tcp = { host: hostname, port, headers: { host: `${hostname}:${port}` } }
  t.is((await send({ ...tcp, path: '/admin/backup' })).status, 401)
  const headers = { ...tcp.headers, authorization: `Bearer ${TOKEN}` }
  t.is((await send({ ...tcp, headers, path: '/admin/backup?consistency=no' })).status, 400)
  t.is((await send({ ...tcp, headers, path: '/admin/backup?timeout_ms=0' })).status, 400)
  t.is((await send({ ...tcp, headers, path: '/admin/backup', method: 'POST' })).status, 405)
  t.is((await send({ ...tcp, headers, path: '/admin/backup', method: 'HEAD' })).status, 405)
  t.is((await send({ ...tcp, headers, path: '/admin/backup' })).status, 200)
})

test('whoever goes away in the middle of it leaves nothing open', async (t) => {
  const { node, server } = await openClient(t)
  const asking = request({ socketPath: server.socketPath, path: '/admin/backup' })
  asking.on('error', () => {})
  asking.end()
  const [response] = await once(asking, 'response')
  await once(response, 'readable')
  asking.destroy()
  await waitFor('the end of the backup', () => node.closedBackups === 1)
  t.pass()
})

/** A server that sends ten bytes of a thousand, and then nothing; what it has been asked, in order. */
async function openStalled(t: Assert) {
  const socketPath = join(await t.tmp(), 'aspen.sock')
  const asked: ServerResponse[] = []
  const server = createServer((_request, response) => {
    asked.push(response)
    response.writeHead(200, { 'content-length': 1_000 })
    response.write(Buffer.alloc(10))
  }).listen(socketPath)
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const begin = async (stallMs: number) => {
    const options = { path: '/', timeoutMs: 2_000, stallMs }
    const outcome = await download({ socketPath, headers: {} }, options)
    if (outcome.kind !== 'begun') throw new Error('it begins')
    const pieces = outcome.downloaded.pieces[Symbol.asyncIterator]()
    await pieces.next()
    return { pieces, cancel: () => outcome.downloaded.cancel() }
  }
  return { asked, begin }
}

test('a backup of which nothing more comes ends with an error, in time', async (t) => {
  const { begin } = await openStalled(t)
  const { pieces } = await begin(300)
  const startedMs = performance.now()
  const error = await pieces.next().then(
    () => null,
    (reason: unknown) => asAspenError(reason)
  )
  t.is(error?.code, 'UNAVAILABLE')
  t.ok(error?.message.includes('nothing came from the node for 0.3 s'), error?.message)
  t.ok(performance.now() - startedMs < 5_000)
})

test('whoever cancels it has nothing to wait for, and the node hears it', async (t) => {
  const { asked, begin } = await openStalled(t)
  const { pieces, cancel } = await begin(60_000)
  const next = codeOf(pieces.next())
  cancel()
  t.is(await next, 'UNAVAILABLE')
  await waitFor('the end of the connection', () => asked[0]?.destroyed === true)
})
