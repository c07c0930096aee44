/** The result of a test, as a cell of a table of a contract. */
export interface CellResult {
  readonly state: string;
  readonly note?: string | undefined;
}

/** The cell of a result; the reason of one that is not applicable becomes a note below the table. */
export function cellOf(result: CellResult, notes: string[]): string {
  if (result.state === 'passed') return 'yes';
  if (result.state !== 'skipped') return result.state;
  if (!result.note) return 'not run';
  if (!notes.includes(result.note)) notes.push(result.note);
  return `n/a ${notes.indexOf(result.note) + 1}`;
}

/** A table in Markdown. */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The notes below a table. */
export function notesOf(notes: readonly string[]): string {
  const footnotes = notes.map((note, index) => `${index + 1}. ${note}`);
  return notes.length === 0 ? '' : `\n\nNot applicable (n/a), because:\n\n${footnotes.join('\n')}`;
}
