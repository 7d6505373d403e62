// The dashboard and the alert rules that come with the program: what they name is there on a running node.

import { readFileSync } from 'node:fs'
import test from 'brittle'
import { COUNTERS, GAUGES, HISTOGRAMS } from '../../lib/service/metric-table.ts'
import type { MetricRow } from '../../lib/service/metric-table.ts'
import { openNode } from './nodes.ts'

/** Nothing waits for the DHT. */
const NOBODY = { host: '127.0.0.1', port: 9 }

const DASHBOARD = 'dashboards/grafana.json'
const ALERTS = 'dashboards/alerts.yml'

/** What Prometheus adds to each series. */
const SCRAPED = ['instance', 'job', 'le']
const ROWS: Readonly<Record<string, MetricRow>> = { ...GAUGES, ...COUNTERS, ...HISTOGRAMS }

interface Rule {
  readonly alert: string
  readonly fields: ReadonlyMap<string, string>
}

/** The rules of the file, which keeps to few forms of YAML: one field a line, nested by two spaces. */
function rulesIn(text: string): readonly Rule[] {
  const head = /^(#.*\n)*groups:\n {2}- name: aspen\n {4}rules:\n/.exec(text)?.[0]
  if (head === undefined) throw new Error('the file begins with its group')
  const blocks = text.slice(head.length).split(/\n\n/)
  return blocks.map((block) => {
    const lines = block.trimEnd().split('\n')
    const alert = /^ {6}- alert: (Aspen[A-Za-z0-9]+)$/.exec(lines[0] ?? '')?.[1]
    if (alert === undefined) throw new Error(`a rule begins with its name: ${lines[0]}`)
    const fields = lines.slice(1).map((line) => {
      const [, name, value] = /^ {8}(?: {2})?([a-z]+):(?: (.+))?$/.exec(line) ?? []
      if (name === undefined) throw new Error(`not a field: ${line}`)
      return [name, value ?? ''] as const
    })
    return { alert, fields: new Map(fields) }
  })
}

function expressionsOfDashboard(): readonly string[] {
  const found: string[] = []
  JSON.parse(readFileSync(DASHBOARD, 'utf8'), (key, value: unknown) => {
    if ((key === 'expr' || key === 'query') && typeof value === 'string') found.push(value)
    return value
  })
  return found.filter((expression) => expression.includes('('))
}

/** The metrics that an expression names, with the labels that it asks of each or of all. */
function namesIn(expression: string): readonly string[] {
  const names = expression.match(/\b(aspen|nodejs|process|sqlite)_[a-z0-9_]+/g) ?? []
  return names.map((name) => {
    const whole = name.replace(/_(bucket|sum|count)$/, '')
    return whole in HISTOGRAMS ? whole : name
  })
}

function labelsIn(expression: string): readonly string[] {
  const selected = [...expression.matchAll(/[{,]\s*([a-z_]+)\s*[!=]/g)].map(([, label]) => label)
  const grouped = [...expression.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, labels]) =>
    (labels ?? '').split(/,\s*/)
  )
  return [...selected, ...grouped].filter((label) => label !== undefined)
}

function labelsOf(names: readonly string[]): ReadonlySet<string> {
  return new Set([...SCRAPED, ...names.flatMap((name) => Object.keys(ROWS[name]?.labels ?? {}))])
}

test('every metric and label that the dashboard and the alerts name is one of a running node', async (t) => {
  const site = { root: await t.tmp(), bootstrap: [NOBODY] }
  const node = await openNode(site, { kind: 'create' }, { name: 'alder' })
  t.teardown(() => node.close())
  const text = await node.metrics()
  const alerts = rulesIn(readFileSync(ALERTS, 'utf8')).map(({ fields }) => fields.get('expr') ?? '')
  const expressions = [...expressionsOfDashboard(), ...alerts]
  t.ok(expressions.length > 40, `${expressions.length} expressions`)
  for (const expression of expressions) {
    const names = namesIn(expression)
    t.ok(names.length > 0, expression)
    const missing = names.filter((name) => !text.includes(`# TYPE ${name} `))
    t.alike(missing, [], expression)
    const known = labelsOf(names)
    t.alike(
      labelsIn(expression).filter((label) => !known.has(label)),
      [],
      expression
    )
  }
})

test('values of labels that the alerts ask for occur', (t) => {
  const text = readFileSync(ALERTS, 'utf8') + readFileSync(DASHBOARD, 'utf8').replaceAll('\\"', '"')
  const asked = [...text.matchAll(/(\w+)\{[^}]*?\b(\w+)="([a-z_]+)"/g)]
  t.ok(asked.length > 3)
  for (const [, name = '', label = '', value = ''] of asked) {
    const values = ROWS[name]?.labels?.[label]
    t.ok(values?.includes(value), `${name}{${label}="${value}"}`)
  }
})

test('the alert rules say how bad it is and what to do', (t) => {
  const rules = rulesIn(readFileSync(ALERTS, 'utf8'))
  t.is(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const { alert, fields } of rules) {
    t.ok(['critical', 'warning', 'info'].includes(fields.get('severity') ?? ''), alert)
    t.ok(/^'[^']{20,}'$/.test(fields.get('summary') ?? ''), `${alert}: one quoted sentence`)
    t.ok(fields.get('for') === undefined || /^\d+[mh]$/.test(fields.get('for') ?? ''), alert)
    t.absent(
      [...fields.values()].some((value) => value.includes(': ') && !value.startsWith("'")),
      alert
    )
  }
})

test('the dashboard has its rows in the order in which somebody looks', (t) => {
  const titles: unknown[] = []
  JSON.parse(readFileSync(DASHBOARD, 'utf8'), (_key, value: unknown) => {
    if (typeof value === 'object' && value !== null && 'type' in value && value.type === 'row') {
      titles.push('title' in value ? value.title : null)
    }
    return value
  })
  const order = ['Is it up', 'Latency', 'Traffic', 'Raft', 'Network', 'Storage', 'Runtime']
  t.alike(titles, order)
})
