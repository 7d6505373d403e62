// The checklist of faults: each case of the catalogue has tests that carry its id, and the table in
// test/faults/README.md names their files, or a line there that says why there is none.

import test from 'brittle'
import { CASES, casesIn, rowsOf } from './catalogue.ts'
import { findRoot, readTree } from './tree.ts'

const README = 'test/faults/README.md'

test('each case of the fault catalogue has a test by its id, or the reason why not', (t) => {
  const tree = readTree(findRoot())
  const readme = tree.find(({ path }) => path === README)?.text ?? ''
  const rows = rowsOf(readme)
  const files = new Map(CASES.map((id) => [id, new Array<string>()]))
  for (const { path, text } of tree) {
    if (!path.endsWith('.test.ts')) continue
    for (const id of casesIn(text)) files.get(id)?.push(`\`${path.slice(5, -8)}\``)
  }
  for (const [id, found] of files) {
    const where = rows.get(id) ?? ''
    if (found.length > 0) t.is(where, found.join(', '), `${id}: the files in ${README}`)
    else
      t.ok(where.length > 10 && !where.includes('`'), `${id}: no test, and no reason in ${README}`)
  }
})

test('an id counts in the title of a test only', (t) => {
  t.alike(
    [...casesIn("// STO-01\ntest('STO-02, PRC-03: a', () => 'STO-04')")],
    ['STO-02', 'PRC-03']
  )
  t.alike([...casesIn('check(\n  `STO-05: ${count} times`, LIMIT)')], ['STO-05'])
  t.is(rowsOf('| STO-06 | a thing | `faults/x` |').get('STO-06'), '`faults/x`')
})
