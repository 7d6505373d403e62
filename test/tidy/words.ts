// Words that must not appear: what waits or touches the machine in code that decides, and, in any
// text, signs of unfinished work and of the machine that it was written on.

import { isPromiseless, isPure, mayAskTheClock } from './architecture.ts'
import { blank, isProgram, isTypeScript, lineAt } from './source.ts'
import type { SourceFile, Violation } from './source.ts'

interface Rule {
  /** global; matched against blanked code or, for text rules, the whole text */
  readonly pattern: RegExp
  readonly why: string
  readonly remedy: string
}

const WAITING: Rule = {
  pattern: /(?<![.#\w$])(?:async|await|Promise|PromiseLike)\b|\.then\b/g,
  why: 'here nothing waits',
  remedy: 'hand the answer to a function that the caller gave'
}

const CLOCK: Rule = {
  pattern:
    /(?<![.#\w$])(?:setTimeout|setInterval|setImmediate|Date\.now|performance\.now|Math\.random|new\s+Date\s*\(\s*\))(?![\w$])/g,
  why: 'time and randomness are arguments',
  remedy: 'take a Clock, Timers or Random'
}

const MACHINE: Rule = {
  pattern:
    /(?<![.#\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask|process|performance|Date|Math\.random|console|fetch|globalThis|systemClock|systemTimers|systemRandom)(?![\w$]|\??\s*:)/g,
  why: 'a pure file touches nothing',
  remedy: 'take it as an argument, or move the code to a file that acts'
}

const UNFINISHED: Rule = {
  pattern: /\b(?:TO[D]O|FIX[M]E|X[X]X)\b/g,
  why: 'work is finished or in an issue',
  remedy: 'do it, or say in the text what is so and why'
}

const FORCED: Rule = {
  pattern: /@ts-(?:[i]gnore|[n]ocheck|[e]xpect-error)|\b(?:es|ox)lint-[d]isable/g,
  why: 'the tools are not silenced',
  remedy: 'write code that they accept, or change the rule for all'
}

const NARROWED: Rule = {
  pattern: /(?<![\w$])(?:test|t)\s*\.\s*(?:solo|only|skip|todo)\s*\(|(?<![.\w$])solo\s*\(/g,
  why: 'the whole suite runs',
  remedy: "remove it; where the machine lacks something, `if (isSkipped(t, '…')) return`"
}

/** `me`, `you` and `user` are nobody's home. */
const MACHINE_PATH: Rule = {
  pattern: /(?<![\w.$}~])\/(?:home|Users|work|root)\/(?!(?:me|you|user)\b)[\w.-]+/g,
  why: "a path of somebody's machine",
  remedy: 'say it relative to the repository or to the home folder'
}

/** Program files that wait, ask the clock, or touch the machine where they must not. */
export function checkPurity(files: readonly SourceFile[]): Violation[] {
  return files
    .filter((file) => isProgram(file.path))
    .flatMap((file) => {
      const code = blank(file.text)
      const rules = [
        ...(isPromiseless(file.path) || isPure(file.path) ? [WAITING] : []),
        ...(isPure(file.path) ? [MACHINE] : mayAskTheClock(file.path) ? [] : [CLOCK])
      ]
      return rules.flatMap((rule) => find(file, code, rule))
    })
}

/** Signs of unfinished work, in code and prose; of silenced tools and tests, in code. */
export function checkUnfinished(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => [
    ...find(file, file.text, UNFINISHED),
    ...(isTypeScript(file.path) ? find(file, file.text, FORCED) : []),
    ...(file.path.startsWith('test/') ? find(file, blank(file.text), NARROWED) : [])
  ])
}

/** Machine paths and the hosts of package registries; `hosts` are those in use here. */
export function checkPlaces(files: readonly SourceFile[], hosts: readonly string[]): Violation[] {
  const names = ['registry\\.npmjs\\.org', ...hosts.map((host) => host.replaceAll('.', '\\.'))]
  const registry: Rule = {
    pattern: new RegExp(`(?<![\\w.-])(?:${names.join('|')})(?![\\w-])`, 'g'),
    why: 'the registry is the business of who installs',
    remedy: 'leave the host out'
  }
  return files.flatMap((file) => [
    ...find(file, file.text, MACHINE_PATH),
    ...find(file, file.text, registry)
  ])
}

function find(file: SourceFile, text: string, rule: Rule): Violation[] {
  return Array.from(text.matchAll(rule.pattern), (match) => ({
    path: file.path,
    line: lineAt(text, match.index),
    what: `${match[0]}: ${rule.why}`,
    remedy: rule.remedy
  }))
}
