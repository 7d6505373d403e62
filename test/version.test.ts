// The version that the program tells is the one of the package.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import { VERSION } from '../lib/version.ts'
import { findRoot } from './tidy/tree.ts'

test('VERSION is the version in package.json', (t) => {
  const manifest = JSON.parse(readFileSync(join(findRoot(), 'package.json'), 'utf8'))
  t.is(VERSION, manifest.version)
})
