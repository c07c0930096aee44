/** As HashiCorp Vault limits a body unless its listener is told otherwise. */
const LIMITS = { depth: 300, text: 1_048_576, members: 10_000 };

interface Container {
  close: string;
  /** The names in an object; nothing in an array. */
  names: Set<string> | undefined;
  atName: boolean;
  count: number;
}

/** One token after white space: a text, a number or literal, a mark, or what is none. */
const TOKEN = /[ \t\r\n]*(?:("(?:[^"\\]|\\[^])*")|([\w.+-]+)|([[\]{}])|([,:])|([^]))/gy;

/**
 * What HashiCorp Vault's own check finds wrong with a body before it is parsed, in its words (status 500). What is neither
 * an object nor an array, it leaves to the parser.
 */
export function faultOfJson(body: string): string | undefined {
  if (!/^\s*[{[]/.test(body)) return undefined;
  const open: Container[] = [];
  let begun = false;
  for (const [, text, word, bracket, mark, other] of body.trimEnd().matchAll(TOKEN)) {
    const top = open.at(-1);
    const first = (text ?? word ?? bracket ?? mark ?? other ?? '').charAt(0);
    if (begun && !top) return `invalid character '${first}' after top-level value`;
    begun = true;
    if (other === '"') return 'malformed JSON, unclosed string';
    if (other !== undefined) return `invalid character '${first}' looking for beginning of value`;
    if (mark !== undefined) {
      if (mark === ',' && top) top.atName = true;
      continue;
    }
    if (bracket === '}' || bracket === ']') {
      if (bracket !== top?.close) return `malformed JSON: mismatched closing delimiter '${bracket}'`;
      open.pop();
      continue;
    }
    if (word !== undefined && !/^(?:-?\d|true$|false$|null$)/.test(word))
      return `invalid character '${first}' looking for beginning of value`;
    if (text !== undefined && text.length - 2 > LIMITS.text)
      return 'JSON string value exceeds allowed length';
    const fault = top && member(top, text);
    if (fault) return fault;
    if (bracket === undefined) continue;
    const names = bracket === '{' ? new Set<string>() : undefined;
    open.push({ close: names ? '}' : ']', names, atName: true, count: 0 });
    if (open.length > LIMITS.depth) return 'JSON input exceeds allowed nesting depth';
  }
  return open.length > 0 ? 'malformed JSON, unclosed containers' : undefined;
}

/** Counts the name of an object, or the member of an array, that begins here. */
function member(container: Container, text: string | undefined): string | undefined {
  const { names } = container;
  if (names) {
    // The value that follows the name.
    if (!container.atName || text === undefined) return undefined;
    container.atName = false;
    const name = text.slice(1, -1);
    if (names.has(name)) return `duplicate key '${name}' in object`;
    names.add(name);
  }
  if (++container.count <= LIMITS.members) return undefined;
  return names ? 'JSON object exceeds allowed entry count' : 'JSON array exceeds allowed element count';
}
