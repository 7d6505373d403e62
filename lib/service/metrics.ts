// The metrics of one node: a registry of its own, made of the table (metric-table.ts). What is a state is
// read when somebody asks, by the functions given to `addSource`; what happens is counted by whoever is
// told of it (metric-counts.ts). No timer runs here.
//
// The answer is Prometheus' text format 0.0.4. prom-client can write OpenMetrics too, but it renames the
// counters of a registry when it does, for good; so that is not offered.

import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { present } from '../assert.ts'
import type { CounterName, GaugeName, HistogramName, MetricRow } from './metric-table.ts'
import { COUNTERS, GAUGES, HISTOGRAMS } from './metric-table.ts'

export type Labels = Readonly<Record<string, string>>

/** Sets gauges from what is true now; may wait, but not for other nodes. */
export type ReadStates = (metrics: Metrics) => void | Promise<void>

export class Metrics {
  readonly #registry = new Registry()
  readonly #gauges = new Map<string, Gauge>()
  readonly #counters = new Map<string, Counter>()
  readonly #histograms = new Map<string, Histogram>()
  readonly #sources: ReadStates[] = []

  constructor() {
    const registers = [this.#registry]
    for (const [name, row] of rowsOf(GAUGES)) {
      const gauge = new Gauge({ ...shapeOf(name, row), registers })
      for (const labels of seriesOf(row)) gauge.set(labels, 0)
      this.#gauges.set(name, gauge)
    }
    for (const [name, row] of rowsOf(COUNTERS)) {
      const counter = new Counter({ ...shapeOf(name, row), registers })
      for (const labels of seriesOf(row)) counter.inc(labels, 0)
      this.#counters.set(name, counter)
    }
    for (const [name, row] of rowsOf(HISTOGRAMS)) {
      const { buckets } = row
      const histogram = new Histogram({ ...shapeOf(name, row), buckets: [...buckets], registers })
      for (const labels of seriesOf(row)) histogram.zero(labels)
      this.#histograms.set(name, histogram)
    }
  }

  /** `read` is called before each answer. */
  addSource(read: ReadStates): void {
    this.#sources.push(read)
  }

  set(name: GaugeName, value: number, labels: Labels = {}): void {
    present(this.#gauges.get(name), name).set(labels, value)
  }

  /** Sets it, or takes it away while there is nothing to say. */
  setOrRemove(name: GaugeName, value: number | null): void {
    const gauge = present(this.#gauges.get(name), name)
    if (value === null) gauge.remove()
    else gauge.set(value)
  }

  /** All series of the gauge anew: those that are not there any more go. */
  setAll(name: GaugeName, series: readonly (readonly [Labels, number])[]): void {
    const gauge = present(this.#gauges.get(name), name)
    gauge.reset()
    for (const [labels, value] of series) gauge.set(labels, value)
  }

  count(name: CounterName, labels: Labels = {}, by = 1): void {
    present(this.#counters.get(name), name).inc(labels, by)
  }

  /** For a total that somebody else counts. */
  countTo(name: CounterName, total: number): void {
    const counter = present(this.#counters.get(name), name)
    counter.reset()
    counter.inc(total)
  }

  /** Seconds or bytes, as the name says. */
  observe(name: HistogramName, value: number, labels: Labels = {}): void {
    present(this.#histograms.get(name), name).observe(labels, value)
  }

  /** A series that nothing is counted in any more. */
  removeSeries(name: HistogramName, labels: Labels): void {
    present(this.#histograms.get(name), name).remove(labels)
  }

  /** Everything, as text; works without quorum. */
  async render(): Promise<string> {
    for (const read of this.#sources) await read(this)
    return await this.#registry.metrics()
  }
}

/** What `render` answers with. */
export const METRICS_CONTENT_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE

function rowsOf<Row extends MetricRow>(table: Readonly<Record<string, Row>>): [string, Row][] {
  return Object.entries(table)
}

function shapeOf(name: string, { help, labels = {} }: MetricRow) {
  return { name, help, labelNames: Object.keys(labels) }
}

/** What is there from the start: every combination of known values. */
function seriesOf({ labels = {}, initial }: MetricRow): readonly Labels[] {
  if (initial !== undefined) return initial
  let series: Labels[] = [{}]
  for (const [label, values] of Object.entries(labels)) {
    series = (values ?? []).flatMap((value) => series.map((one) => ({ ...one, [label]: value })))
  }
  return series
}
