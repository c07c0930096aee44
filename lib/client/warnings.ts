const LONGEST = 300;
const MOST = 10;
/** What is shorter occurs in any text by chance. */
const SHORTEST_SECRET = 6;

// Line breaks forge entries of a log, escapes and marks of direction steer the terminal that shows it.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g;

/**
 * What a server warns of, fit to be told. Those of the engines that come with OpenBao and Vault hold names, durations
 * and the words of errors; the servers write them to their audit logs in clear. An engine of somebody else's may put
 * anything into them, so that what the same answer hands out is taken out again.
 *
 * @param warnings as they are in the answer
 * @param secrets anything of the answer that no log may show
 */
export function readWarnings(warnings: unknown, ...secrets: unknown[]): readonly string[] {
  if (!Array.isArray(warnings) || warnings.length === 0) return [];
  const values = [...new Set(secrets.flatMap(textsIn))].sort((one, other) => other.length - one.length);
  return warnings
    .filter((warning): warning is string => typeof warning === 'string' && warning !== '')
    .slice(0, MOST)
    .map((warning) => {
      const redacted = values.reduce((text, value) => text.replaceAll(value, '[redacted]'), warning);
      const text = redacted.replace(CONTROL, ' ').trim();
      return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
    });
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return value.length < SHORTEST_SECRET ? [] : [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

/** Tells each text once. */
export function tellOnce(tell: (text: string) => void): (text: string) => void {
  const told = new Set<string>();
  return (text) => {
    if (told.has(text)) return;
    told.add(text);
    tell(text);
  };
}
