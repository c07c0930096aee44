/** RFC 9110, 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/;
export const HEADER_VALUE = /^[\x20-\x7e]*$/;

const HOP_BY_HOP = 'It belongs to a socket, and the HTTP client sets it.';
const CLIENT = 'This client sets it.';

/** Names that no caller may set, each with the remedy. */
export const RESERVED: Readonly<Record<string, string>> = {
  connection: HOP_BY_HOP,
  'keep-alive': HOP_BY_HOP,
  te: HOP_BY_HOP,
  trailer: HOP_BY_HOP,
  'transfer-encoding': HOP_BY_HOP,
  upgrade: HOP_BY_HOP,
  'http2-settings': HOP_BY_HOP,
  expect: HOP_BY_HOP,
  host: HOP_BY_HOP,
  'content-length': HOP_BY_HOP,
  'content-encoding': 'Bodies are sent unchanged.',
  'accept-encoding': 'Answers are read uncompressed.',
  'x-vault-token': 'Log in with that token, in a connection of its own.',
  'x-vault-namespace': 'Give `namespace` instead.',
  'x-vault-index': CLIENT,
  'x-vault-request': CLIENT,
};

/** Further names that the `headers` of a connection must not set. */
export const RESERVED_OF_CONNECTION: Readonly<Record<string, string>> = {
  ...RESERVED,
  'content-type': 'It describes one body: set it for that request.',
  'x-vault-wrap-ttl': 'It would wrap the answers to logins and renewals, too: set it for one request.',
};

/**
 * Reads the headers of a caller. Their values may be secret: no problem shows one.
 *
 * @param report called with each problem and its remedy
 * @returns the valid headers, with names in lower case; only the type of the values is checked
 */
export function readHeaders(
  headers: unknown,
  reserved: Readonly<Record<string, string>>,
  report: (problem: string, hint: string) => void,
): Record<string, string> {
  // A caller may use any name, also `constructor`.
  const read = Object.create(null) as Record<string, string>;
  const plain = typeof headers === 'object' && headers !== null && !(Symbol.iterator in headers);
  if (!plain) report('its `headers` are not a plain object', 'Give an object of names and values.');
  for (const [given, value] of plain ? (Object.entries(headers) as [string, unknown][]) : []) {
    const name = given.toLowerCase();
    const refused = Object.hasOwn(reserved, name) ? reserved[name] : name.startsWith('proxy-') && HOP_BY_HOP;
    if (!HEADER_NAME.test(name))
      report('the name of a header is invalid', 'Correct the names of its headers.');
    else if (refused) report(`it sets the header "${name}"`, `Leave it out. ${refused}`);
    else if (name in read) report(`it sets the header "${name}" twice`, 'Give each name once.');
    else if (typeof value === 'string') read[name] = value;
    else report(`the value of the header "${name}" is not a string`, 'Give each value as a string.');
  }
  return read;
}
