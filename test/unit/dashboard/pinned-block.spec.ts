import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { PinnedBlock } from '../../../lib/dashboard/pinned-block.js';
import { TerminalScreen } from '../../support/terminal-screen.js';

let block: PinnedBlock | undefined;
afterEach(() => {
  block?.end([]);
  block = undefined;
});

/** Time stands still, as a text that follows a pause is written on the next turn of the event loop. */
const clock = { monotonic: () => 0 };

function pinned(columns = 40, time = clock) {
  const screen = new TerminalScreen(columns);
  const original = screen.write;
  block = new PinnedBlock(screen, [], time);
  return { screen, original, block };
}

it('log lines stay whole above the block, in their order, and the block is painted in place', () => {
  const { screen, block } = pinned();
  block.draw(['token 20 s', 'lease 10 s']);
  screen.write('first\n');
  block.draw(['token 19 s']);
  screen.write('second\nthird\n');
  expect(screen.shown).toEqual(['first', 'second', 'third', 'token 19 s', '']);
  block.draw(['token 18 s', 'lease 9 s', 'pool']);
  expect(screen.shown).toEqual(['first', 'second', 'third', 'token 18 s', 'lease 9 s', 'pool', '']);
});

it('an unfinished line is shown above the block, and continued there', () => {
  const { screen, block } = pinned();
  block.draw(['block']);
  screen.write('wait');
  expect(screen.shown).toEqual(['wait', 'block', '']);
  screen.write(' for it');
  screen.write(' ... done\nnext');
  expect(screen.shown).toEqual(['wait for it ... done', 'next', 'block', '']);
});

it('at the end the unfinished line and the last lines stay, and the stream is as before', () => {
  const { screen, original, block } = pinned();
  block.draw(['block']);
  screen.write('unfinished');
  block.end(['the end']);
  expect(screen.shown).toEqual(['unfinished', 'the end', '']);
  expect(screen.write).toBe(original);
  expect(screen.wraps).toBe(true);
  screen.write('later\n');
  expect(screen.shown).toEqual(['unfinished', 'the end', 'later', '']);
});

it('another package that took over the stream meanwhile keeps it', () => {
  const { screen, block } = pinned();
  const ours = screen.write;
  const theirs = ((text: string) => ours.call(screen, `> ${text}`)) as typeof ours;
  Object.assign(screen, { write: theirs });
  block.end([]);
  expect(screen.write).toBe(theirs);
  screen.write('line\n');
  expect(screen.shown).toEqual(['> line', '']);
});

it('bytes of a character that come in two parts are one character, and callbacks are called', () => {
  const { screen, block } = pinned();
  block.draw(['block']);
  const bytes = Buffer.from('naïve 東京\n');
  let called = 0;
  screen.write(bytes.subarray(0, 3), () => called++);
  screen.write(bytes.subarray(3, 9), 'utf8', () => called++);
  screen.write(bytes.subarray(9));
  screen.write('4f4b0a', 'hex');
  expect(screen.shown).toEqual(['naïve 東京', 'OK', 'block', '']);
  expect(called).toBe(2);
});

it('lines of two streams to one terminal do not mix', () => {
  const screen = new TerminalScreen(40);
  // Another stream to the same terminal.
  const stderr = { columns: 40, write: screen.write.bind(screen) };
  block = new PinnedBlock(screen, [stderr], clock);
  block.draw(['block']);
  screen.write('out');
  stderr.write('err\n');
  screen.write('put\n');
  expect(screen.shown).toEqual(['err', 'output', 'block', '']);
});

it('a terminal that becomes narrower or wider loses no log line, and the block is below all of them', () => {
  const { screen, block } = pinned(40);
  block.draw(['x'.repeat(38), 'y'.repeat(18)]);
  screen.write('log one\nlog two\n');
  screen.resize(20);
  block.draw(['narrow']);
  // The terminal has broken the first line: one row of it stays.
  expect(screen.shown).toEqual(['log one', 'log two', 'x'.repeat(20), 'narrow', '']);
  screen.write('log three\n');
  screen.resize(60);
  block.draw(['wide again']);
  expect(screen.shown.slice(-3)).toEqual(['log three', 'wide again', '']);
});

it('a process that was stopped paints below all that the shell has written, also if its timers come first', async () => {
  let now = 0;
  const { screen, original, block } = pinned(40, { monotonic: () => now });
  const shell = (text: string) => original.call(screen, text);
  block.draw(['token 20 s', 'lease 10 s']);
  now = 5_000;
  shell('^Z\nStopped\n$ ls\none two\n$ fg\nnpm start\n');
  block.draw(['token 15 s', 'lease 5 s']);
  let written = 0;
  screen.write('a line\n', () => written++);
  process.emit('SIGCONT', 'SIGCONT');
  const after = ['^Z', 'Stopped', '$ ls', 'one two', '$ fg', 'npm start', ''];
  const shown = ['token 20 s', 'lease 10 s', ...after, 'a line', 'token 15 s', 'lease 5 s', ''];
  expect(screen.shown).toEqual(shown);
  expect(written).toBe(1);
  // A prompt that is not finished stays, too: the process was continued from elsewhere.
  shell('$ ');
  process.emit('SIGCONT', 'SIGCONT');
  block.draw(['token 14 s']);
  await new Promise(setImmediate);
  expect(screen.shown.slice(-4)).toEqual(['lease 5 s', '$', 'token 14 s', '']);
});

it('a pause without a stop changes nothing: what follows is written on the next turn, or at the end', async () => {
  let now = 0;
  const { screen, block } = pinned(40, { monotonic: () => now });
  block.draw(['block']);
  now = 5_000;
  screen.write('one\n');
  screen.write('two\n');
  expect(screen.shown).toEqual(['block', '']);
  await new Promise(setImmediate);
  expect(screen.shown).toEqual(['one', 'two', 'block', '']);
  now = 10_000;
  screen.write('three\n');
  block.end(['the end']);
  expect(screen.shown).toEqual(['one', 'two', 'three', 'the end', '']);
});

it('long log lines wrap as they do without a block', () => {
  const { screen, block } = pinned(10);
  block.draw(['block']);
  screen.write(`${'abcdefghij'.repeat(2)}k\n`);
  block.draw(['other']);
  expect(screen.shown).toEqual(['abcdefghij', 'abcdefghij', 'k', 'other', '']);
});

it('a long text is written line by line, also where its last line is not finished', () => {
  const { screen, block } = pinned();
  block.draw(['block']);
  screen.write(`${'line\n'.repeat(20_000)}half`);
  screen.write(' and half\n');
  expect(screen.shown.slice(-4)).toEqual(['line', 'half and half', 'block', '']);
});

it('whatever is written and painted in turn, the text arrives as it was written', () => {
  const step = fc.oneof(
    fc.record({ write: fc.stringMatching(/^[a-z\n]{0,12}$/) }),
    fc.record({ draw: fc.array(fc.stringMatching(/^[A-Z]{1,15}$/), { maxLength: 4 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const { screen, block } = pinned(200);
      for (const one of steps) {
        if ('write' in one) screen.write(one.write);
        else block.draw(one.draw);
      }
      const written = steps.map((one) => ('write' in one ? one.write : '')).join('');
      const painted = [...steps].reverse().find((one) => 'draw' in one);
      const whole = written === '' || written.endsWith('\n') ? written : `${written}\n`;
      const shown = painted && 'draw' in painted ? painted.draw.map((line) => `${line}\n`).join('') : '';
      expect(screen.shown.join('\n')).toBe(whole + shown);
      block.end([]);
    }),
  );
});
