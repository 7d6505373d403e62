// The blanking of comments, strings, templates and regular expressions, on which all checks of
// code rest, and the finding of functions in what is left.

import fc from 'fast-check'
import test from 'brittle'
import { functionsOf } from './shape.ts'
import { blank } from './source.ts'

test('comments become spaces and lines stay', (t) => {
  t.is(blank('a // b\nc /* d\ne */ f'), 'a     \nc     \n     f')
  t.is(blank('/*/ a */ b'), '         b')
  t.is(blank('#!/usr/bin/env node\na'), '                   \na')
})

test('strings keep their quotes only', (t) => {
  t.is(blank(`f('a "b"', "it's", 'x\\'y')`), `f('     ', "    ", '    ')`)
  t.is(blank("'// no comment' a"), "'             ' a")
})

test('templates keep the code between their braces', (t) => {
  t.is(blank('`a ${b({ c: `d${e}` })} f` g'), '`  ${b({ c: ` ${e}` })}  ` g')
  t.is(blank('`\\${a}` b'), '`     ` b')
})

test('a slash begins a regular expression only where no value stands before it', (t) => {
  t.is(blank('x = /[\'"/]/g'), 'x = /   /]/g'.replace('/   /]/g', '/     /g'))
  t.is(blank('a / b / c'), 'a / b / c')
  t.is(blank('return /async/.test(x)'), 'return /     /.test(x)')
  t.is(blank('(a) / b // c'), '(a) / b     ')
  t.is(blank('/[/]async/ + a'), '/        / + a')
})

test('blanking keeps length and lines of any text', (t) => {
  const seed = Number(process.env['ASPEN_SEED'] ?? 20261122)
  t.comment(`seed ${seed}`)
  const piece = fc.constantFrom('`', '${', '}', '{', "'", '"', '/', '*', '\\', '\n', 'a', '[', ']')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = pieces.join('')
      const code = blank(text)
      return code.length === text.length && code.split('\n').length === text.split('\n').length
    }),
    { seed, numRuns: 2_000 }
  )
  t.pass()
})

test('functions are found with their bodies, and blocks and calls are not', (t) => {
  const bodies = (code: string): string[] =>
    functionsOf(blank(code)).map(({ from, to }) => code.slice(from, to + 1))
  t.alike(bodies('function a(b) { c }'), ['(b) { c }'])
  t.alike(bodies('const a = (b) => { c }'), ['(b) => { c }'])
  t.alike(bodies('const a = async <T>(b: T): Promise<T> => { c }'), ['(b: T): Promise<T> => { c }'])
  t.alike(bodies('function a(): { b: number } | null { c }'), ['(): { b: number } | null { c }'])
  t.alike(bodies('function a(b: unknown): b is { c: 1 } { d }'), [
    '(b: unknown): b is { c: 1 } { d }'
  ])
  t.alike(bodies('function a(): (b: C) => void { d }'), ['(): (b: C) => void { d }'])
  t.alike(bodies('function a(): Map<B, () => C>[] { d }'), ['(): Map<B, () => C>[] { d }'])
  t.alike(bodies("function a(): 'b' | readonly C[] { d }"), ["(): 'b' | readonly C[] { d }"])
  t.alike(bodies('class A { get b() { c } #d(e = {}) { f } }'), ['() { c }', '(e = {}) { f }'])
  t.alike(bodies('if (a) { b } for (c) { d } while (e) { f } switch (g) { h }'), [])
  t.alike(bodies('for await (const a of b) { c } try { d } catch (e) { f }'), [])
  t.alike(bodies('const a = b ? (c) : { d: 1 }\nconst e = f(g)\n'), [])
  t.alike(bodies('interface A { b(c: D): E; f: (g: H) => I }'), [])
})
