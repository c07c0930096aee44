import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { transition, TRANSITIONS, type Phase, type Signal } from '../../../lib/lifetime/transitions.js';
import { withDiagram } from '../../../scripts/lifetime-diagram.mjs';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const phases = Object.keys(TRANSITIONS) as Phase[];
const signals = [...new Set(Object.values(TRANSITIONS).flatMap((row) => Object.keys(row)))] as Signal[];

/** Any phase, and any signals in any order. */
const lives = [fc.constantFrom(...phases), fc.array(fc.constantFrom(...signals), { maxLength: 30 })] as const;
const settings = { seed: 20261130, numRuns: 100 };

/** The phases that some signals lead to, and the phase itself. */
function reachableFrom(start: Phase): Set<Phase> {
  const found = new Set([start]);
  for (const phase of found) for (const signal of signals) found.add(transition(phase, signal));
  return found;
}

it('docs/internals/lifecycle.md shows the table of transitions', () => {
  const page = read('docs/internals/lifecycle.md');
  const current = withDiagram(page, TRANSITIONS, read('lib/lifetime/transitions.ts'));
  expect(page, 'docs/internals/lifecycle.md is out of date: run `npm run docs:diagram`').toBe(current);
  for (const phase of phases) {
    expect(current).toMatch(new RegExp(`^\\| \`${phase}\` +\\| \\w`, 'm'));
    for (const [signal, next] of Object.entries(TRANSITIONS[phase])) {
      expect(current).toMatch(new RegExp(`^  ${phase} --> ${next}: (\\w+, )*${signal}\\b`, 'm'));
    }
  }
});

it('for any signals in any order: closed is final, and a signal that the table does not list changes nothing', () => {
  fc.assert(
    fc.property(...lives, (start, received) => {
      let phase = start;
      for (const signal of received) {
        const before = phase;
        phase = transition(before, signal);
        expect(phase).toBe(signal in TRANSITIONS[before] ? TRANSITIONS[before][signal] : before);
        if (before === 'closed') expect(phase).toBe('closed');
      }
    }),
    settings,
  );
});

it('for any signals in any order: the life can be closed afterwards', () => {
  fc.assert(
    fc.property(...lives, (start, received) => {
      const end = received.reduce(transition, start);
      expect(transition(end, 'closed')).toBe('closed');
    }),
    settings,
  );
});

it('every phase is reachable from pending or active', () => {
  const reached = new Set([...reachableFrom('pending'), ...reachableFrom('active')]);
  expect([...reached].sort()).toEqual([...phases].sort());
});
