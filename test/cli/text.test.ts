// Small forms of text: durations, sizes, widths, and what is done to text from elsewhere.

import test from 'brittle'
import fc from 'fast-check'
import {
  displayBytes,
  displayWidth,
  formatDuration,
  formatRelative,
  formatSize,
  printable,
  spelledOut,
  truncate
} from '../../lib/cli/text.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1e9)

test('durations, distances and sizes are short', (t) => {
  t.is(formatDuration(0), '0 ms')
  t.is(formatDuration(999), '999 ms')
  t.is(formatDuration(1_290), '1.2 s')
  t.is(formatDuration(44_600), '45 s')
  t.is(formatDuration(90_000), '90 s')
  t.is(formatDuration(180_000), '3 min')
  t.is(formatDuration(86_399_000), '24 h')
  t.is(formatDuration(3 * 86_400_000), '3 d')
  t.is(formatRelative(10_000, 4_000), 'in 6.0 s')
  t.is(formatRelative(0, 7_200_000), '2 h ago')
  t.is(formatSize(812), '812 B')
  t.is(formatSize(2_100), '2.1 KiB')
  t.is(formatSize(1_048_576), '1.0 MiB')
  t.is(formatSize(4 * 1_024 ** 3), '4.0 GiB')
})

test('nothing that a terminal would obey is left in printable text', (t) => {
  t.comment(`seed ${seed}`)
  t.is(printable('a\u001b[31m\nb\u202ec\u0085'), 'a\\x1b[31m\\nb\\u{202e}c\\x85')
  t.is(printable('grüße 日本 🙂'), 'grüße 日本 🙂')
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      return !/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(printable(text))
    }),
    { seed }
  )
  t.is(displayBytes(Uint8Array.of(0xff, 0xfe)), '<binary 2 B>')
  t.is(displayBytes(Buffer.from('a\tb')), 'a\\tb')
})

test('a truncated text fits and says that it was cut', (t) => {
  t.comment(`seed ${seed}`)
  t.is(displayWidth('日本'), 4)
  t.is(displayWidth('e\u0301'), 1)
  t.is(displayWidth('\u001b[1mbold\u001b[22m'), 4)
  t.is(truncate('abcdef', 4, '…'), 'abc…')
  t.is(truncate('abcd', 4, '…'), 'abcd')
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      fc.integer({ min: 3, max: 40 }),
      (text, columns) => {
        const short = truncate(text, columns, '...')
        return displayWidth(short) <= columns && (short === text) === displayWidth(text) <= columns
      }
    ),
    { seed }
  )
})

test('a value is spelled out for a terminal only where a terminal would obey it', (t) => {
  for (const fine of ['', 'grüße 日本', 'two\nlines\r\nand\ta tab']) {
    t.is(spelledOut(Buffer.from(fine)), null, fine)
  }
  t.is(spelledOut(Buffer.from('a\u001b[31m\nb\rc')), 'a\\x1b[31m\nb\\rc')
  t.is(spelledOut(Uint8Array.of(0xff, 0xfe)), '<binary 2 B>')
})
