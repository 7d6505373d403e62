// What somebody may have meant who typed a word that is no command or no flag: a slip of the fingers,
// or the word that another store has for it. Pure.

import { COMMANDS } from './command-specs.ts'

/** A word of two letters more or less, or a different one, is a slip; short words get less. */
const MAX_SLIP = 2

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

/** The candidate that is at most a slip away, or null. */
export function closest(word: string, candidates: readonly string[]): string | null {
  let best: string | null = null
  let bestDistance = Math.min(MAX_SLIP, Math.floor(word.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate)
    if (distance >= bestDistance) continue
    best = candidate
    bestDistance = distance
  }
  return best
}

function lastWord(path: string): string {
  return path.slice(path.lastIndexOf(' ') + 1)
}

/** Levenshtein's distance, row by row. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_item, at) => at)
  for (const [at, letter] of Array.from(from).entries()) {
    const next = [at + 1]
    for (let column = 1; column <= to.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (to[column - 1] === letter ? 0 : 1)
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
