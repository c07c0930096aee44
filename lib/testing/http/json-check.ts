/** Default limits of HashiCorp Vault for a body. */
const LIMITS = { depth: 300, text: 1_048_576, members: 10_000 };

interface Container {
  close: string;
  /** Names of an object; undefined for an array. */
  names: Set<string> | undefined;
  atName: boolean;
  count: number;
}

/** One token after white space: a text, a number or literal, a bracket, a mark, or an invalid character. */
const TOKEN = /[ \t\r\n]*(?:("(?:[^"\\]|\\[^])*")|([\w.+-]+)|([[\]{}])|([,:])|([^]))/gy;

/**
 * Checks a body as HashiCorp Vault does before it parses it, and returns its error (status 500). Bodies that are neither
 * an object nor an array are left to the parser.
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

/** Counts a member of an object or array. */
function member(container: Container, text: string | undefined): string | undefined {
  const { names } = container;
  if (names) {
    // This token is the value of a name.
    if (!container.atName || text === undefined) return undefined;
    container.atName = false;
    const name = text.slice(1, -1);
    if (names.has(name)) return `duplicate key '${name}' in object`;
    names.add(name);
  }
  if (++container.count <= LIMITS.members) return undefined;
  return names ? 'JSON object exceeds allowed entry count' : 'JSON array exceeds allowed element count';
}
