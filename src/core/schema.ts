import { InvalidInputError, type InputIssue } from './errors.ts'

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

/** The schema's answer, or `InvalidInputError`: the one place that calls a schema. */
export async function validated(
  schema: StandardSchemaV1<unknown, unknown>,
  value: unknown,
  task: string,
): Promise<unknown> {
  const answer = await schema['~standard'].validate(value)
  if (answer.issues === undefined) return answer.value
  throw new InvalidInputError(task, answer.issues.map(plainIssue))
}

/** Path segments are keys or `{ key }`; a symbol is told by its description. */
function plainIssue(issue: { readonly message: string; readonly path?: readonly unknown[] | undefined }): InputIssue {
  const path = (issue.path ?? []).map((segment) => {
    const key = typeof segment === 'object' && segment !== null && 'key' in segment ? segment.key : segment
    return typeof key === 'number' ? key : String(key)
  })
  return { message: issue.message, path }
}
