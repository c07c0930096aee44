/** RFC 9110, 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/;
export const HEADER_VALUE = /^[\x20-\x7e]*$/;

const HOP_BY_HOP = 'It belongs to one connection, and the HTTP client sets it.';
const CLIENT = 'This client sets it by itself.';

/** Names that no caller may set, and what to do instead. */
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
  'content-encoding': 'Bodies are sent as they are.',
  'accept-encoding': 'Answers are read as they are, not compressed.',
  'x-vault-token': 'Log in with that token, in a connection of its own.',
  'x-vault-namespace': 'Give `namespace` instead.',
  'x-vault-index': CLIENT,
  'x-vault-request': CLIENT,
};

/** The same for what goes with every request of a connection. */
export const RESERVED_OF_CONNECTION: Readonly<Record<string, string>> = {
  ...RESERVED,
  'content-type': 'It is of one body: give it with that request.',
  'x-vault-wrap-ttl': 'It would wrap the answers to logins and renewals, too: give it with one request.',
};

/**
 * Reads headers that a caller gives. Their values may be secret: no problem shows one.
 *
 * @param report called with what is wrong, and what to do about it
 * @returns those that nothing is wrong with, their names in lower case; their values are not looked at but for their type
 */
export function readHeaders(
  headers: unknown,
  reserved: Readonly<Record<string, string>>,
  report: (problem: string, hint: string) => void,
): Record<string, string> {
  // Names come from outside: `constructor` is one like any other.
  const read = Object.create(null) as Record<string, string>;
  const plain = typeof headers === 'object' && headers !== null && !(Symbol.iterator in headers);
  if (!plain) report('its `headers` are no plain object', 'Give an object of names and values.');
  for (const [given, value] of plain ? (Object.entries(headers) as [string, unknown][]) : []) {
    const name = given.toLowerCase();
    const refused = Object.hasOwn(reserved, name) ? reserved[name] : name.startsWith('proxy-') && HOP_BY_HOP;
    if (!HEADER_NAME.test(name)) report('the name of a header is none', 'Correct the names of its headers.');
    else if (refused) report(`it sets the header "${name}"`, `Leave it out. ${refused}`);
    else if (name in read) report(`it sets the header "${name}" twice`, 'Give each name once.');
    else if (typeof value === 'string') read[name] = value;
    else report(`the value of the header "${name}" is no string`, 'Give each value as a string.');
  }
  return read;
}
