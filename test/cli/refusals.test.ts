// What the command line refuses before it asks anybody: each in the words that name what is wrong, with
// the same code as text and as JSON. test/e2e holds that the program hands these on as its exit code.

import { readFileSync } from 'node:fs'
import test from 'brittle'
import { CODES } from '../../lib/errors.ts'
import type { ErrorCode } from '../../lib/errors.ts'
import { runCli } from './run-cli.ts'

interface Vector {
  readonly name: string
  readonly text: string
  readonly code: ErrorCode
}

test('a flag that makes no sense is refused by name, with what it takes', async (t) => {
  const cases: readonly (readonly [args: string[], words: RegExp])[] = [
    [['nosuch'], /no command 'nosuch'/],
    [['kv', 'nosuch'], /no command 'nosuch'/],
    [['status', '--nosuch'], /no flag --nosuch/],
    [['status', 'extra'], /'extra' is one argument too many/],
    [['kv', 'put', 'k'], /value.* missing/],
    [['kv', 'get', 'k', '--timeout', 'soon'], /--timeout takes a duration.*'soon'/],
    [['kv', 'get', 'k', '--timeout', '0'], /--timeout must be between/],
    [['kv', 'scan', '--limit', '0'], /--limit takes a whole number from 1 to/],
    [['kv', 'put', 'k', 'v', '--if-revision', 'x'], /--if-revision takes a whole number/],
    [['kv', 'put', 'k', 'v', '--if-revision', '1', '--if-absent'], /exclude each other/],
    [['ticket', 'create', '--role', 'king'], /--role takes one of: voter, learner/],
    [['ticket', 'create', '--ttl', '400d'], /--ttl must be between/],
    [['ticket', 'create', '--uses', '1001'], /--uses takes a whole number from 1 to 1000/],
    [['create', '--port', '70000'], /--port takes a whole number from 1 to 65535/],
    [['create', '--http-port', '0'], /--http-port takes a whole number from 1 to 65535/],
    [
      ['create', '--bootstrap', 'nowhere'],
      /--bootstrap takes a host and a port such as .*, not 'nowhere'/
    ],
    [['create', '--name', '../up'], /--name takes a name: .*, not '\.\.\/up'/],
    [['create', '--timing', 'moon'], /--timing takes one of: default, lan, wan/],
    [['create', '--storage', 'snapshot-entries=0'], /takes a whole number from 1 to \d+, not '0'/],
    [['create', '--storage', 'max-keys=100000001'], /from 1 to 100000000, not '100000001'/],
    [['join', '--storage', 'max-bytes=65GiB'], /at least 1B and at most 64GiB, not '65GiB'/],
    [
      ['restore', 'a.bak', '--storage', 'snapshot-age=1ms'],
      /at least 1s and at most .*, not '1ms'/
    ],
    [['create', '--storage', 'keep-entries=few'], /takes a whole number from 0 to \d+, not 'few'/],
    [['create', '--storage', 'snapshot-bytes=much'], /takes a size such as 64MiB, .*, not 'much'/],
    [['start', '--storage', 'keep-history'], /takes a time such as 24h, .*, not ''/],
    [['start', '--storage', 'keep=1'], /has no setting 'keep'/],
    [['logs', '-n', 'many'], /--lines takes a whole number/],
    [['dht', '--host', '0.0.0.0'], /--host takes an IPv4 address/],
    [['dev', '--nodes', '10'], /--nodes takes a whole number from 1 to 9/]
  ]
  for (const [args, words] of cases) {
    const text = await runCli(args)
    t.is(text.code, CODES.CONFIG_INVALID.exitCode, args.join(' '))
    t.ok(words.test(text.stderr), text.stderr)
    t.is(text.stdout, '')
    const json = await runCli([...args, '--json'])
    t.is(json.code, text.code)
    const { error } = JSON.parse(json.stdout)
    t.alike([error.code, error.applied], ['CONFIG_INVALID', false], json.stdout)
    t.ok(words.test(error.message), error.message)
  }
})

test('every damaged ticket of the vectors is refused with its code when it is shown', async (t) => {
  const { bad }: { readonly bad: readonly Vector[] } = JSON.parse(
    readFileSync('tickets/vectors.json', 'utf8')
  )
  t.ok(bad.length > 20, `${bad.length} vectors`)
  for (const { name, text, code } of bad) {
    const shown = await runCli(['ticket', 'show', '--json', '--', text])
    t.is(JSON.parse(shown.stdout).error.code, code, name)
    t.is(shown.code, CODES[code].exitCode, name)
  }
})
