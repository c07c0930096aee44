// Line breaks forge log entries; escapes and direction marks control the terminal that shows them.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g;

/** Limit of one part of an error, or of one log line, in characters. */
const LONGEST = 8_192;
/** Limits of a list: characters of one name, and number of names. */
const NAME = 64;
const NAMES = 20;

/**
 * Makes a foreign text (of the server, a secret source, a configuration) safe for a log: one line, without control
 * characters, of at most `longest` characters. Every `VaultError`, every event and every log line passes this function,
 * so no single message needs a check of its own.
 */
export function printable(text: string, longest = LONGEST): string {
  const line = text.slice(0, longest).replace(CONTROL, ' ');
  return text.length > longest ? `${line}…` : line;
}

/** Lists names in a sentence: only the first of many, and long names shortened. */
export function listed(names: readonly string[], around = ''): string {
  const shown = names.slice(0, NAMES).map((name) => around + printable(name, NAME) + around);
  const more = names.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** The code of a thrown value (of the system, a driver or a database), or its class: its text may contain secrets. */
export function codeOf(thrown: unknown): string {
  const { code } = (thrown ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : classOf(thrown);
}

/** The class of a thrown value: all else of a foreign error may contain secrets. */
export function classOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  return typeof thrown.name === 'string' ? printable(thrown.name, NAME) : 'Error';
}
