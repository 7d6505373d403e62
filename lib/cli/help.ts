// The help of a command as a terminal shows it: paparam's text, broken at words, with what belongs
// to a flag kept to the right of it. Pure.

import { displayWidth } from './text.ts'

/** Narrower than this the right column would be a word per line. */
const MIN_RIGHT_COLUMNS = 20

/** The text with no line over `width` columns, as far as its words allow; null leaves it alone. */
export function wrapHelp(text: string, width: number | null): string {
  if (width === null) return text
  return text
    .split('\n')
    .flatMap((line) => wrapLine(line, width))
    .join('\n')
}

function wrapLine(line: string, width: number): string[] {
  if (displayWidth(line) <= width) return [line]
  const left = /^ +\S.*? {3,}(?=\S)/.exec(line)?.[0] ?? ''
  const indent = width - left.length < MIN_RIGHT_COLUMNS ? '' : ' '.repeat(left.length)
  const lines: string[] = []
  let current = left
  for (const word of line.slice(left.length).split(' ')) {
    const isFirst = current === left || current === indent
    const longer = isFirst ? `${current}${word}` : `${current} ${word}`
    if (isFirst || displayWidth(longer) <= width) {
      current = longer
      continue
    }
    lines.push(current)
    current = `${indent}${word}`
  }
  return [...lines, current]
}
