// Times and sizes of a configuration: read, and written so that they are read as the same.

import test from 'brittle'
import fc from 'fast-check'
import { durationText, parseDuration, parseSize, sizeText } from '../../lib/config/units.ts'

test('a duration is a number with a unit; a plain number is seconds', (t) => {
  t.is(parseDuration('300ms'), 300)
  t.is(parseDuration('5s'), 5_000)
  t.is(parseDuration('5'), 5_000)
  t.is(parseDuration('1.5h'), 5_400_000)
  t.is(parseDuration('2m'), 120_000)
  t.is(parseDuration('2min'), 120_000)
  t.is(parseDuration('30d'), 2_592_000_000)
  for (const text of ['', 's', '-5s', '5 s', '5w', '1e3', '0x10', '5s5', '.5s', 'NaN']) {
    t.is(parseDuration(text), null, text)
  }
})

test('a size is a number with a unit of 1,024; a plain number is bytes', (t) => {
  t.is(parseSize('64MiB'), 64 * 1_024 ** 2)
  t.is(parseSize('1.5KiB'), 1_536)
  t.is(parseSize('7'), 7)
  for (const text of ['', 'MiB', '-1', '1 MiB', '1mb', '1e9']) t.is(parseSize(text), null, text)
})

test('what is written is read as the same, and in the largest unit that fits', (t) => {
  t.is(durationText(86_400_000), '24h')
  t.is(durationText(90_000), '90s')
  t.is(durationText(1_500), '1500ms')
  t.is(durationText(0), '0ms')
  t.is(sizeText(64 * 1_024 ** 2), '64MiB')
  t.is(sizeText(1_500), '1500B')
  t.is(sizeText(0), '0B')
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 - 1 }), (value) => {
      return parseDuration(durationText(value)) === value && parseSize(sizeText(value)) === value
    })
  )
  t.pass('2^31 values at random')
})
