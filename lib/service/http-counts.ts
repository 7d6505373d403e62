// The requests of a node's HTTP API, counted.

import type { Metrics } from './metrics.ts'

interface Answered {
  readonly route: string
  readonly method: string
  readonly status: number
  readonly durationMs: number
}

/** What an HTTP server tells (`HttpObserver`), as metrics. */
export function httpObserver(metrics: Metrics) {
  return {
    onRoute: (route: string, method: string): void => {
      metrics.count('aspen_http_requests_total', { route, method, code: '200' }, 0)
    },
    onAnswered: ({ route, method, status, durationMs }: Answered): void => {
      metrics.count('aspen_http_requests_total', { route, method, code: String(status) })
      metrics.observe('aspen_http_request_duration_seconds', durationMs / 1_000, { route, method })
    }
  }
}
