// Prometheus' text format read back, for tests.

/** The series of a page of metrics: `name{label="value",…}`, as it is written, to its value. */
export type Samples = ReadonlyMap<string, number>

export function samplesOf(text: string): Samples {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1))] as const
    })
  )
}

/** All series of one metric, as `{label="value"}` → value. */
export function seriesOf(samples: Samples, name: string): ReadonlyMap<string, number> {
  const own = [...samples].filter(([series]) => series === name || series.startsWith(`${name}{`))
  return new Map(own.map(([series, value]) => [series.slice(name.length), value]))
}
