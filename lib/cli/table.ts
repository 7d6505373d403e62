// Tables without boxes: bold headings, gutters of two spaces, numbers to the right. On a terminal
// the widest column gives way, so that a row stays one line.

import { present } from '../assert.ts'
import type { Style } from './style.ts'
import { displayWidth, truncate } from './text.ts'

export interface Column {
  readonly title: string
  readonly isNumber?: boolean
}

const GUTTER = '  '
const MIN_CUT_COLUMNS = 8

/** The lines of the table, without line ends. Every row has one cell per column. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: Style
): string[] {
  const widths = columnWidths(columns, rows)
  if (style.width !== null) shrink(widths, style.width)
  const line = (cells: readonly string[]) =>
    columns
      .map((column, at) => fit(present(cells[at], 'cell'), widths[at] ?? 0, { column, style }))
      .join(GUTTER)
      .trimEnd()
  return [style.bold(line(columns.map((column) => column.title))), ...rows.map(line)]
}

function columnWidths(columns: readonly Column[], rows: readonly (readonly string[])[]): number[] {
  return columns.map((column, at) =>
    rows.reduce(
      (widest, row) => Math.max(widest, displayWidth(row[at] ?? '')),
      displayWidth(column.title)
    )
  )
}

/** Takes what is too much from the widest column, as far as that leaves something to read. */
function shrink(widths: number[], available: number): void {
  const total = widths.reduce((sum, width) => sum + width, GUTTER.length * (widths.length - 1))
  const widest = widths.indexOf(Math.max(...widths))
  const width = widths[widest]
  if (total <= available || width === undefined) return
  widths[widest] = Math.min(width, Math.max(MIN_CUT_COLUMNS, width - (total - available)))
}

function fit(
  cell: string,
  width: number,
  { column, style }: { readonly column: Column; readonly style: Style }
): string {
  const text = truncate(cell, width, style.ellipsis)
  const padding = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return column.isNumber === true ? `${padding}${text}` : `${text}${padding}`
}
