// What goes where: stdout and stderr, colours, symbols, tables, JSON and quiet.

import test from 'brittle'
import { CODES, EXIT, KeyValueStoreError, isErrorCode } from '../../lib/errors.ts'
import { AspenError } from '../../lib/errors.ts'
import { Output } from '../../lib/cli/output.ts'
import type { Environment } from '../../lib/cli/style.ts'
import { styleOf } from '../../lib/cli/style.ts'
import { renderTable } from '../../lib/cli/table.ts'
import { KeptStream } from './run-cli.ts'

const UTF8 = { LANG: 'en_US.UTF-8' }

function styled(env: Environment, isTerminal: boolean, isColourWanted = true): boolean {
  const style = styleOf(new KeptStream({ isTerminal }), { ...UTF8, ...env }, isColourWanted)
  return style.bold('x') !== 'x'
}

test('colours: the flag, then FORCE_COLOR, then NO_COLOR, then the terminal', (t) => {
  t.ok(styled({}, true))
  t.absent(styled({}, false))
  t.absent(styled({ TERM: 'dumb' }, true))
  t.absent(styled({ NO_COLOR: '1' }, true))
  t.ok(styled({ NO_COLOR: '' }, true), 'empty means unset')
  t.ok(styled({ FORCE_COLOR: '1' }, false))
  t.ok(styled({ FORCE_COLOR: '1', NO_COLOR: '1' }, false))
  t.absent(styled({ FORCE_COLOR: '0' }, true))
  t.absent(styled({ FORCE_COLOR: '1' }, true, false), '--no-color wins')
})

test('symbols are plain where the locale is not UTF-8', (t) => {
  const stream = new KeptStream()
  const symbol = (env: Environment) => styleOf(stream, env, true).symbol('ok')
  t.is(symbol({ LANG: 'de_DE.UTF-8' }), '✓')
  t.is(symbol({ LANG: 'C' }), '[ok]')
  t.is(symbol({ LC_ALL: 'C', LANG: 'de_DE.UTF-8' }), '[ok]')
  t.is(symbol({ LC_CTYPE: 'C.utf8' }), '✓')
})

test('a table has gutters of two spaces, numbers to the right, no trailing space', (t) => {
  const style = styleOf(new KeptStream(), UTF8, true)
  const columns = [{ title: 'NAME' }, { title: 'LAG', isNumber: true }, { title: 'PATH' }]
  const rows = [
    ['alder', '0', 'direct'],
    ['日本', '1200', '']
  ]
  t.alike(renderTable(columns, rows, style), [
    'NAME    LAG  PATH',
    'alder     0  direct',
    '日本   1200'
  ])
})

test('on a terminal the widest column gives way; elsewhere nothing is cut', (t) => {
  const columns = [{ title: 'KEY' }, { title: 'VALUE' }, { title: 'REVISION', isNumber: true }]
  const rows = [['k', 'v'.repeat(100), '7']]
  const narrow = styleOf(
    new KeptStream({ isTerminal: true, columns: 40 }),
    { ...UTF8, NO_COLOR: '1' },
    true
  )
  for (const line of renderTable(columns, rows, narrow)) t.ok(line.length <= 40, line)
  t.ok(renderTable(columns, rows, narrow)[1]?.includes('v…'))
  const wide = styleOf(new KeptStream(), UTF8, true)
  t.ok(renderTable(columns, rows, wide)[1]?.includes('v'.repeat(100)))
  const unsized = styleOf(new KeptStream({ isTerminal: true, columns: 0 }), UTF8, true)
  t.is(unsized.width, 80, 'a terminal that does not know its size is one of 80 columns')
})

test('a row that cannot be cut does not pad the others; several columns give way together', (t) => {
  const columns = [{ title: 'KEY' }, { title: 'VALUE' }, { title: 'REVISION', isNumber: true }]
  const rows = [
    ['k', 'v'.repeat(1_000), '7'],
    ['l'.repeat(60), 'w', '8']
  ]
  const wide = renderTable(columns, rows, styleOf(new KeptStream(), UTF8, true))
  t.ok(wide[1]?.includes(`${'v'.repeat(1_000)}  `), 'whole')
  t.ok((wide[2]?.length ?? 0) < 150, wide[2])
  const options = { isTerminal: true, columns: 50 }
  const narrow = styleOf(new KeptStream(options), { ...UTF8, NO_COLOR: '1' }, true)
  for (const line of renderTable(columns, rows, narrow)) t.ok(line.length <= 50, line)
})

test('optional columns leave a narrow terminal, the last one first', (t) => {
  const columns = [
    { title: 'ID' },
    { title: 'PATH', isOptional: true },
    { title: 'VERSION', isOptional: true },
    { title: 'ADDRESS' }
  ]
  const rows = [['1', 'direct', '0.1.0', '10.0.0.1:4000']]
  const titles = (width: number) => {
    const stream = new KeptStream({ isTerminal: true, columns: width })
    return renderTable(columns, rows, styleOf(stream, { ...UTF8, NO_COLOR: '1' }, true))[0]
  }
  t.is(titles(36), 'ID  PATH    VERSION  ADDRESS')
  t.is(titles(30), 'ID  PATH    ADDRESS')
  t.is(titles(20), 'ID  ADDRESS')
})

interface Kept {
  readonly output: Output
  readonly stdout: KeptStream
  readonly stderr: KeptStream
}

function open(options: { readonly isJson?: boolean; readonly isQuiet?: boolean } = {}): Kept {
  const stdout = new KeptStream()
  const stderr = new KeptStream()
  const { isJson = false, isQuiet = false } = options
  return {
    output: new Output({ stdout, stderr, env: UTF8, isJson, isQuiet, isColourWanted: true }),
    stdout,
    stderr
  }
}

const result = {
  human: () => ['first', 'second'],
  json: () => ({ a_field: 1, text: 'x\ny' }),
  quiet: () => 'essence'
}

test('a result is lines, one object on one line, or the one value', (t) => {
  const human = open()
  human.output.result(result)
  t.is(human.stdout.text, 'first\nsecond\n')
  const json = open({ isJson: true, isQuiet: true })
  json.output.result(result)
  t.is(json.stdout.text, '{"a_field":1,"text":"x\\ny"}\n')
  const quiet = open({ isQuiet: true })
  quiet.output.result(result)
  quiet.output.result({ ...result, quiet: () => null })
  quiet.output.note('a note')
  t.is(quiet.stdout.text, 'essence\n')
  t.is(quiet.stderr.text, '', 'no notes')
})

test('an error is one line on stderr, or one object on stdout and nothing else', (t) => {
  const error = new KeyValueStoreError({
    code: 'CONDITION_FAILED',
    message: 'k\u001b is at revision 7',
    hint: 'read it',
    fields: { revision: 7 }
  })
  const human = open()
  t.is(human.output.failure(error), EXIT.conditionFailed)
  t.is(human.stderr.text, '✗ k\\x1b is at revision 7: read it\n')
  t.is(human.stdout.text, '')
  const json = open({ isJson: true })
  json.output.failure(error)
  t.is(json.stderr.text, '')
  t.alike(JSON.parse(json.stdout.text), {
    error: {
      code: 'CONDITION_FAILED',
      message: 'k\u001b is at revision 7',
      hint: 'read it',
      retryable: false,
      applied: false,
      leader: null,
      revision: 7,
      fields: {}
    }
  })
})

test('every code ends the command with the exit code of the table', (t) => {
  for (const [code, row] of Object.entries(CODES)) {
    if (!isErrorCode(code)) return t.fail(code)
    const { output } = open()
    t.is(output.failure(new AspenError({ code, message: 'm' })), row.exitCode, code)
  }
})
