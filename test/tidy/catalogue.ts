// The cases of the fault catalogue that belong to durability, time, processes, identity, membership and the HTTP
// API, each with what it is about: test/faults/README.md says for each of them which tests carry its id.

/** How a case is named. */
export const CASE_ID = /\b(?:STO|RFT|TIM|PRC|MEM|OPS|RES|HTTP)-\d{2}\b/g

/** All that there must be a test or a reason for. */
export const CASES: readonly string[] = [
  ...numbered('STO', 1, 26),
  'RFT-09',
  ...numbered('TIM', 1, 5),
  ...numbered('PRC', 3, 6),
  'MEM-03',
  ...numbered('MEM', 5, 9),
  'RES-10',
  ...numbered('OPS', 1, 4),
  ...numbered('HTTP', 1, 15)
]

function numbered(family: string, first: number, last: number): string[] {
  const numbers = Array.from({ length: last - first + 1 }, (_, at) => first + at)
  return numbers.map((number) => `${family}-${String(number).padStart(2, '0')}`)
}

/** The ids in the titles of the tests of a file. */
export function casesIn(text: string): Set<string> {
  const titles = [...text.matchAll(TITLE)].map((match) => match[2] ?? '')
  return new Set(titles.flatMap((title) => title.match(CASE_ID) ?? []))
}

/** A title is a literal on the line of the call or the next one. */
const TITLE = /\b(?:test|check)\(\s*(['"`])((?:\\.|(?!\1)[^\\\n])*)\1/g

/** The rows of the table: id → what the last column says. */
export function rowsOf(readme: string): Map<string, string> {
  const rows = new Map<string, string>()
  for (const line of readme.split('\n')) {
    const [, id = '', , where = ''] = line.split('|').map((cell) => cell.trim())
    if (CASES.includes(id)) rows.set(id, where)
  }
  return rows
}
