import ts from 'typescript';
import { expect, it } from 'vitest';
import { filesBelow, PAGES, read } from '../support/pages.mjs';

/** Share of sentences that may begin with a riddle. */
const LIMIT = 0.01;

/** An opening that names no actor: "What the server refuses is told to whoever asked." */
const RIDDLE = /^(?:what|who|whoever|whom|whose|those|that which)\b/i;

/** Private words, and the plain word for each. */
const PRIVATE_WORDS = [
  { name: 'nobody', word: /\b(?:no|some|any)body\b/i, better: 'the actor, "no consumer"' },
  {
    name: 'tell',
    word: /\b(?:tells?|told|telling)\b/i,
    better: 'log, report, emit, say',
  },
  {
    name: 'over',
    // "over a limit" and "over TLS" are plain.
    word: /\b(?:is|are|was|were|be|been|seems?)(?: already| long| not)? over(?=[.,:;)]| and\b| by\b|$)/i,
    better: 'expired, ended',
  },
  {
    name: 'away',
    word: /\bservers? (?:is|are|was|were|stays) away\b/i,
    better: 'unreachable',
  },
  { name: 'for ever', word: /\bfor ever\b/i, better: 'without end, or the limit' },
];

interface Sentence {
  file: string;
  line: number;
  text: string;
}

/** At `.`, `:` or `;` before a blank. A text of fewer than two words is no sentence. */
function sentencesOf(file: string, line: number, text: string): Sentence[] {
  const found: Sentence[] = [];
  let from = 0;
  for (const { 0: end, index } of text.matchAll(/[.:;](?=\s|$)|$/g)) {
    const raw = text.slice(from, index);
    const plain = raw
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replaceAll(/\s+/g, ' ')
      .replace(/^[\s*_"'“(>]+/, '');
    const before = text.slice(0, from + raw.search(/\S|$/));
    if (/[a-z]\W+[a-z]/i.test(plain)) {
      found.push({ file, line: line + (before.match(/\n/g)?.length ?? 0), text: plain });
    }
    from = index + end.length;
  }
  return found;
}

/** The comments of a file; lines of `//` below each other are one comment. */
function commentsOf(file: string): Sentence[] {
  const text = read(file);
  const comments: { line: number; text: string; end: number; block: boolean }[] = [];
  const scanner = ts.createScanner(ts.ScriptTarget.ES2022, false, ts.LanguageVariant.Standard, text);
  let line = 1;
  let newline = text.indexOf('\n');
  let previous = ts.SyntaxKind.Unknown;
  const templates: number[] = [];
  for (let token = scanner.scan(); token !== ts.SyntaxKind.EndOfFileToken; token = scanner.scan()) {
    const kind = ts.SyntaxKind;
    if (token === kind.SlashToken && startsExpression(previous)) token = scanner.reScanSlashToken();
    if (token === kind.TemplateHead) templates.push(0);
    else if (templates.length > 0 && token === kind.OpenBraceToken) templates[templates.length - 1]! += 1;
    else if (templates.length > 0 && token === kind.CloseBraceToken) {
      if (templates.at(-1) === 0) {
        token = scanner.reScanTemplateToken(false);
        if (token === kind.TemplateTail) templates.pop();
      } else templates[templates.length - 1]! -= 1;
    }
    if (token === kind.SingleLineCommentTrivia || token === kind.MultiLineCommentTrivia) {
      const start = scanner.getTokenStart();
      for (; newline !== -1 && newline < start; newline = text.indexOf('\n', newline + 1)) line += 1;
      const block = token === kind.MultiLineCommentTrivia;
      const body = scanner.getTokenText();
      const last = comments.at(-1);
      if (!block && last && !last.block && /^\n[ \t]*$/.test(text.slice(last.end, start))) {
        last.text += `\n${body.slice(2)}`;
        last.end = scanner.getTokenEnd();
      } else {
        const plain = block ? body.slice(2, -2).replaceAll(/^[ \t]*\*+/gm, '') : body.slice(2);
        comments.push({ line, text: plain, end: scanner.getTokenEnd(), block });
      }
    } else if (token > kind.LastTriviaToken) previous = token;
  }
  return comments.flatMap((comment) => paragraphsOf(file, comment.line, comment.text));
}

/** Whether a slash after this token begins a regular expression. */
function startsExpression(token: ts.SyntaxKind): boolean {
  const { Identifier, CloseParenToken, CloseBracketToken, CloseBraceToken, NumericLiteral } = ts.SyntaxKind;
  return ![Identifier, CloseParenToken, CloseBracketToken, CloseBraceToken, NumericLiteral].includes(token);
}

/** Blocks of code go; an item of a list, a tag, a heading and a cell of a table are texts of their own. */
function paragraphsOf(file: string, line: number, text: string): Sentence[] {
  const found: Sentence[] = [];
  let paragraph: string[] = [];
  let fence = '';
  const flush = (next: number) => {
    if (paragraph.length > 0) found.push(...sentencesOf(file, next - paragraph.length, paragraph.join('\n')));
    paragraph = [];
  };
  for (const [index, raw] of text.split('\n').entries()) {
    const here = line + index;
    const mark = /^\s*(```|~~~)/.exec(raw)?.[1] ?? '';
    if (mark || fence) {
      flush(here);
      if (mark && (!fence || mark === fence)) fence = fence ? '' : mark;
      continue;
    }
    const item = /^\s*(?:[-*+]|\d+\.|#+|>|@\w+(?: \{[^}]*\})?(?: [\w.]+ -)?)\s+(.*)$/.exec(raw);
    if (raw.trim() === '' || item || /^\s*\|/.test(raw)) flush(here);
    if (/^\s*\|/.test(raw))
      found.push(...raw.split(/(?<!\\)\|/).flatMap((cell) => sentencesOf(file, here, cell)));
    else if (raw.trim() !== '') paragraph.push(item ? (item[1] as string) : raw);
  }
  flush(line + text.split('\n').length);
  return found;
}

// The titles in docs/internals/conformance.md are names of tests. The template of pull requests has checkboxes.
const pages = PAGES.filter((page) => !page.startsWith('.github/'));
const rooms = {
  lib: filesBelow('lib', /\.c?ts$/).flatMap(commentsOf),
  test: filesBelow('test', /\.m?ts$/).flatMap(commentsOf),
  docs: pages.flatMap((page) => {
    const text = read(page);
    const prose = page === 'docs/internals/conformance.md' ? text.replaceAll(/^\|.*$/gm, '') : text;
    return paragraphsOf(page, 1, prose);
  }),
};

const show = ({ file, line, text }: Sentence) => `${file}:${line} ${text.slice(0, 100)}`;

it.each(Object.keys(rooms) as (keyof typeof rooms)[])(
  'sentences in %s begin with a name or a verb',
  (room) => {
    const riddles = rooms[room].filter(({ text }) => RIDDLE.test(text));
    const share = riddles.length / rooms[room].length;
    const figures = `${riddles.length} of ${rooms[room].length} sentences in ${room} (${(share * 100).toFixed(1)} %) begin with What, Who, Those`;
    expect(rooms[room].length, 'sentences found').toBeGreaterThan(500);
    expect(share, [figures, ...riddles.slice(0, 20).map(show)].join('\n')).toBeLessThanOrEqual(LIMIT);
  },
);

const forbidden = PRIVATE_WORDS.flatMap((one) =>
  (['lib', 'docs'] as const).map((room) => ({ ...one, room })),
);
it.each(forbidden)('the word "$name" in $room', ({ word, better, room }) => {
  const uses = rooms[room].filter(({ text }) => word.test(text));
  expect(uses.map(show), `Better: ${better}`).toEqual([]);
});
