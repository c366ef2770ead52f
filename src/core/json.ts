export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** T itself where all of it is JSON (an `interface` whose members are JSON is), with the words 'not JSON' in each place where it is not. */
export type JsonOf<T> = T extends Json | undefined | void
  ? T
  : T extends readonly unknown[]
    ? { [K in keyof T]: JsonOf<T[K]> }
    : T extends bigint | symbol | Date | Iterable<unknown> | ((...args: never) => unknown)
      ? 'not JSON'
      : T extends object
        ? { [K in keyof T]: JsonOf<T[K]> }
        : 'not JSON'

/** Asks nothing where T is JSON; else a property that nothing has, so that the compiler says Message and shows where. */
export type OnlyJson<T, Message extends string> = [T] extends [JsonOf<T>]
  ? unknown
  : { readonly [K in Message]: JsonOf<T> }
