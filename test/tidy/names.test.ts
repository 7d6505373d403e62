// The table of lib/README.md that says what became of each name of the original: the files that it names are
// there, and so are the tests; a row without a test says so.

import test from 'brittle'
import { findRoot, readTree } from './tree.ts'

const README = 'lib/README.md'
const HEADING = '## The names of the original'

interface Row {
  readonly name: string
  readonly here: string
  readonly tests: string
}

function rowsOf(readme: string): Row[] {
  const lines = (readme.split(HEADING)[1] ?? '').split('\n')
  const cells = lines.filter((line) => line.startsWith('|')).map((line) => line.split('|'))
  const rows = cells.map(([, name = '', here = '', tests = '']) => ({
    name: name.trim(),
    here: here.trim(),
    tests: tests.trim()
  }))
  return rows.filter(({ name }) => name !== 'there' && !/^-+$/.test(name))
}

/** What stands in backquotes and looks like a path. */
function pathsIn(cell: string): string[] {
  const quoted = [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
  return quoted.filter((text) => /^[\w./-]+\.(?:ts|md|json|yml)$/.test(text))
}

function faultsOf(rows: readonly Row[], files: ReadonlySet<string>): string[] {
  return rows.flatMap(({ name, here, tests }) => {
    const lost = pathsIn(here).filter((path) => !files.has(`lib/${path}`) && !files.has(path))
    const named = [...tests.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
    const missing = named.filter((path) => !files.has(`test/${path}.test.ts`))
    const isSilent = named.length === 0 && !(tests === '—' && here.includes('not in this version'))
    return [...lost, ...missing, ...(isSilent ? ['no test, and no reason'] : [])].map(
      (fault) => `${name}: ${fault}`
    )
  })
}

test('each name of the original has its place here, and a test or a reason', (t) => {
  const tree = readTree(findRoot())
  const readme = tree.find(({ path }) => path === README)?.text ?? ''
  const rows = rowsOf(readme)
  t.ok(rows.length > 50, `${rows.length} rows`)
  t.alike(faultsOf(rows, new Set(tree.map(({ path }) => path))), [])
})

test('what is not there is found', (t) => {
  const text = [
    HEADING,
    '| there | here | tests |',
    '| ----- | ---- | ----- |',
    '| `A` | `raft/raft.ts` | `raft/raft` |',
    '| `B` | `raft/gone.ts` | `raft/gone` |',
    '| `C` | nowhere | — |',
    '| `D` | not in this version | — |'
  ]
  const files = new Set(['lib/raft/raft.ts', 'test/raft/raft.test.ts'])
  const expected = ['`B`: raft/gone.ts', '`B`: raft/gone', '`C`: no test, and no reason']
  t.alike(faultsOf(rowsOf(text.join('\n')), files), expected)
})
