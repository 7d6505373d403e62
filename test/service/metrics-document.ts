// lib/service/METRICS.md, from the table of metrics. Written anew by
// `node --enable-source-maps dist/test/service/metrics-document.js > lib/service/METRICS.md`.

import { pathToFileURL } from 'node:url'
import type { MetricRow } from '../../lib/service/metric-table.ts'
import { COUNTERS, GAUGES, HISTOGRAMS } from '../../lib/service/metric-table.ts'

const HEAD = `# Metrics

\`GET /metrics\` answers with these, without a token, from memory and without quorum. Units are seconds and bytes. Labels whose
values are not listed get them while the node runs; \`peer\` is the id of a member, and its series go with it. Series with listed
values are there from the start. Which node it is says the scrape, not a label.

`

export function metricsDocument(): string {
  const rows = [
    ['metric', 'type', 'labels', 'what it says'],
    ...rowsOf('gauge', GAUGES),
    ...rowsOf('counter', COUNTERS),
    ...rowsOf('histogram', HISTOGRAMS)
  ]
  const widths = [0, 1, 2, 3].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  const lines = rows.map(
    (row) => `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`
  )
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`)
  return `${HEAD}${lines.join('\n')}\n`
}

function rowsOf(type: string, table: Readonly<Record<string, MetricRow>>): string[][] {
  return Object.entries(table).map(([name, { help, labels = {} }]) => [
    `\`${name}\``,
    type,
    Object.entries(labels)
      .map(([label, values]) =>
        values === null ? `\`${label}\`` : `\`${label}\`: ${values.join(', ')}`
      )
      .join('; '),
    help
  ])
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.stdout.write(metricsDocument())
}
