// The options of `npm start`. Runs in a fresh clone, so it uses Node built-ins only.
import { parseArgs } from 'node:util';

const HELP = 'npm start -- --help lists the options and the samples.';

/** An invalid command line; its message is two lines. */
export class UsageError extends Error {
  constructor(problem, remedy = HELP) {
    super(`${problem}\n${remedy}`);
  }
}

/**
 * @param {string[]} args
 * @param {readonly string[]} samples the names of all samples
 * @throws UsageError
 */
export function startOptions(args, samples) {
  const values = parse(args);
  const number = (name, min, max) => {
    const value = values[name];
    if (value === undefined) return undefined;
    if (/^\d+$/.test(value) && Number(value) >= min && Number(value) <= max) return Number(value);
    throw new UsageError(`--${name} must be a whole number from ${min} to ${max}, not "${value}".`);
  };
  return {
    sample: values.sample === undefined ? samples[0] : sampleNamed(values.sample, samples),
    help: values.help,
    json: values.json,
    for: number('for', 1, 2_000_000),
    ttl: number('ttl', 2, 3_600) ?? 10,
    port: number('port', 0, 65_535),
  };
}

function parse(args) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        sample: { type: 'string' },
        for: { type: 'string' },
        ttl: { type: 'string' },
        port: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    return values;
  } catch (error) {
    // The first sentence: the others are about other programs.
    throw new UsageError(error.message.split(/(?<=['"])\. |\n/)[0].replace(/\.?$/, '.'));
  }
}

/** The sample with this name, number or word, or else the only one with this text in its name. */
function sampleNamed(text, samples) {
  const wanted = text.trim().toLowerCase();
  const numberOf = (name) => Number(name.slice(0, 2));
  const wordsOf = (name) => [name, name.slice(3)];
  const byNumber = (name) => /^\d+$/.test(wanted) && numberOf(name) === Number(wanted);
  const exact = samples.filter((name) => wordsOf(name).includes(wanted) || byNumber(name));
  const found =
    exact.length > 0 || /^\d*$/.test(wanted) ? exact : samples.filter((name) => name.includes(wanted));
  if (found.length === 1) return found[0];
  if (found.length > 1)
    throw new UsageError(`--sample ${text} may be ${found.join(', ')}.`, 'Write more of the name.');
  throw new UsageError(`npm start has no sample "${text}".`, `Samples: ${samples.join(', ')}.`);
}
