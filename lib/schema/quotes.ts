/** A text that shares so many characters in a row with a value may quote it. */
const SHARED = 6;

const SHOWN: ReadonlySet<string> = new Set(['string', 'number', 'bigint', 'boolean']);

/** All texts and numbers in a value, as lower-case texts. */
export function textsOf(value: unknown): string[] {
  const texts: string[] = [];
  const seen = new Set<unknown>();
  const queue: unknown[] = [value];
  for (const one of queue) {
    if (typeof one === 'object' && one !== null) {
      if (seen.has(one)) continue;
      seen.add(one);
      for (const member of Object.values(one)) queue.push(member);
    } else if (SHOWN.has(typeof one)) {
      const text = String(one as string | number).toLowerCase();
      if (text.trim() !== '') texts.push(text);
    }
  }
  return texts;
}

/** Whether a message may contain a part of one of these texts. */
export function quotes(message: string, texts: readonly string[]): boolean {
  const folded = message.toLowerCase();
  const windows = new Set<string>();
  for (let at = 0; at + SHARED <= folded.length; at++) windows.add(folded.slice(at, at + SHARED));
  return texts.some((text) =>
    text.length < SHARED ? standsAlone(text, folded) : [...windows].some((window) => text.includes(window)),
  );
}

/** A short text counts only where it is no part of a word or a number. */
function standsAlone(text: string, message: string): boolean {
  for (let at = message.indexOf(text); at >= 0; at = message.indexOf(text, at + 1)) {
    const around = [message[at - 1], message[at + text.length]];
    if (around.every((character) => character === undefined || !/[\p{L}\p{N}]/u.test(character))) return true;
  }
  return false;
}
