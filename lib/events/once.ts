/** A server may warn of something else each time: after this many different texts, no more are reported. */
const MOST_TEXTS = 100;

/** Reports each text once. */
export function reportOnce(report: (text: string) => void): (text: string) => void {
  const reported = new Set<string>();
  return (text) => {
    if (reported.has(text) || reported.size >= MOST_TEXTS) return;
    reported.add(text);
    report(text);
  };
}
