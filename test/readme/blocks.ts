// The blocks of a Markdown text that run, as the README marks them:
//
//   ```sh                  runs on the machine `alder`
//   ```sh machine=birch    runs on the machine `birch`
//   ```sh install          installs; runs once in a fresh folder
//   ```js machine=birch    a module that runs on the machine `birch`, with the package installed
//
// Every other fence (```text, ```json, …) is only for reading.

export interface Block {
  /** the line of its fence, from 1 */
  readonly line: number
  readonly language: 'sh' | 'js'
  readonly code: string
  /** null for a block that installs */
  readonly machine: string | null
}

const DEFAULT_MACHINE = 'alder'

/** The blocks in the order of the text. @throws Error for a mark that nobody knows. */
export function runnableBlocks(markdown: string): Block[] {
  const blocks: Block[] = []
  let fence: { readonly mark: string; readonly info: string; readonly line: number } | null = null
  let code: string[] = []
  for (const [index, text] of markdown.split('\n').entries()) {
    const found = /^(`{3,}|~{3,})(.*)$/.exec(text)
    if (fence === null) {
      if (found === null) continue
      fence = { mark: found[1] ?? '', info: (found[2] ?? '').trim(), line: index + 1 }
      code = []
    } else if (found !== null && found[1] === fence.mark && found[2] === '') {
      const block = toBlock(fence, `${code.join('\n')}\n`)
      if (block !== null) blocks.push(block)
      fence = null
    } else {
      code.push(text)
    }
  }
  return blocks
}

function toBlock(
  fence: { readonly info: string; readonly line: number },
  code: string
): Block | null {
  const [language, ...marks] = fence.info.split(/\s+/)
  if (language !== 'sh' && language !== 'js') return null
  const { line } = fence
  if (marks.length === 0) return { line, language, code, machine: DEFAULT_MACHINE }
  const mark = marks.join(' ')
  if (mark === 'install') return { line, language, code, machine: null }
  const machine = /^machine=([a-z]+)$/.exec(mark)?.[1]
  if (machine === undefined) throw new Error(`line ${line}: the mark '${mark}' is unknown`)
  return { line, language, code, machine }
}
