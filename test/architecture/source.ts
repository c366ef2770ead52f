import { readdirSync, readFileSync } from 'node:fs'
import { parseSync, Visitor, type ESTree } from 'vite'

/** One file of src/, read once: what the rules ask about. Parsed by the parser that vite brings, so that a word in
 * a comment or a string is never taken for code. */
export interface Source {
  readonly path: string // within src/
  readonly lines: number
  readonly imports: readonly Import[]
  readonly functions: readonly { name: string; lines: number }[]
  readonly texts: readonly Place[] // string and template literals
  readonly names: readonly Place[] // identifiers and property names
  readonly moduleState: readonly Place[]
  readonly anys: readonly Place[]
  readonly calls: readonly Place[] // 'new Date()' and 'process.kill' and the like, as written
  readonly unexplained: readonly Place[] // exceptions to a rule that give no reason on their line
}
export interface Place {
  readonly text: string
  readonly line: number
}
export interface Import {
  readonly from: string
  readonly how: 'value' | 'type' | 'lazy'
  readonly line: number
}

const src = new URL('../../src/', import.meta.url)

/** All of src/, in the order of their paths. */
export const readSources = (): readonly Source[] =>
  readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path) => readSource(path, readFileSync(new URL(path, src), 'utf8')))

/** What import() is given where it is no literal: nobody can say what that loads. */
export const COMPUTED = '(computed)'

export function readSource(path: string, text: string): Source {
  const { program, module, comments, errors } = parseSync(path, text)
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0]?.message}`)
  const at = positions(text)
  const code = linesWithCode(text, comments, at)
  const commented = new Set(comments.map((comment) => at(comment.start)))
  const found = {
    functions: [] as { name: string; lines: number }[],
    texts: [] as Place[],
    names: [] as Place[],
    anys: [] as Place[],
    calls: [] as Place[],
    unexplained: unexplainedComments(comments, at),
    lazy: [] as Import[],
  }
  const place = (node: { start: number }, text: string): Place => ({ text, line: at(node.start) })
  const slice = (node: { start: number; end: number }) => text.slice(node.start, node.end)
  const measured = new Map<number, string>() // where a function starts → its name, told by what holds it
  const named = (key: ESTree.Node, value: ESTree.Node | null | undefined) => {
    if (value) measured.set(value.start, slice(key))
  }
  const measure = (node: { start: number; end: number }, own?: string) => {
    const lines = code.filter((line) => line >= at(node.start) && line <= at(node.end - 1)).length
    found.functions.push({ name: own ?? measured.get(node.start) ?? `(line ${at(node.start)})`, lines })
  }
  new Visitor({
    VariableDeclarator: (node) => named(node.id, node.init),
    Property: (node) => named(node.key, node.value),
    PropertyDefinition: (node) => named(node.key, node.value),
    MethodDefinition: (node) => named(node.key, node.value),
    FunctionDeclaration: (node) => measure(node, node.id?.name),
    FunctionExpression: (node) => measure(node, node.id?.name),
    ArrowFunctionExpression: (node) => measure(node),
    Identifier: (node) => void found.names.push(place(node, node.name)), // void: the visitor's answer is unused
    PrivateIdentifier: (node) => void found.names.push(place(node, node.name)), // void: as above
    Literal: (node) => typeof node.value === 'string' && found.texts.push(place(node, node.value)),
    TemplateLiteral: (node) => found.texts.push(place(node, node.quasis.map((q) => q.value.cooked).join('?'))),
    TSAnyKeyword: (node) => found.anys.push(place(node, 'any')),
    NewExpression: (node) => {
      if (node.arguments.length === 0) found.calls.push(place(node, `new ${slice(node.callee)}()`))
    },
    MemberExpression: (node) => found.calls.push(place(node, slice(node))),
    ImportExpression: (node) => {
      const from = node.source.type === 'Literal' ? String(node.source.value) : COMPUTED
      found.lazy.push({ from, how: 'lazy', line: at(node.start) })
    },
    UnaryExpression: (node) => {
      if (node.operator === 'void' && !commented.has(at(node.start))) found.unexplained.push(place(node, slice(node)))
    },
  }).visit(program)
  const imports = [...staticImports(module, at), ...found.lazy]
  const { lazy: _, ...rest } = found
  return { path, lines: text.split('\n').length - 1, imports, moduleState: moduleState(program, place), ...rest }
}

type Module = ReturnType<typeof parseSync>['module']
type Comments = ReturnType<typeof parseSync>['comments']
type At = (offset: number) => number

/** offset → line, from 1. */
function positions(text: string): At {
  const starts = [0, ...[...text.matchAll(/\n/g)].map((match) => match.index + 1)]
  return (offset) => {
    const after = starts.findIndex((start) => start > offset)
    return after === -1 ? starts.length : after
  }
}

/** As the linter counts: neither blank lines nor lines that are comment only. */
function linesWithCode(text: string, comments: Comments, at: At): readonly number[] {
  const bare = comments.reduce((rest, { start, end }) => {
    const blank = rest.slice(start, end).replaceAll(/[^\n]/g, ' ')
    return rest.slice(0, start) + blank + rest.slice(end)
  }, text)
  return [...bare.matchAll(/^.*\S.*$/gm)].map((line) => at(line.index))
}

function staticImports(module: Module, at: At): readonly Import[] {
  const imported = module.staticImports.map((one): Import => {
    const erased = one.entries.length > 0 && one.entries.every((entry) => entry.isType)
    return { from: one.moduleRequest.value, how: erased ? 'type' : 'value', line: at(one.start) }
  })
  const reexported = module.staticExports.flatMap((one) => {
    const from = one.entries.find((entry) => entry.moduleRequest)?.moduleRequest?.value
    if (from === undefined) return []
    const how = one.entries.every((entry) => entry.isType) ? 'type' : 'value'
    return [{ from, how, line: at(one.start) } satisfies Import]
  })
  return [...imported, ...reexported]
}

/** What outlives a call without an owner: a module's `let`, and collections that start empty to be filled. */
function moduleState(program: ESTree.Program, place: (node: { start: number }, text: string) => Place): Place[] {
  const isEmpty = (init: ESTree.Expression | null) =>
    (init?.type === 'NewExpression' && init.arguments.length === 0 && init.callee.type === 'Identifier') ||
    (init?.type === 'ArrayExpression' && init.elements.length === 0) ||
    (init?.type === 'ObjectExpression' && init.properties.length === 0)
  return program.body.flatMap((statement): Place[] => {
    const declared = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement
    if (declared?.type === 'VariableDeclaration') {
      return declared.declarations
        .filter((one) => declared.kind !== 'const' || isEmpty(one.init))
        .map((one) => place(one, one.id.type === 'Identifier' ? one.id.name : '(pattern)'))
    }
    if (declared?.type === 'ClassDeclaration') {
      return declared.body.body.flatMap((member) => {
        if (member.type !== 'PropertyDefinition' || !('readonly' in member) || !member.static) return []
        return member.readonly && !isEmpty(member.value) ? [] : [place(member, `static of ${declared.id?.name}`)]
      })
    }
    return []
  })
}

const EXCEPTION = /(?:oxlint|eslint)-disable|@ts-(?:expect-error|ignore|nocheck)/
const REASON = /(?:disable\S*\s.*--\s*\S{2,}.*\s\S)|(?:@ts-\S+\s.*\S{2,}\s\S)/

function unexplainedComments(comments: Comments, at: At): Place[] {
  return comments
    .filter((comment) => EXCEPTION.test(comment.value) && !REASON.test(comment.value))
    .map((comment) => ({ text: comment.value.trim(), line: at(comment.start) }))
}
