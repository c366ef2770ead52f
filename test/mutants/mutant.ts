import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** One exact piece of a source file, and what stands there instead. */
export interface Edit {
  /** From the root of the repository. */
  readonly file: string
  readonly search: string
  readonly replace: string
}

/** A known mistake, as a patch of the sources: the harness must find it. */
export interface Mutant {
  readonly name: string
  /** Who made it, and what it breaks. */
  readonly about: string
  readonly edits: readonly Edit[]
}

/** Copies these folders of the repository into `to` and makes the mistake there. An edit that no longer fits its file is an error. */
export function plant(
  edits: readonly Edit[],
  by: { readonly from: string; readonly to: string; readonly folders: readonly string[] },
): void {
  const { from, to, folders } = by
  mkdirSync(to, { recursive: true })
  for (const folder of [...folders, 'package.json']) cpSync(join(from, folder), join(to, folder), { recursive: true })
  for (const { file, search, replace } of edits) {
    const path = join(to, file)
    const source = readFileSync(path, 'utf8')
    const found = source.split(search).length - 1
    if (found !== 1) throw new Error(`${file} holds this ${found} times, not once; adapt the mutant:\n${search}`)
    // A function: a replacement text may hold a `$`.
    writeFileSync(
      path,
      source.replace(search, () => replace),
    )
  }
}
