/** A text that shares so many characters in a row with a value may quote it. */
const SHARED = 6;

const SHOWN: ReadonlySet<string> = new Set(['string', 'number', 'bigint', 'boolean']);

/** A text in the forms in which it is compared. */
interface Comparable {
  /** Lower case, without escapes. */
  readonly text: string;
  /** Its letters and digits only. */
  readonly letters: string;
}

/** All texts and numbers in a value, also in base64 and hexadecimal, and decoded from base64. */
export function textsOf(value: unknown): Comparable[] {
  const texts = new Set<string>();
  const seen = new Set<unknown>();
  const queue: unknown[] = [value];
  for (const one of queue) {
    if (typeof one === 'object' && one !== null) {
      if (seen.has(one)) continue;
      seen.add(one);
      for (const member of Object.values(one)) queue.push(member);
    } else if (SHOWN.has(typeof one)) {
      for (const form of formsOf(String(one as string | number))) texts.add(form);
    }
  }
  return [...texts].map(comparable).filter(({ text }) => text !== '');
}

/** Whether a message may contain a part of one of these texts, also if it escapes their characters. */
export function quotes(message: string, texts: readonly Comparable[]): boolean {
  const { text, letters } = comparable(message);
  const windows = [windowsOf(text), windowsOf(letters)] as const;
  return texts.some(
    (one) =>
      windows[0].some((window) => one.text.includes(window)) ||
      windows[1].some((window) => one.letters.includes(window)) ||
      (one.letters.length < SHARED && standsAlone(one.text, text)),
  );
}

function formsOf(text: string): string[] {
  const bytes = Buffer.from(text);
  const decoded = Buffer.from(text, 'base64').toString();
  const forms = [text, bytes.toString('base64'), bytes.toString('hex')];
  return text.length >= SHARED && /^[\P{C}\s]+$/u.test(decoded) && !decoded.includes('\ufffd')
    ? [...forms, decoded]
    : forms;
}

function comparable(given: string): Comparable {
  let text = given;
  for (let before; before !== text;) {
    before = text;
    text = unescaped(text);
  }
  text = text
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .toLowerCase();
  return { text, letters: text.replace(/[^\p{L}\p{N}]/gu, '') };
}

/** Removes one level of the escapes of JSON, JavaScript and URLs. */
function unescaped(text: string): string {
  return text
    .replace(/\\(?:u([0-9a-f]{4})|x([0-9a-f]{2})|([bfnrtv0])|(.))/gis, (_all, u, x, control, other) =>
      control ? ' ' : (other ?? String.fromCharCode(parseInt((u ?? x) as string, 16))),
    )
    .replace(/(?:%[0-9a-f]{2})+/gi, (bytes) =>
      Buffer.from(bytes.replaceAll('%', ''), 'hex').toString().replaceAll('\ufffd', ' '),
    );
}

function windowsOf(text: string): string[] {
  const windows = new Set<string>();
  for (let at = 0; at + SHARED <= text.length; at++) windows.add(text.slice(at, at + SHARED));
  return [...windows];
}

/** A short text counts only where it is no part of a word or a number. */
function standsAlone(text: string, message: string): boolean {
  for (let at = message.indexOf(text); at >= 0; at = message.indexOf(text, at + 1)) {
    const around = [message[at - 1], message[at + text.length]];
    if (around.every((character) => character === undefined || !/[\p{L}\p{N}]/u.test(character))) return true;
  }
  return false;
}
