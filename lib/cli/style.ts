// How text may look on one stream: colours, symbols, width. Decided once per stream from what the
// stream is and what the environment says (no-color.org, FORCE_COLOR, the locale).

/** The part of a writable stream that the output needs. */
export interface OutputStream {
  /** false: nothing more should be written before 'drain' */
  write(chunk: string | Uint8Array): unknown
  once?(event: 'drain', listener: () => void): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export type Environment = Readonly<Record<string, string | undefined>>

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'magenta' | 'blue'
export type Symbol = 'ok' | 'warning' | 'failure' | 'dot' | 'dash' | 'ellipsis'

export interface Style {
  readonly isTerminal: boolean
  /** columns of the terminal; null when it is none */
  readonly width: number | null
  readonly ellipsis: string
  bold(text: string): string
  dim(text: string): string
  colour(colour: Colour, text: string): string
  symbol(symbol: Symbol): string
}

/** `isColourWanted` false is `--no-color`; true leaves it to the environment and the stream. */
export function styleOf(stream: OutputStream, env: Environment, isColourWanted: boolean): Style {
  const isTerminal = stream.isTTY === true
  const hasColour = isColourWanted && allowsColour(isTerminal, env)
  const paint = (open: number, close: number, text: string) =>
    hasColour ? `\u001b[${open}m${text}\u001b[${close}m` : text
  const symbols = speaksUtf8(env) ? UTF8_SYMBOLS : ASCII_SYMBOLS
  return {
    isTerminal,
    // a terminal that does not know its size says 0
    width: isTerminal ? stream.columns || DEFAULT_COLUMNS : null,
    ellipsis: symbols.ellipsis,
    bold: (text) => paint(1, 22, text),
    dim: (text) => paint(2, 22, text),
    colour: (colour, text) => paint(COLOURS[colour], 39, text),
    symbol: (symbol) => {
      const colour = SYMBOL_COLOURS[symbol]
      return colour === null ? symbols[symbol] : paint(COLOURS[colour], 39, symbols[symbol])
    }
  }
}

/** FORCE_COLOR beats NO_COLOR, and both beat what the stream is. */
function allowsColour(isTerminal: boolean, env: Environment): boolean {
  const force = env['FORCE_COLOR']
  if (force !== undefined) return force !== '0' && force !== 'false'
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false
  return isTerminal && env['TERM'] !== 'dumb'
}

function speaksUtf8(env: Environment): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG']
  if (locale === undefined || locale === '') return process.platform !== 'linux'
  return /utf-?8/i.test(locale)
}

const DEFAULT_COLUMNS = 80

const COLOURS: Readonly<Record<Colour, number>> = {
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36
}

const SYMBOL_COLOURS: Readonly<Record<Symbol, Colour | null>> = {
  ok: 'green',
  warning: 'yellow',
  failure: 'red',
  dot: null,
  dash: null,
  ellipsis: null
}

const UTF8_SYMBOLS: Readonly<Record<Symbol, string>> = {
  ok: '✓',
  warning: '!',
  failure: '✗',
  dot: '●',
  dash: '–',
  ellipsis: '…'
}

const ASCII_SYMBOLS: Readonly<Record<Symbol, string>> = {
  ok: '[ok]',
  warning: '[warn]',
  failure: '[fail]',
  dot: '*',
  dash: '-',
  ellipsis: '...'
}
