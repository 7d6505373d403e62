// Runs the installing blocks of README.md, unchanged, in a fresh clone of the last commit of this
// checkout; global npm packages go to a folder beside it.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import test from 'brittle'
import { findRoot } from '../tidy/tree.ts'
import { shellBlocks } from './blocks.ts'

const TEST_LIMIT_MS = 570_000

test('the installing blocks of the README leave a working `aspen` on the PATH', (t) => {
  t.timeout(TEST_LIMIT_MS)
  const root = findRoot()
  const blocks = shellBlocks(readFileSync(join(root, 'README.md'), 'utf8'))
  const code = blocks
    .filter((block) => block.machine === null)
    .map((block) => block.code)
    .join('')
  t.ok(code !== '', 'the README says how to install')
  const folder = mkdtempSync(join(tmpdir(), 'aspen-install-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }), { force: true })
  const prefix = join(folder, 'global')
  mkdirSync(prefix)
  const script = `git clone --quiet "$ROOT" aspen\ncd aspen\n${code}\naspen version`
  const { status, stdout, stderr } = spawnSync('bash', ['-eu', '-c', script], {
    cwd: folder,
    encoding: 'utf8',
    env: {
      ...process.env,
      ROOT: root,
      npm_config_prefix: prefix,
      PATH: `${join(prefix, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`
    }
  })
  t.is(status, 0, 'the blocks and `aspen version` end well')
  for (const line of status === 0 ? [] : `${stdout}${stderr}`.split('\n')) t.comment(line)
  const manifest: { readonly version: string } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8')
  )
  t.ok(stdout.includes(manifest.version), `version ${manifest.version} is said`)
})
