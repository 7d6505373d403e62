// The colours of log lines.

import { unreachable } from '../assert.ts'
import type { LogPart } from '../node/log-line.ts'
import type { Style } from './style.ts'

export function logPaint(style: Style, part: LogPart, text: string): string {
  switch (part) {
    case 'time':
    case 'fields':
      return text === '' ? '' : style.dim(text)
    case 'info':
      return style.colour('green', text)
    case 'warn':
      return style.colour('yellow', text)
    case 'error':
      return style.colour('red', text)
    case 'component':
      return style.colour('cyan', text)
    default:
      return unreachable(part)
  }
}
