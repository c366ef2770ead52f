const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = ['"', '\\', '[', ']', '{', '}'].map(
  (char) => char.charCodeAt(0),
)

/** Where the text opens one level more than allowed; undefined: nowhere. Asked before parsing, which would build all of it. */
export function deeperThan(most: number, text: string): number | undefined {
  let [depth, quoted] = [0, false]
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (quoted) {
      if (char === BACKSLASH) at++
      else if (char === QUOTE) quoted = false
    } else if (char === QUOTE) quoted = true
    else if (char === OPEN_ARRAY || char === OPEN_OBJECT) {
      if (++depth > most) return at
    } else if (char === CLOSE_ARRAY || char === CLOSE_OBJECT) depth--
  }
  return undefined
}

const SPACE = /[ \t\n\r]*/y
// oxlint-disable-next-line no-control-regex -- JSON forbids them in a text
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y
const LITERAL = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

/**
 * Where the first thing stands that JSON does not allow. The engine's own message tells it for some mistakes only, and quotes the text.
 * Recursive: the depth has been looked at.
 */
export function mistakeIn(text: string): number {
  let at = 0
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = at
    const found = pattern.test(text)
    if (found) at = pattern.lastIndex
    return found
  }
  const sign = (char: string): boolean => {
    skip(SPACE)
    if (text[at] !== char) return false
    at++
    return true
  }
  const list = (item: () => boolean, close: string): boolean => {
    if (sign(close)) return true
    do if (!item()) return false
    while (sign(','))
    return sign(close)
  }
  const value = (): boolean => {
    if (sign('[')) return list(value, ']')
    if (sign('{')) return list(member, '}')
    return skip(STRING) || skip(LITERAL)
  }
  const member = (): boolean => {
    skip(SPACE)
    return skip(STRING) && sign(':') && value()
  }
  if (value()) skip(SPACE)
  return at
}
