// `aspen kv` against the HTTP server with a node in memory, over a real socket.

import test from 'brittle'
import { KeyValueStoreError } from '../../lib/errors.ts'
import { MAX_VALUE_SIZE } from '../../lib/limits.ts'
import { openNode } from './run-cli.ts'

test('put prints the revision in all three forms', async (t) => {
  const { run } = await openNode(t)
  t.alike(await run(['kv', 'put', 'app/port', '8080']), {
    code: 0,
    stdout: 'ok  revision 11\n',
    stderr: ''
  })
  t.alike(await run(['kv', 'put', 'app/port', '8081', '--quiet']), {
    code: 0,
    stdout: '12\n',
    stderr: ''
  })
  const { stdout } = await run(['kv', 'put', 'app/port', '8082', '--json'])
  t.alike(JSON.parse(stdout), { key: 'app/port', revision: 13, previous_revision: 12 })
  t.is(stdout.split('\n').length, 2, 'one line')
})

test('get gives the bytes as they are, with a line end only for a terminal', async (t) => {
  const { run } = await openNode(t)
  const bytes = Buffer.from([0, 255, 10, 13, 128])
  t.is((await run(['kv', 'put', 'k', '-'], { stdin: bytes })).code, 0)
  const piped = await run(['kv', 'get', 'k', '--json'])
  t.is(JSON.parse(piped.stdout).value_b64, bytes.toString('base64'))
  await run(['kv', 'put', 'k', 'text'])
  t.is((await run(['kv', 'get', 'k'])).stdout, 'text')
  t.is((await run(['kv', 'get', 'k'], { isTerminal: true })).stdout, 'text\n')
  t.is((await run(['kv', 'get', 'k', '--quiet'])).stdout, 'text')
})

test('get --meta tells of the revisions on stderr and leaves stdout alone', async (t) => {
  const { run } = await openNode(t)
  await run(['kv', 'put', 'k', 'v'])
  const ran = await run(['kv', 'get', 'k', '--meta', '--stale'])
  t.is(ran.stdout, 'v')
  t.is(ran.stderr, 'revision 11  created 11  version 1  (stale, read at revision 11)\n')
})

test('a missing key is exit code 3 and says so on stderr, or as an error object', async (t) => {
  const { run } = await openNode(t)
  t.alike(await run(['kv', 'get', 'nope']), { code: 3, stdout: '', stderr: 'not found: nope\n' })
  const ran = await run(['kv', 'get', 'nope', '--json'])
  t.is(ran.code, 3)
  t.is(ran.stderr, '')
  t.is(JSON.parse(ran.stdout).error.code, 'NOT_FOUND')
})

test('conditions that do not hold are exit code 4', async (t) => {
  const { run } = await openNode(t)
  await run(['kv', 'put', 'k', 'v'])
  t.is((await run(['kv', 'put', 'k', 'w', '--if-absent'])).code, 4)
  t.is((await run(['kv', 'put', 'k', 'w', '--if-revision', '3'])).code, 4)
  t.is((await run(['kv', 'del', 'k', '--if-revision', '3'])).code, 4)
  t.is((await run(['kv', 'put', 'k', 'w', '--if-revision', '11'])).code, 0)
  t.is((await run(['kv', 'put', 'other', 'w', '--if-absent'])).code, 0)
  const both = await run(['kv', 'put', 'k', 'w', '--if-revision', '1', '--if-absent'])
  t.is(both.code, 2)
})

test('del says whether there was something and is no error when there was nothing', async (t) => {
  const { run } = await openNode(t)
  await run(['kv', 'put', 'k', 'v'])
  t.alike(await run(['kv', 'del', 'k']), { code: 0, stdout: 'deleted  revision 12\n', stderr: '' })
  t.alike(await run(['kv', 'del', 'k']), { code: 0, stdout: 'not found: k\n', stderr: '' })
  await run(['kv', 'put', 'k', 'v'])
  t.is(JSON.parse((await run(['kv', 'del', 'k', '--json'])).stdout).deleted, true)
  t.is(JSON.parse((await run(['kv', 'del', 'k', '--json'])).stdout).deleted, false)
  t.is((await run(['kv', 'del', 'k', '-q'])).stdout, '0\n')
})

test('scan is a table, keys alone, or one object', async (t) => {
  const { run } = await openNode(t)
  await run(['kv', 'put', 'app/host', 'db.internal'])
  await run(['kv', 'put', 'app/port', '8080'])
  await run(['kv', 'put', 'app/tls', '-'], { stdin: Buffer.alloc(2100, 0xff) })
  await run(['kv', 'put', 'b', 'x'])
  const table = await run(['kv', 'scan', 'app/'])
  t.is(
    table.stdout,
    'KEY       VALUE             REVISION\n' +
      'app/host  db.internal             11\n' +
      'app/port  8080                    12\n' +
      'app/tls   <binary 2.1 KiB>        13\n'
  )
  t.is(table.stderr, '3 keys at revision 14\n')
  const page = await run(['kv', 'scan', '--limit', '2', '--keys-only'])
  t.is(page.stdout, 'app/host\napp/port\n')
  t.ok(page.stderr.includes("more with --after 'app/port'"))
  t.is((await run(['kv', 'scan', '--after', 'app/port', '-q'])).stdout, 'app/tls\nb\n')
  const document = JSON.parse((await run(['kv', 'scan', '--limit', '1', '--json'])).stdout)
  t.is(document.has_more, true)
  t.alike(document.items, [
    { key: 'app/host', value: 'db.internal', revision: 11, create_revision: 11, version: 1 }
  ])
})

test('keys and values may be empty, start with a dash, or hold control characters', async (t) => {
  const { run } = await openNode(t)
  t.is((await run(['kv', 'put', 'k', ''])).code, 0, 'an empty value')
  t.is((await run(['kv', 'get', 'k'])).stdout, '')
  t.is((await run(['kv', 'put', '', 'v'])).code, 2, 'an empty key')
  t.is((await run(['kv', 'put', '--quiet', '--', '-k', '-5'])).code, 0)
  t.is((await run(['kv', 'get', '--', '-k'])).stdout, '-5')
  await run(['kv', 'put', 'evil\u001b[2J', 'a\nb'])
  const { stdout } = await run(['kv', 'scan', 'evil'])
  t.ok(stdout.includes('evil\\x1b[2J  a\\nb'), 'control characters are spelled out')
})

test('a value from stdin that is too large is refused before it is sent', async (t) => {
  const { run, opened } = await openNode(t)
  const ran = await run(['kv', 'put', 'k', '-'], { stdin: Buffer.alloc(MAX_VALUE_SIZE + 1) })
  t.is(ran.code, 2)
  t.ok(ran.stderr.includes(`more than ${MAX_VALUE_SIZE} bytes`))
  t.is(opened.node.calls, 0)
  const full = await run(['kv', 'put', 'k', '-'], { stdin: Buffer.alloc(MAX_VALUE_SIZE) })
  t.is(full.code, 0)
})

test('flags reach the node: timeout and consistency', async (t) => {
  const { run, opened } = await openNode(t)
  await run(['kv', 'get', 'k', '--stale', '--timeout', '300ms'])
  t.alike(opened.node.lastOptions, { consistency: 'stale', timeoutMs: 300 })
  await run(['kv', 'put', 'k', 'v', '--timeout', '7'])
  t.is(opened.node.lastOptions?.timeoutMs, 7000)
})

test('errors of the node keep their exit code; a write of unknown outcome is 6', async (t) => {
  const { run, opened } = await openNode(t)
  opened.node.fail(new KeyValueStoreError({ code: 'UNAVAILABLE', message: 'no quorum' }))
  const refused = await run(['kv', 'put', 'k', 'v'])
  t.is(refused.code, 5)
  t.is(refused.stderr, '✗ no quorum\n')
  opened.node.fail(
    new KeyValueStoreError({ code: 'TIMEOUT', message: 'no answer', hint: 'read it' })
  )
  const unknown = await run(['kv', 'put', 'k', 'v', '--json'])
  t.is(unknown.code, 6)
  t.alike(JSON.parse(unknown.stdout).error.applied, null)
})
