// The types of aspen/client as another program sees them: they must lead to packages only that ship
// types of their own.

import test from 'brittle'
import { readFileSync } from 'node:fs'

const WITH_TYPES = new Set(['compact-encoding', '@sinclair/typebox'])

test('the types of the client name no package without types', (t) => {
  const seen = new Set<string>()
  const packages = new Set<string>()
  visit(new URL('../../lib/client/client.d.ts', import.meta.url))
  t.ok(seen.size > 5, `${seen.size} files were read`)
  t.alike(
    [...packages].filter((name) => !WITH_TYPES.has(name)),
    []
  )

  function visit(file: URL): void {
    if (seen.has(file.href)) return
    seen.add(file.href)
    const text = readFileSync(file, 'utf8')
    for (const [, name = ''] of text.matchAll(/(?:from|import\() ?['"]([^'"]+)['"]/g)) {
      if (name.startsWith('.')) visit(new URL(name.replace(/\.[jt]s$/, '.d.ts'), file))
      else packages.add(name)
    }
  }
})
