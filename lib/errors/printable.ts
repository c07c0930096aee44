// Line breaks forge entries of a log, escapes and marks of direction steer the terminal that shows it.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g;

/** Characters of one part of an error, or of one line of a log. */
const LONGEST = 8_192;
/** Characters of one name in a list, and names of one list. */
const NAME = 64;
const NAMES = 20;

/**
 * A text that others had a hand in (the server, the source of a secret, the user who named it), fit for a log: one line,
 * without control characters, of `longest` characters at most. Every `VaultError`, every event and every line of the log
 * passes here, so that no single message has to think of it.
 */
export function printable(text: string, longest = LONGEST): string {
  const line = text.slice(0, longest).replace(CONTROL, ' ');
  return text.length > longest ? `${line}…` : line;
}

/** Names in a sentence: the first of them where there are many, each cut where it is long. */
export function listed(names: readonly string[], around = ''): string {
  const shown = names.slice(0, NAMES).map((name) => around + printable(name, NAME) + around);
  const more = names.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** The class of anything thrown: the rest of an error that is not ours may hold secrets. */
export function classOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  return typeof thrown.name === 'string' ? printable(thrown.name, NAME) : 'Error';
}
