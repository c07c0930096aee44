import { spawn } from 'node:child_process';
import { blocksOf, read } from '../support/pages.mjs';
import { MONITORING } from './rules.js';

const PAGE = `${MONITORING}/runbooks.md`;

/** The purpose of a block of commands: to see the fault, to correct it, to cause it. */
export type Purpose = 'look' | 'mend' | 'drill';

/** One block of commands of a section. */
export interface Commands {
  section: string;
  purpose: Purpose;
  text: string;
  line: number;
}

/** All blocks of the runbooks that have a purpose, in order. */
export const COMMANDS: readonly Commands[] = blocksOf(PAGE).flatMap(({ language, info, text, line }) =>
  language === 'sh' && info ? [{ section: sectionAt(line), purpose: info as Purpose, text, line }] : [],
);

function sectionAt(line: number): string {
  const before = read(PAGE).split('\n').slice(0, line);
  return before.findLast((one) => one.startsWith('## '))?.slice(3) ?? '';
}

/** The blocks of one section with one purpose. */
export const commandsOf = (section: string, purpose: Purpose): readonly Commands[] =>
  COMMANDS.filter((one) => one.section === section && one.purpose === purpose);

/** Runs the commands of the runbooks as a reader would, and keeps a log of them. */
export class Reader {
  readonly log: string[] = [];
  readonly #done = new Set<Commands>();

  /** @param env the variables that the page names, and the PATH */
  async run(commands: Commands, env: Readonly<Record<string, string>>): Promise<void> {
    this.#done.add(commands);
    const { code, output } = await shell(commands.text, env);
    this.log.push(
      `## ${commands.section}: ${commands.purpose}\n${commands.text.trim()}\n→ ${code}\n${output}`,
    );
    if (code !== 0)
      throw new Error(`${PAGE}:${commands.line} ended with ${code}:\n${commands.text}\n${output}`);
    if (commands.purpose === 'look' && output.trim() === '')
      throw new Error(`${PAGE}:${commands.line} printed nothing:\n${commands.text}`);
  }

  /** The blocks that were never run. */
  get left(): readonly Commands[] {
    return COMMANDS.filter((one) => !this.#done.has(one));
  }
}

function shell(
  text: string,
  env: Readonly<Record<string, string>>,
): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-ec', text], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const pieces: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (piece: Buffer) => pieces.push(piece));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1, output: Buffer.concat(pieces).toString() }));
  });
}
