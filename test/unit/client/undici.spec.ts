import { createRequire } from 'node:module';
import { Agent } from 'undici';
import { expect, it } from 'vitest';
import { ownFile } from '../../../lib/errors/own-file.js';
import { fromFiles, TESTED } from '../../../lib/client/undici.js';

const require = createRequire(import.meta.url);

it('the version that is copied is the one that is installed', () => {
  expect((require('undici/package.json') as { version: string }).version).toBe(TESTED);
});

it('the private copy of undici is another one than that of the application', () => {
  const own = fromFiles(ownFile);
  expect(own?.Agent.name).toBe(Agent.name);
  expect(own?.Agent).not.toBe(Agent);
});

it('there is no private copy without a file of this package on disk, or without undici beside it', () => {
  expect(fromFiles(undefined)).toBeUndefined();
  expect(fromFiles('/nowhere/index.js')).toBeUndefined();
});
