// `aspen token` and `aspen api`: what it takes to ask the node from another program, as lines to paste. The
// token itself is in no line: the shell reads it from its file when the line runs, and hands it to curl where no
// other user sees it, as they see arguments.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError, EXIT } from '../errors.ts'
import { readRuntime } from '../config/places.ts'
import { notRunning } from './connect.ts'
import type { Invocation } from './invocation.ts'
import { shellWord, shortPath, targetOf } from './invocation.ts'

export function token(invocation: Invocation): Promise<number> {
  const { host, output } = invocation
  const target = targetOf(invocation)
  const file = tokenFileOf(target.dataDir)
  const text = readToken(file)
  if (text === null) {
    // a node has one from its first start on
    if (readRuntime(target.dataDir) === null) throw notRunning(target, host.env)
    throw new ConfigError({ code: 'DATA_DIR_UNUSABLE', message: `${shortPath(file)} is no token` })
  }
  output.result({
    human: () => [text],
    json: () => ({ token: text, file }),
    quiet: () => text
  })
  if (!output.isJson) output.note(output.errorStyle.dim(`the token of ${shortPath(file)}`))
  return Promise.resolve(EXIT.ok)
}

export function api(invocation: Invocation): Promise<number> {
  const { host, output } = invocation
  const { method, path } = requestOf(invocation)
  const target = targetOf(invocation)
  const runtime = readRuntime(target.dataDir)
  if (runtime === null || runtime.http === '') throw notRunning(target, host.env)
  const tokenFile = tokenFileOf(target.dataDir)
  const words = wordsFor(method, path)
  const bearer = `printf 'Authorization: Bearer %s' "$(cat ${shellWord(tokenFile)})"`
  const socket = `--unix-socket ${shellWord(runtime.socket)}`
  const overSocket = ['curl -sS', ...words, socket, shellWord(`http://localhost${path}`)].join(' ')
  const place = shellWord(`${runtime.http}${path}`)
  const overTcp = [bearer, '| curl -sS -H @-', ...words, place].join(' ')
  output.result({
    human: (style) => [
      style.dim('# over the Unix socket: whoever may open it may ask'),
      overSocket,
      style.dim('# over TCP: with the token'),
      overTcp
    ],
    json: () => ({
      method,
      path,
      socket: { path: runtime.socket, curl: overSocket },
      tcp: { url: runtime.http, token_file: tokenFile, curl: overTcp }
    }),
    quiet: () => overSocket
  })
  return Promise.resolve(EXIT.ok)
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']

/** `aspen api`, `aspen api /leader`, `aspen api POST /kv/read`. @throws ConfigError CONFIG_INVALID */
function requestOf({ args }: Invocation): { readonly method: string; readonly path: string } {
  const { method: first = 'GET', path: second } = args
  const isPath = second === undefined && first.startsWith('/')
  const method = (isPath ? 'GET' : first).toUpperCase()
  const path = isPath ? first : (second ?? '/status')
  if (!METHODS.includes(method)) {
    if (second === undefined)
      throw invalid(`'${first}' is no path of the API`, 'paths begin with /')
    throw invalid(`'${first}' is no method of the API`, METHODS.join(', '))
  }
  if (/^\/[\x21-\x7e]*$/.test(path)) return { method, path }
  throw invalid('a path begins with / and is ASCII without spaces', 'encode other bytes with %')
}

function wordsFor(method: string, path: string): readonly string[] {
  const words: string[] = []
  if (/[[\]{}]/.test(path)) words.push('-g')
  if (/\/\.\.?(?:\/|$|\?)/.test(path)) words.push('--path-as-is')
  if (method === 'HEAD') words.push('-I')
  else if (method !== 'GET') words.push(`-X ${method}`)
  if (method === 'PUT') words.push("--data-binary 'hello'")
  if (method === 'POST') {
    const body = JSON.stringify(SAMPLES.get(path) ?? {})
    words.push("-H 'Content-Type: application/json'", `-d ${shellWord(body)}`)
  }
  return words
}

/** Bodies to begin with, where `{}` says too little. */
const SAMPLES: ReadonlyMap<string, object> = new Map<string, object>([
  ['/kv/read', { key: 'app/port' }],
  ['/kv/write', { command: { Set: { key: 'app/port', value: '8080' } } }],
  ['/kv/delete', { key: 'app/port' }],
  ['/kv/scan', { prefix: '' }],
  ['/cluster/init', { initial_members: [{}] }],
  ['/cluster/add-learner', { learner: { key: '<key>' } }],
  ['/cluster/change-membership', { members: [1, 2, 3] }],
  ['/cluster/remove-member', { id: 3 }],
  ['/admin/promote-learner', { learner_id: 3 }],
  ['/admin/log-level', { level: 'info' }]
])

function tokenFileOf(dataDir: string): string {
  return join(dataDir, 'api.token')
}

/** Null where there is none. */
function readToken(file: string): string | null {
  try {
    const text = readFileSync(file, 'utf8').trim()
    return /^[0-9a-f]{64}$/.test(text) ? text : null
  } catch {
    return null
  }
}

function invalid(message: string, hint: string): ConfigError {
  return new ConfigError({ code: 'CONFIG_INVALID', message, hint })
}
