import { InvalidInputError, OffstageError, type InputIssue } from './errors.ts'

/** https://standardschema.dev, version 1: the interface, copied. */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}
type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] }

/** What a schema is asked about, and what follows where it refuses: the words of its error. */
export interface Checked {
  readonly what: string
  readonly so: string
}

/** The schema's answer, or `InvalidInputError`; the one place that calls a schema. */
export async function validated(
  schema: StandardSchemaV1<unknown, unknown>,
  value: unknown,
  what: Checked,
): Promise<unknown> {
  return valueOf(await schema['~standard'].validate(value), what)
}

/** The same at once; a schema that answers later is refused. */
export function validatedNow(schema: StandardSchemaV1<unknown, unknown>, value: unknown, what: Checked): unknown {
  const answer = schema['~standard'].validate(value)
  if (answer instanceof Promise)
    throw new OffstageError(
      'OFFSTAGE_BAD_OPTION',
      `${what.what} has a schema that answers with a promise, and \`startSync\` cannot wait within the caller's transaction. Use one that checks synchronously.`,
    )
  return valueOf(answer, what)
}

function valueOf(answer: SchemaResult<unknown>, what: Checked): unknown {
  if (answer.issues === undefined) return answer.value
  throw new InvalidInputError(what, answer.issues.map(plainIssue))
}

/** Path segments are keys or `{ key }`; a symbol is told by its description. */
function plainIssue(issue: { readonly message: string; readonly path?: readonly unknown[] | undefined }): InputIssue {
  const path = (issue.path ?? []).map((segment) => {
    const key = typeof segment === 'object' && segment !== null && 'key' in segment ? segment.key : segment
    return typeof key === 'number' ? key : String(key)
  })
  return { message: issue.message, path }
}
