// What somebody may have meant who typed a word that is no command or no flag: a slip of the fingers,
// or the word that another store has for it. Pure.

import { closest } from '../config/closest.ts'
import { COMMANDS } from './command-specs.ts'

/** What other stores and service managers call these commands. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  init: 'create',
  new: 'create',
  bootstrap: 'create',
  up: 'start',
  run: 'start',
  agent: 'start',
  serve: 'start',
  down: 'stop',
  kill: 'stop',
  log: 'logs',
  info: 'status',
  health: 'status',
  ls: 'kv scan',
  list: 'kv scan',
  range: 'kv scan',
  set: 'kv put',
  delete: 'kv del',
  remove: 'kv del',
  rm: 'kv del',
  member: 'members',
  nodes: 'members',
  token: 'ticket create',
  invite: 'ticket create'
}

/** The command that was meant, without `aspen`, or null. `group` is the word before, such as `kv`. */
export function commandLike(word: string, group: string | null): string | null {
  const paths = COMMANDS.map((spec) => spec.path.join(' '))
  const other = OTHER_WORDS[word] ?? null
  if (group !== null) {
    const inGroup = paths.filter((path) => path.startsWith(`${group} `))
    if (other !== null && inGroup.includes(other)) return other
    const near = closest(word, inGroup.map(lastWord))
    return near === null ? null : `${group} ${near}`
  }
  const ofAnyGroup = paths.find((path) => path.includes(' ') && lastWord(path) === word)
  const single = paths.filter((path) => !path.includes(' '))
  return other ?? ofAnyGroup ?? closest(word, single)
}

function lastWord(path: string): string {
  return path.slice(path.lastIndexOf(' ') + 1)
}
