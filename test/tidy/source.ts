// Source files as the checks see them: path, text, and the same text with comments and the insides
// of strings, templates and regular expressions blanked, so that a word found in it is code.
// Every blanked character becomes a space, so offsets and lines stay the same.

/** A file of the repository, by its path below the root with forward slashes. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** A broken rule, at one place, with what to do about it. */
export interface Violation {
  readonly path: string
  readonly line: number
  readonly what: string
  readonly remedy: string
}

export function describe({ path, line, what, remedy }: Violation): string {
  return `${path}:${line}: ${what}; ${remedy}`
}

/** The line, from 1, that the offset lies on. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

export function isTypeScript(path: string): boolean {
  return path.endsWith('.ts') && !path.endsWith('.d.ts')
}

/** Whether the file is part of the program, not of its tests or declarations. */
export function isProgram(path: string): boolean {
  return isTypeScript(path) && /^(bin|lib|tickets)\//.test(path)
}

const blanked = new Map<string, string>()

/** `text` with everything blanked that is not code; quotes and slashes around it stay. */
export function blank(text: string): string {
  const known = blanked.get(text)
  if (known !== undefined) return known
  const code = new Blanker(text).run()
  blanked.set(text, code)
  return code
}

/** Words after which a slash begins a regular expression, not a division. */
const WORDS_BEFORE_REGEX =
  /(?:^|[^\w$.])(?:return|typeof|case|in|of|else|do|void|delete|throw|yield|await)$/

class Blanker {
  readonly #text: string
  #at = 0
  #code = ''
  /** for each template whose `${` is open, how many braces are open inside it */
  readonly #depths: number[] = []

  constructor(text: string) {
    this.#text = text
  }

  run(): string {
    while (this.#at < this.#text.length) this.#step()
    return this.#code
  }

  #step(): void {
    const char = this.#text.charAt(this.#at)
    const pair = this.#text.slice(this.#at, this.#at + 2)
    if (pair === '//' || (this.#at === 0 && pair === '#!')) return this.#blankTo('\n', 0)
    if (pair === '/*') return this.#blankTo('*/', 2)
    if (char === "'" || char === '"') return this.#quoted(char)
    if (char === '`') return this.#template()
    if (char === '/' && this.#isRegexNext()) return this.#regex()
    this.#keep(1)
    if (char === '{') this.#nest(1)
    if (char === '}') this.#nest(-1)
  }

  #nest(change: number): void {
    const depth = this.#depths.pop()
    if (depth === undefined) return
    if (depth + change < 0) return this.#templateText()
    this.#depths.push(depth + change)
  }

  #isRegexNext(): boolean {
    const before = this.#code.trimEnd()
    return !/[\w$)\]}'"`]$/.test(before) || WORDS_BEFORE_REGEX.test(before)
  }

  #quoted(quote: string): void {
    this.#keep(1)
    while (this.#at < this.#text.length) {
      const char = this.#text.charAt(this.#at)
      if (char === quote || char === '\n') break
      this.#hide(char === '\\' ? 2 : 1)
    }
    this.#keep(1)
  }

  #template(): void {
    this.#keep(1)
    this.#templateText()
  }

  /** From inside a template to its end, or to the next `${`. */
  #templateText(): void {
    while (this.#at < this.#text.length) {
      if (this.#text.startsWith('${', this.#at)) {
        this.#depths.push(0)
        return this.#keep(2)
      }
      const char = this.#text.charAt(this.#at)
      if (char === '`') return this.#keep(1)
      this.#hide(char === '\\' ? 2 : 1)
    }
  }

  #regex(): void {
    let isInClass = false
    this.#keep(1)
    while (this.#at < this.#text.length) {
      const char = this.#text.charAt(this.#at)
      if (char === '\n' || (char === '/' && !isInClass)) break
      if (char === '[') isInClass = true
      if (char === ']') isInClass = false
      this.#hide(char === '\\' ? 2 : 1)
    }
    this.#keep(1)
  }

  #blankTo(mark: string, extra: number): void {
    const found = this.#text.indexOf(mark, this.#at + 2)
    const end = found === -1 ? this.#text.length : found + extra
    this.#hide(end - this.#at)
  }

  #keep(count: number): void {
    this.#code += this.#text.slice(this.#at, this.#at + count)
    this.#at += count
  }

  #hide(count: number): void {
    this.#code += this.#text.slice(this.#at, this.#at + count).replaceAll(/[^\n]/g, ' ')
    this.#at += count
  }
}
