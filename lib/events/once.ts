/** A server may warn of something else each time: after this many different texts, no more are reported. */
const MOST_TEXTS = 100;

/** Reports each text once. */
export function reportOnce<R extends unknown[]>(
  report: (text: string, ...rest: R) => void,
): (text: string, ...rest: R) => void {
  const reported = new Set<string>();
  return (text, ...rest) => {
    if (reported.has(text) || reported.size >= MOST_TEXTS) return;
    reported.add(text);
    report(text, ...rest);
  };
}
