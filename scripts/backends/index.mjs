// Which servers a sample needs, and a file for each kind of them: how they are started, set up from the files of the
// sample, and looked into. Read in a fresh clone, so nothing is imported that has to be installed first.

/** @type {Record<string, string>} sample -> file */
export const SAMPLES = {
  '01-rotating-database': 'postgres',
  '02-typeorm': 'postgres',
  '03-prisma': 'postgres',
  '04-mariadb': 'mariadb',
};

/** @param {string} sample */
export async function backendOf(sample) {
  return import(`./${SAMPLES[sample]}.mjs`);
}
