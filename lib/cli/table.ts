// Tables without boxes: bold headings, gutters of two spaces, numbers to the right. On a terminal
// the widest columns give way, so that a row stays one line.

import { present } from '../assert.ts'
import type { Style } from './style.ts'
import { displayWidth, truncate } from './text.ts'

export interface Column {
  readonly title: string
  readonly isNumber?: boolean
  /** left out, the last one first, where the terminal is too narrow for all columns */
  readonly isOptional?: boolean
}

const GUTTER = '  '
const MIN_CUT_COLUMNS = 8
/** Where nothing is cut, a longer cell sticks out instead of padding every other row to its length. */
const MAX_PADDED_COLUMNS = 64

/** The lines of the table, without line ends. Every row has one cell per column. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: Style
): string[] {
  const widths = columnWidths(columns, rows, style.width ?? MAX_PADDED_COLUMNS)
  if (style.width !== null && totalWidth(widths) > style.width) {
    const dropped = columns.findLastIndex((column) => column.isOptional === true)
    if (dropped !== -1) {
      const kept = <T>(items: readonly T[]) => items.filter((_item, at) => at !== dropped)
      return renderTable(kept(columns), rows.map(kept), style)
    }
    shrink(widths, style.width)
  }
  const line = (cells: readonly string[]) =>
    columns
      .map((column, at) => fit(present(cells[at], 'cell'), widths[at] ?? 0, { column, style }))
      .join(GUTTER)
      .trimEnd()
  return [style.bold(line(columns.map((column) => column.title))), ...rows.map(line)]
}

function columnWidths(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  max: number
): number[] {
  return columns.map((column, at) =>
    rows.reduce(
      (widest, row) => Math.max(widest, Math.min(max, displayWidth(row[at] ?? ''))),
      displayWidth(column.title)
    )
  )
}

function totalWidth(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, GUTTER.length * (widths.length - 1))
}

/** Takes what is too much from the widest columns, as far as that leaves something to read. */
function shrink(widths: number[], available: number): void {
  for (let surplus = totalWidth(widths) - available; surplus > 0;) {
    const widest = Math.max(...widths)
    if (widest <= MIN_CUT_COLUMNS) return
    const at = widths.indexOf(widest)
    const next = Math.max(MIN_CUT_COLUMNS, ...widths.filter((_width, other) => other !== at))
    const cut = Math.min(surplus, Math.max(1, widest - next))
    widths[at] = widest - cut
    surplus -= cut
  }
}

function fit(
  cell: string,
  width: number,
  { column, style }: { readonly column: Column; readonly style: Style }
): string {
  const text = style.width === null ? cell : truncate(cell, width, style.ellipsis)
  const padding = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return column.isNumber === true ? `${padding}${text}` : `${text}${padding}`
}
