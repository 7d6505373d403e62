// A node and the machine that it is on: where its folder is, what it binds, and what it does when
// it hangs.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import test from 'brittle'
import type { JsonObject } from './lab.ts'
import { jsonOf, Lab, PROGRAM } from './lab.ts'
import { outputOf } from './output.ts'
import { refused } from './refusal.ts'

const LIMIT = { timeout: 240_000 }
const ESCAPE = '\u001b['

const lab = await Lab.open()

test('a node lives in the folder of its name, or where the environment says', LIMIT, async (t) => {
  const home = join(lab.root, 'share')
  const named = await withoutDir(['create', '--name', 'willow', '--json'], { XDG_DATA_HOME: home })
  t.is(named.code, 0, named.stderr)
  const created = jsonOf(named.stdout)
  t.is(created['data_dir'], join(home, 'aspen', 'willow'))
  t.is(nameOf(created), 'willow', 'it is the display name too')
  const put = await withoutDir(['kv', 'put', 'k', 'v', '--name', 'willow'], { XDG_DATA_HOME: home })
  t.is(put.code, 0, put.stderr)
  const other = await withoutDir(['kv', 'get', 'k'], { XDG_DATA_HOME: home })
  t.is(other.code, 8, 'another folder, another node')
  const env = { ASPEN_DATA_DIR: join(home, 'aspen', 'willow') }
  t.is((await withoutDir(['kv', 'get', 'k'], env)).stdout, 'v')
  const stopped = await withoutDir(['kv', 'get', 'k', '--name', 'willow'], {
    ...env,
    XDG_DATA_HOME: home
  })
  t.is(stopped.stdout, 'v', 'a flag counts more than the environment')
  t.is((await withoutDir(['stop'], env)).code, 0)
  const hint = (await withoutDir(['kv', 'get', 'k', '--name', 'willow'], { XDG_DATA_HOME: home }))
    .stderr
  t.ok(hint.includes("'aspen start --name willow'"), hint)
})

test('a path that is too long for a socket works like any other', LIMIT, async (t) => {
  const long = join('deep', 'x'.repeat(60), 'y'.repeat(60))
  await lab.run(long, ['create'])
  const { api } = jsonOf(await lab.run(long, ['status', '--json']))
  t.absent(JSON.stringify(api).includes('yyy'), 'the socket is somewhere shorter')
  await lab.run(long, ['kv', 'put', 'k', 'v'])
  t.is(await lab.run(long, ['kv', 'get', 'k']), 'v')
  await lab.run(long, ['stop'])
})

test('there is colour on a terminal or when asked for, and nowhere else', LIMIT, async (t) => {
  await lab.run('alder', ['create', '--name', 'alder'])
  const asked = { env: { NO_COLOR: '', FORCE_COLOR: '1' } }
  t.absent((await lab.run('alder', ['status'])).includes(ESCAPE))
  t.ok((await lab.run('alder', ['status'], asked)).includes(ESCAPE))
  t.absent((await lab.run('alder', ['status', '--no-color'], asked)).includes(ESCAPE))
  t.absent((await lab.run('alder', ['status', '--json'], asked)).includes(ESCAPE))
})

test('with a bootstrap on loopback nothing is bound anywhere else', LIMIT, async (t) => {
  if (!existsSync('/proc/net/udp')) return t.comment('skip: there is no /proc/net here')
  const addresses = boundBy(lab.pid('alder'))
  t.ok(addresses.length >= 2, addresses.join(' '))
  t.ok(
    addresses.every((address) => address.startsWith('127.0.0.1:')),
    addresses.join(' ')
  )
})

test(
  'a node that hangs is told from one that is not there, and can be stopped by force',
  LIMIT,
  async (t) => {
    const pid = lab.pid('alder')
    process.kill(pid, 'SIGSTOP')
    const status = await refused('alder', ['status', '--timeout', '1s'], { lab })
    t.is(status.exitCode, 5, status.line)
    const get = await refused('alder', ['kv', 'get', 'k', '--timeout', '1s'], { lab })
    t.is(get.exitCode, 5, get.line)
    const put = await refused('alder', ['kv', 'put', 'k', 'v', '--timeout', '1s'], { lab })
    t.is(put.exitCode, 6, put.line)
    for (const { line } of [status, get, put]) t.ok(line.includes(`(pid ${pid})`), line)
    const start = await refused('alder', ['start', '--timeout', '1s'], { lab })
    t.is(start.code, 'LOCKED', start.line)
    const stop = await refused('alder', ['stop', '--timeout', '1s'], { lab })
    t.is(stop.code, 'TIMEOUT')
    t.ok(/aspen stop --force/.test(stop.line), stop.line)
    t.is((await lab.aspen('alder', ['stop', '--force', '--timeout', '1s'])).code, 0)
    t.alike(await lab.settled(0, 'alder'), [])
    await lab.run('alder', ['start'])
    await lab.run('alder', ['kv', 'put', 'k', 'v', '--timeout', '20s'])
  }
)

test('everything ends', LIMIT, async (t) => {
  await lab.close()
  t.alike(lab.processes(), [])
})

function nameOf({ node }: JsonObject): unknown {
  return typeof node === 'object' && node !== null && 'name' in node ? node.name : null
}

/** A command as it is typed on a machine with one node: without --data-dir. */
async function withoutDir(
  args: readonly string[],
  extra: Readonly<Record<string, string>>
): Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }> {
  const { ASPEN_DATA_DIR: _dir, ...usual } = process.env
  const env = { ...usual, ASPEN_BOOTSTRAP: lab.bootstrap, HOME: lab.root, ...extra }
  const child = spawn(process.execPath, [PROGRAM, ...args], { env })
  const output = outputOf(child)
  const [code] = await once(child, 'close')
  return { code, stdout: output.stdout(), stderr: output.stderr() }
}

/** Local addresses of the sockets of a process that others could send to. */
function boundBy(pid: number): string[] {
  const fds = readdirSync(`/proc/${pid}/fd`)
  const links = fds.map((fd) => readlinkOrEmpty(`/proc/${pid}/fd/${fd}`))
  const inodes = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []))
  return ['udp', 'udp6', 'tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(
        (words) => inodes.has(words[9] ?? '') && (table.startsWith('udp') || words[3] === '0A')
      )
      .map((words) => addressOf(words[1] ?? ''))
  )
}

/** `0100007F:1F90` as the kernel writes it, to `127.0.0.1:8080`; an IPv6 address stays as it is. */
function addressOf(text: string): string {
  const [host = '', port = ''] = text.split(':')
  if (host.length !== 8) return text
  const bytes =
    host
      .match(/../g)
      ?.toReversed()
      .map((byte) => Number.parseInt(byte, 16)) ?? []
  return `${bytes.join('.')}:${Number.parseInt(port, 16)}`
}

function readlinkOrEmpty(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
